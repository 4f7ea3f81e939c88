"""Plot of a backtest: price with patterns, hit rates by confidence and pattern."""

from __future__ import annotations

import html
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from local.backtest.report import Report
from shared.analysis.finding import Finding
from shared.analysis.pattern_scores import Score

SUFFIXES: Final = (".png", ".svg", ".html")
MAX_PATTERNS: Final = 20
UP, DOWN, PLAIN = "#1a9850", "#d73027", "#4575b4"


class PlotError(Exception):
    """A plot cannot be created; the message gives the reason."""


def plot(report: Report, patterns: Sequence[Finding], path: Path) -> None:
    """Write a plot (.png, .svg, or .html with the tables). Raises PlotError."""
    if path.suffix not in SUFFIXES:
        raise PlotError(f"{path}: a plot ends in {', '.join(SUFFIXES)}")
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise PlotError("a plot needs matplotlib: install the extra `kandle[plot]`") from None
    figure = Figure(figsize=(12, 10), layout="constrained")
    FigureCanvasAgg(figure)
    top, left, right = figure.subplot_mosaic(
        [["price", "price"], ["confidence", "patterns"]], height_ratios=[1, 1.1]
    ).values()
    _price(top, report, patterns)
    _rates(left, report.buckets, "hit rate by confidence")
    evaluated = [score for score in report.patterns if score.evaluated][:MAX_PATTERNS]
    _rates(right, evaluated, "hit rate by pattern")
    picture = io.BytesIO()
    figure.savefig(picture, format="png" if path.suffix == ".png" else "svg")
    try:
        if path.suffix == ".html":
            path.write_text(_page(report, picture.getvalue().decode()))
        else:
            path.write_bytes(picture.getvalue())
    except OSError as error:
        raise PlotError(f"{path}: cannot be written: {error}") from None


def _price(axes: Any, report: Report, patterns: Sequence[Finding]) -> None:
    times = report.candles.start_us.astype("datetime64[us]")
    close = report.candles.close
    axes.plot(times, close, color="black", linewidth=0.6)
    for direction, marker, color in ((1, "^", UP), (-1, "v", DOWN)):
        index = np.array([f.index for f in patterns if f.direction == direction], dtype=np.int64)
        axes.scatter(times[index], close[index], marker=marker, s=14, c=color, linewidths=0)
    axes.set_title("close, and patterns up and down")


def _rates(axes: Any, scores: Sequence[Score], title: str) -> None:
    """Draw hit rates with their intervals, and the base of each as a line."""
    arrows = {1: " up", -1: " down", 0: ""}
    for row, score in enumerate(reversed([score for score in scores if score.evaluated])):
        color = {1: UP, -1: DOWN, 0: PLAIN}[score.direction]
        axes.plot([score.hit_low, score.hit_high], [row, row], color=color, linewidth=2)
        axes.plot(score.hit_rate, row, "o", color=color)
        axes.plot([score.base_hit_rate] * 2, [row - 0.4, row + 0.4], color="black", linewidth=1)
    names = [f"{s.name}{arrows[s.direction]} ({s.apart})" for s in scores if s.evaluated]
    axes.set_yticks(range(len(names)), names[::-1], fontsize=8)
    axes.set_xlim(0, 1)
    axes.set_title(title + "; black: the base")


def _page(report: Report, picture: str) -> str:
    drawing = picture[picture.index("<svg") :]
    return (
        "<!doctype html>\n<meta charset='utf-8'>\n<title>Kandle backtest</title>\n"
        f"{drawing}\n<pre>{html.escape(report.text())}</pre>\n"
    )
