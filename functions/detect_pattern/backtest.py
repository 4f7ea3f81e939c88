"""`python -m functions.detect_pattern.backtest FILE`: detectors over history, and what followed."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from functions.detect_pattern.backtest_input import InputError, read_candles
from functions.detect_pattern.backtest_plot import PlotError, plot
from functions.detect_pattern.backtest_report import Report
from functions.detect_pattern.detectors.detect import PATTERNS, detect
from functions.detect_pattern.detectors.settings import SHORTEST_LOOKBACK, DetectorSettings
from shared.pattern_scores import Returns, by_confidence, by_pattern


def main(arguments: list[str] | None = None) -> int:
    """Print the report; 1 with a sentence on standard error when it cannot be made."""
    options = _parser().parse_args(arguments)
    try:
        settings = DetectorSettings(
            tolerance=options.tolerance,
            min_confidence=options.min_confidence,
            lookback=options.lookback,
            patterns=_chosen(options.patterns),
        )
        candles, notes = read_candles(options.file)
        for note in notes:
            print(f"{options.file}: {note}", file=sys.stderr)  # noqa: T201
        found = detect(candles, 0, settings)
        returns = Returns(candles.close, options.horizon)
        report = Report(
            candles,
            options.horizon,
            settings.min_confidence,
            len(found),
            by_pattern(returns, found),
            by_confidence(returns, found),
        )
        if options.plot is not None:
            plot(report, found, options.plot)
    except (InputError, PlotError, ValueError) as error:
        print(error, file=sys.stderr)  # noqa: T201 - a command
        return 1
    print(json.dumps(report.json()) if options.json else report.text())  # noqa: T201
    return 0


def _chosen(names: str) -> frozenset[str] | None:
    """Read a list of patterns; `chart` and `cdl` stand for all of their kind."""
    if names == "all":
        return None
    candlesticks = {name for name in PATTERNS if name.startswith("cdl_")}
    kinds = {"cdl": candlesticks, "chart": set(PATTERNS) - candlesticks}
    chosen: set[str] = set()
    for name in (each.strip() for each in names.split(",")):
        if name not in PATTERNS and name not in kinds:
            charts = ", ".join(sorted(kinds["chart"]))
            raise ValueError(
                f"there is no pattern {name!r}; there are all, cdl, chart, {charts}, and the "
                "candlesticks as cdl_engulfing"
            )
        chosen |= kinds.get(name, {name})
    return frozenset(chosen)


def _parser() -> argparse.ArgumentParser:
    defaults = DetectorSettings()
    parser = argparse.ArgumentParser(prog="python -m functions.detect_pattern.backtest")
    parser.add_argument("file", help="candles as CSV with a header; - is standard input")
    parser.add_argument("--patterns", default="all", help="names, or all, cdl, chart")
    parser.add_argument("--horizon", type=_positive, default=10, help="candles (default 10)")
    parser.add_argument("--min-confidence", type=float, default=defaults.min_confidence)
    parser.add_argument("--tolerance", type=float, default=defaults.tolerance)
    parser.add_argument("--lookback", type=_lookback, default=defaults.lookback)
    parser.add_argument("--plot", type=Path, metavar="OUT.png|svg|html")
    parser.add_argument("--json", action="store_true")
    return parser


def _positive(text: str) -> int:
    if (number := int(text)) < 1:
        raise argparse.ArgumentTypeError("is at least 1")
    return number


def _lookback(text: str) -> int:
    if (number := int(text)) < SHORTEST_LOOKBACK:
        raise argparse.ArgumentTypeError(f"is at least {SHORTEST_LOOKBACK}")
    return number


if __name__ == "__main__":
    sys.exit(main())
