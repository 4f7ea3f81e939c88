"""`kandle feeds` and `kandle feed`: status of the feeds, and changes to their list."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from local.cli.clients.history_api import history_api
from local.cli.options.common import ApiUrl, AsJson, DataDir
from local.instance import DEFAULT_DATA_DIR, Instance

_GROUP_HELP = """Add and remove feeds of the running instance, without a restart.

They use the syntax of `kandle up --feed`, and last as long as the instance.

Examples:

  kandle feed add ccxt:bybit:BTC/USDT,ETH/USDT

  kandle feed remove binance:ETHUSDT
"""

_STYLES = {
    "live": "green",
    "quiet": "dim",
    "ended": "dim",
    "halted": "yellow",
    "maintenance": "yellow",
}

_UNHEARD: Final[dict[str, Any]] = {
    "instrument": "-",
    "last_message": None,
    "trades_per_minute": 0,
    "gaps": {"open": 0, "filled": 0},
    "history": {"parts": 0},
}
"""Row of a feed whose server names the symbols, and has sent none yet."""

Feed = Annotated[str, typer.Argument(metavar="NAME[:SYMBOL,...]")]


app = typer.Typer()
group = typer.Typer(name="feed", no_args_is_help=True, help=_GROUP_HELP)
app.add_typer(group)


@app.command("feeds")
def feeds(
    api_url: ApiUrl = None, data_dir: DataDir = DEFAULT_DATA_DIR, as_json: AsJson = False
) -> None:
    """Show the feeds: state, age of the last message, rate, gaps, clock skew, history.

    Example:

      kandle feeds --json | jq '.[].symbols[].gaps'
    """
    with history_api(api_url, data_dir) as api:
        statuses: list[dict[str, Any]] = api.ask("/api/feeds")
    if as_json:
        typer.echo(json.dumps(statuses, indent=2))
        return
    if not statuses:
        typer.echo("no feed has reported yet: kandle feed add NAME:SYMBOL", err=True)
        return
    _print(statuses)


def _print(statuses: list[dict[str, Any]]) -> None:
    from rich.text import Text

    from local.cli.output.display import console, print_table

    now_ms = time.time_ns() // 1_000_000

    def row(feed: dict[str, Any], each: dict[str, Any]) -> tuple[str | Text, ...]:
        state = Text(each["state"], _STYLES.get(each["state"], "red"))
        return feed["feed"], each["instrument"], state, *_cells(feed, each, now_ms)

    numbers = ("age", "trades/min", "gaps", "history", "skew", "reconnects")
    print_table(
        ("feed", "instrument", "state", *numbers),
        (
            row(feed, each)
            for feed in statuses
            for each in feed["symbols"] or [{**_UNHEARD, "state": feed["state"]}]
        ),
        right=numbers,
        drops=("reconnects", "skew", "history", "trades/min"),
        is_boxed=False,
    )
    for feed in statuses:
        if feed["error"]:
            console().print(f"{feed['feed']}: {feed['error']}", style="red", markup=False)


def _cells(feed: dict[str, Any], symbol: dict[str, Any], now_ms: int) -> list[str]:
    """Return the columns after a symbol's state."""
    last, gaps, history = symbol["last_message"], symbol["gaps"], symbol["history"]
    skew_ms = feed["skew_ms"]
    return [
        "-" if last is None else f"{max(0, now_ms - last) / 1000:,.1f} s",
        f"{symbol['trades_per_minute']:,}",
        f"{gaps['open']} open, {gaps['filled']} filled",
        f"{history['done']}/{history['parts']}" if history["parts"] else "-",
        "-" if skew_ms is None else f"{skew_ms:+,} ms",
        str(feed["reconnects"]),
    ]


@group.command("add")
def add(feed: Feed, data_dir: DataDir = DEFAULT_DATA_DIR, as_json: AsJson = False) -> None:
    """Add a feed, or more symbols to one."""
    from local.supervisor.feed_list import with_feed

    _change(data_dir, feed, with_feed, as_json=as_json)


@group.command("remove")
def remove(feed: Feed, data_dir: DataDir = DEFAULT_DATA_DIR, as_json: AsJson = False) -> None:
    """Remove a feed, or some of its symbols."""
    from local.supervisor.feed_list import without_feed

    _change(data_dir, feed, without_feed, as_json=as_json)


@group.command("list")
def list_feeds(data_dir: DataDir = DEFAULT_DATA_DIR, as_json: AsJson = False) -> None:
    """List the feeds."""
    from local.supervisor.feed_list import read_feeds

    Instance.load(data_dir)
    _print_list(read_feeds(data_dir), as_json=as_json)


def _print_list(feeds: Iterable[object], *, as_json: bool) -> None:
    names = [str(each) for each in feeds]
    typer.echo(json.dumps(names) if as_json else "\n".join(names))


def _change(data_dir: Path, text: str, change: Any, *, as_json: bool) -> None:
    """Change the feed list of the running instance."""
    from local.supervisor.feed_list import change_feeds, parse_feed

    feed = parse_feed(text)
    Instance.load(data_dir)
    _print_list(change_feeds(data_dir, lambda feeds: change(feeds, feed)), as_json=as_json)
