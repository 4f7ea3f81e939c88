"""Stall detection: ask REST whether a feed or symbol is quiet, dead, halted, delisted or closed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Final

from functions.exchange_bridge.exchange import Exchange
from functions.exchange_bridge.health import Seen
from functions.exchange_bridge.intake import Intake
from functions.exchange_bridge.rest import RestError, understood
from shared.wire.feed_status import FeedState

log = logging.getLogger(__name__)

FIRST_S: Final = 3.0
"""The first look if the feed is not up: an ended symbol may keep all others from it."""
QUOTED_AT_ONCE: Final = 20
"""Symbols with quotes and without trades that are asked for in a round, by turns."""


async def is_behind(intake: Intake, grace_s: float, symbols: Sequence[str] = ()) -> list[str]:
    """Fetch the newest trade of symbols, or all; return the symbols whose did not arrive.

    `grace_s`: how long a trade may be in transit. A trade that did not arrive is recorded as a gap
    and fetched, even if no later trade would reveal it. For a symbol without any trade yet, the
    newest trade is its starting point. If all respond and none is late, a stall is over: in a quiet
    market no message would show that.
    """
    exchange, newest, is_unsure = intake.exchange, [], False
    for symbol in symbols or exchange.symbols:
        try:
            with understood():
                trade = await exchange.newest(symbol)
        except RestError as error:
            intake.health.error = f"{symbol} cannot be asked for: {error}"
            log.warning("%s: %s", exchange.name, intake.health.error)
            is_unsure = True
            continue
        if trade is not None:
            newest.append(trade)
    if newest:
        await asyncio.sleep(grace_s)
    late = [t.symbol for t in newest if (high := intake.of(t.symbol).high) and t.id > high.id]
    for trade in newest:
        intake.of(trade.symbol).exists(trade, intake.now_s())
    if not (late or is_unsure or symbols):
        intake.health.is_stalled = False
    return late


async def poll_silent(
    intake: Intake, every_s: float, grace_s: float, reopen: Callable[[str], None]
) -> None:
    """Fetch the status of symbols that have been silent for `every_s`, until cancelled.

    An ended symbol leaves the subscription, which some exchanges would otherwise refuse. Of one
    that is traded, and without a trade as long (quotes may go on), the newest trade is fetched. If
    it did not arrive, `reopen` subscribes to all anew, if the symbol had a trade since the last
    time: otherwise that does not help.
    """
    symbols, health, reopened_us = intake.exchange.symbols, intake.health, 0
    asked_us = dict.fromkeys(symbols, 0)
    await asyncio.sleep(min(every_s, FIRST_S))
    if health.is_up:
        await asyncio.sleep(every_s)
    while True:
        since_us, quiet, quoted = intake.now_us() - every_s * 1e6, list[str](), list[str]()
        for symbol in symbols:
            seen = health.of(symbol)
            is_silent = seen is not None and seen.message_us < since_us
            if seen and is_silent:
                await _poll_status(intake.exchange, symbol, seen)
            if seen and seen.trade_message_us < since_us and seen.status is None:
                (quiet if is_silent else quoted).append(symbol)
        quiet += sorted(quoted, key=asked_us.__getitem__)[:QUOTED_AT_ONCE]
        asked_us |= dict.fromkeys(quiet, intake.now_us())
        late = await is_behind(intake, grace_s, quiet) if quiet and health.is_up else []
        late = [each for each in late if health.symbols[each].trade_message_us > reopened_us]
        if late:
            reopened_us = intake.now_us()
            reopen(f"no trade of {', '.join(late[:5])}, but the exchange lists newer ones")
        await asyncio.sleep(every_s)


async def _poll_status(exchange: Exchange, symbol: str, seen: Seen) -> None:
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
