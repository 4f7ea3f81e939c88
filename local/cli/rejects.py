"""`kandle rejects`: read back the input that was no tick, with the reason of each."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from local.cli.addresses import address
from local.cli.dead_letter_text import one_line
from local.cli.errors import CliError
from local.cli.options import DataDir
from local.cli.times import EPOCH, time_us
from local.instance import DEFAULT_DATA_DIR

if TYPE_CHECKING:
    from psycopg import Connection

CONNECT_TIMEOUT_S: Final = 5
UNBOUNDED_WIDTH: Final = 240
EXCERPT_CHARS: Final = 80
DETAIL_CHARS: Final = 120


_WHERE: Final = """
WHERE (%(code)s::text IS NULL OR code = %(code)s)
  AND (%(text)s::bytea IS NULL OR position(%(text)s::bytea IN original) > 0)
  AND (%(since_us)s::bigint IS NULL OR receive_time_us >= %(since_us)s)
"""
_NEWEST: Final = (
    "SELECT receive_time_us, code, detail, original, source, sequence FROM rejects {}"
    " ORDER BY receive_time_us DESC, source DESC, sequence DESC LIMIT %(limit)s"
)
_COUNTS: Final = "SELECT code, count(*) FROM rejects {} GROUP BY code ORDER BY count(*) DESC, code"


@dataclass(frozen=True, slots=True)
class Kept:
    """A reject as it is stored. `original` is as received; `receive_time_us` since 1970 UTC."""

    receive_time_us: int
    code: str
    detail: str
    original: bytes
    source: str
    sequence: int


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(
        no_args_is_help=True,
        help="Rejects: input that is no tick. Nothing is dropped without one; each is kept whole, "
        "with its reason.",
    )
    group.command("list", help="List the newest rejects, oldest first, and count each code.")(
        list_rejects
    )
    app.add_typer(group, name="rejects")


def list_rejects(
    symbol_contains: Annotated[
        str | None,
        typer.Option(metavar="TEXT", help="Only input that holds this text.", show_default=False),
    ] = None,
    code: Annotated[
        str | None,
        typer.Option(help="Only this reason, such as bad_price.", show_default=False),
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(
            metavar="T",
            help="Only what came since: -1h, ISO 8601 (UTC), or a time since 1970.",
            show_default=False,
        ),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="Most rejects to list.")] = 50,
    json_lines: Annotated[
        bool,
        typer.Option("--json", help="One JSON object a line; the counts go to standard error."),
    ] = False,
    database_url: Annotated[
        str | None,
        typer.Option(
            envvar="DATABASE_URL",
            metavar="URL",
            help="The Postgres database. Default: the running instance's.",
            show_default=False,
        ),
    ] = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
) -> None:
    """Read rejects from Postgres and show them."""
    from psycopg import sql
    from psycopg.rows import class_row

    newest, counted = (sql.SQL(each).format(sql.SQL(_WHERE)) for each in (_NEWEST, _COUNTS))
    wanted = {
        "code": code,
        "text": None if symbol_contains is None else symbol_contains.encode(),
        "since_us": None if since is None else since_us(since),
        "limit": limit,
    }
    url = address(database_url, "DATABASE_URL", "--database-url", data_dir)
    with _database(url) as connection:
        with connection.cursor(row_factory=class_row(Kept)) as cursor:
            found = cursor.execute(newest, wanted).fetchall()[::-1]
        counts = connection.execute(counted, wanted).fetchall()
    if json_lines:
        for kept in found:
            typer.echo(json.dumps(as_json(kept)))
    elif found:
        _print_table(found)
    else:
        typer.echo("no rejects")
    for each, count in counts:
        typer.echo(f"{excerpt(each.encode())}: {count:,}", err=json_lines)
    total = sum(count for _, count in counts)
    if total > len(found):
        typer.echo(f"{total:,} rejects, the newest {len(found):,} shown; see --limit", err=True)


def since_us(text: str) -> int:
    """Read --since as microseconds since 1970. Raises CliError."""
    try:
        return time_us(text, datetime.now(UTC))
    except ValueError as error:
        raise CliError(f"--since: {error}") from None


def excerpt(original: bytes, limit: int = EXCERPT_CHARS) -> str:
    """Return the start of what came, on one line: what is not printable is written as escapes."""
    text = original[: limit * 4].decode("utf-8", "backslashreplace")
    shown = "".join(
        c if c.isprintable() else c.encode("unicode_escape").decode() for c in text[: limit + 1]
    )
    whole = len(shown) <= limit and len(original) <= limit * 4
    return shown if whole else shown[: limit - 1] + "…"


def as_json(kept: Kept) -> dict[str, Any]:
    """Return a reject as JSON values; the original as an excerpt, and whole as base64."""
    return {
        "time": _moment(kept).isoformat(),
        "code": kept.code,
        "detail": kept.detail,
        "original": excerpt(kept.original),
        "original_bytes": len(kept.original),
        "original_base64": base64.b64encode(kept.original).decode(),
        "source": kept.source,
        "sequence": kept.sequence,
    }


def _moment(kept: Kept) -> datetime:
    return EPOCH + timedelta(microseconds=kept.receive_time_us)


def _print_table(found: list[Kept]) -> None:
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=UNBOUNDED_WIDTH)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("received (UTC)", "code", "detail", "original", "source"):
        table.add_column(name, overflow="fold")
    for kept in found:
        row = (
            _moment(kept).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3],
            one_line(kept.code, EXCERPT_CHARS),
            one_line(kept.detail, DETAIL_CHARS),
            excerpt(kept.original),
            one_line(kept.source, EXCERPT_CHARS),
        )
        table.add_row(*map(Text, row))
    console.print(table)


@contextmanager
def _database(url: str) -> Iterator[Connection]:
    """Yield a read-only connection. Raises CliError: Postgres is away or is not Kandle's."""
    import psycopg

    try:
        with psycopg.connect(
            url, connect_timeout=CONNECT_TIMEOUT_S, application_name="kandle rejects"
        ) as connection:
            connection.read_only = True
            yield connection
    except psycopg.errors.UndefinedTable:
        raise CliError("this database has no table of rejects: Kandle has not used it") from None
    except psycopg.Error as error:
        reason = one_line(str(error), 300) or type(error).__name__
        raise CliError(f"cannot read from Postgres: {reason}; is the instance up?") from None
