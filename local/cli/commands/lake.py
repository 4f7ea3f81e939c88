"""`kandle lake`: import a lake of the old layout; and the lake's address, for other commands."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from local.cli.clients.database import database, postgres_pool
from local.cli.options.addresses import address
from local.cli.options.common import DEFAULT_DATA_DIR, DatabaseUrl, DataDir, JsonLines
from local.cli.output.result import show
from local.errors import CliError

if TYPE_CHECKING:
    from shared.lake.maintenance.failures import Failure
    from shared.stores.s3 import S3Access


app = typer.Typer(name="lake", no_args_is_help=True, help="The lake's tables in object storage.")


@app.command("take-over")
def take_over(
    database_url: DatabaseUrl = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    json_lines: JsonLines = False,
) -> None:
    """Import a lake of Parquet files in folders by symbol."""
    from shared.lake import takeover

    with postgres_pool(database_url, data_dir) as postgres:
        for each in takeover.take_over(postgres, object_access(data_dir)):
            text = f"{each.kind} of {each.day}: {each.objects:,} objects, {each.rows:,} rows"
            show(text, as_json=json_lines, **each._asdict())
    typer.echo("nothing left to import", err=json_lines)


@app.command("status")
def status(
    database_url: DatabaseUrl = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    json_lines: JsonLines = False,
) -> None:
    """Show what fails of the lake's work: since when, in how many rounds, and why."""
    url = address(database_url, "DATABASE_URL", data_dir)
    found = failing(url)
    if found is None:
        raise CliError("Postgres does not answer; is the instance up?")
    for each in found:
        show(failure_text(each), as_json=json_lines, **each._asdict())
    if not found:
        typer.echo("nothing fails", err=json_lines)


def failing(url: str) -> list[Failure] | None:
    """Return the work of the lake that fails; None while Postgres is away."""
    from shared.lake.maintenance.failures import failures

    try:
        with database(url, Path()) as connection:
            return failures(connection)
    except CliError:
        return None


def failure_text(failure: Failure) -> str:
    """Return a sentence of it, with where to read what to do."""
    times = "once" if failure.rounds == 1 else f"{failure.rounds} times in a row"
    return (
        f"lake: {failure.work} failed {times} since {failure.since:%Y-%m-%d %H:%M:%S %Z}:"
        f" {failure.reason} (docs/runbook.md#kandlelakefails)"
    )


def object_access(data_dir: Path) -> S3Access:
    """Return the object storage of the environment, else of the running instance."""
    from shared.stores.s3 import S3Access

    access = S3Access.from_env(os.environ)
    if access.endpoint:
        return access
    return S3Access(
        *(
            address(None, name, data_dir, name)
            for name in ("S3_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
        )
    )


def metadata_of(env: dict[str, str]) -> dict[str, str]:
    """Return the location of each table's newest metadata, by table name."""
    with database(env["DATABASE_URL"], Path()) as connection:
        rows = connection.execute(
            "SELECT table_name, metadata_location FROM iceberg_tables ORDER BY table_name DESC"
        ).fetchall()
    if not rows:
        raise CliError("the lake has no table yet: `kandle snapshot take` makes the first copy")
    return dict(rows)
