"""Gaps while the broker is away: few, however long it takes."""

from __future__ import annotations

import asyncio

import orjson

from functions.exchange_bridge.exchanges.binance import AGGREGATES, Binance
from functions.exchange_bridge.health import Health
from functions.exchange_bridge.intake import Intake
from functions.exchange_bridge.past.gaps import Gaps
from functions.exchange_bridge.rest import Rest
from shared.adapter.sink import Sink
from shared.runtime import metrics
from shared.sources.batcher import Batcher, Limits, new_source
from shared.sources.outbox import Outbox

SYMBOLS = ("BTCUSDT", "ETHUSDT")


def test_a_long_outage_leaves_one_gap_for_each_symbol() -> None:
    """Trades dropped while the outbox is full are one gap of a symbol, not one for each batch."""

    async def gaps() -> list[tuple[str, int, int]]:
        now_s = 0.0
        outbox = Outbox(
            Sink("http://127.0.0.1:1", "/test"),
            max_bytes=20_000,
            sent=metrics.FEED_SENT,
            buffered=metrics.FEED_BUFFERED,
        )
        intake = Intake(
            Binance("ws://x", SYMBOLS, AGGREGATES, 0, Rest("x", "http://x", 0)),
            Batcher(new_source("test"), Limits(payloads=50)),
            Health(1),
            outbox.put,
            now_us=lambda: int(now_s * 1e6),
            now_s=lambda: now_s,
        )
        looked = Gaps(intake, outbox, 1.0, 1_000_000)
        for number in range(1, 3_001):
            now_s += 0.1
            for symbol in SYMBOLS:
                trade = {"e": "aggTrade", "s": symbol, "a": number, "T": number * 100}
                intake.take(orjson.dumps({"data": trade}))
            looked.look()
        assert not any(ids.gaps for ids in intake.ids.values())
        await outbox.close(0)
        now_s += 2
        looked.look()
        return [(m.symbol, m.hole.first, m.hole.last) for i in intake.ids.values() for m in i.gaps]

    found = asyncio.run(gaps())
    assert [symbol for symbol, _, _ in found] == [*SYMBOLS]
    assert all(last - first > 2_500 for _, first, last in found)
