"""The commands of `kandle`, put together. What they need to work is loaded when one is called."""

from __future__ import annotations

from importlib import metadata
from typing import Annotated

import typer

from local.cli import (
    alert,
    audit,
    backfill,
    backtest,
    candles,
    demo,
    dlq,
    doctor,
    env,
    feeds,
    forget,
    import_,
    lake,
    patterns,
    rebuild,
    rejects,
    replay,
    retention,
    simulate,
    snapshot,
    status,
    tail,
    up,
    watch,
)

app = typer.Typer(
    name="kandle",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Kandle: ticks in, exact OHLCV candles out, through CloudEvents functions on Knative.\n\n"
    "Try [bold]kandle demo[/bold] to see it work, or [bold]kandle up[/bold] in one terminal and, "
    "in another, [bold]kandle replay FILE[/bold] and [bold]kandle candles BTC-USD --watch[/bold].",
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"kandle {metadata.version('kandle')}")
        raise typer.Exit


@app.callback()
def kandle(
    version: Annotated[
        bool,
        typer.Option("--version", help="Print the version.", callback=_version, is_eager=True),
    ] = False,
) -> None:
    """Read what is asked of no command."""


for command in (
    *(
        up,
        demo,
        status,
        doctor,
        env,
        replay,
        import_,
        backfill,
        simulate,
        candles,
        tail,
        rejects,
        dlq,
    ),
    *(feeds, audit, rebuild, watch, patterns, alert, backtest, snapshot, retention, forget, lake),
):
    command.register(app)
