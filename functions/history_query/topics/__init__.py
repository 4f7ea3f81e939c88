"""One module for each topic of the API: its `TOPIC` has the routes with their descriptions."""

from types import ModuleType
from typing import Final

from functions.history_query.topics import (
    alert_rules,
    alerts,
    bars,
    candles,
    feeds,
    flow,
    indicators,
    latest,
    outcomes,
    overview,
    patterns,
    prices,
    rejects,
    symbols,
    ticks,
)

ALL: Final[tuple[ModuleType, ...]] = (
    *(bars, candles, flow, prices, latest, overview, symbols, feeds, indicators, ticks),
    *(patterns, outcomes, alerts, alert_rules, rejects),
)
"""In the order of the OpenAPI document. Add a new topic here."""
