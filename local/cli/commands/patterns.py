"""`kandle patterns`: patterns of closed candles, from the history API."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Final

import typer

from local.cli.clients.history_api import history_api
from local.cli.options.common import DEFAULT_DATA_DIR, ApiUrl, DataDir, JsonLines

_ARROWS: Final = {1: "up", -1: "down", 0: ""}

app = typer.Typer()


@app.command("patterns")
def patterns(
    symbol: Annotated[
        str | None, typer.Argument(metavar="[SYMBOL]", help="The instrument.")
    ] = None,
    timeframe: Annotated[str | None, typer.Option(help="Only this timeframe: 1m, 5m ...")] = None,
    pattern: Annotated[str | None, typer.Option("--type", help="Only this pattern.")] = None,
    min_confidence: Annotated[str | None, typer.Option(metavar="X", help="From 0 to 1.")] = None,
    status: Annotated[str, typer.Option(help="active, retracted or all.")] = "active",
    limit: Annotated[int, typer.Option(min=1, max=1000, help="Most patterns.")] = 20,
    api_url: ApiUrl = None,
    as_json: JsonLines = False,
    data_dir: DataDir = DEFAULT_DATA_DIR,
) -> None:
    """Show the newest patterns and anomalies, of SYMBOL or of all.

    Examples:

      kandle patterns

      kandle patterns BTC-USD --timeframe 5m --min-confidence 0.8

      kandle patterns --type double_top --status all

      kandle tail patterns:BTC-USD   # new ones, as they are found
    """
    filters = {"timeframe": timeframe, "type": pattern, "min_confidence": min_confidence}
    with history_api(api_url, data_dir) as api:
        newest = api.ask("/api/patterns", symbol, **filters, status=status, limit=limit)
    _show(newest["patterns"][::-1], as_json=as_json)


def line(pattern: dict[str, Any]) -> str:
    """Format a pattern on one line."""
    return "  ".join(each for each in _cells(pattern) if each)


def _show(patterns: Sequence[dict[str, Any]], *, as_json: bool) -> None:
    from local.cli.output.display import print_table

    if as_json:
        for each in patterns:
            typer.echo(json.dumps(each))
    elif not patterns:
        typer.echo("no patterns yet: they are detected in closed candles, from the tenth on")
    else:
        columns = ("known at (UTC)", "symbol", "timeframe", "pattern", "way", "confidence")
        drops = ("confidence", "way", "timeframe")
        rows = map(_cells, patterns)
        print_table((*columns, "price", ""), rows, right=("price",), drops=drops)


def _cells(pattern: dict[str, Any]) -> list[str]:
    time = datetime.fromtimestamp(pattern["timestamp"] / 1000, UTC)
    return [
        time.strftime("%Y-%m-%d %H:%M:%S"),
        pattern["symbol"],
        pattern["timeframe"],
        pattern["pattern_type"],
        _ARROWS.get(pattern["direction"], ""),
        f"{pattern['confidence']:.2f} {pattern['level']}",
        pattern["trigger_price"],
        "" if pattern["status"] == "active" else pattern["status"],
    ]
