"""Options that `kandle audit` and `kandle rebuild` share: the range of candles, and the stores."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Final

import typer

from local.cli.clients.database import database, store_errors
from local.cli.options.addresses import address
from local.cli.options.times import time_us
from local.errors import CliError, NotRunningError, UsageError
from local.instance import Instance
from shared.market.shards import DEFAULT_SHARDS
from shared.market.timestamps import EPOCH

if TYPE_CHECKING:
    from pathlib import Path

    from psycopg import Connection

    from local.audit import Batch, Stores
    from shared.lake.reading.cold import Cold
    from shared.market.timeframes import Timeframe

BATCH_CANDLES: Final = 500_000

From = Annotated[
    str | None,
    typer.Option(
        "--from", metavar="T", help="First time. Default: the first tick.", show_default=False
    ),
]
To = Annotated[
    str | None,
    typer.Option(
        "--to", metavar="T", help="Time to end at. Default: the last tick.", show_default=False
    ),
]
TimeframeNames = Annotated[
    list[str] | None,
    typer.Option(
        "--timeframe", help="Only this one; repeatable. Default: all.", show_default=False
    ),
]


@dataclass(frozen=True, slots=True)
class RequestedRange:
    """Requested times (us); None: as far as there are ticks."""

    from_us: int | None
    to_us: int | None

    def of(self, connection: Connection, instrument: str, cold: Cold) -> tuple[int, int]:
        """Return the range for an instrument. Raises CliError: it has no ticks."""
        row = connection.execute(
            "SELECT first_time_us FROM first_ticks WHERE instrument = %s", (instrument,)
        ).fetchone()
        if row is None:
            raise CliError(f"no tick of {instrument!r} was ever stored")
        from shared.reading.ranges import last_tick_us

        with connection.transaction():  # keeps the plan of hot and cold data valid
            first_us, last_us = row[0], last_tick_us(connection, instrument, cold)
        from_us = first_us if self.from_us is None else self.from_us
        until = (first_us if last_us is None else last_us) + 1
        return from_us, max(until, from_us) if self.to_us is None else self.to_us

    def batches(self, connection: Connection, base: Timeframe) -> Iterator[Batch]:
        """Yield all instruments in batches with a bounded number of base candles.

        Each with a range that covers all their ticks in the requested range.
        """
        from local.audit import Batch
        from shared.reading.ranges import COARSE_US

        rows = connection.execute(
            "SELECT instrument, first_time_us, last_time_us FROM first_ticks ORDER BY 1"
        ).fetchall()
        names: list[str] = []
        low, high = 0, 0
        for name, first_us, last_us in rows:
            from_us = first_us if self.from_us is None else self.from_us
            to_us = last_us + COARSE_US + 1 if self.to_us is None else self.to_us
            wider = min(low, from_us), max(high, to_us)
            if names and (len(names) + 1) * (wider[1] - wider[0]) > BATCH_CANDLES * base.length_us:
                yield Batch(names, low, high)
                names = []
            low, high = wider if names else (from_us, max(from_us, to_us))
            names = [*names, name]
        if names:
            yield Batch(names, low, high)


def requested_range(since: str | None, until: str | None) -> RequestedRange:
    """Parse --from and --to. Raises UsageError: invalid, or an empty range."""
    from_us = None if since is None else time_us(since, "--from")
    to_us = None if until is None else time_us(until, "--to")
    if from_us is not None and to_us is not None and from_us >= to_us:
        raise UsageError(f"--from {since} is not before --to {until}: nothing lies between them")
    return RequestedRange(from_us, to_us)


def made_by(connection: Connection) -> tuple[tuple[Timeframe, ...], int]:
    """Return the timeframes and the number of shards that candles are made by.

    As candle-aggregate recorded; before its first start TIMEFRAMES and SHARDS, or the defaults.
    """
    from shared.market.timeframes import DEFAULT_LADDER, parse_ladder

    row = connection.execute("SELECT ladder, shards FROM aggregation").fetchone()
    ladder, shards = row or (os.environ.get("TIMEFRAMES", DEFAULT_LADDER), _shards())
    try:
        return parse_ladder(ladder), shards
    except ValueError as error:
        raise UsageError(f"TIMEFRAMES: {error}") from None


def _shards() -> int:
    text = os.environ.get("SHARDS", str(DEFAULT_SHARDS))
    if not (text.isascii() and text.isdigit() and int(text) > 0):
        raise UsageError(f"SHARDS={text!r} is not a whole number from 1")
    return int(text)


def chosen(names: list[str] | None, ladder: tuple[Timeframe, ...]) -> tuple[Timeframe, ...]:
    """Return the requested timeframes of a ladder, or all. Raises UsageError for an unknown one."""
    from shared.market.timeframes import Timeframe

    try:
        wanted = tuple(sorted({Timeframe.parse(name) for name in names or ()}))
    except ValueError as error:
        raise UsageError(str(error)) from None
    if unknown := [str(each) for each in wanted if each not in ladder]:
        available = ", ".join(map(str, ladder))
        raise UsageError(f"{', '.join(unknown)} is not kept; candles of {available} are")
    return wanted or ladder


@contextmanager
def stores(database_url: str | None, redis_url: str | None, data_dir: Path) -> Iterator[Stores]:
    """Yield the stores. Raises CliError: one is unreachable, or not Kandle's."""
    from local.audit import Stores
    from shared.lake.reading.cold import Cold
    from shared.stores.redis import connect
    from shared.stores.s3 import S3Access

    client = connect(address(redis_url, "REDIS_URL", data_dir))
    cold = Cold(S3Access.from_env({**_environment(data_dir), **os.environ}))
    try:
        with store_errors(), database(database_url, data_dir, autocommit=True) as connection:
            yield Stores(connection, client, cold, *made_by(connection))
    finally:
        client.close()


def _environment(data_dir: Path) -> dict[str, str]:
    try:
        return Instance.load(data_dir).env
    except NotRunningError:
        return {}


def utc(time_us_: int) -> str:
    """Format a candle's start (us since 1970) in UTC, to the second."""
    return (EPOCH + timedelta(microseconds=time_us_)).strftime("%Y-%m-%dT%H:%M:%SZ")
