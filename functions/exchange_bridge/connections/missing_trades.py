"""Stall detection: ask REST for newer trades before calling a silent feed dead."""

from __future__ import annotations

import asyncio
import logging

from functions.exchange_bridge.intake import Intake
from functions.exchange_bridge.rest import BAD_ROWS, Rest, RestError

log = logging.getLogger(__name__)


async def is_behind(intake: Intake, rest: Rest, grace_s: float) -> bool:
    """Ask for the newest trade of every symbol; return whether one of them did not come.

    `grace_s`: how long a trade may be under way. What the exchange names is noted: what did not
    come is a gap, and is fetched, also where no later trade would ever tell of it. Of a symbol of
    which nothing came yet, the newest trade is where it begins, and no sign of anything. Where all
    answer and none is late, a stall is over: in a quiet market no message would ever say so.
    """
    exchange, newest = intake.exchange, []
    is_late = is_unsure = False
    for symbol in exchange.symbols:
        try:
            trade = await exchange.newest(rest, symbol)
        except (RestError, *BAD_ROWS) as error:
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
