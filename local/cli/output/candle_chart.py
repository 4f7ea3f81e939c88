"""Text candle chart, for `kandle candles --chart`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

from rich.text import Text

_SCALE_WIDTH: Final = 16
"""Maximum columns for the price scale and the frame."""
_LABELS: Final = 5
_LEAST_HEIGHT: Final = 10


def candle_chart(title: str, candles: Sequence[dict[str, Any]], width: int, height: int) -> Text:
    """Draw candles of the history API, oldest left, in `width` x `height` characters.

    Only the newest that fit, one column each. Prices become floats for the drawing; the title has
    the exact last close.
    """
    import plotext

    visible = candles[-max(width - _SCALE_WIDTH, 1) :]
    last = visible[-1]
    count = (
        f"{len(visible):,} of {len(candles):,}"
        if len(visible) < len(candles)
        else f"{len(visible):,}"
    )
    plotext.clear_figure()
    plotext.theme("clear")
    plotext.plotsize(width, max(height, _LEAST_HEIGHT))
    plotext.title(f"{title}: {count} candles, last close {last['c']}")
    at = list(range(len(visible)))
    prices = {
        name: [float(each[name[0].lower()]) for each in visible]
        for name in ("Open", "High", "Low", "Close")
    }
    plotext.candlestick(at, prices, colors=["green", "red"])
    ticks = sorted({round(n * (len(at) - 1) / (_LABELS - 1)) for n in range(_LABELS)})
    plotext.xticks(ticks, [_local_time(visible[each]["t"], visible) for each in ticks])
    return Text.from_ansi(plotext.build().rstrip("\n"))


def _local_time(time_ms: int, visible: Sequence[dict[str, Any]]) -> str:
    """Format a start in UTC: time of day, or the date if the candles span over two days."""
    is_long = visible[-1]["t"] - visible[0]["t"] > 2 * 86_400_000
    return datetime.fromtimestamp(time_ms / 1000, UTC).strftime("%Y-%m-%d" if is_long else "%H:%M")
