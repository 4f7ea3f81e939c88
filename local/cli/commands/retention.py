"""`kandle retention`: days due to leave Postgres, and why the rest stays."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from local.cli.clients.database import postgres_pool
from local.cli.options.common import DEFAULT_DATA_DIR, DatabaseUrl, DataDir, JsonLines
from local.cli.output.result import show

app = typer.Typer()


@app.command("retention")
def retention(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what would be dropped, and why the rest stays.")
    ] = False,
    tick_hours: Annotated[
        int, typer.Option(envvar="KEEP_TICKS_H", min=0, help="Hours to keep ticks; 0: forever.")
    ] = 24,
    candle_days: Annotated[
        int, typer.Option(envvar="KEEP_CANDLES_D", min=0, help="Days to keep candles; 0: forever.")
    ] = 30,
    database_url: DatabaseUrl = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    json_lines: JsonLines = False,
) -> None:
    """Drop days from Postgres that are verified to be in the lake."""
    from local.cli.commands.lake import object_access
    from shared.lake.maintenance.job import Keeper
    from shared.lake.maintenance.schedule import old_candle_days, old_days
    from shared.lake.maintenance.settings import Terms
    from shared.stores.s3 import ObjectStore

    terms = Terms(tick_hours, candle_days)
    now_us = time.time_ns() // 1000
    with postgres_pool(database_url, data_dir) as postgres:
        if not dry_run:
            access = object_access(data_dir)
            jobs = Keeper(postgres, access, ObjectStore(access), terms)
            jobs.retain(now_us, time.monotonic() + 3_600)
        days = [("ticks", each.day, each.waits_for) for each in old_days(postgres, terms, now_us)]
        days += [("candles", day, "") for day in old_candle_days(postgres, terms, now_us)]
        for of, day, waits_for in days:
            state = f"waits for {waits_for}" if waits_for else "would go, once verified"
            text = f"{of} {day}: {state}"
            show(text, as_json=json_lines, of=of, day=day, waits_for=waits_for or None)
        if not days and not json_lines:
            typer.echo("nothing in Postgres is past its retention")
