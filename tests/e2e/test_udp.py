"""UDP input of either format is exactly in the candles, or whole in the rejects."""

from __future__ import annotations

import socket
import struct
from typing import Any

from tests.e2e.client import candles, eventually, fresh_symbol, rows, send_udp, web

TIME_MS = 1_660_000_020_000


def field(number: int, wire_type: int, value: bytes) -> bytes:
    return bytes([number << 3 | wire_type]) + value


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def ticker_update(
    symbol: str, price: float, volume: int = 0, timestamp: int = 0, size: str = ""
) -> bytes:
    """A TickerUpdate as protobuf writes it, by hand as a sender in any language might."""
    message = field(1, 2, varint(len(symbol)) + symbol.encode())
    message += field(2, 1, struct.pack("<d", price))
    if volume:
        message += field(3, 0, varint(volume))
    if timestamp:
        message += field(4, 0, varint(timestamp))
    if size:
        message += field(5, 2, varint(len(size)) + size.encode())
    return message


def send(address: str, datagrams: list[bytes]) -> None:
    host, port = address.removeprefix("udp://").rsplit(":", 1)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for datagram in datagrams:
            sock.sendto(datagram, (host, int(port)))


def rejects_with(database_url: str, text: str) -> list[tuple[Any, ...]]:
    return rows(
        database_url,
        "SELECT code, original FROM rejects WHERE position(%s::bytea in original) > 0"
        " ORDER BY receive_time_us, sequence",
        text.encode(),
    )


def test_both_formats_make_one_candle(pipeline: dict[str, str]) -> None:
    """Lines and TickerUpdates of one symbol on one port make one exact candle."""
    symbol = fresh_symbol("UDP")
    send(
        pipeline["UDP_ADDR"],
        [
            ticker_update(symbol, 0.1, volume=3, timestamp=TIME_MS),
            f"{symbol},0.2,1.5,{TIME_MS + 1}".encode(),
            ticker_update(symbol, 0.30000000000000004, timestamp=TIME_MS + 2, size="0.25"),
        ],
    )
    found = eventually(
        lambda: candles(pipeline["API_URL"], symbol), lambda c: [x["n"] for x in c] == [3]
    )
    (candle,) = found
    assert [candle[k] for k in "ohlcv"] == [
        "0.1", "0.30000000000000004", "0.1", "0.30000000000000004", "4.75"
    ]  # fmt: skip


def test_a_bad_ticker_update_is_kept_with_its_reason(pipeline: dict[str, str]) -> None:
    """A bad TickerUpdate is a reject with its reason, and the next one is a tick.

    NaN, truncated, unknown fields, no symbol.
    """
    symbol = fresh_symbol("PB")
    good = ticker_update(symbol, 7.0, volume=1, timestamp=TIME_MS)
    nan = ticker_update(symbol, float("nan"))
    cut = good[:-2]
    unknown = good + field(9, 0, b"\x01")
    wrong_size = ticker_update(symbol, 7.0, size=f"x{symbol}")
    send(pipeline["UDP_ADDR"], [nan, cut, unknown, wrong_size, good])
    found = eventually(
        lambda: rejects_with(pipeline["DATABASE_URL"], symbol), lambda some: len(some) == 4
    )
    assert found == [
        ("bad_price", nan),
        ("bad_protobuf", cut),
        ("unknown_field", unknown),
        ("bad_size", wrong_size),
    ]
    shown = eventually(lambda: candles(pipeline["API_URL"], symbol), lambda c: len(c) == 1)
    assert [(c["c"], c["v"], c["n"]) for c in shown] == [("7", "1", 1)]


def test_ticker_updates_by_http_are_taken_up_to_where_the_body_is_cut_off(
    pipeline: dict[str, str],
) -> None:
    """Length-prefixed TickerUpdates are ticks, and a truncated one is a reject.

    Repetitions count once.
    """
    symbol = fresh_symbol("STREAM")
    messages = [ticker_update(symbol, 10.0 + i, volume=1, timestamp=TIME_MS + i) for i in range(3)]
    body = b"".join(varint(len(m)) + m for m in messages)[:-1]
    headers = {"content-type": "application/x-protobuf", "idempotency-key": f"{symbol}-1"}
    for _ in range(2):
        answer = web.post(pipeline["INGEST_URL"], content=body, headers=headers)
        assert answer.status_code == 202
        assert answer.json()["id"].startswith(f"http-{symbol}-1-")
    found = eventually(
        lambda: rejects_with(pipeline["DATABASE_URL"], symbol), lambda some: len(some) == 1
    )
    assert found == [("truncated", messages[2][:-1])]
    shown = eventually(
        lambda: candles(pipeline["API_URL"], symbol), lambda c: [x["n"] for x in c] == [2]
    )
    assert [(c["o"], c["c"], c["v"]) for c in shown] == [("10", "11", "2")]


def test_many_small_datagrams_are_all_counted(pipeline: dict[str, str]) -> None:
    """More single-tick datagrams than a batch holds are all in the candle."""
    symbol = fresh_symbol("MANY")
    lines = (f"{symbol},{1 + n % 7},1,{TIME_MS + n},buy,{n}" for n in range(20_000))
    send_udp(pipeline["UDP_ADDR"], lines, lines_a_datagram=1)
    found = eventually(
        lambda: candles(pipeline["API_URL"], symbol), lambda c: sum(x["n"] for x in c) == 20_000
    )
    assert [(c["v"], c["h"], c["l"]) for c in found] == [("20000", "7", "1")]
