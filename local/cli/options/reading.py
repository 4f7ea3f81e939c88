"""Options for the layout of trade files, and progress of reading."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from local.errors import UsageError
from local.feeds.files.errors import FileError
from local.feeds.files.layouts import Choice, parse_columns
from local.feeds.files.opening import Progress

if TYPE_CHECKING:
    from local.feeds.files.trades import Trades

PLAIN_REPORT_EVERY_S: Final = 5.0
SHOWN_ROWS: Final = 5

FORMATS: Final = """Files may be .gz, .zst, .bz2, .xz, .zip, directories or - (standard \
input): CSV with any columns, JSON lines and arrays, Parquet, Arrow, Feather; by name or form \
those of Binance public data, Kraken, bitcoincharts, tardis.dev, Databento (CSV and DBN), \
freqtrade, QuantConnect Lean (equities, futures, crypto) and captures of Binance's WebSocket. The \
detected layout is printed first; --columns overrides it."""

Files = Annotated[
    list[Path], typer.Argument(metavar="FILE...", help="Files, directories, or -.", allow_dash=True)
]
Symbol = Annotated[str | None, typer.Option(help="The instrument of a file without symbols.")]
Columns = Annotated[
    str,
    typer.Option(
        metavar="FIELD=COLUMN,...",
        help="Such as symbol=pair,price=px,size=qty,time=ts:us,side=s,trade_id=id"
        " (units s, ms, us, ns; date=D beside a time of day); by number without a header.",
    ),
]
TimeZone = Annotated[str, typer.Option("--tz", help="Time zone of times without one.")]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Print the first parsed rows; send nothing.")
]
Again = Annotated[
    bool,
    typer.Option(
        "--again", help="Count rows without a trade id again, even if the file was sent before."
    ),
]


def choice_of(symbol: str | None, columns: str, zone: str) -> Choice:
    """Return the options as a Choice. Raises UsageError."""
    try:
        mapping, unit = parse_columns(columns)
    except FileError as error:
        raise UsageError(str(error)) from None
    return Choice(symbol, mapping, unit, zone)


def trades_of(
    files: list[Path], choice: Choice, progress: Progress, *, again: bool
) -> Iterator[Trades]:
    """Yield the trades of the files; print each layout once. Raises FileError."""
    from local.feeds.files.trades import read_trades

    seen: set[str] = set()
    for layout, trades in read_trades(files, choice, progress):
        if (described := layout.describe()) not in seen:
            seen.add(described)
            typer.echo(f"{trades.part}: read as {described}", err=True)
        yield trades if again else trades.with_ids()


Report = Callable[[int], None]
"""Updates the progress display with the number of lines so far."""


@contextmanager
def reporting(title: str, progress: Progress) -> Iterator[Report]:
    """Yield a progress display: a bar on a terminal, else occasional lines."""
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    console = Console(stderr=True, highlight=False)
    started = time.monotonic()
    if not console.is_terminal:
        yield _plain(title, progress)
        return
    with Bars(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%"),
        TextColumn("{task.fields[lines]:,} ticks, {task.fields[rate]:,.0f}/s"),
        TimeRemainingColumn(),
        console=console,
        transient=True,
    ) as bars:
        task = bars.add_task(title, total=1.0, lines=0, rate=0.0)

        def show(lines: int) -> None:
            rate = lines / max(time.monotonic() - started, 1e-3)
            bars.update(task, completed=progress.fraction, lines=lines, rate=rate)

        yield show


def _plain(title: str, progress: Progress) -> Report:
    next_line = time.monotonic() + PLAIN_REPORT_EVERY_S

    def show(lines: int) -> None:
        nonlocal next_line
        if (now := time.monotonic()) >= next_line:
            next_line = now + PLAIN_REPORT_EVERY_S
            typer.echo(f"{title}: {progress.fraction:.0%}, {lines:,} ticks", err=True)

    return show


def show_lines(lines: Iterable[bytes], *, as_json: bool) -> None:
    """Print lines as they would be sent, or as JSON objects."""
    for each in lines:
        line = each.decode()
        typer.echo(json.dumps({"line": line}) if as_json else line)


def show_skipped(progress: Progress) -> None:
    """Print what was skipped, by kind."""
    if progress.skipped:
        kinds = ", ".join(f"{count:,} {kind}" for kind, count in progress.skipped.most_common())
        typer.echo(f"skipped {progress.skipped.total():,} that are not trades: {kinds}")
