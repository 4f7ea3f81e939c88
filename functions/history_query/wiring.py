"""Wiring of the API: every topic over its stores."""

from __future__ import annotations

from starlette.applications import Starlette

from functions.history_query import topics
from functions.history_query.api.routes import api
from functions.history_query.queries.bar_checkpoints import Checkpoints
from functions.history_query.queries.bar_days import BarDays
from functions.history_query.queries.bars import BarPages
from functions.history_query.queries.candles import CandlePages
from functions.history_query.queries.closed_and_live import StoredCandles
from functions.history_query.queries.flow import Flow
from functions.history_query.queries.overview import Overview
from functions.history_query.queries.tick_slices import TickSlices
from functions.history_query.queries.ticks import TickPages
from functions.history_query.topics.alert_rules import alert_rule_writes
from shared.adapter.health import Check
from shared.lake.cold import Cold
from shared.market.timeframes import Timeframe
from shared.realtime.readers import LiveState
from shared.stores.postgres import Postgres


def history_api(
    postgres: Postgres,
    live: LiveState,
    cold: Cold,
    ladder: tuple[Timeframe, ...],
    allowed_lateness_us: int,
    ready: Check,
    *,
    only_reads: bool = False,
    notify_url: str = "",
) -> Starlette:
    """Return the app. `only_reads`: Postgres is a replica, which takes no rules.

    `notify_url`: address of notify, for test notifications.
    """
    slices = TickSlices(postgres, cold)
    days = BarDays(slices, Checkpoints(postgres))
    pages = CandlePages(StoredCandles(postgres, live, cold), slices, ladder, allowed_lateness_us)
    return api(
        [
            topics.bars.handlers(BarPages(days, postgres, allowed_lateness_us), pages.knows),
            topics.candles.handlers(pages),
            topics.flow.handlers(Flow(pages), pages.knows),
            topics.prices.handlers(TickPages(slices, ended=False), pages.knows),
            topics.indicators.handlers(),
            topics.latest.handlers(live, postgres),
            topics.overview.handlers(Overview(postgres, live)),
            topics.ticks.handlers(TickPages(slices), pages.knows),
            topics.symbols.handlers(postgres, live),
            topics.feeds.handlers(postgres),
            topics.patterns.handlers(postgres, pages.knows),
            topics.outcomes.handlers(pages, postgres),
            topics.alerts.handlers(postgres, pages.knows),
            topics.alert_rules.handlers(postgres),
            topics.rejects.handlers(postgres),
        ],
        ready,
        alert_rule_writes(postgres, notify_url, only_reads=only_reads),
    )
