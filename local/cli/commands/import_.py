"""`kandle import`: recorded trades at full speed into storage and candles."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from local.cli.options import reading
from local.cli.options.addresses import http_url, ticks_broker
from local.cli.options.common import DEFAULT_DATA_DIR, AsJson, BrokerUrl, DataDir
from local.cli.run.stopping import stop_on_signals
from local.errors import CliError
from local.feeds.files.errors import FileError
from local.feeds.files.opening import Progress

if TYPE_CHECKING:
    from local.feeds.importer import Imported

POSITIONS = "import-positions.json"

_HELP = f"""Import the trades of recorded FILEs: history, as fast as it can be stored.

{reading.FORMATS}

Ticks go directly to storage and candles; an interrupted import resumes, and a file imported \
twice counts once. PRICE_RULES, MAX_CLOCK_SKEW_MS and SHARDS must be the same as in the pipeline.

Examples:

  kandle import BTCUSDT-aggTrades-2025-01.zip --dry-run

  kandle import data/ --columns symbol=pair,price=px,size=qty,time=ts:us

  kandle import XRP_ETH-trades.feather
"""


app = typer.Typer()


@app.command("import", help=_HELP)
def import_files(
    files: reading.Files,
    symbol: reading.Symbol = None,
    columns: reading.Columns = "",
    zone: reading.TimeZone = "",
    dry_run: reading.DryRun = False,
    again: reading.Again = False,
    restart: Annotated[
        bool, typer.Option("--restart", help="Send everything, even if imported before.")
    ] = False,
    broker_url: BrokerUrl = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """Import the files, with progress and a summary."""
    from local.feeds.batches import batches
    from local.feeds.importer import Normalizing, NotAcceptedError, Positions, send
    from shared.adapter.sink import Sink
    from shared.runtime.memory import keep_freed_memory
    from shared.runtime.settings import SettingsError

    keep_freed_memory()
    progress = Progress()
    trades = reading.trades_of(
        files, reading.choice_of(symbol, columns, zone), progress, again=again
    )
    try:
        if dry_run:
            for part in trades:
                reading.show_lines(part.lines()[: reading.SHOWN_ROWS], as_json=as_json)
            return
        normalizing = Normalizing.from_env(os.environ)
        url = http_url(ticks_broker(broker_url, data_dir), "--broker-url")
        positions = Positions(data_dir / POSITIONS)
        if restart or again:
            positions.forget()
        started = time.monotonic()
        with stop_on_signals() as stop, reading.reporting("import", progress) as report:
            salt = f"-{secrets.token_hex(4)}" if again else ""
            numbered = batches(trades, salt)
            sink = Sink(url, "/kandle/import")
            done = asyncio.run(send(numbered, normalizing, sink, positions, report, stop.is_set))
            stopped = stop.is_set()
    except (FileError, NotAcceptedError, SettingsError) as error:
        raise CliError(str(error)) from None
    progress.skipped.update(done.skipped)
    _sum_up(done, progress, time.monotonic() - started, as_json=as_json)
    if stopped:
        raise CliError("stopped before the end: run the same command to resume")
    if done.rejected:
        raise CliError(f"{done.rejected:,} of {done.lines:,} lines were rejected")


def _sum_up(done: Imported, progress: Progress, seconds: float, *, as_json: bool) -> None:
    if as_json:
        counts = {**asdict(done), "skipped": dict(progress.skipped), "seconds": round(seconds, 3)}
        typer.echo(json.dumps(counts))
        return
    rate = done.lines / max(seconds, 1e-3)
    typer.echo(
        f"imported {done.accepted:,} ticks in {done.batches:,} batches, {done.rejected:,} rejects,"
        f" {seconds:.1f} s, {rate:,.0f} lines/s"
    )
    for error in done.first_errors:
        typer.echo(f"  {error}")
    if done.passed_over:
        typer.echo(f"{done.passed_over:,} lines had been imported before (--restart sends them)")
    for name, count in done.unread.most_common():
        typer.echo(f"not read in {count:,} lines: {name}")
    reading.show_skipped(progress)
