"""Instrument status by REST: tells a delisted, halted or closed symbol from a stalled feed."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass

from functions.exchange_bridge.health import Seen
from functions.exchange_bridge.intake import Intake
from functions.exchange_bridge.rest import BAD_ROWS, RestError
from shared.wire.feed_status import FeedState

log = logging.getLogger(__name__)


@dataclass(slots=True)
class StatusPoller:
    """Fetches the status of symbols that have been silent for `every_s`.

    An ended symbol leaves the subscription, which some exchanges would otherwise refuse.
    """

    intake: Intake
    every_s: float

    async def run(self) -> None:
        """Ask until cancelled."""
        symbols = self.intake.exchange.symbols
        while True:
            await asyncio.sleep(self.every_s)
            for symbol in symbols:
                seen = self.intake.health.of(symbol)
                if seen and self.intake.now_us() - seen.message_us > self.every_s * 1e6:
                    await self._ask(symbol, seen)

    async def _ask(self, symbol: str, seen: Seen) -> None:
        exchange, messages_us = self.intake.exchange, seen.message_us
        try:
            status = await exchange.listed(symbol)
        except (RestError, *BAD_ROWS) as error:
            log.warning("%s: the status of %s is unknown: %s", exchange.name, symbol, error)
            return
        if seen.message_us != messages_us:
            return  # a message arrived meanwhile
        current = None if status is FeedState.LIVE else status
        if current is not seen.status:
            log.warning("%s: %s is %s", exchange.name, symbol, current or "traded again")
        seen.status = current
        remaining = tuple(each for each in exchange.symbols if each != symbol)
        if current is not FeedState.ENDED:
            if symbol not in exchange.symbols:
                exchange.symbols = (*exchange.symbols, symbol)
        elif remaining:
            exchange.symbols = remaining
