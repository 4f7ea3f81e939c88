"""`kandle watch`: the watchlist, which filters the scanner feed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from local.cli.options.addresses import address
from local.cli.options.common import DEFAULT_DATA_DIR, AsJson, DataDir, RedisUrl
from local.cli.output.result import show
from local.errors import CliError

if TYPE_CHECKING:
    from shared.realtime.watchlist import Watchlist

_HELP = """The watchlist: symbols kept by the scanner feed and evaluated for patterns.

It is the union of the symbols added here and the scanner's own keys in Redis,
scanner:latest:<SYMBOL>, which are only read. An empty list selects everything.
"""

Symbols = Annotated[list[str], typer.Argument(metavar="SYMBOL...")]


app = typer.Typer(name="watch", no_args_is_help=True, help=_HELP)


@app.command("add")
def add(
    symbols: Symbols,
    redis_url: RedisUrl = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """Add symbols to the watchlist."""
    with _watchlist(redis_url, data_dir) as watchlist:
        new = watchlist.add(symbols)
    existing = len(set(symbols)) - new
    text = f"{new} added, {existing} were there"
    show(text, as_json=as_json, added=new, known=existing)


@app.command("remove")
def remove(
    symbols: Symbols,
    redis_url: RedisUrl = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """Remove symbols from the watchlist."""
    with _watchlist(redis_url, data_dir) as watchlist:
        removed = watchlist.remove(symbols)
        still_listed = sorted(watchlist.scanner() & set(symbols))
    unknown = len(set(symbols)) - removed
    text = f"{removed} removed, {unknown} not on the list"
    if still_listed:
        text += f"\nstill watched, because the scanner lists them: {', '.join(still_listed)}"
    show(text, as_json=as_json, removed=removed, unknown=unknown, still_watched=still_listed)


@app.command("list")
def list_symbols(
    redis_url: RedisUrl = None, data_dir: DataDir = DEFAULT_DATA_DIR, as_json: AsJson = False
) -> None:
    """List all watched symbols with their source."""
    with _watchlist(redis_url, data_dir) as watchlist:
        own, scanner = watchlist.own(), watchlist.scanner()
    lists = (("kandle", own), ("scanner", scanner))
    watched = {
        symbol: [name for name, members in lists if symbol in members]
        for symbol in sorted(own | scanner)
    }
    if as_json:
        typer.echo(json.dumps(watched))
        return
    for symbol, who in watched.items():
        typer.echo(f"{symbol}\t{','.join(who)}")
    if not own | scanner:
        typer.echo("the watchlist is empty: everything is kept", err=True)


@contextmanager
def _watchlist(redis_url: str | None, data_dir: DataDir) -> Iterator[Watchlist]:
    from shared.errors import TransientError
    from shared.realtime.watchlist import Watchlist
    from shared.stores.redis import connect

    client = connect(address(redis_url, "REDIS_URL", data_dir))
    try:
        yield Watchlist(client)
    except (TransientError, ValueError) as error:
        raise CliError(str(error)) from None
    finally:
        client.close()
