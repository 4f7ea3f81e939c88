"""`as_of` over days of the lake and of Postgres: late ticks, repeated trades and busts."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import pytest
import redis

from functions.persist.busts import BustWriter
from shared.wire.busts import Bust
from shared.wire.raw_batch import FORMAT_SCANNER
from shared.wire.ticks import INTEGER_ID, NO_ID
from tests.functions.history_query.cold import ColdMarket, cold_market
from tests.functions.history_query.market import MINUTE_US, Tick, batches, candles, trades

LATER_US = 1_900_000_000_000_000
"""After the market's own receive times."""
NAMES = ("t", "o", "h", "l", "c", "v", "n", "bv", "sv")

Correction = tuple[Tick, int, int]
"""The trade, when its bust was received, and its corrected price in hundredths; 0: cancelled."""


@pytest.fixture
def market(servers: dict[str, str], database: str, valkey: redis.Redis) -> Iterator[ColdMarket]:
    with cold_market(servers, database, valkey, 200) as found:
        yield found
        found.house.replica.engine.close()


def late(ticks: list[Tick], source: random.Random) -> list[Tick]:
    """Trades of the same hours, half of them without an id."""
    return [
        tick._replace(
            kind=INTEGER_ID if n % 2 else NO_ID,
            number=10**13 + n if n % 2 else 0,
            text="",
            receive_us=LATER_US + n * 1_000_000,
            source="udp-9",
            sequence=n << 16,
            price=source.randint(1, 10**6),
        )
        for n, tick in enumerate(source.sample(ticks, 40))
    ]


def repeated(ticks: list[Tick], source: random.Random) -> list[Tick]:
    """The trades again, some at an earlier time: as REST has it, whose times are coarser."""
    return [
        tick._replace(
            time_us=max(tick.time_us // MINUTE_US * MINUTE_US, tick.time_us - earlier_us),
            receive_us=LATER_US + 100_000_000 + n * 1_000_000,
            source="udp-8",
            sequence=n << 16,
            price=tick.price + n % 2,
        )
        for n, tick in enumerate(source.sample(ticks, 40))
        for earlier_us in [source.choice([0, 456, 1_000_000])]
    ]


def corrections(ticks: list[Tick], source: random.Random) -> list[Correction]:
    """Each of twenty trades has two busts."""
    integers = [tick for tick in ticks if tick.kind == INTEGER_ID]
    return [
        (tick, LATER_US + 50_000_000 + n * 4_000_000, source.choice([0, 1234 + n]))
        for n, tick in enumerate(source.sample(integers, 20) * 2)
    ]


def store(market: ColdMarket, ticks: list[Tick], busts: list[Correction]) -> None:
    for batch in batches(ticks, market.symbol, 60):
        assert market.house.tick_writer([(str(next(market.house.numbers)), batch)])
    writer = BustWriter(market.lake.postgres, market.lake.cold)
    for n, (tick, received_us, cents) in enumerate(busts):
        price, size = (f"{cents / 100:.2f}", "7") if cents else ("", "")
        values = (market.symbol, None, str(tick.number), tick.time_us, bool(cents), price, size)
        writer(f"b{n}", "udp-2", FORMAT_SCANNER, [Bust(*values, received_us, n, b"a bust")])
    market.lake.sql("UPDATE pending_busts SET next_at = now()")
    writer.retry()
    assert market.lake.sql("SELECT count(*) FROM pending_busts") == [(0,)]


def known(ticks: list[Tick], busts: list[Correction], until_us: int) -> list[Tick]:
    """The definition: of what was received by then, each trade once, as its last bust left it."""
    last = {tick.trade: cents for tick, received_us, cents in busts if received_us <= until_us}
    result = []
    for tick in trades([tick for tick in ticks if tick.receive_us <= until_us]):
        cents = last.get(tick.trade)
        if cents is None:
            result.append(tick)
        elif cents:
            result.append(tick._replace(price=cents, price_scale=2, size=7_000))
    return result


def shown(market: ColdMarket, timeframe: str, as_of_us: int, limit: int) -> list[dict[str, Any]]:
    """All pages."""
    got: list[dict[str, Any]] = []
    parameters = {"timeframe": timeframe, "limit": str(limit), "as_of": str(as_of_us // 1000)}
    cursor = {"from": "0"}
    while True:
        body = market.house.get(f"/api/candles/{market.symbol}", **parameters, **cursor).json()
        got += [{name: candle[name] for name in NAMES} for candle in body["candles"]]
        if body["next"] is None:
            return got
        cursor = {"cursor": body["next"]}


def test_as_of_is_the_same_wherever_the_ticks_are(market: ColdMarket) -> None:
    """Before, while and after all that came late; in Postgres, copied, and in the lake alone."""
    source = random.Random(5)
    with_id = [tick for tick in trades(market.ticks) if tick.kind != NO_ID]
    ticks = [*market.ticks, *late(market.ticks, source), *repeated(with_id, source)]
    busts = corrections(with_id, source)
    middle_us = market.ticks[100].receive_us // 1000 * 1000
    times_us = [middle_us, LATER_US - 1000]
    times_us += [LATER_US + after_s * 1_000_000 for after_s in (62, 130, 1000)]
    expected = {
        (as_of_us, timeframe): [
            {name: candle[name] for name in NAMES}
            for candle in candles(known(ticks, busts, as_of_us + 999), seconds)
        ]
        for as_of_us in times_us
        for timeframe, seconds in (("1m", 60), ("1d", 86_400))
    }

    def verify() -> None:
        for (as_of_us, timeframe), plain in expected.items():
            limit = source.choice([40, 1000])
            assert shown(market, timeframe, as_of_us, limit) == plain, (as_of_us, timeframe)

    store(market, ticks[len(market.ticks) :], busts)
    verify()
    market.lake.settle()
    market.lake.copy()
    market.lake.compact()
    verify()
    for _ in range(2):
        market.lake.age()
        market.lake.retain()
    verify()
