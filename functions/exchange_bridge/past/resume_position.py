"""Resume position of a feed from Postgres: its last trades and open gaps."""

from __future__ import annotations

import logging

from functions.exchange_bridge.exchange import Trade
from functions.exchange_bridge.intake import Intake
from functions.exchange_bridge.past.venue_history import until_readable
from functions.exchange_bridge.seen_ids import Hole, Missing
from shared.stores.postgres import Postgres

log = logging.getLogger(__name__)


def _read(postgres: Postgres, feed: str) -> tuple[list[Trade], list[Missing]]:
    """Return the last trade of each symbol, and the open gaps. Raises TransientError."""
    with postgres.connection() as connection:
        last = connection.execute(
            "SELECT symbol, last_trade_id, id_time_us FROM feeds"
            " WHERE feed = %s AND last_trade_id IS NOT NULL",
            (feed,),
        ).fetchall()
        gaps = connection.execute(
            "SELECT symbol, first_id, last_id, from_us, to_us FROM gaps"
            " WHERE feed = %s AND state = 'open' ORDER BY symbol, first_id",
            (feed,),
        ).fetchall()
    return [Trade(*row) for row in last], [
        Missing(symbol, Hole(first_id, last_id, from_us, to_us, 0.0), [(first_id, last_id)])
        for symbol, first_id, last_id, from_us, to_us in gaps
    ]


async def resume(postgres: Postgres, intake: Intake) -> list[str]:
    """Resume where the previous run ended, as soon as Postgres can be read.

    Trades received meanwhile are not lost; the range in between is missing and is reported as a
    gap. Returns the symbols without a trade in any previous run.
    """
    feed = intake.exchange.name
    last, gaps = await until_readable(feed, lambda: _read(postgres, feed))
    symbols = set(intake.exchange.symbols)
    for gap in gaps:
        if gap.symbol in symbols:
            intake.of(gap.symbol).gaps.append(gap)
    for trade in last:
        if trade.symbol in symbols:
            intake.of(trade.symbol).resume(trade, intake.now_s())
    log.info(
        "%s: goes on after %s",
        feed,
        ", ".join(f"{each.symbol} {each.id}" for each in last) or "nothing: a first start",
    )
    return sorted(symbols - {each.symbol for each in last})
