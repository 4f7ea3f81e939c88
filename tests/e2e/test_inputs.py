"""Input is counted once, refused with a reason, or stored with its error."""

from __future__ import annotations

import gzip
import json
import socket
from typing import Any
from urllib.parse import quote

from tests.e2e.client import candles, eventually, fresh_symbol, rows, send_udp, web
from tests.platform import kandle

TIME_MS = 1_660_000_020_000


def test_ingest_over_http_counts_a_repeated_post_once(pipeline: dict[str, str]) -> None:
    """A repeated POST with its Idempotency-Key is 202 and counts once."""
    symbol = fresh_symbol("HTTP")
    body = f"{symbol},10.5,2,{TIME_MS},buy\n{symbol},11,1,{TIME_MS + 1},sell\n"
    for _ in range(3):
        answer = web.post(
            pipeline["INGEST_URL"], content=body, headers={"Idempotency-Key": f"{symbol}-1"}
        )
        assert answer.status_code == 202
        assert answer.json()["bytes"] == len(body)
        assert answer.json()["id"].startswith(f"http-{symbol}-1-")
    found = eventually(lambda: candles(pipeline["API_URL"], symbol), lambda c: len(c) == 1)
    assert [(c["o"], c["c"], c["v"], c["n"]) for c in found] == [("10.5", "11", "3", 2)]


def test_ingest_refuses_with_a_problem_that_names_the_fix(pipeline: dict[str, str]) -> None:
    """A body too large, empty, with a bad key or unknown type is a problem with a fix."""
    url = pipeline["INGEST_URL"]
    xml, json_type = ({"content-type": f"application/{name}"} for name in ("xml", "json"))
    for answer, status, said in [
        (web.post(url, content=b"A,1\n" * 200_000), 413, "a body may have"),
        (web.post(url, content=b""), 400, "send lines SYMBOL,PRICE"),
        (web.post(url, content=b"A,1", headers={"Idempotency-Key": "a b"}), 400, "1 to 128"),
        (web.post(url, content=b"<a/>", headers=xml), 415, "send text/csv"),
        (web.post(url, content=b"{", headers=json_type), 400, "an array of such"),
    ]:
        assert answer.status_code == status
        assert answer.headers["content-type"] == "application/problem+json"
        assert said in answer.json()["detail"]


def test_a_bad_line_is_kept_with_its_reason_and_the_next_line_counts(
    pipeline: dict[str, str],
) -> None:
    """A bad line is a reject with its reason and bytes, and the next line is a tick.

    Garbage, an empty datagram, a huge number, SQL in a symbol.
    """
    symbol = fresh_symbol("BAD")
    host, port = pipeline["UDP_ADDR"].removeprefix("udp://").rsplit(":", 1)
    injection = b"'; DROP TABLE ticks; --,1," + symbol.encode()
    garbage = symbol.encode() + b"\xff\x00\xfe"
    huge = symbol.encode() + b"," + b"9" * 60_000
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for datagram in [
            b"",
            garbage,
            huge,
            injection + b"\n" + f"{symbol},NaN\n{symbol},7,1,{TIME_MS},buy,1\n".encode(),
        ]:
            sock.sendto(datagram, (host, int(port)))

    def kept() -> list[tuple[Any, ...]]:
        return rows(
            pipeline["DATABASE_URL"],
            "SELECT code, original FROM rejects WHERE position(%s::bytea in original) > 0"
            " ORDER BY receive_time_us, sequence",
            symbol.encode(),
        )

    found = eventually(kept, lambda some: len(some) == 4)
    assert found == [
        ("bad_text", garbage),
        ("bad_price", huge),
        ("bad_symbol", injection),
        ("bad_price", f"{symbol},NaN".encode()),
    ]
    empty = rows(pipeline["DATABASE_URL"], "SELECT 1 FROM rejects WHERE code = 'empty_payload'")
    assert len(empty) == 1
    shown = eventually(lambda: candles(pipeline["API_URL"], symbol), lambda c: len(c) == 1)
    assert [c["c"] for c in shown] == ["7"]


