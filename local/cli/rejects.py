"""`kandle rejects list`: rejected input, with the reason of each."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any, Final

import typer

from local.cli import reject_replay
from local.cli.database import database
from local.cli.dead_letter_text import one_line
from local.cli.display import console
from local.cli.fitted_table import FittedTable
from local.cli.options import DatabaseUrl, DataDir, JsonLines
from local.cli.reject_selection import WHERE, Code, Contains, Since, selected
from local.cli.times import EPOCH
from local.instance import DEFAULT_DATA_DIR

EXCERPT_CHARS: Final = 80
DETAIL_CHARS: Final = 120


_NEWEST: Final = (
    "SELECT receive_time_us, code, detail, original, source, sequence FROM rejects {}"
    " ORDER BY receive_time_us DESC, source DESC, sequence DESC LIMIT %(limit)s"
)
_BY_REASON: Final = """
SELECT code, regexp_replace(source, '-[^-]*$', '') AS kind, count(*) AS rejects,
       max(receive_time_us) AS newest_us,
       (array_agg(detail ORDER BY receive_time_us DESC))[1] AS detail,
       (array_agg(original ORDER BY receive_time_us DESC))[1] AS original
FROM rejects {} GROUP BY 1, 2 ORDER BY 3 DESC, 1, 2 LIMIT %(limit)s
"""
_COUNTS: Final = "SELECT code, count(*) FROM rejects {} GROUP BY code ORDER BY count(*) DESC, code"


@dataclass(frozen=True, slots=True)
class Reason:
    """Rejects of one reason and kind of source; detail and original of the newest."""

    code: str
    kind: str
    rejects: int
    newest_us: int
    detail: str
    original: bytes


@dataclass(frozen=True, slots=True)
class StoredReject:
    """A stored reject. `original` is as received; `receive_time_us` since 1970 UTC."""

    receive_time_us: int
    code: str
    detail: str
    original: bytes
    source: str
    sequence: int


class By(StrEnum):
    """Grouping of rejects."""

    REASON = "reason"


app = typer.Typer(
    name="rejects",
    no_args_is_help=True,
    help="Rejects: input that is not a tick. Nothing is dropped without one; each is stored whole, "
    "with its reason.",
)
app.add_typer(reject_replay.app)


@app.command("list")
def list_rejects(
    symbol_contains: Contains = None,
    code: Code = None,
    since: Since = None,
    by: Annotated[
        By | None,
        typer.Option(help="One row per reason and source, with the newest sample and the fix."),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="Most rejects to list.")] = 50,
    json_lines: JsonLines = False,
    database_url: DatabaseUrl = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
) -> None:
    """List the newest rejects, oldest first, and count each code."""
    from psycopg import sql
    from psycopg.rows import class_row

    newest, grouped, count_query = (
        sql.SQL(each).format(sql.SQL(WHERE)) for each in (_NEWEST, _BY_REASON, _COUNTS)
    )
    parameters = {**selected(symbol_contains, code, since), "limit": limit}
    with database(database_url, data_dir) as connection:
        connection.read_only = True
        if by is By.REASON:
            reasons = connection.cursor(row_factory=class_row(Reason)).execute(grouped, parameters)
            _show_reasons(reasons.fetchall(), json_lines=json_lines)
            return
        with connection.cursor(row_factory=class_row(StoredReject)) as cursor:
            rejects = cursor.execute(newest, parameters).fetchall()[::-1]
        counts = connection.execute(count_query, parameters).fetchall()
    if json_lines:
        for reject in rejects:
            typer.echo(json.dumps(as_json(reject)))
    elif rejects:
        _print_table(rejects)
    else:
        typer.echo("no rejects")
    for each, count in counts:
        typer.echo(f"{excerpt(each.encode())}: {count:,}", err=json_lines)
    total = sum(count for _, count in counts)
    if total > len(rejects):
        typer.echo(f"{total:,} rejects, the newest {len(rejects):,} shown; see --limit", err=True)


def _show_reasons(reasons: list[Reason], *, json_lines: bool) -> None:
    if json_lines:
        for each in reasons:
            typer.echo(
                json.dumps(
                    {
                        "reason": each.code,
                        "source": each.kind,
                        "rejects": each.rejects,
                        "newest": _time(each.newest_us).isoformat(),
                        "fix": each.detail,
                        "sample": excerpt(each.original),
                    }
                )
            )
        return
    if not reasons:
        typer.echo("no rejects")
        return
    columns = ("reason", "source", "rejects", "newest (UTC)", "what is wrong", "sample")
    table = FittedTable(
        columns,
        frozenset(columns) - {"rejects"},
        drops=("sample", "source", "newest (UTC)"),
        is_boxed=True,
        prose=frozenset(("what is wrong",)),
    )
    for each in reasons:
        row = (
            one_line(each.code, EXCERPT_CHARS),
            one_line(each.kind, EXCERPT_CHARS),
            f"{each.rejects:,}",
            _time(each.newest_us).strftime("%Y-%m-%d %H:%M:%S"),
            one_line(each.detail, 2 * DETAIL_CHARS),
            excerpt(each.original),
        )
        table.add_row(row)
    console().print(table)
    typer.echo("after a fix: kandle rejects replay", err=True)


def excerpt(original: bytes, limit: int = EXCERPT_CHARS) -> str:
    """Return the start of the input on one line, with unprintable bytes escaped."""
    text = original[: limit * 4].decode("utf-8", "backslashreplace")
    printable = "".join(
        c if c.isprintable() else c.encode("unicode_escape").decode() for c in text[: limit + 1]
    )
    whole = len(printable) <= limit and len(original) <= limit * 4
    return printable if whole else printable[: limit - 1] + "…"


def as_json(reject: StoredReject) -> dict[str, Any]:
    """Return a reject as JSON values; the original as an excerpt, and whole as base64."""
    return {
        "time": _time(reject.receive_time_us).isoformat(),
        "code": reject.code,
        "detail": reject.detail,
        "original": excerpt(reject.original),
        "original_bytes": len(reject.original),
        "original_base64": base64.b64encode(reject.original).decode(),
        "source": reject.source,
        "sequence": reject.sequence,
    }


def _time(time_us: int) -> datetime:
    return EPOCH + timedelta(microseconds=time_us)


def _print_table(rejects: list[StoredReject]) -> None:
    columns = ("received (UTC)", "code", "detail", "original", "source")
    table = FittedTable(
        columns,
        frozenset(columns),
        drops=("source", "original"),
        is_boxed=True,
        prose=frozenset(("detail",)),
    )
    for reject in rejects:
        row = (
            _time(reject.receive_time_us).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3],
            one_line(reject.code, EXCERPT_CHARS),
            one_line(reject.detail, DETAIL_CHARS),
            excerpt(reject.original),
            one_line(reject.source, EXCERPT_CHARS),
        )
        table.add_row(row)
    console().print(table)
