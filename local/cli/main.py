"""The command `kandle`: registers the commands, and turns errors into one line for people."""

from __future__ import annotations

import os
import sys

import typer
from rich.console import Console
from rich.markup import escape

from local.cli import candles, demo, dlq, env, rejects, replay, simulate, status, up
from local.errors import PlatformError

DEBUG_VARIABLE = "KANDLE_DEBUG"

app = typer.Typer(
    name="kandle",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Kandle: ticks in, exact OHLCV candles out, through CloudEvents functions on Knative.\n\n"
    "Try [bold]kandle demo[/bold] to see it work, or [bold]kandle up[/bold] in one terminal and, "
    "in another, [bold]kandle replay FILE[/bold] and [bold]kandle candles BTC-USD --watch[/bold].",
)
for command in (up, demo, status, env, replay, simulate, candles, rejects, dlq):
    command.register(app)


def main() -> None:
    """Run the command line; exit code 0, 1 (it failed) or 2 (it was called wrongly)."""
    try:
        app()
    except PlatformError as error:
        if os.environ.get(DEBUG_VARIABLE):
            raise
        console = Console(stderr=True, highlight=False, soft_wrap=True)
        console.print(f"[bold red]kandle:[/bold red] {escape(str(error))}", emoji=False)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
