"""Stall detection: ask REST for newer trades before calling a silent feed dead."""

from __future__ import annotations

import asyncio
import logging

from functions.exchange_bridge.intake import Intake
from functions.exchange_bridge.rest import RestError, understood

log = logging.getLogger(__name__)


async def is_behind(intake: Intake, grace_s: float) -> bool:
    """Fetch the newest trade of every symbol; return whether one of them did not arrive.

    `grace_s`: how long a trade may be in transit. A trade that did not arrive is recorded as a gap
    and fetched, even if no later trade would reveal it. For a symbol without any trade yet, the
    newest trade is its starting point. If all respond and none is late, a stall is over: in a quiet
    market no message would show that.
    """
    exchange, newest = intake.exchange, []
    is_late = is_unsure = False
    for symbol in exchange.symbols:
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
    for trade in newest:
        ids = intake.of(trade.symbol)
        is_late = is_late or (ids.high is not None and trade.id > ids.high.id)
        ids.exists(trade, intake.now_s())
    if not (is_late or is_unsure):
        intake.health.is_stalled = False
    return is_late
