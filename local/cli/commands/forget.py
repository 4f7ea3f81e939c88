"""`kandle forget`: remove unused instruments from live state."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Final, NamedTuple

import typer

from local.cli.options.candle_range import stores, utc
from local.cli.options.common import DEFAULT_DATA_DIR, DatabaseUrl, DataDir, JsonLines, RedisUrl
from local.cli.output.result import show
from local.errors import CliError

if TYPE_CHECKING:
    import redis
    from psycopg import Connection

_STORED: Final = "SELECT first_time_us, last_time_us FROM first_ticks WHERE instrument = %s"
_QUOTE: Final = "SELECT FROM latest_quotes WHERE instrument = %s"
_REQUEST: Final = """
    INSERT INTO unused_instruments (instrument, requested_at) VALUES (%s, now())
    ON CONFLICT (instrument) DO UPDATE SET requested_at = excluded.requested_at
"""
_DELETE_QUOTE: Final = "DELETE FROM latest_quotes WHERE instrument = %s"

Symbols = Annotated[list[str], typer.Argument(metavar="SYMBOL...")]


app = typer.Typer()


@app.command("forget")
def forget(
    symbols: Symbols,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what would be removed; change nothing.")
    ] = False,
    database_url: DatabaseUrl = None,
    redis_url: RedisUrl = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    json_lines: JsonLines = False,
) -> None:
    """Remove instruments from live data: latest prices and quotes, and Redis.

    Stored ticks, candles and history stay: they share rows and files with other instruments, and
    expire by KEEP_TICKS_H, KEEP_CANDLES_D and KEEP_LAKE_D. An instrument with an open candle is
    removed once that is closed and stored (for an open day, after the day). If it is sent again,
    it comes back exactly as it was. Unused instruments are removed automatically after
    KEEP_INSTRUMENTS_D days.

    Examples:

      kandle forget BTX-USD --dry-run

      kandle forget BTX-USD EHT-USD
    """
    from shared.realtime.pattern_series import end_instrument

    with stores(database_url, redis_url, data_dir) as (connection, client, _, _, shards):
        stored = {
            name: _stored_state(connection, client, shards, name) for name in dict.fromkeys(symbols)
        }
        if unknown := [name for name, each in stored.items() if not any(each)]:
            raise CliError(f"nothing is known of {', '.join(map(repr, unknown))}")
        for name, each in stored.items():
            line = f"{name}: {each.summary(dry_run=dry_run)}"
            show(line, as_json=json_lines, symbol=name, dry_run=dry_run, **each._asdict())
            if not dry_run:
                with connection.transaction():
                    connection.execute(_DELETE_QUOTE, (name,))
                    if each.is_live:
                        connection.execute(_REQUEST, (name,))
                end_instrument(client, shards, name, time.time_ns() // 1_000_000)


class _StoredState(NamedTuple):
    """State of an instrument. `stored_us`: its first and last stored tick, approximately."""

    is_live: bool
    has_quote: bool
    stored_us: tuple[int, int] | None

    def summary(self, *, dry_run: bool) -> str:
        """Return what is removed and what stays."""
        live = "is not live"
        if self.is_live:
            goes = "would leave" if dry_run else "leaves"
            live = f"{goes} what is live once its candles are stored"
        verb = "would be" if dry_run else "is"
        quote = f"; its latest quote {verb} deleted" if self.has_quote else ""
        if self.stored_us is None:
            return f"{live}{quote}; no tick of it is stored"
        first, last = map(utc, self.stored_us)
        return f"{live}{quote}; its ticks of {first} to {last} and their candles stay"


def _stored_state(
    connection: Connection, client: redis.Redis, shards: int, name: str
) -> _StoredState:
    from shared.market.shards import shard_of
    from shared.realtime.keys import Keys
    from shared.stores.redis import translated

    with translated():
        is_live = bool(client.hexists(Keys(shard_of(name, shards)).instruments, name))
    stored = connection.execute(_STORED, (name,)).fetchone()
    has_quote = connection.execute(_QUOTE, (name,)).fetchone() is not None
    return _StoredState(is_live, has_quote, stored)
