"""`kandle snapshot`: what the lake has, and a copy of what waits for it now."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from local.cli.addresses import address
from local.cli.options import DataDir
from local.cli.retention import DatabaseUrl
from local.instance import DEFAULT_DATA_DIR

_LIST = """
SELECT bucket, path, instrument, timeframe, row_count, byte_count, whole, verified_at IS NOT NULL,
       min_time_us / 1000, max_time_us / 1000
FROM lake_files
WHERE superseded_at IS NULL AND (%(symbol)s::text IS NULL OR instrument = %(symbol)s)
ORDER BY bucket, instrument, timeframe, from_us, id
"""


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(no_args_is_help=True, help="Snapshots: Parquet in object storage.")
    group.command("list", help="List the files that count.")(list_files)
    group.command("take", help="Copy all stored ticks that wait, now.")(take)
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
    """Show what `lake_files` says."""
    from shared.stores.postgres import Postgres

    postgres = Postgres(address(database_url, "DATABASE_URL", "--database-url", data_dir), size=1)
    try:
        with postgres.connection() as connection:
            rows = connection.execute(_LIST, {"symbol": symbol}).fetchall()
    finally:
        postgres.close()
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
    if not json_lines and not paths:
        total, size = sum(row[4] for row in rows), sum(row[5] for row in rows)
        typer.echo(f"{len(rows)} files, {total:,} rows, {size:,} bytes")


def take(database_url: DatabaseUrl = None, data_dir: DataDir = DEFAULT_DATA_DIR) -> None:
    """Copy what waits; another that is at it makes this wait for nothing."""
    from local.cli.lake import object_access
    from shared.lake.snapshot import copy_ticks
    from shared.stores.postgres import Postgres
    from shared.stores.s3 import ObjectStore

    postgres = Postgres(address(database_url, "DATABASE_URL", "--database-url", data_dir), size=1)
    store, count = ObjectStore(object_access(data_dir)), 0
    try:
        while some := copy_ticks(postgres, store, after_s=0):
            count += some
    finally:
        postgres.close()
    typer.echo(f"{count} segments copied")
