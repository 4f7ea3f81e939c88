"""`kandle snapshot`: list snapshots in object storage, take one, restore one."""

from __future__ import annotations

import json
import time
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from local.cli.clients.database import postgres_pool
from local.cli.options.addresses import address, ticks_broker
from local.cli.options.candle_range import made_by, utc
from local.cli.options.common import (
    DEFAULT_DATA_DIR,
    AsJson,
    BrokerUrl,
    DatabaseUrl,
    DataDir,
    JsonLines,
    RedisUrl,
)
from local.cli.options.times import time_us
from local.cli.output.display import print_table
from local.cli.output.result import show
from local.errors import CliError

if TYPE_CHECKING:
    from pyiceberg.table.snapshots import Snapshot

PATIENCE_S: Final = 60.0
_COUNTS: Final = ("rows", "added", "files")


app = typer.Typer(name="snapshot", no_args_is_help=True, help="Snapshots in object storage.")


@app.command("list")
def list_snapshots(
    json_lines: JsonLines = False,
    paths: Annotated[
        bool, typer.Option("--paths", help="Only s3:// addresses of the current data.")
    ] = False,
    database_url: DatabaseUrl = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
) -> None:
    """List the tables' snapshots, and the copies of the live state."""
    from local.cli.commands.lake import object_access
    from shared.lake.catalog import open_table
    from shared.lake.states import STATE, list_states
    from shared.lake.tables.definitions import CANDLES, TICKS
    from shared.stores.s3 import ObjectStore

    access = object_access(data_dir)
    with postgres_pool(database_url, data_dir) as postgres:
        with postgres.connection() as connection:
            tables = [open_table(connection, access, each) for each in (TICKS, CANDLES)]
        states = list(list_states(ObjectStore(access)))
    if paths:
        for table in tables:
            for task in table.scan().plan_files():
                typer.echo(task.file.file_path)
        for state in states:
            typer.echo(f"s3://{STATE}/{state.key}")
        return
    rows = [_shown(table.name()[-1], each) for table in tables for each in table.snapshots()]
    rows += [
        {"of": STATE, "time": each.taken_us // 1000, "path": each.key, "bytes": each.bytes}
        for each in states
    ]
    if json_lines:
        for row in rows:
            typer.echo(json.dumps(row))
    else:
        print_table(
            ("of", "time (UTC)", *_COUNTS, "bytes", "snapshot"),
            map(_cells, rows),
            right=(*_COUNTS, "bytes"),
            drops=("snapshot", "files", "added"),
            is_boxed=False,
        )
        typer.echo(f"{len(rows) - len(states)} of the tables, {len(states)} of the live state")


def _shown(name: str, snapshot: Snapshot) -> dict[str, Any]:
    summary = snapshot.summary
    assert summary is not None
    numbers = {
        "rows": "total-records",
        "files": "total-data-files",
        "bytes": "total-files-size",
        "added": "added-records",
        "position": "kandle.position",
    }
    return {
        "of": name,
        "time": snapshot.timestamp_ms,
        "snapshot": snapshot.snapshot_id,
        **{shown: int(summary[key] or 0) for shown, key in numbers.items()},
    }


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    counts = [f"{row[name]:,}" if name in row else "" for name in _COUNTS]
    identity = str(row.get("snapshot") or row["path"])
    return row["of"], utc(row["time"] * 1000), *counts, f"{row['bytes']:,}", identity


@app.command("take")
def take(
    database_url: DatabaseUrl = None,
    redis_url: RedisUrl = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """Copy the live state, and then pending stored ticks, now."""
    from local.cli.commands.lake import object_access
    from shared.lake.maintenance.snapshot import copy_stored
    from shared.lake.states import read_state, take_state
    from shared.stores.redis import connect
    from shared.stores.s3 import ObjectStore

    access = object_access(data_dir)
    store = ObjectStore(access)
    with (
        postgres_pool(database_url, data_dir) as postgres,
        closing(connect(address(redis_url, "REDIS_URL", data_dir))) as client,
    ):
        with postgres.connection() as connection:
            _, shards = made_by(connection)
        taken = take_state(postgres, client, store, shards, time.time_ns() // 1000)
        count = copy_stored(postgres, access, patience_s=PATIENCE_S)  # with all that it has seen
        state = read_state(store, taken)
    candles = sum(len(each.candles) for each in state.instruments.values())
    live = {"time": taken.taken_us // 1000, "path": taken.key, "bytes": taken.bytes}
    live |= {"instruments": len(state.instruments), "open_candles": candles}
    text = (
        f"{count:,} ticks copied\nlive state of {utc(taken.taken_us)} copied:"
        f" {len(state.instruments)} instruments, {candles} open candles"
    )
    show(text, as_json=as_json, ticks=count, live_state=live)


@app.command("restore")
def restore(
    at: Annotated[
        str | None,
        typer.Option(
            metavar="T", help="Point in time to restore. Default: the latest.", show_default=False
        ),
    ] = None,
    wait_s: Annotated[
        float,
        typer.Option("--wait", min=1, metavar="SECONDS", help="How long to wait for progress."),
    ] = 60.0,
    broker_url: BrokerUrl = None,
    database_url: DatabaseUrl = None,
    redis_url: RedisUrl = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """Restore the live state: latest trades and open candles.

    Candles are a function of the stored ticks, so they are rebuilt from them. If Postgres was lost,
    the lake's tables are attached to this database, and the ticks of the last two days are ingested
    again from their last snapshot; --at leaves out ticks received later. Finally everything is
    compared with the last snapshot before that time: exit 1 if anything is missing.

    Examples:

      kandle snapshot restore

      kandle snapshot restore --at 2026-11-21T14:30
    """
    from local.cli.commands.lake import object_access
    from local.restore import Restore
    from shared.stores.redis import connect

    at_us = time.time_ns() // 1000 if at is None else time_us(at, "--at")
    with (
        postgres_pool(database_url, data_dir) as postgres,
        closing(connect(address(redis_url, "REDIS_URL", data_dir))) as client,
    ):
        with postgres.connection() as connection:
            ladder, shards = made_by(connection)
        report = partial(typer.echo, err=as_json)
        work = Restore(postgres, client, object_access(data_dir), ladder, shards, wait_s, report)
        copy = work.snapshot(at_us)
        if copy is None:
            when = "" if at is None else f" before {utc(at_us)}"
            raise CliError(f"there is no copy of the live state{when}: `kandle snapshot list`")
        missing = work.run(copy, at_us, lambda: ticks_broker(broker_url, data_dir))
    if as_json:
        typer.echo(json.dumps({"time": copy.taken_us // 1000, "missing": missing}))
    for line in missing:
        typer.echo(line, err=True)
    if missing:
        raise CliError(f"{len(missing)} things of the snapshot are not back")
    if not as_json:
        typer.echo("everything in the snapshot is present")