def test_poison_goes_to_the_dead_letters_and_can_be_replayed(pipeline: dict[str, str]) -> None:
    """An event that no function can read is dead-lettered whole, and blocks no other."""
    headers = {
        "ce-specversion": "1.0",
        "ce-type": "dev.kandle.raw.v1",
        "ce-source": "/test",
        "ce-id": "poison-1",
        "content-type": "application/protobuf",
    }
    answer = web.post(pipeline["K_SINK"], content=b"\xff\xff\xff", headers=headers)
    assert answer.status_code == 202
    directory = ("--data-dir", pipeline["DATA_DIR"])

    def letters() -> list[dict[str, Any]]:
        said = kandle("dlq", "list", "--json", *directory).stdout
        found: list[dict[str, Any]] = [json.loads(line) for line in said.splitlines()]
        return [letter for letter in found if letter["attributes"]["id"] == "poison-1"]

    (letter,) = eventually(letters, lambda found: len(found) == 1)
    assert letter["destination"] == "http://normalize.kandle.svc.cluster.local"
    assert "bad_raw_batch" in letter["error"]
    # replayed, it is dead-lettered once again, never lost
    replay = kandle("dlq", "replay", str(letter["sequence"]), *directory, check=False)
    assert replay.returncode == 1
    assert "1 of those answered 2xx came back" in replay.stdout
    (again,) = letters()
    assert again["sequence"] > letter["sequence"]
    assert again["destination"] == letter["destination"]
    symbol = fresh_symbol("AFTER")
    send_udp(pipeline["UDP_ADDR"], [f"{symbol},1"])
    assert eventually(lambda: candles(pipeline["API_URL"], symbol), lambda c: len(c) == 1)


def test_inputs_of_the_field_become_candles_of_their_own(pipeline: dict[str, str]) -> None:
    """Odd symbols and prices by POST and UDP become candles, and are confirmed at once."""
    tail = fresh_symbol("F")
    low, option, coin = f"CL={tail}", f"SPXW  {tail}", f"币^{tail}"
    table = "\ufefftime;price;symbol;amount;mood\r\n" + "".join(
        f"{time};{price};{symbol};{size};x\r\n"
        for time, price, symbol, size in [
            (TIME_MS * 1000, "-37.63", low, "154"),
            (TIME_MS // 1000 + 1, "0.00", low, "3"),
            ("2022-08-08T23:07:02Z", "1.10", low, "1"),
            (TIME_MS, "1.000000000000000001", option, "1234567.890123456789012345"),
            (20250220, "1", low, "1"),
        ]
    )
    answer = web.post(
        pipeline["INGEST_URL"],
        content=gzip.compress(table.encode()),
        headers={"content-type": "text/csv", "content-encoding": "gzip"},
    )
    said = answer.json()
    assert (said["lines"], said["accepted"], said["rejected"]) == (5, 4, 1)
    assert (said["first_errors"][0]["line"], said["fields_not_read"]) == (6, ["mood"])
    host, port = pipeline["UDP_ADDR"].removeprefix("udp://").rsplit(":", 1)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        line = f"price,symbol,timestamp,id\n-5,{coin},{TIME_MS},null"
        sock.sendto(line.encode(), (host, int(port)))

    def shown(symbol: str) -> list[dict[str, Any]]:
        return candles(pipeline["API_URL"], quote(symbol, safe=""))

    (candle,) = eventually(lambda: shown(low), lambda c: len(c) == 1 and c[0]["n"] == 3)
    assert [candle[name] for name in "ohlcv"] == ["-37.63", "1.1", "-37.63", "1.1", "158"]
    (candle,) = eventually(lambda: shown(option), lambda c: len(c) == 1)
    assert (candle["o"], candle["v"]) == ("1.000000000000000001", "1234567.890123456789012345")
    (candle,) = eventually(lambda: shown(coin), lambda c: len(c) == 1)
    assert candle["c"] == "-5"
