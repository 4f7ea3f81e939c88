"""`kandle audit`: recompute candles from stored ticks and report every difference."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from local.cli.commands.backfill import run_bridge
from local.cli.options.addresses import address
from local.cli.options.candle_range import (
    From,
    TimeframeNames,
    To,
    chosen,
    requested_range,
    stores,
    utc,
)
from local.cli.options.common import DEFAULT_DATA_DIR, DatabaseUrl, DataDir, JsonLines, RedisUrl
from local.cli.options.times import time_us
from local.errors import UsageError

if TYPE_CHECKING:
    from local.audit import Audited, Batch, Difference, Stores
    from shared.market.timeframes import Timeframe
    from shared.wire.candle import CandleKey

RECHECK_S: Final = 2.0

app = typer.Typer()


@app.command("audit")
def audit(
    symbol: Annotated[str | None, typer.Argument(metavar="SYMBOL", help="The instrument.")] = None,
    since: From = None,
    until: To = None,
    timeframes: TimeframeNames = None,
    every: Annotated[bool, typer.Option("--all", help="Every instrument.")] = False,
    venue: Annotated[
        bool,
        typer.Option(
            "--venue",
            help="SYMBOL is a feed (binance:BTCUSDT): compare with what its exchange publishes.",
        ),
    ] = False,
    wait_s: Annotated[
        float,
        typer.Option("--wait", min=0, metavar="SECONDS", help="How long to recheck differences."),
    ] = 10.0,
    database_url: DatabaseUrl = None,
    redis_url: RedisUrl = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    json_lines: JsonLines = False,
) -> None:
    """Recompute candles from stored ticks and compare them with the stored and open ones.

    Every difference is printed with both values. Exit code 0: all are equal; 1: some differ; 2:
    usage error. Ticks may still be in flight: differences are rechecked for a while, and open
    candles that keep growing are counted separately.

    Examples:

      kandle audit BTC-USD --from -24h

      kandle audit XRP-ETH --from 2019-10-11 --to 2019-10-12 --timeframe 1m --timeframe 5m

      kandle audit --all

      kandle audit binance:BTCUSDT --venue --from -24h
    """
    if every == (symbol is not None):
        raise UsageError("name a SYMBOL, or --all")
    if venue:
        raise typer.Exit(_against_venue(symbol, since, until, data_dir, json_lines=json_lines))
    requested = requested_range(since, until)
    from local.audit import Batch

    with stores(database_url, redis_url, data_dir) as opened:
        ladder = chosen(timeframes, opened.ladder)
        batches: Iterable[Batch]
        if symbol is not None:
            batches = [Batch([symbol], *requested.of(opened.postgres, symbol, opened.cold))]
        else:
            batches = requested.batches(opened.postgres, ladder[0])
        count = 0
        for batch in batches:
            for name, result in _settled(opened, batch, ladder, wait_s).items():
                if json_lines:
                    typer.echo(json.dumps(_as_json(name, result)))
                else:
                    for difference in result.differences:
                        typer.echo(_line(difference))
                    typer.echo(_summary(name, result))
                count += len(result.differences)
    if count:
        raise typer.Exit(1)


def _against_venue(
    feed: str | None, since: str | None, until: str | None, data_dir: Path, *, json_lines: bool
) -> int:
    """Compare closed base candles with the exchange's own; return the exit code."""
    if feed is None or ":" not in feed:
        raise UsageError("--venue: name a feed, such as binance:BTCUSDT")
    api = address(os.environ.get("API_URL"), "API_URL", data_dir, "--data-dir")
    arguments = ["--from-us", str(time_us(since or "-24h", "--from"))]
    arguments += ["--to-us", str(time_us(until or "-1m", "--to")), "--api-url", api]
    arguments += ["--json"] if json_lines else []
    return run_bridge("venue_audit", feed, arguments, data_dir)


def _settled(
    opened: Stores, batch: Batch, ladder: Sequence[Timeframe], wait_s: float
) -> dict[str, Audited]:
    """Audit; recheck differences until they are gone, or for `wait_s` seconds."""
    from local.audit import Batch, grows
    from local.audit import audit as compare

    results = compare(opened, batch, ladder)
    until_s = time.monotonic() + wait_s
    first = {each.key: each for result in results.values() for each in result.differences}
    growing: set[CandleKey] = set()
    while time.monotonic() < until_s:
        unsettled = {name: result for name, result in results.items() if result.differences}
        if not unsettled:
            break
        time.sleep(RECHECK_S)
        starts = [each.key[2] for result in unsettled.values() for each in result.differences]
        part = Batch(list(unsettled), min(starts), max(starts) + 1)
        rechecked = compare(opened, part, ladder)
        for name, result in unsettled.items():
            keys = {each.key for each in result.differences}
            result.differences = [each for each in rechecked[name].differences if each.key in keys]
            growing -= keys
            growing |= {each.key for each in result.differences if grows(first[each.key], each)}
    for result in results.values():
        differences = [each for each in result.differences if each.key not in growing]
        result.growing = len(result.differences) - len(differences)
        result.differences = differences
    return results


def _line(difference: Difference) -> str:
    name, timeframe, start_us = difference.key
    label = f"{name} {timeframe} {utc(start_us)}"
    if difference.found is None:
        return f"{label}: missing; its ticks make {difference.expected}"
    if difference.expected is None:
        return f"{label}: no stored tick makes it; found {difference.found}"
    values = (
        f"{field} is {actual}, should be {expected}"
        for field, actual, expected in difference.values()
    )
    return f"{label} revision {difference.found.revision}: {'; '.join(values)}"


def _as_json(name: str, result: Audited) -> dict[str, Any]:
    """Return the result as JSON values; decimals as text, times in ms since 1970."""
    return {
        "symbol": name,
        "candles": result.candles,
        "of_venue": result.of_venue,
        "growing": result.growing,
        "trades": result.trades,
        "differences": [
            {
                "timeframe": str(each.key[1]),
                "t": each.key[2] // 1000,
                "is_missing": each.found is None,
                "is_unexpected": each.expected is None,
                "values": {
                    field: [str(actual), str(expected)] for field, actual, expected in each.values()
                },
            }
            for each in result.differences
        ],
    }


def _summary(name: str, result: Audited) -> str:
    count = len(result.differences)
    verdict = "all equal" if not count else f"{count:,} differ"
    venue_candles = f", {result.of_venue:,} more are the venue's own" if result.of_venue else ""
    compared = f"{result.candles:,} candles against {result.trades:,} stored trades"
    open_ones = f", {result.growing:,} still growing: not compared" if result.growing else ""
    return f"{name}: {compared}: {verdict}{venue_candles}{open_ones}"
