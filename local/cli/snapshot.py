"""`kandle snapshot`: what object storage has, a copy of what waits for it, and the way back."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final

import typer

from local.cli.addresses import address
from local.cli.candle_range import RedisUrl, ladder_of, shards, utc
from local.cli.errors import CliError
from local.cli.options import DataDir
from local.cli.retention import DatabaseUrl
from local.cli.times import time_us
from local.errors import UsageError
from local.instance import DEFAULT_DATA_DIR

_LIST = """
SELECT bucket, path, instrument, timeframe, row_count, byte_count, whole, verified_at IS NOT NULL,
       min_time_us / 1000, max_time_us / 1000
FROM lake_files
WHERE superseded_at IS NULL AND (%(symbol)s::text IS NULL OR instrument = %(symbol)s)
ORDER BY bucket, instrument, timeframe, from_us, id
"""

_RESTORE_HELP = """Bring the live state back: latest trades and open candles.

Candles are a function of the stored ticks, so they are made from these anew. Where Postgres was
lost, its record of the lake and the ticks of the last two days are first brought back from object
storage; then --at leaves out ticks that came later. At the end all is held against the last
snapshot before that time: exit 1 when anything of it is missing.

Examples:

  kandle snapshot restore

  kandle snapshot restore --at 2026-11-21T14:30
"""

PATIENCE_S: Final = 60.0


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(no_args_is_help=True, help="Snapshots in object storage.")
    group.command("list", help="List the files that count, and the copies of the live state.")(
        list_files
    )
    group.command("take", help="Copy all stored ticks that wait, and the live state, now.")(take)
    group.command("restore", help=_RESTORE_HELP)(restore)
    app.add_typer(group, name="snapshot")


def list_files(
    symbol: Annotated[
        str | None, typer.Option(help="Only this instrument.", show_default=False)
    ] = None,
    json_lines: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
    paths: Annotated[bool, typer.Option("--paths", help="Only s3:// addresses.")] = False,
    database_url: DatabaseUrl = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
) -> None:
    """Show what `lake_files` says, and which state snapshots there are."""
    from local.cli.lake import object_access
    from shared.lake.states import STATE, list_states
    from shared.stores.postgres import Postgres
    from shared.stores.s3 import ObjectStore

    postgres = Postgres(address(database_url, "DATABASE_URL", "--database-url", data_dir), size=1)
    try:
        with postgres.connection() as connection:
            rows = connection.execute(_LIST, {"symbol": symbol}).fetchall()
    finally:
        postgres.close()
    states = [] if symbol else list(list_states(ObjectStore(object_access(data_dir))))
    names = ("bucket", "path", "symbol", "timeframe", "rows", "bytes", "whole", "verified")
    for row in rows:
        if paths:
            typer.echo(f"s3://{row[0]}/{row[1]}")
        elif json_lines:
            typer.echo(json.dumps(dict(zip((*names, "first", "last"), row, strict=True))))
        else:
            state = "verified" if row[7] else "whole" if row[6] else "part"
            folder = row[1].rpartition("/")[0]
            typer.echo(f"{row[0]:8}{folder:60}{row[4]:>10,} rows{row[5]:>12,} bytes  {state}")
    for each in states:
        if paths:
            typer.echo(f"s3://{STATE}/{each.key}")
        elif json_lines:
            told = {"bucket": STATE, "path": each.key, "bytes": each.bytes}
            typer.echo(json.dumps({**told, "taken": each.taken_us // 1000}))
        else:
            typer.echo(f"{STATE:8}{utc(each.taken_us):75}{each.bytes:>12,} bytes")
    if not json_lines and not paths:
        total, size = sum(row[4] for row in rows), sum(row[5] for row in rows)
        typer.echo(
            f"{len(rows)} files, {total:,} rows, {size:,} bytes; {len(states)} of the live state"
        )


def take(
    database_url: DatabaseUrl = None,
    redis_url: RedisUrl = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
) -> None:
    """Copy all that is stored by now, and the live state."""
    from local.cli.lake import object_access
    from shared.errors import TransientError
    from shared.lake.snapshot import copy_stored
    from shared.lake.states import read_state, take_state
    from shared.stores.postgres import Postgres
    from shared.stores.redis import connect
    from shared.stores.s3 import ObjectStore

    postgres = Postgres(address(database_url, "DATABASE_URL", "--database-url", data_dir), size=1)
    client = connect(address(redis_url, "REDIS_URL", "--redis-url", data_dir))
    store = ObjectStore(object_access(data_dir))
    try:
        count = copy_stored(postgres, store, patience_s=PATIENCE_S)
        taken = take_state(postgres, client, store, shards(), time.time_ns() // 1000)
        state = read_state(store, taken)
    except TransientError as error:
        raise CliError(f"{error}; is the instance up?") from None
    finally:
        client.close()
        postgres.close()
    candles = sum(len(each.candles) for each in state.instruments.values())
    typer.echo(f"{count} segments copied")
    typer.echo(
        f"live state of {utc(taken.taken_us)} copied:"
        f" {len(state.instruments)} instruments, {candles} open candles"
    )


def restore(
    at: Annotated[
        str | None,
        typer.Option(
            metavar="T", help="The time to go back to. Default: all there is.", show_default=False
        ),
    ] = None,
    wait_s: Annotated[
        float,
        typer.Option("--wait", min=1, metavar="SECONDS", help="How long to wait for progress."),
    ] = 60.0,
    broker_url: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="The Broker of ticks. Default: the running instance's.",
            show_default=False,
        ),
    ] = None,
    database_url: DatabaseUrl = None,
    redis_url: RedisUrl = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
) -> None:
    """Bring back, and tell what came."""
    from local.cli.lake import object_access
    from local.restore import Restore
    from shared.errors import TransientError

    try:
        now_us = time.time_ns() // 1000
        at_us = now_us if at is None else time_us(at, datetime.now(UTC))
    except ValueError as error:
        raise UsageError(f"--at: {error}") from None
    try:
        with Restore.over(
            address(database_url, "DATABASE_URL", "--database-url", data_dir),
            address(redis_url, "REDIS_URL", "--redis-url", data_dir),
            object_access(data_dir),
            ladder_of(None),
            shards(),
            wait_s,
            typer.echo,
        ) as work:
            chosen = work.snapshot(at_us)
            if chosen is None:
                when = "" if at is None else f" before {utc(at_us)}"
                raise CliError(f"there is no copy of the live state{when}: `kandle snapshot list`")
            missing = work.run(chosen, at_us, lambda: _broker(broker_url, data_dir))
    except TransientError as error:
        raise CliError(f"{error}; is the instance up?") from None
    for line in missing:
        typer.echo(line, err=True)
    if missing:
        raise CliError(f"{len(missing)} things of the snapshot are not back")
    typer.echo("all that the snapshot has is there")


def _broker(given: str | None, data_dir: Path) -> str:
    from local.cli.dlq import resolve
    from local.instance import Instance
    from local.topology.addressable import INGRESS_HOST

    if given:
        return given
    return resolve(f"http://{INGRESS_HOST}/kandle/ticks", Instance.load(data_dir).addresses)
