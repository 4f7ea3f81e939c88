"""`kandle backfill`: a venue's history into storage, as candles or trades."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Annotated

import typer

from local.cli.options.addresses import address
from local.cli.options.common import DEFAULT_DATA_DIR, DataDir, JsonLines
from local.cli.options.times import time_us
from local.errors import UsageError
from local.supervisor.feed_list import parse_feeds

Feed = Annotated[str, typer.Argument(metavar="NAME:SYMBOL,...", help="As for `kandle up --feed`.")]


app = typer.Typer()


@app.command("backfill")
def backfill(
    feed: Feed,
    since: Annotated[
        str, typer.Option("--from", metavar="TIME", help="ISO 8601, or relative such as -30d.")
    ],
    until: Annotated[
        str | None,
        typer.Option("--to", metavar="TIME", help="Exclusive.", show_default="its own trades"),
    ] = None,
    trades: Annotated[
        bool, typer.Option("--trades/--candles", help="Trades, or the exchange's candles.")
    ] = False,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    json_lines: JsonLines = False,
) -> None:
    """Fetch the history of a FEED's symbols from its exchange, while the pipeline runs.

    --candles: the exchange's own candles, marked `origin: "venue"`, where trades are incomplete.
    --trades: every trade, by the exchange's cursor; candles of trades replace the exchange's as
    soon as all their trades have arrived.

    Without --to it ends at the instrument's first stored trade. It keeps to the exchange's rate
    limits; an interrupted run resumes.

    Examples:

      kandle backfill binance:BTCUSDT,ETHUSDT --from -30d

      kandle backfill kraken:BTC/USD --from 2026-01-01 --to 2026-02-01 --trades
    """
    arguments = ["--by", "trades" if trades else "candles", "--from", str(time_us(since, "--from"))]
    if until is not None:
        arguments += ["--to", str(time_us(until, "--to"))]
    if json_lines:
        arguments.append("--json")
    raise typer.Exit(run_bridge("backfill", feed, arguments, data_dir))


def run_bridge(module: str, feed: str, arguments: list[str], data_dir: DataDir) -> int:
    """Run a module of the exchange bridge for a feed of the instance; return its exit code."""
    (choice,) = parse_feeds([feed])
    if not choice.symbols:
        raise UsageError(f"{feed}: name its symbols, such as binance:BTCUSDT")
    environment = {
        **os.environ,
        **choice.environment,
        **{
            name: address(os.environ.get(name), name, data_dir, "--data-dir")
            for name in ("K_SINK", "DATABASE_URL")
        },
    }
    command = [sys.executable, "-m", f"functions.exchange_bridge.{module}", *arguments]
    return subprocess.run(command, env=environment, check=False).returncode
