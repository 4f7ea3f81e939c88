"""`kandle backtest`: the detectors over a history, and what followed each pattern."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from local.cli.clients.history_api import HistoryApi, history_api
from local.cli.options.common import DEFAULT_DATA_DIR, ApiUrl, AsJson, DataDir
from local.errors import CliError, UsageError
from local.feeds.files.errors import FileError, UnknownLayoutError
from local.feeds.files.layouts import Choice
from local.feeds.files.opening import Progress
from shared.market.timeframes import Timeframe

if TYPE_CHECKING:
    from local.feeds.candles import CandleRow
    from shared.analysis.candle_series import Candles
    from shared.analysis.detectors.settings import DetectorSettings

CANDLES: Final = "time,open,high,low,close,volume"

app = typer.Typer()


@app.command("backtest")
def backtest(
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="A file, or a symbol.")],
    patterns: Annotated[
        str, typer.Option(help="Names, or all, chart, cdl (the candlesticks).")
    ] = "all",
    timeframe: Annotated[
        str, typer.Option(help="Of the candles built from ticks or requested.")
    ] = "1m",
    horizon: Annotated[int, typer.Option(min=1, help="Candles after a pattern.")] = 10,
    min_confidence: Annotated[
        float | None, typer.Option(min=0, max=1, help="Default: 0.65.")
    ] = None,
    tolerance: Annotated[float | None, typer.Option(min=0, max=1, help="Default: 0.01.")] = None,
    plot: Annotated[
        Path | None, typer.Option(metavar="OUT", help="Draw it: .png, .svg or .html.")
    ] = None,
    as_json: AsJson = False,
    symbol: Annotated[str | None, typer.Option(help="Which symbol, in a file of several.")] = None,
    since: Annotated[str, typer.Option("--from", metavar="T", help="For a SYMBOL.")] = "-30d",
    until: Annotated[str | None, typer.Option("--to", metavar="T", help="For a SYMBOL.")] = None,
    api_url: ApiUrl = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
) -> None:
    """Run the pattern detectors over a history and print what followed each pattern.

    SOURCE is a FILE of candles (CSV, JSON, Parquet or Feather, as written by Binance, Yahoo,
    MetaTrader, TradingView, freqtrade and others), a FILE of ticks in any format of kandle replay,
    or a SYMBOL of the running instance.

    For each pattern: how often it fired, how often and by how much the price then moved its way
    within the horizon, compared with any candle of the same history; with 95 % intervals. Also by
    confidence.

    Examples:

      kandle backtest BTC-USD --timeframe 5m --from -30d

      kandle backtest XRP_ETH-trades.json.gz --patterns chart --horizon 20

      kandle backtest daily.csv --patterns double_top,double_bottom --plot backtest.html
    """
    try:
        frame = Timeframe.parse(timeframe)
    except ValueError as error:
        raise UsageError(f"--timeframe: {error}") from None
    from local.backtest.candle_file import InputError
    from local.backtest.plot import PlotError
    from local.backtest.run import backtest as run

    try:
        settings = _settings(patterns, tolerance, min_confidence)
        if (path := Path(source)).exists():
            candles, notes = _of_file(path, frame, symbol)
        else:
            candles, notes = _of_symbol(source, frame, (since, until), api_url, data_dir)
        for note in notes:
            typer.echo(f"{source}: {note}", err=True)
        report = run(candles, settings, horizon, plot)
    except (FileError, InputError, PlotError, ValueError) as error:
        raise CliError(str(error)) from None
    typer.echo(json.dumps(report.json()) if as_json else report.text())


def _settings(
    patterns: str, tolerance: float | None, min_confidence: float | None
) -> DetectorSettings:
    """Return the settings of the detectors. Raises ValueError."""
    from local.backtest.run import chosen
    from shared.analysis.detectors.settings import DetectorSettings

    options: dict[str, Any] = {"tolerance": tolerance, "min_confidence": min_confidence}
    return DetectorSettings(
        patterns=chosen(patterns),
        **{name: each for name, each in options.items() if each is not None},
    )


def _of_file(path: Path, timeframe: Timeframe, symbol: str | None) -> tuple[Candles, list[str]]:
    """Read or build candles. Raises FileError, InputError, CliError, UsageError."""
    from local.backtest.candle_file import checked, read_candles

    return read_candles(path, symbol) or checked(*_of_ticks(path, timeframe, symbol))


def _of_symbol(
    symbol: str,
    timeframe: Timeframe,
    span: tuple[str, str | None],
    api_url: str | None,
    data_dir: Path,
) -> tuple[Candles, list[str]]:
    """Read the candles of the running instance. Raises CliError."""
    from local.backtest.candle_file import checked

    try:
        with history_api(api_url, data_dir, timeout_s=60.0) as api:
            rows = _of_api(api, symbol, timeframe, *span)
    except CliError as error:
        raise CliError(f"{symbol}: no such file, and as a symbol: {error}") from None
    return checked(rows, [])


def _of_ticks(
    path: Path, timeframe: Timeframe, symbol: str | None
) -> tuple[list[CandleRow], list[str]]:
    """Build candles from a file of ticks; also return a note on rows that are none."""
    from local.feeds.candles import candle_rows
    from local.feeds.files.trades import read_trades

    choices = [Choice()] if symbol is None else [Choice(), Choice(symbol)]
    for choice in choices:
        rejects: Counter[str] = Counter()
        try:
            trades = (each for _, each in read_trades([path], choice, Progress()))
            candles = candle_rows((each.lines() for each in trades), timeframe, rejects)
            break
        except UnknownLayoutError as error:
            if choice is choices[-1]:
                raise CliError(f"{error}. Candles need a header: {CANDLES}") from None
    if symbol is None and len(candles) > 1:
        raise UsageError(
            f"{path} holds {', '.join(sorted(candles)[:10])}: choose one with --symbol"
        )
    notes = [f"{rejects.total():,} rows are not trades: {', '.join(rejects)[:200]}"] * bool(rejects)
    # A symbol that the file does not have is one of its own: its rows need none.
    chosen = candles if symbol is None or len(candles) == 1 else {symbol: candles.get(symbol, [])}
    rows = next(iter(chosen.values()), [])
    if not rows:
        none = f"{path} has no ticks{f' of {symbol}' if symbol else ''}"
        raise CliError("; ".join([none, *notes]))
    return rows, notes


def _of_api(
    api: HistoryApi, symbol: str, timeframe: Timeframe, since: str, until: str | None
) -> list[CandleRow]:
    """Read the closed candles of a range from the history API."""
    from local.cli.commands.candles import Query, fetch

    candles = fetch(api, Query(symbol, timeframe.name, since, until, None)).candles
    closed = [each for each in candles if each["closed"]]
    if not closed:
        raise CliError(f"{symbol} has no closed candles of {timeframe} since {since}")
    return [(c["t"] * 1000, *(c[name] for name in "ohlcv")) for c in closed]
