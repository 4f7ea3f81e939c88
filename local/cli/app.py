"""The command line of `kandle`. A command's module is loaded only when it is called."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module, metadata
from typing import Annotated, Final

import typer

MODULES: Final = {
    **{name: name for name in ("up", "demo", "status", "doctor", "env", "replay")},
    "import": "import_",
    **{name: name for name in ("backfill", "simulate", "candles", "tail", "rejects", "dlq")},
    "feeds": "feeds",
    "feed": "feeds",
    **{name: name for name in ("audit", "rebuild", "watch", "patterns", "alert", "backtest")},
    **{name: name for name in ("snapshot", "retention", "forget", "lake")},
}
"""The module of each command; `kandle --help` has their order."""

_HELP: Final = (
    "Kandle: ticks in, exact OHLCV candles out, through CloudEvents functions on Knative.\n\n"
    "Try [bold]kandle demo[/bold] to see it work, or [bold]kandle up[/bold] in one terminal and, "
    "in another, [bold]kandle replay FILE[/bold] and [bold]kandle candles BTC-USD --watch[/bold]."
)


def command_line(arguments: Sequence[str] = ()) -> typer.Typer:
    """Return the command line for these arguments: only the named command, or all."""
    app = typer.Typer(
        name="kandle",
        no_args_is_help=True,
        rich_markup_mode="rich",
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
        help=_HELP,
    )
    app.callback()(kandle)
    names = [arguments[0]] if arguments and arguments[0] in MODULES else MODULES
    for module in dict.fromkeys(MODULES[name] for name in names):
        app.add_typer(import_module(f"local.cli.commands.{module}").app)
    return app


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"kandle {metadata.version('kandle')}")
        raise typer.Exit


def kandle(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    """Options without a command."""
