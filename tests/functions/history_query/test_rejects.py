"""GET /api/rejects over the rows that persist writes."""

from __future__ import annotations

import time

from shared.wire.rejects import Reject
from tests.functions.history_query.conftest import House


def test_rejects_are_counted_by_reason_and_the_newest_listed(house: House) -> None:
    """Rejects of the last day, or since `from`, are counted by reason, the newest listed.

    Originals are shown as text, truncated.
    """
    now_us = time.time_ns() // 1000
    long = b"BTC-USD,x," + b"9" * 1_000
    rejects = [
        Reject(b"A,-1\xff", "bad_price", "price: above 0", now_us - 3_000_000, 1),
        Reject(long, "bad_price", "price: a number", now_us - 2_000_000, 2),
        Reject(b"", "empty", "a line", now_us - 1_000_000, 3),
        Reject(b"old", "empty", "a line", now_us - 25 * 3_600_000_000, 4),
    ]
    house.writer.rejects("e", "udp-1", rejects)
    body = house.get("/api/rejects").json()
    counts = [(each["code"], each["source"], each["rejects"]) for each in body["counts"]]
    assert counts == [("bad_price", "udp", 2), ("empty", "udp", 1)]
    assert body["counts"][0]["newest"] == (now_us - 2_000_000) // 1000
    listed = [(each["original"], each["bytes"], each["detail"]) for each in body["rejects"]]
    assert listed == [
        ("", 0, "a line"),
        (long[:300].decode(), len(long), "price: a number"),
        ("A,-1\\xff", 5, "price: above 0"),
    ]
    assert len(house.get("/api/rejects", **{"from": "-2d", "limit": "10"}).json()["rejects"]) == 4
    assert len(house.get("/api/rejects", limit="1").json()["rejects"]) == 1
    assert "limit" in house.get("/api/rejects", limit="0").json()["detail"]
