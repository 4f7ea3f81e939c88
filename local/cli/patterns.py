"""`kandle patterns`: what was found in closed candles, from the history API."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Final
from urllib.parse import quote

import typer

from local.cli.addresses import address, http_url
from local.cli.errors import CliError
from local.cli.fitted_table import FittedTable
from local.cli.options import DataDir, JsonLines
from local.cli.stopping import asked_to_stop
from local.instance import DEFAULT_DATA_DIR

if TYPE_CHECKING:
    import httpx

REFRESH_S: Final = 1.0
_ARROWS: Final = {1: "up", -1: "down", 0: ""}

_HELP = """Show the patterns and anomalies found, of SYMBOL or of all: the newest ones.

Examples:

  kandle patterns

  kandle patterns BTC-USD --timeframe 5m --min-confidence 0.8

  kandle patterns --type double_top --status all

  kandle patterns BTC-USD --watch
"""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("patterns", help=_HELP)(patterns)


def patterns(
    symbol: Annotated[
        str | None, typer.Argument(metavar="[SYMBOL]", help="The instrument.", show_default=False)
    ] = None,
    timeframe: Annotated[
        str | None, typer.Option(help="Only of this: 1m, 5m ...", show_default=False)
    ] = None,
    pattern: Annotated[
        str | None, typer.Option("--type", help="Only this pattern.", show_default=False)
    ] = None,
    min_confidence: Annotated[
        str | None, typer.Option(metavar="X", help="From 0 to 1.", show_default=False)
    ] = None,
    status: Annotated[str, typer.Option(help="active, retracted or all.")] = "active",
    limit: Annotated[int, typer.Option(min=1, max=1000, help="Most patterns.")] = 20,
    watch: Annotated[bool, typer.Option("--watch", help="Go on, with what is new.")] = False,
    api_url: Annotated[
        str | None,
        typer.Option(
            envvar="API_URL",
            metavar="URL",
            help="The history API. Default: the running instance's.",
            show_default=False,
        ),
    ] = None,
    as_json: JsonLines = False,
    data_dir: DataDir = DEFAULT_DATA_DIR,
) -> None:
    """Ask once, or each second, and show what came, oldest first."""
    import httpx

    base = http_url(address(api_url, "API_URL", "--api-url", data_dir), "--api-url")
    url = f"{base}/api/patterns" + ("" if symbol is None else f"/{quote(symbol, safe='')}")
    wanted = {"timeframe": timeframe, "type": pattern, "min_confidence": min_confidence}
    params = {name: value for name, value in wanted.items() if value is not None}
    params |= {"status": status, "limit": str(limit)}
    told: set[tuple[str, int]] = set()
    with httpx.Client(timeout=httpx.Timeout(15.0, connect=5.0), trust_env=False) as client:
        found = fetch(client, url, params)
        _show(found, as_json=as_json)
        if not watch:
            return
        told.update((each["id"], each["revision"]) for each in found)
        with asked_to_stop() as stop:
            while not stop.wait(REFRESH_S):
                try:
                    found = fetch(client, url, params)
                except CliError as error:
                    typer.echo(str(error), err=True)
                    continue
                fresh = [each for each in found if (each["id"], each["revision"]) not in told]
                told.update((each["id"], each["revision"]) for each in fresh)
                for each in fresh:
                    typer.echo(json.dumps(each) if as_json else line(each))


def fetch(client: httpx.Client, url: str, params: dict[str, str]) -> list[dict[str, Any]]:
    """Return the newest patterns, oldest first. Raises CliError: the API is away or refuses."""
    import httpx

    try:
        response = client.get(url, params=params)
    except httpx.TransportError as error:
        reason = str(error) or type(error).__name__
        raise CliError(f"cannot reach {url}: {reason}; is the instance up?") from None
    try:
        answer = response.json()
    except ValueError:
        answer = None
    if response.is_success and isinstance(answer, dict) and "patterns" in answer:
        found: list[dict[str, Any]] = answer["patterns"]
        return found[::-1]
    detail = answer.get("detail") if isinstance(answer, dict) else None
    raise CliError(f"{detail or response.text[:200] or url} ({response.status_code})")


def line(found: dict[str, Any]) -> str:
    """Write a pattern on one line."""
    return "  ".join(each for each in _cells(found) if each)


def _show(found: Sequence[dict[str, Any]], *, as_json: bool) -> None:
    from local.cli.display import console

    if as_json:
        for each in found:
            typer.echo(json.dumps(each))
    elif not found:
        typer.echo("no patterns yet: they are looked for in closed candles, from the tenth on")
    else:
        columns = ("known at (UTC)", "symbol", "timeframe", "pattern", "way", "confidence")
        table = FittedTable(
            (*columns, "price", ""),
            frozenset((*columns, "")),
            drops=("confidence", "way", "timeframe"),
            is_boxed=True,
        )
        for each in found:
            table.add_row(_cells(each))
        console().print(table)


def _cells(found: dict[str, Any]) -> list[str]:
    moment = datetime.fromtimestamp(found["timestamp"] / 1000, UTC)
    return [
        moment.strftime("%Y-%m-%d %H:%M:%S"),
        found["symbol"],
        found["timeframe"],
        found["pattern_type"],
        _ARROWS.get(found["direction"], ""),
        f"{found['confidence']:.2f} {found['level']}",
        found["trigger_price"],
        "" if found["status"] == "active" else found["status"],
    ]
