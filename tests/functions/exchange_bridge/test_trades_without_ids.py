"""Venues by ccxt whose trades have no ids: none counts twice, and a gap stays open."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from functions.exchange_bridge.connections.ccxt_connection import CcxtConnection
from functions.exchange_bridge.connections.connection import Timeouts
from functions.exchange_bridge.exchange import Message, Trade
from functions.exchange_bridge.exchanges.ccxt_venue import CcxtVenue
from functions.exchange_bridge.rest import RestError

pytestmark = pytest.mark.processes

SYMBOL = "BTC/USDT"


def trade(time_ms: int, id_: str | None = None) -> dict[str, Any]:
    return {"id": id_, "timestamp": time_ms, "symbol": SYMBOL, "price": "1", "amount": "2"}


def test_a_trade_that_a_new_connection_repeats_is_left_out() -> None:
    """A new connection's first trades up to the last time received are left out, without ids."""

    async def received(*ids: str | None) -> list[int]:
        taken, venue = list[int](), CcxtVenue("lbank", [SYMBOL], "", "")

        def take(payload: bytes) -> Message:
            message = venue.read(payload)
            taken.extend(each.time_us // 1000 for each in message.trades)
            return message

        async def is_behind() -> bool:
            return False

        for times_ms in ((1_000, 1_000, 2_000), (1_000, 2_000, 3_000, 3_000)):
            timeouts = Timeouts(connect_s=0.1, stall_s=9.0)
            connection = CcxtConnection(venue, timeouts, take, is_behind, lambda: None)
            running = asyncio.create_task(connection.run())
            await asyncio.sleep(0)
            for number, time_ms in enumerate(times_ms):
                venue.client.on_trade(trade(time_ms, ids[0] and f"{time_ms}{number}"))
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
        await venue.client.close()
        return taken

    assert asyncio.run(received(None)) == [1_000, 1_000, 2_000, 3_000, 3_000]
    assert len(asyncio.run(received("of the venue"))) == 7  # normalize tells them by their ids


@pytest.mark.parametrize(("live", "listed"), [(None, None), (None, "7"), ("7", None)])
def test_trades_without_ids_are_not_fetched(live: str | None, listed: str | None) -> None:
    """A gap of trades without ids stays open, with the reason: its trades could count twice."""

    async def rows(*_: object) -> list[dict[str, Any]]:
        return [trade(1_000, listed), trade(2_000, listed)]

    async def fetch() -> None:
        venue = CcxtVenue("lbank", [SYMBOL], "", "")
        venue.client.ask = rows  # type: ignore[method-assign, assignment]
        assert venue.read(venue.trade_payload(trade(1_000, live))).trades
        ends = (Trade(SYMBOL, time_ms, time_ms * 1_000) for time_ms in (1_000, 2_000))
        try:
            async for page in venue.missing(SYMBOL, *ends):
                assert not page.payloads
        finally:
            await venue.client.close()

    with pytest.raises(RestError, match="have no ids"):
        asyncio.run(fetch())
