"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from local.instance import DATA_DIR_VARIABLE

DataDir = Annotated[
    Path,
    typer.Option(
        "--data-dir",
        envvar=DATA_DIR_VARIABLE,
        help="Where the instance keeps its data, credentials and logs.",
        file_okay=False,
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
JsonLines = Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")]
BrokerUrl = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        help="The Broker of ticks. Default: the running instance's.",
        show_default=False,
    ),
]
