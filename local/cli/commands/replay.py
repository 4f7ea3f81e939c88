"""`kandle replay`: send recorded ticks at their own pace."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Final

import typer

from local.cli.options import reading
from local.cli.options.common import DEFAULT_DATA_DIR, AsJson, DataDir
from local.cli.options.destination import FeedSender, IngestUrl, To, UdpAddr, Via, open_sender
from local.cli.run.stopping import stop_on_signals
from local.errors import CliError, UsageError
from local.feeds.files.errors import FileError
from local.feeds.files.opening import Progress, files_of
from local.feeds.pacing import WORTH_SLEEPING_S, EventTimePacer, speed_factor

if TYPE_CHECKING:
    from local.feeds.files.trades import Trades

REPORT_EVERY_S: Final = 0.2
LONGEST_WAIT_S: Final = 0.5

_HELP = f"""Send the ticks of recorded FILEs, with their own times.

{reading.FORMATS}

A row without a trade id is named by the file's content and its place in it: a file that is sent \
twice, or again after an interruption, counts once. --again counts such rows once more.

Examples:

  kandle replay trades.csv

  kandle replay BTCUSDT-trades-2025-01-01.zip --dry-run

  kandle replay btcusdt_20240808.gz --speed 10x

  kandle replay spy-20131007-tick.zip --to http   [dim](every batch is confirmed)[/dim]

Prices and sizes are sent exactly as the file has them. With --speed max over UDP the rate is \
limited, since UDP loses what a listener cannot take in time; see --rate-limit.
"""


app = typer.Typer()


@app.command("replay", help=_HELP)
def replay(
    files: reading.Files,
    speed: Annotated[
        str, typer.Option(help="max, or a multiple of the recorded time: 1x, 10x, 0.5x.")
    ] = "max",
    symbol: reading.Symbol = None,
    columns: reading.Columns = "",
    zone: reading.TimeZone = "",
    dry_run: reading.DryRun = False,
    again: reading.Again = False,
    to: To = Via.UDP,
    udp_addr: UdpAddr = None,
    ingest_url: IngestUrl = None,
    rate_limit: Annotated[
        float | None,
        typer.Option(
            min=0, help="Maximum lines a second, 0: no limit. Default: 100000 by UDP, none by HTTP."
        ),
    ] = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """Send the files' ticks, with progress and a summary."""
    from local.feeds.senders import HttpSender, SendError

    try:
        factor = speed_factor(speed)
    except ValueError as error:
        raise UsageError(f"--speed: {error}") from None
    progress = Progress()
    ticks = lines_of(
        reading.trades_of(files, reading.choice_of(symbol, columns, zone), progress, again=again)
    )
    try:
        if dry_run:
            reading.show_lines(
                (line for line, _ in islice(ticks, reading.SHOWN_ROWS)), as_json=as_json
            )
            return
        files_of(files)  # a missing one is said before anything is sent
        with (
            stop_on_signals() as stop,
            open_sender(
                to, udp_addr, ingest_url, data_dir, rate_limit=rate_limit, gives_up=stop.is_set
            ) as sender,
        ):
            started = time.monotonic()
            try:
                with reading.reporting(
                    " ".join(each.name for each in files)[:60], progress
                ) as report:
                    _send(ticks, sender, EventTimePacer(factor), report, stop)
            finally:
                _sum_up(sender, progress, time.monotonic() - started, as_json=as_json)
            stopped = stop.is_set()
    except (FileError, SendError) as error:
        raise CliError(str(error)) from None
    if stopped:
        raise CliError("stopped before the end of the file: run the same command to resume")
    if isinstance(sender, HttpSender) and sender.rejected:
        raise CliError(f"{sender.rejected:,} of {sender.lines:,} lines were rejected")


def lines_of(trades: Iterator[Trades]) -> Iterator[tuple[bytes, int]]:
    """Yield each trade as an input line, with its event time (us, -1 without one)."""
    for each in trades:
        yield from zip(each.lines(), each.times_us().tolist(), strict=True)


def _send(
    ticks: Iterator[tuple[bytes, int]],
    sender: FeedSender,
    pacer: EventTimePacer,
    report: reading.Report,
    stop: threading.Event,
) -> None:
    """Send all ticks when they are due, until the end or a stop."""
    next_report = 0.0
    for line, time_us in ticks:
        while (
            delay := pacer.delay_s(None if time_us < 0 else time_us // 1000)
        ) >= WORTH_SLEEPING_S:
            sender.silence(delay)
            report(sender.lines)
            stop.wait(min(delay, LONGEST_WAIT_S))
            if stop.is_set():
                break
        if stop.is_set():
            break
        sender.send(line)
        if (now := time.monotonic()) >= next_report:
            report(sender.lines)
            next_report = now + REPORT_EVERY_S
    sender.flush()
    report(sender.lines)


def _sum_up(sender: FeedSender, progress: Progress, seconds: float, *, as_json: bool) -> None:
    from local.feeds.senders import HttpSender

    if as_json:
        typer.echo(
            json.dumps(
                {
                    "lines": sender.lines,
                    sender.unit: sender.units,
                    "seconds": round(seconds, 3),
                    "skipped": dict(progress.skipped),
                    **(sender.answers() if isinstance(sender, HttpSender) else {}),
                }
            )
        )
        return
    rate = sender.lines / max(seconds, 1e-3)
    sent = f"{sender.lines:,} lines in {sender.units:,} {sender.unit}"
    pace = f"{seconds:.1f} s, {rate:,.0f} lines/s"
    if isinstance(sender, HttpSender):
        typer.echo(
            f"confirmed {sent}: {sender.accepted:,} ticks, {sender.rejected:,} rejects, {pace}"
        )
        for error in sender.first_errors:
            typer.echo(f"  line {error['line']}: {error['code']}: {error['detail']}")
        if sender.unjudged:
            typer.echo(
                f"{sender.unjudged:,} lines were taken, not read as yet: see 'kandle rejects list'"
            )
        if sender.repeats:
            typer.echo(f"repeated {sender.repeats:,} requests until they were accepted")
    else:
        typer.echo(f"sent {sent}, {pace}; UDP has no answer: see 'kandle rejects list'")
    reading.show_skipped(progress)
