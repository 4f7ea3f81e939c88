"""GET /api/outcomes: what followed the patterns of an instrument, against any of its candles."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from starlette.requests import Request
from starlette.responses import Response

from functions.history_query.api import openapi_schemas as spec
from functions.history_query.api.endpoints import as_json
from functions.history_query.api.parameters import (
    FURTHEST_US,
    Page,
    ParameterError,
    read_resolution,
)
from functions.history_query.api.topic import Topic
from functions.history_query.queries.readers import Readers
from shared.analysis.finding import Finding
from shared.analysis.pattern_scores import Returns, Score, by_pattern
from shared.market.timeframes import Timeframe
from shared.stores.postgres import Postgres

MOST: Final = 20_000
_ACTIVE: Final = """
SELECT pattern, begin_us, start_us, direction, confidence, features FROM patterns
WHERE instrument = %s AND end_us >= %s AND timeframe = %s AND NOT retracted
ORDER BY end_us DESC LIMIT %s
"""
CANDLES: Final = 5_000
"""Number of newest closed candles examined."""
DEFAULT_HORIZON: Final = 10
MAX_HORIZON: Final = 500


def read_outcomes(query: Mapping[str, str], ladder: tuple[Timeframe, ...]) -> tuple[Page, int]:
    """Return the page of candles and the horizon in candles. Raises ParameterError."""
    text = query.get("horizon") or str(DEFAULT_HORIZON)
    if not (text.isascii() and text.isdigit() and len(text) < 9 and 1 <= int(text) <= MAX_HORIZON):
        raise ParameterError(f"horizon: {text[:40]!r} is not a number from 1 to {MAX_HORIZON}")
    page = Page(read_resolution(query, ladder), 0, FURTHEST_US, CANDLES, newest=True)
    return page, int(text)


def _json(score: Score) -> dict[str, Any]:
    rates = {
        "hit_rate": score.hit_rate,
        "base_hit_rate": score.base_hit_rate,
        "mean_return": score.mean_return,
        "base_return": score.base_return,
    }
    return {
        "pattern_type": score.name,
        "direction": score.direction,
        "count": score.fired,
        "judged": score.evaluated,
        **{name: None if math.isnan(rate) else round(rate, 6) for name, rate in rates.items()},
        "verdict": score.verdict,
    }


_OWN: Final = spec.queries(
    """
    horizon  10  horizon  Number of candles after the completing one over which the return is
        measured.
    """,
    horizon={
        "type": "integer",
        "minimum": 1,
        "maximum": MAX_HORIZON,
        "default": DEFAULT_HORIZON,
    },
)

TOPIC: Final = Topic(
    spec.schemas(
        """
        Outcomes
          symbol,timeframe  string
          horizon        count
          candles        count    Number of closed candles evaluated.
          outcomes       [Outcome]
        Outcome
          pattern_type   string
          direction      -1|0|1   -1 down, 0 none, 1 up.
          count          count    Number of occurrences.
          judged         count    Number of these followed by `horizon` candles.
          hit_rate       number?  Share of them after which the close moved in their direction.
          base_hit_rate  number?  The same share of all candles.
          mean_return    number?  Mean return in their direction, a fraction.
          base_return    number?  The same of all candles.
          verdict        better|worse|few|-  Compared with all candles, at 95 %; `few`: fewer than
            10 that do not overlap.
        """
    ),
    _OWN,
)


@TOPIC.get(
    "/api/outcomes/{symbol}",
    f"Outcomes of each pattern in the newest {CANDLES} candles of this instrument.",
    "Outcomes",
    "symbol timeframe horizon",
)
def _after(readers: Readers, request: Request) -> Response:
    symbol = request.path_params["symbol"]
    page, horizon = read_outcomes(request.query_params, readers.candles.ladder)
    rows, _ = readers.candles.page(symbol, page)
    closed = [row for row in rows if row["closed"]]
    if not closed:
        readers.require(symbol)
    scores = _scores(readers.postgres, symbol, page.timeframe, closed, horizon) if closed else []
    envelope = {"symbol": symbol, "timeframe": page.timeframe.name, "horizon": horizon}
    return as_json({**envelope, "candles": len(closed), "outcomes": scores})


def _scores(
    postgres: Postgres,
    symbol: str,
    timeframe: Timeframe,
    closed: Sequence[Mapping[str, Any]],
    horizon: int,
) -> list[dict[str, Any]]:
    """Return a score per pattern and direction. Raises TransientError while Postgres is away."""
    index_by_start = {row["t"] * 1000: n for n, row in enumerate(closed)}
    parameters = symbol, closed[0]["t"] * 1000, timeframe.name, MOST
    with postgres.connection() as connection:
        found = connection.execute(_ACTIVE, parameters).fetchall()
    completed = [
        Finding(name, index_by_start[start_us], begin_us, start_us, *others)
        for name, begin_us, start_us, *others in found
        if start_us in index_by_start
    ]
    returns = Returns(np.array([float(row["c"]) for row in closed]), horizon)
    return [_json(score) for score in by_pattern(returns, completed)]
