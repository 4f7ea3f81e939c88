"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Final

import typer

from local import instance
from local.cli.options.addresses import flag_of

DEFAULT_DATA_DIR: Final = instance.DEFAULT_DATA_DIR
DataDir = Annotated[
    Path,
    typer.Option(
        "--data-dir",
        envvar=instance.DATA_DIR_VARIABLE,
        help="Where the instance keeps its data, credentials and logs.",
        file_okay=False,
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
JsonLines = Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")]


def url_option(name: str, description: str) -> Any:
    """Return the option for a server's address, or its variable: `--api-url`, API_URL."""
    return typer.Option(
        flag_of(name),
        envvar=name,
        metavar="URL",
        help=f"{description} Default: the running instance's.",
        show_default=False,
    )


ApiUrl = Annotated[str | None, url_option("API_URL", "The history API.")]
DatabaseUrl = Annotated[str | None, url_option("DATABASE_URL", "The Postgres database.")]
NatsUrl = Annotated[str | None, url_option("NATS_URL", "The NATS server.")]
RedisUrl = Annotated[str | None, url_option("REDIS_URL", "The Redis server.")]
BrokerUrl = Annotated[
    str | None,
    typer.Option(metavar="URL", help="The Broker of ticks. Default: the running instance's."),
]
