"""`kandle replay`: send recorded ticks with their own times."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Final, Protocol

import typer

from local.cli.destination import FeedSender, IngestUrl, To, UdpAddr, Via, open_sender
from local.cli.errors import CliError
from local.cli.options import DataDir
from local.cli.stopping import asked_to_stop
from local.errors import UsageError
from local.feeds.formats import FORMATS, FeedFileError, Reading, format_of
from local.feeds.pacing import WORTH_SLEEPING_S, EventTimePacer, speed_factor
from local.feeds.tick import Tick
from local.instance import DEFAULT_DATA_DIR

REPORT_EVERY_S: Final = 0.2
PLAIN_REPORT_EVERY_S: Final = 5.0
LONGEST_WAIT_S: Final = 0.5

_HELP = """Send the ticks of a recorded FILE (.gz and .zip too), with their own times.

The format is guessed from the file; these are known:

{formats}

Examples:

  kandle replay trades.csv

  kandle replay XRP_ETH-trades.json.gz --symbol XRP-ETH

  kandle replay btcusdt_20240808.gz --speed 10x

  kandle replay spy-20131007-tick.zip --to http   [dim](every batch is confirmed)[/dim]

Prices and sizes are sent exactly as the file has them. With --speed max over UDP the rate is \
limited, since UDP loses what a listener cannot take in time; see --rate-limit.
""".format(formats="\n\n".join(f"  [bold]{each.name}[/bold]: {each.about}" for each in FORMATS))


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("replay", help=_HELP)(replay)


def replay(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The recorded ticks.")],
    file_format: Annotated[
        str | None,
        typer.Option(
            "--format",
            help=f"One of {', '.join(each.name for each in FORMATS)}. Default: guessed.",
            show_default=False,
        ),
    ] = None,
    speed: Annotated[
        str, typer.Option(help="max, or a multiple of the recorded time: 1x, 10x, 0.5x.")
    ] = "max",
    symbol: Annotated[
        str | None,
        typer.Option(help="Send a file of one instrument under this symbol.", show_default=False),
    ] = None,
    to: To = Via.UDP,
    udp_addr: UdpAddr = None,
    ingest_url: IngestUrl = None,
    rate_limit: Annotated[
        float | None,
        typer.Option(
            min=0, help="Most lines a second, 0 for no limit. Default: 100000 by UDP, none by HTTP."
        ),
    ] = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
) -> None:
    """Send a file's ticks, show how far it is, and sum up."""
    from local.feeds.senders import SendError

    try:
        factor = speed_factor(speed)
    except ValueError as error:
        raise UsageError(f"--speed: {error}") from None
    reading = Reading()
    try:
        chosen = format_of(file, file_format)
        ticks = chosen.read(file, symbol, reading)
        with (
            asked_to_stop() as stop,
            open_sender(
                to, udp_addr, ingest_url, data_dir, rate_limit=rate_limit, gives_up=stop.is_set
            ) as sender,
        ):
            started = time.monotonic()
            try:
                with _report(f"{file.name} ({chosen.name})") as report:
                    _send(ticks, sender, EventTimePacer(factor), reading, report, stop)
            finally:
                _sum_up(sender, reading, time.monotonic() - started)
            stopped = stop.is_set()
    except (FeedFileError, SendError) as error:
        raise CliError(str(error)) from None
    if stopped:
        raise CliError("stopped before the end of the file")


class Report(Protocol):
    """Shows how far it is."""

    def __call__(self, fraction: float, lines: int) -> None:
        """Take the share of the file that was read, and the lines sent so far."""


def _send(
    ticks: Iterator[Tick],
    sender: FeedSender,
    pacer: EventTimePacer,
    reading: Reading,
    report: Report,
    stop: threading.Event,
) -> None:
    """Send all ticks when they are due, until the end or until it is asked to stop."""
    next_report = 0.0
    for tick in ticks:
        while (delay := pacer.delay_s(tick.time_ms)) >= WORTH_SLEEPING_S:
            sender.silence(delay)
            report(reading.fraction, sender.lines)
            stop.wait(min(delay, LONGEST_WAIT_S))
            if stop.is_set():
                break
        if stop.is_set():
            break
        sender.send(tick.line())
        if (now := time.monotonic()) >= next_report:
            report(reading.fraction, sender.lines)
            next_report = now + REPORT_EVERY_S
    sender.flush()
    report(reading.fraction, sender.lines)


@contextmanager
def _report(title: str) -> Iterator[Report]:
    """Yield what shows the progress: a bar on a terminal, else a line now and then."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True, highlight=False)
    started = time.monotonic()
    if not console.is_terminal:
        yield _plain(title)
        return
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%"),
        TextColumn("{task.fields[lines]:,} ticks, {task.fields[rate]:,.0f}/s"),
        TimeRemainingColumn(),
        console=console,
        transient=True,
    ) as bar:
        task = bar.add_task(title, total=1.0, lines=0, rate=0.0)

        def show(fraction: float, lines: int) -> None:
            rate = lines / max(time.monotonic() - started, 1e-3)
            bar.update(task, completed=fraction, lines=lines, rate=rate)

        yield show


def _plain(title: str) -> Report:
    next_line = time.monotonic() + PLAIN_REPORT_EVERY_S

    def show(fraction: float, lines: int) -> None:
        nonlocal next_line
        if (now := time.monotonic()) >= next_line:
            next_line = now + PLAIN_REPORT_EVERY_S
            typer.echo(f"{title}: {fraction:.0%}, {lines:,} ticks", err=True)

    return show


def _sum_up(sender: FeedSender, reading: Reading, seconds: float) -> None:
    from local.feeds.senders import HttpSender

    confirmed = isinstance(sender, HttpSender)
    rate = sender.lines / max(seconds, 1e-3)
    typer.echo(
        f"{'confirmed' if confirmed else 'sent'} {sender.lines:,} ticks "
        f"in {sender.units:,} {sender.unit}, {seconds:.1f} s, {rate:,.0f} ticks/s"
    )
    if isinstance(sender, HttpSender) and sender.repeats:
        typer.echo(f"repeated {sender.repeats:,} requests until they were accepted")
    if reading.skipped:
        kinds = ", ".join(f"{count:,} {kind}" for kind, count in reading.skipped.most_common())
        typer.echo(f"skipped {reading.skipped.total():,} messages that are no trades: {kinds}")
