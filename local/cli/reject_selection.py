"""Selection of rejects for `kandle rejects list` and `replay`: options, and a condition in SQL."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Final

import typer

from local.cli.times import time_us
from local.errors import CliError

WHERE: Final = """
WHERE (%(code)s::text IS NULL OR code = %(code)s)
  AND (%(text)s::bytea IS NULL OR position(%(text)s::bytea IN original) > 0)
  AND (%(since_us)s::bigint IS NULL OR receive_time_us >= %(since_us)s)
"""

Contains = Annotated[
    str | None,
    typer.Option(
        "--symbol-contains", metavar="TEXT", help="Only input that contains this text.",
        show_default=False,
    ),
]  # fmt: skip
Code = Annotated[
    str | None, typer.Option(help="Only this reason, such as bad_price.", show_default=False)
]
Since = Annotated[
    str | None,
    typer.Option(
        metavar="T",
        help="Only what was received since: -1h, ISO 8601 (UTC), or a time since 1970.",
        show_default=False,
    ),
]


def selected(contains: str | None, code: str | None, since: str | None) -> dict[str, Any]:
    """Return the parameters of WHERE for the options. Raises CliError."""
    return {
        "code": code,
        "text": None if contains is None else contains.encode(),
        "since_us": None if since is None else since_us(since),
    }


def since_us(text: str) -> int:
    """Parse --since as microseconds since 1970. Raises CliError."""
    try:
        return time_us(text, datetime.now(UTC))
    except ValueError as error:
        raise CliError(f"--since: {error}") from None
