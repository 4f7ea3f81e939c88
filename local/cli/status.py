"""`kandle status`: what runs, and what flows through it."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from local.cli.options import DataDir
from local.instance import DEFAULT_DATA_DIR, Instance, load_status

_HELP = """Show what runs on the data directory, and what flows through it.

Examples:

  kandle status

  kandle status --json | jq .lag
"""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("status", help=_HELP)(status)


def status(
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print all of it for programs (no credentials).")
    ] = False,
) -> None:
    """Print the status of the running instance."""
    instance = Instance.load(data_dir)
    sample = load_status(data_dir)
    if as_json:
        about = {"pid": instance.pid, "started_at": instance.started_at}
        typer.echo(json.dumps({**about, "data_dir": instance.data_dir, **sample}, indent=2))
        return
    from rich.table import Table

    from local.cli import display

    console = display.console()
    console.print(f"process {instance.pid} since {instance.started_at}, data {instance.data_dir}")
    console.print(display.component_table(instance.components))
    if not sample:
        console.print("no sample yet")
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("trigger", "lag"):
        table.add_column(column, justify="right" if column == "lag" else "left")
    for name, lag in sample["lag"].items():
        table.add_row(name, f"{lag:,}")
    console.print(table)
    restarts = [each for each in sample["components"] if each["restarts"]]
    for each in restarts:
        console.print(f"{each['name']} was restarted {each['restarts']} times", style="yellow")
    console.print(display.status_line({**sample, "lag": {}}))
