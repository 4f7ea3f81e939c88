"""Total cost of a trade of a ccxt venue: ccxt's parsing, the bridge's, and normalize's."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence

import numpy as np

from benchmarks._rate import rate
from functions.exchange_bridge.exchange import Kind
from functions.exchange_bridge.exchanges.ccxt_venue import CcxtVenue
from shared.wire.raw_batch import FORMAT_CCXT, RawBatch

_URL = "wss://stream.bybit.com/v5/public/spot"
_MARKET = {"id": "BTCUSDT", "symbol": "BTC/USDT", "type": "spot", "spot": True}


def run(messages: Sequence[str], normalized: Callable[[RawBatch], int]) -> None:
    """Print trades a second of one core's time, a message of the WebSocket each."""
    asyncio.run(_run(messages, normalized))


async def _run(messages: Sequence[str], normalized: Callable[[RawBatch], int]) -> None:
    venue = CcxtVenue("bybit", ["BTC/USDT"], "", "")
    venue.client.sdk.markets_by_id = {"BTCUSDT": [_MARKET]}
    client = venue.client.sdk.client(_URL)
    venue.client.begin()
    payloads: list[bytes] = []

    def take(trade: dict[str, object]) -> None:
        payloads.append(venue.trade_payload(trade))
        assert venue.message_of(trade).kind is Kind.TRADE

    def bridged() -> None:
        payloads.clear()
        for message in messages:
            client.handle_text_or_binary_message(message)

    def in_all() -> None:
        bridged()
        lengths = np.array([len(each) for each in payloads], dtype=np.int64)
        times = np.full(len(payloads), time.time_ns() // 1000, dtype=np.int64)
        raw = RawBatch(FORMAT_CCXT, "feed-bench", 0, b"".join(payloads), lengths, times)
        assert normalized(raw) == len(messages)

    print(f"{'ccxt, a trade in all':<36} {'trades/s':>10}")
    print(f"{'ccxt alone':<36} {rate(bridged, len(messages)):>10,.0f}")
    venue.client.on_trade = take
    print(f"{'ccxt and the bridge':<36} {rate(bridged, len(messages)):>10,.0f}")
    print(f"{'ccxt, the bridge and normalize':<36} {rate(in_all, len(messages)):>10,.0f}")
    await venue.client.close()
