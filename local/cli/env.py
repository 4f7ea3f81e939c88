"""`kandle env`: the addresses and credentials of the running instance, for a shell."""

from __future__ import annotations

import shlex

import typer

from local.cli.options import DataDir
from local.instance import DEFAULT_DATA_DIR, Instance

_HELP = """Print the addresses and credentials of the running instance, as shell lines.

Examples:

  eval "$(kandle env)"

  eval "$(kandle env)"; psql "$DATABASE_URL"

  kandle env --data-dir /var/tmp/kandle | grep API_URL
"""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("env", help=_HELP)(env)


def env(data_dir: DataDir = DEFAULT_DATA_DIR) -> None:
    """Print one `export NAME='value'` for each."""
    for name, value in Instance.load(data_dir).env.items():
        typer.echo(f"export {name}={quoted(value)}")


def quoted(value: str) -> str:
    """Quote a value for a POSIX shell; in single quotes even where it needs none."""
    bare = shlex.quote(value)
    return f"'{value}'" if bare == value else bare
