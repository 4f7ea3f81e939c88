"""Instrument status by REST: tells a delisted, halted or closed symbol from a stalled feed."""

from __future__ import annotations

import asyncio
import logging

from functions.exchange_bridge.exchange import Exchange
from functions.exchange_bridge.health import Seen
from functions.exchange_bridge.intake import Intake
from functions.exchange_bridge.rest import RestError, understood
from shared.wire.feed_status import FeedState

log = logging.getLogger(__name__)


async def poll_statuses(intake: Intake, every_s: float) -> None:
    """Fetch the status of symbols that have been silent for `every_s`, until cancelled.

    An ended symbol leaves the subscription, which some exchanges would otherwise refuse.
    """
    symbols = intake.exchange.symbols
    while True:
        await asyncio.sleep(every_s)
        for symbol in symbols:
            seen = intake.health.of(symbol)
            if seen and intake.now_us() - seen.message_us > every_s * 1e6:
                await _poll(intake.exchange, symbol, seen)


async def _poll(exchange: Exchange, symbol: str, seen: Seen) -> None:
    messages_us = seen.message_us
    try:
        with understood():
            status = await exchange.listed(symbol)
    except RestError as error:
        log.warning("%s: the status of %s is unknown: %s", exchange.name, symbol, error)
        return
    if seen.message_us != messages_us:
        return  # a message arrived meanwhile
    current = None if status is FeedState.LIVE else status
    if current is not seen.status:
        log.warning("%s: %s is %s", exchange.name, symbol, current or "traded again")
    seen.status = current
    others = tuple(each for each in exchange.symbols if each != symbol)
    if current is FeedState.ENDED:
        exchange.symbols = others or exchange.symbols
    elif symbol not in exchange.symbols:
        exchange.symbols = (*others, symbol)
