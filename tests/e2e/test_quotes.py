"""Messages of exchanges and the scanner through the whole pipeline: candles, quotes, rejects."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from tests.e2e.client import candles, eventually, fresh_symbol, rows, web

_ids = itertools.count()
TIME_MS = 1_660_000_020_000
BINANCE, COINBASE, SCANNER = 4, 5, 7
"""Numbers of raw.proto."""


def varint(value: int) -> bytes:
    """An integer as protobuf writes it."""
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*found, value])


def field(number: int, content: bytes) -> bytes:
    """A field of bytes, with its tag and length."""
    return varint(number << 3 | 2) + varint(len(content)) + content


def bridge(pipeline: dict[str, str], format_: int, messages: Sequence[Any]) -> None:
    """Send messages as any bridge does: a RawBatch (raw.proto), one message a payload."""
    payloads = [m if isinstance(m, bytes) else json.dumps(m).encode() for m in messages]
    source = f"feed-test-{time.time_ns()}"
    now_us = time.time_ns() // 1000
    body = varint(1 << 3) + varint(format_) + field(2, source.encode())
    body += field(4, b"".join(varint(len(payload)) for payload in payloads))
    # receive times as zigzag differences: the first, then zeros
    body += field(5, varint(now_us << 1) + bytes(len(payloads) - 1))
    body += field(6, b"".join(payloads))
    headers = {"ce-specversion": "1.0", "ce-id": f"{source}-{next(_ids)}", "ce-source": "/test",
               "ce-type": "dev.kandle.raw.v1", "content-type": "application/protobuf"}  # fmt: skip
    for _ in range(2):  # as a sender without a response does
        answer = web.post(pipeline["K_SINK"], content=body, headers=headers)
        assert answer.status_code == 202


def latest(pipeline: dict[str, str], symbol: str) -> dict[str, Any]:
    answer = web.get(f"{pipeline['API_URL']}/api/latest/{symbol}")
    found: dict[str, Any] = answer.json() if answer.status_code == 200 else {}
    return found


def test_binance_trades_become_candles_and_its_book_the_spread(pipeline: dict[str, str]) -> None:
    """Binance's trades become candles and its book the latest quote.

    The crossed quote and the broken message are rejects.
    """
    base = fresh_symbol("BIN").replace("-", "")
    market, instrument = f"{base}USDT", f"{base}-USDT.BINANCE"

    def trade(n: int, price: str, *, maker: bool) -> dict[str, Any]:
        data = {"e": "aggTrade", "s": market, "a": n, "p": price, "q": "0.50", "m": maker,
                "T": TIME_MS + n}  # fmt: skip
        return {"stream": f"{market.lower()}@aggTrade", "data": data}

    def book(n: int, bid: str, ask: str) -> dict[str, Any]:
        return {"u": n, "s": market, "b": bid, "B": "1.20", "a": ask, "A": "3"}

    broken = b'{"e":"aggTrade","s":"%s"' % market.encode()
    bridge(
        pipeline,
        BINANCE,
        [trade(1, "10.00", maker=True), book(5, "9.99", "10.01"), broken,
         trade(2, "10.50", maker=False), book(6, "10.2", "10.2"), {"e": "depthUpdate", "s": market},
         trade(2, "10.50", maker=False)],
    )  # fmt: skip
    found = eventually(lambda: candles(pipeline["API_URL"], instrument), lambda c: len(c) == 1)
    assert [(c["o"], c["c"], c["v"], c["n"], c["bv"], c["sv"]) for c in found] == [
        ("10", "10.5", "1", 2, "0.5", "0.5")
    ]
    quote = eventually(lambda: latest(pipeline, instrument), lambda q: q.get("bid") is not None)
    expected = {"price": "10.5", "bid": "9.99", "ask": "10.01", "bid_size": "1.2", "ask_size": "3",
                "spread": "0.02", "mid": "10"}  # fmt: skip
    assert {name: quote[name] for name in expected} == expected
    kept = eventually(
        lambda: rows(
            pipeline["DATABASE_URL"],
            "SELECT code, original FROM rejects WHERE position(%s::bytea in original) > 0"
            " ORDER BY sequence",
            market.encode(),
        ),
        lambda some: len(some) == 2,
    )
    assert [code for code, _ in kept] == ["bad_json", "crossed_quote"]
    assert kept[0][1] == broken
    markets = eventually(
        lambda: rows(
            pipeline["DATABASE_URL"],
            "SELECT venue, original FROM markets WHERE instrument = %s",
            instrument,
        ),
        bool,
    )
    assert markets == [("BINANCE", market)]


def test_an_older_quote_does_not_move_the_latest_backward(pipeline: dict[str, str]) -> None:
    """An older Coinbase ticker, by time and sequence, does not replace the latest quote."""
    product = f"{fresh_symbol('CB').replace('-', '')}-USD"

    def ticker(second: int, bid: str, ask: str) -> dict[str, Any]:
        return {"type": "ticker", "product_id": product, "sequence": second, "best_bid": bid,
                "best_ask": ask, "time": f"2022-08-08T23:07:{second:02d}.5Z"}  # fmt: skip

    bridge(pipeline, COINBASE, [ticker(30, "5.10", "5.20")])
    bridge(pipeline, COINBASE, [ticker(20, "4", "6"), ticker(29, "3", "4")])
    marker = f"{product}.LATER"
    bridge(pipeline, SCANNER, [{"ticker": marker, "bid": 1, "ask": 2}])
    eventually(lambda: latest(pipeline, marker), bool)
    quote = eventually(
        lambda: latest(pipeline, f"{product}.COINBASE"), lambda found: found.get("bid") == "5.1"
    )
    assert (quote["bid"], quote["ask"], quote["quote_t"]) == ("5.1", "5.2", 1_660_000_050_500)
    assert (quote["price"], quote["bid_size"]) == (None, None)
    assert candles(pipeline["API_URL"], f"{product}.COINBASE") == []


def test_scanner_json_is_taken_over_http(pipeline: dict[str, str]) -> None:
    """The scanner's JSON is accepted over HTTP as an array or lines, and a bad object rejected."""
    symbol = fresh_symbol("SCAN").replace("-", ".")
    scans: list[dict[str, Any]] = [
        {"ticker": symbol, "price": 224.10 + n, "volume": 10**6, "mav10": 1, "float": 1,
         "timestamp": TIME_MS / 1000 + n, "bid": 224, "ask": 225 + n}
        for n in range(3)
    ]  # fmt: skip
    url = pipeline["INGEST_URL"]
    for content, kind in [
        (json.dumps(scans[:2]), "json"),
        (json.dumps(scans[2]) + '\n{"ticker":"' + symbol + '","price":"x"}\n', "x-ndjson"),
    ]:
        answer = web.post(url, content=content, headers={"content-type": f"application/{kind}"})
        assert answer.status_code == 202
    found = eventually(
        lambda: candles(pipeline["API_URL"], symbol), lambda c: [x["n"] for x in c] == [3]
    )
    assert [(c["o"], c["c"], c["v"]) for c in found] == [("224.1", "226.1", "0")]
    quote = eventually(lambda: latest(pipeline, symbol), lambda q: q.get("ask") == "227")
    assert Decimal(quote["mid"]) == Decimal("225.5")
    kept = eventually(
        lambda: rows(
            pipeline["DATABASE_URL"],
            "SELECT code FROM rejects WHERE position(%s::bytea in original) > 0",
            symbol.encode(),
        ),
        bool,
    )
    assert kept == [("bad_price",)]
