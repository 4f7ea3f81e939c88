"""Gaps: few while the broker is away, and no attempts without end at what is not listed."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
import pytest

from functions.exchange_bridge.exchanges.binance import AGGREGATES, Binance
from functions.exchange_bridge.exchanges.ccxt_venue import CcxtVenue
from functions.exchange_bridge.health import Health
from functions.exchange_bridge.intake import Intake
from functions.exchange_bridge.past.gaps import Gaps
from functions.exchange_bridge.rest import Rest, RestError
from shared.adapter.sink import Sink
from shared.runtime import metrics
from shared.runtime.tasks import end
from shared.sources.batcher import Batcher, Limits, new_source
from shared.sources.outbox import Outbox
from tests.local.broker.subscriber import Subscriber

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


@pytest.mark.processes
@pytest.mark.parametrize("answers", [True, False])
def test_a_gap_that_the_venue_does_not_list_is_asked_for_daily(
    answers: bool, sink: Subscriber
) -> None:
    """A gap is tried each day in the end if the venue does not list it, else each minute."""
    now_s, attempts = 0.0, list[float]()

    async def ask(*_: object) -> list[dict[str, Any]]:
        nonlocal now_s
        attempts.append(now_s)
        now_s += 1
        if not answers:
            raise RestError("away")
        return [{"id": "9", "timestamp": 9_000, "price": "1", "amount": "1"}]

    async def tried() -> tuple[int, str]:
        nonlocal now_s
        venue = CcxtVenue("bybit", ["BTC/USDT"], "", "")
        venue.client.ask = ask  # type: ignore[method-assign, assignment]
        outbox = Outbox(
            Sink(sink.url, "/test"),
            max_bytes=1 << 20,
            sent=metrics.FEED_SENT,
            buffered=metrics.FEED_BUFFERED,
        )
        batcher = Batcher(new_source("test"), Limits(), venue.format)
        intake = Intake(venue, batcher, Health(1), outbox.put, now_s=lambda: now_s)
        gaps = Gaps(intake, outbox, 0.0, 1_000)
        for time_ms in (1_000, 5_000):
            trade = {"id": f"{time_ms}", "symbol": "BTC/USDT", "timestamp": time_ms}
            intake.take(venue.trade_payload(trade))
            intake.connected()
        gaps.look()
        filling = asyncio.create_task(gaps.fill())
        while len(attempts) < 20:
            now_s = max(now_s, intake.of("BTC/USDT").gaps[0].retry_at_s)
            await asyncio.sleep(0.01)
        kept = len(intake.of("BTC/USDT").gaps)
        await end(filling)
        await outbox.close(0)
        await venue.client.close()
        return kept, intake.health.error

    async def in_time() -> tuple[int, str]:
        async with asyncio.timeout(20):
            return await tried()

    kept, error = asyncio.run(in_time())
    assert kept == 1
    assert error == ("ccxt:bybit lists only its newest trades of BTC/USDT" if answers else "away")
    pause_s = attempts[-1] - attempts[-2]
    assert 86_400 <= pause_s < 86_500 if answers else 60 <= pause_s < 70
