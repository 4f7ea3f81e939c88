"""Ticks in, exact candles out: through every function, over real servers."""

from __future__ import annotations

import random
import time
from typing import Any

from tests.e2e.client import (
    candles,
    eventually,
    fresh_symbol,
    rows,
    send_udp,
    wait_until_applied,
    web,
)
from tests.e2e.trades import exact, expected_candles, generated_trades, over_days


def test_generated_trades_give_the_defined_candles(pipeline: dict[str, str]) -> None:
    """Trades that arrive twice and in disorder give the defined candles of every timeframe.

    Ties, gaps and eight decimals over two days.
    """
    symbol = fresh_symbol("GEN")
    trades = over_days(generated_trades(seed=7, count=1_500), days=2)
    sent = random.Random(11).sample([*trades, *trades], 2 * len(trades))
    send_udp(pipeline["UDP_ADDR"], (trade.line(symbol) for trade in sent))
    wait_until_applied(pipeline, symbol, len(sent))
    for timeframe, minutes in (("1m", 1), ("5m", 5), ("15m", 15), ("1h", 60), ("1d", 1_440)):
        found = [exact(c) for c in candles(pipeline["API_URL"], symbol, timeframe)]
        assert found == expected_candles(trades, minutes)


def test_every_tick_is_a_row_as_it_was_sent(pipeline: dict[str, str]) -> None:
    """The view `ticks` has price, size, side and id of each trade exactly."""
    symbol = fresh_symbol("ROWS")
    trades = generated_trades(seed=3, count=500)
    send_udp(pipeline["UDP_ADDR"], (trade.line(symbol) for trade in trades))
    expected = [(t.time_ms * 1000, t.price, t.size, t.side, str(t.trade_id)) for t in trades]

    def read() -> list[tuple[Any, ...]]:
        return rows(
            pipeline["DATABASE_URL"],
            "SELECT event_time_us, price, size, side, trade_id FROM ticks"
            " WHERE instrument = %s ORDER BY event_time_us, trade_id_integer",
            symbol,
        )

    assert eventually(read, lambda found: len(found) == len(expected)) == expected


def test_closed_candles_become_rows_and_keep_the_highest_revision(
    pipeline: dict[str, str],
) -> None:
    """A late trade corrects a closed candle under a higher revision, in API and Postgres."""
    symbol = fresh_symbol("LATE")
    minute = 1_650_000_000_000 // 60_000 * 60_000
    send_udp(
        pipeline["UDP_ADDR"],
        [f"{symbol},10,1,{minute},buy,1", f"{symbol},12,1,{minute + 90_000},buy,3"],
    )

    def stored() -> list[tuple[Any, ...]]:
        return rows(
            pipeline["DATABASE_URL"],
            "SELECT close, trade_count, revision FROM candles"
            " WHERE instrument = %s AND timeframe = '1m' AND start_us = %s",
            symbol,
            minute * 1000,
        )

    first = eventually(stored, lambda found: len(found) == 1)
    assert [row[:2] for row in first] == [(10, 1)]
    send_udp(pipeline["UDP_ADDR"], [f"{symbol},11,2,{minute + 30_000},sell,2"])
    second = eventually(stored, lambda found: found != first)
    assert [row[:2] for row in second] == [(11, 2)]
    assert second[0][2] > first[0][2]
    (shown,) = [c for c in candles(pipeline["API_URL"], symbol) if c["t"] == minute]
    assert (shown["c"], shown["sv"], shown["closed"]) == ("11", "2", True)


def test_the_candles_of_a_quiet_instrument_close_by_the_clock(pipeline: dict[str, str]) -> None:
    """Nothing more comes: after the idle time the last candle closes all the same."""
    symbol, idle_s = fresh_symbol("QUIET"), 5.0
    sent_s = time.monotonic()
    send_udp(pipeline["UDP_ADDR"], [f"{symbol},10,1,1650000000000,buy,1"])

    def read() -> list[bool]:
        return [c["closed"] for c in candles(pipeline["API_URL"], symbol)]

    assert eventually(read, lambda found: found == [True]) == [True]
    assert time.monotonic() - sent_s > idle_s


def test_ties_of_text_ids_negative_prices_and_eighteen_decimals(pipeline: dict[str, str]) -> None:
    """Ties with text ids keep the order sent, and each decimal is exact in the candle."""
    time_ms = 1_587_411_060_000
    told = {
        fresh_symbol("TIES"): ("text-9 text-10 0b7f7c2c", "1 2 3", "1 1 1", "1 3 1 3 3"),
        fresh_symbol("OIL"): ("1 2 3", "-37.63 0.00 1.10", "154 3 3", "-37.63 1.1 -37.63 1.1 160"),
        fresh_symbol("DEX"): (
            "1 2 3",
            "0.00000259156993297133 9.999999999999999999 1.000000000000000001",
            "1234567.890123456789012345 1 0.000000000000000001",
            "0.00000259156993297133 9.999999999999999999 0.00000259156993297133"
            " 1.000000000000000001 1234568.890123456789012346",
        ),
    }
    lines = [
        f"{symbol},{price},{size},{time_ms},buy,{id_}"
        for symbol, (ids, prices, sizes, _) in told.items()
        for id_, price, size in zip(ids.split(), prices.split(), sizes.split(), strict=True)
    ]
    answer = web.post(pipeline["INGEST_URL"], content="\n".join(lines))
    assert answer.status_code == 202
    for symbol, (*_, candle) in told.items():
        (found,) = eventually(
            lambda symbol=symbol: candles(pipeline["API_URL"], symbol),  # type: ignore[misc]
            lambda some: [c["n"] for c in some] == [3],
        )
        assert [found[name] for name in "ohlcv"] == candle.split()
