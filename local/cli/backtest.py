"""`kandle backtest`: the detectors over a history, and what followed the patterns they found."""

from __future__ import annotations

import csv
import io
import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Final

import typer

from local.cli.addresses import address, http_url
from local.cli.errors import CliError
from local.cli.options import AsJson, DataDir
from local.errors import UsageError
from local.feeds.files.errors import FileError, UnknownLayoutError
from local.feeds.files.layouts import Choice
from local.feeds.files.opening import Progress, parts_of
from local.instance import DEFAULT_DATA_DIR
from shared.timeframes import Timeframe

PROGRAM: Final = "functions.detect_pattern.backtest"
"""What does the work: the function's own code, run as a process."""

HEADER: Final = ("start_us", "open", "high", "low", "close", "volume")

_HELP = """Run the pattern detectors over a history and print what followed each pattern.

SOURCE is a FILE of candles (CSV with a header that names time, open, high, low, close, volume), a \
FILE of ticks in any format that kandle replay knows, or a SYMBOL of the running instance.

For each pattern: how often it fired, how often the price then moved its way within the horizon, \
and by how much, against what any candle of the same history gives; with 95 % intervals. And the \
same by confidence.

Examples:

  kandle backtest BTC-USD --timeframe 5m --from -30d

  kandle backtest XRP_ETH-trades.json.gz --patterns chart --horizon 20

  kandle backtest daily.csv --patterns double_top,double_bottom --plot backtest.html
"""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("backtest", help=_HELP)(backtest)


def backtest(
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="A file, or a symbol.")],
    patterns: Annotated[
        str, typer.Option(help="Names, or all, chart, cdl (the candlesticks).")
    ] = "all",
    timeframe: Annotated[
        str, typer.Option(help="Of the candles made of ticks or asked for.")
    ] = "1m",
    horizon: Annotated[int, typer.Option(min=1, help="Candles after a pattern.")] = 10,
    min_confidence: Annotated[
        float | None, typer.Option(min=0, max=1, help="Default: 0.65.", show_default=False)
    ] = None,
    tolerance: Annotated[
        float | None, typer.Option(min=0, max=1, help="Default: 0.01.", show_default=False)
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option(metavar="OUT", help="Draw it: .png, .svg or .html.", show_default=False),
    ] = None,
    as_json: AsJson = False,
    symbol: Annotated[
        str | None, typer.Option(help="Which one, of a file of several.", show_default=False)
    ] = None,
    since: Annotated[str, typer.Option("--from", metavar="T", help="For a SYMBOL.")] = "-30d",
    until: Annotated[
        str | None, typer.Option("--to", metavar="T", help="For a SYMBOL.", show_default=False)
    ] = None,
    api_url: Annotated[
        str | None,
        typer.Option(
            envvar="API_URL",
            metavar="URL",
            help="The history API. Default: the running instance's.",
            show_default=False,
        ),
    ] = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
) -> None:
    """Get the candles and hand them to the function's own program."""
    try:
        frame = Timeframe.parse(timeframe)
    except ValueError as error:
        raise UsageError(f"--timeframe: {error}") from None
    path = Path(source)
    rows: str | None = None
    if not path.exists():
        try:
            url = http_url(address(api_url, "API_URL", "--api-url", data_dir), "--api-url")
            rows = _of_api(url, source, frame, since, until)
        except CliError as error:
            raise CliError(f"{source}: no such file, and as a symbol: {error}") from None
    elif not _holds_candles(path):
        rows = _of_ticks(path, frame, symbol)
    options = [f"--patterns={patterns}", f"--horizon={horizon}"]
    for name, value in (
        ("min-confidence", min_confidence),
        ("tolerance", tolerance),
        ("plot", plot),
    ):
        options += [] if value is None else [f"--{name}={value}"]
    options += ["--json"] if as_json else []
    _run(["-" if rows is not None else str(path.resolve()), *options], rows)


def _run(arguments: list[str], rows: str | None) -> None:
    """Run the program and print what it prints. Raises CliError with what it complains of."""
    done = subprocess.run(
        [sys.executable, "-m", PROGRAM, *arguments],
        input=rows,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        complaint = done.stderr.strip().splitlines() or [f"{PROGRAM} ended with {done.returncode}"]
        raise CliError(complaint[-1])
    typer.echo(done.stderr, nl=False, err=True)
    typer.echo(done.stdout, nl=False)


def _holds_candles(path: Path) -> bool:
    """Tell by its first row whether a file has candles, not ticks. Raises CliError."""
    try:
        parts = parts_of([path], Progress())
        first = next(parts).head().decode("utf-8-sig", "replace").lstrip().split("\n", 1)[0]
    except FileError as error:
        raise CliError(str(error)) from None
    fields = [each.strip().strip("<>").lower() for each in re.split(r"[,;\t]", first)]
    is_kline = len(fields) in (6, 12) and all(each.replace(".", "", 1).isdigit() for each in fields)
    return is_kline or {"open", "close"} <= set(fields) or {"o", "c"} <= set(fields)


def _of_ticks(path: Path, timeframe: Timeframe, symbol: str | None) -> str:
    """Make candles of a file of ticks."""
    from local.feeds.candles import candle_rows
    from local.feeds.files.trades import read_trades

    try:
        trades = (each for _, each in read_trades([path], Choice(), Progress()))
        found = candle_rows((tick for each in trades for tick in each.ticks()), timeframe)
    except UnknownLayoutError:
        trades = (each for _, each in read_trades([path], Choice(symbol), Progress()))
        found = candle_rows((tick for each in trades for tick in each.ticks()), timeframe)
    except (FileError, ValueError) as error:
        raise CliError(str(error)) from None
    if symbol is None and len(found) > 1:
        raise UsageError(f"{path} holds {', '.join(sorted(found)[:10])}: choose one with --symbol")
    if len(found) == 1 and symbol is not None:
        return _csv(next(iter(found.values())))
    if not found or (symbol is not None and symbol not in found):
        raise CliError(f"{path} has no ticks{f' of {symbol}' if symbol else ''}")
    return _csv(found[symbol] if symbol is not None else next(iter(found.values())))


def _of_api(url: str, symbol: str, timeframe: Timeframe, since: str, until: str | None) -> str:
    """Read the closed candles of a range from the history API."""
    import httpx

    from local.cli.candles import Query, fetch

    with httpx.Client(timeout=httpx.Timeout(60.0, connect=5.0), trust_env=False) as client:
        found = fetch(client, Query(url, symbol, timeframe.name, since, until, None)).candles
    closed = [each for each in found if each["closed"]]
    if not closed:
        raise CliError(f"{symbol} has no closed candles of {timeframe} since {since}")
    return _csv((c["t"] * 1000, c["o"], c["h"], c["l"], c["c"], c["v"]) for c in closed)


def _csv(rows: Iterable[tuple[object, ...]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(HEADER)
    writer.writerows(rows)
    return text.getvalue()
