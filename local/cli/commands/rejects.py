"""`kandle rejects`: rejected input with the reason of each, and its replay after a fix."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import groupby
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from local.cli.clients.database import database
from local.cli.options.addresses import http_address
from local.cli.options.common import DEFAULT_DATA_DIR, AsJson, DatabaseUrl, DataDir, JsonLines
from local.cli.options.times import time_us
from local.cli.output.dead_letter_text import one_line
from local.cli.output.result import show
from local.errors import CliError
from shared.errors import TransientError
from shared.market.timestamps import EPOCH
from shared.wire import raw_batch as raw

if TYPE_CHECKING:
    from psycopg import Connection

    from shared.adapter.event import OutgoingEvent

EXCERPT_CHARS: Final = 80
DETAIL_CHARS: Final = 120
A_BATCH: Final = 1_000
"""Rejects sent and deleted together, or more: those of an event are not divided. A batch ends with
as many events as the sink has connections, too."""

_REPLAYABLE: Final = {
    **{
        each: each
        for each in (
            raw.FORMAT_CSV, raw.FORMAT_CSV_DECIMAL_COMMA, raw.FORMAT_TICKER, raw.FORMAT_SCANNER,
            raw.FORMAT_BINANCE, raw.FORMAT_BINANCE_FUTURES, raw.FORMAT_COINBASE,
        )
    },
    raw.FORMAT_TICKER_STREAM: raw.FORMAT_TICKER,
}  # fmt: skip
"""Formats with whole payloads as rejects; other feeds reject parts of messages."""

_WHERE: Final = """
WHERE (%(code)s::text IS NULL OR code = %(code)s)
  AND (%(text)s::bytea IS NULL OR position(%(text)s::bytea IN original) > 0)
  AND (%(since_us)s::bigint IS NULL OR receive_time_us >= %(since_us)s)
"""
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
_TO_REPLAY: Final = """
SELECT event_id, position, original, receive_time_us, format FROM (
    SELECT *, count(*) OVER (
        ORDER BY format, first_us, event_id GROUPS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
    ) AS before
    FROM (
        SELECT *, min(receive_time_us) OVER (PARTITION BY format, event_id) AS first_us
        FROM rejects {}
    ) AS chosen
) AS counted
WHERE before < %(limit)s ORDER BY format, first_us, event_id, position
"""
"""The limit divides no event: its rejects name what is sent."""
_ALONE: Final = "SELECT pg_try_advisory_lock(hashtext('kandle rejects replay'))"
_DELETE: Final = (
    "DELETE FROM rejects USING unnest(%s::text[], %s::int[]) AS sent (event_id, position)"
    " WHERE rejects.event_id = sent.event_id AND rejects.position = sent.position"
)


class By(StrEnum):
    """Grouping of rejects."""

    REASON = "reason"


Contains = Annotated[
    str | None,
    typer.Option(
        "--symbol-contains", metavar="TEXT", help="Only input that contains this text."
    )
]  # fmt: skip
Code = Annotated[str | None, typer.Option(help="Only this reason, such as bad_price.")]
Since = Annotated[
    str | None,
    typer.Option(
        metavar="T", help="Only what was received since: -1h, ISO 8601 (UTC), or a time since 1970."
    ),
]

app = typer.Typer(
    name="rejects",
    no_args_is_help=True,
    help="Rejects: input that is not a tick. Nothing is dropped without one; each is stored whole, "
    "with its reason.",
)


@app.command("replay")
def replay(
    code: Code = None,
    symbol_contains: Contains = None,
    since: Since = None,
    limit: Annotated[
        int, typer.Option(min=1, help="Rejects to send, and the rest of the last one's event.")
    ] = 100_000,
    broker_url: Annotated[
        str | None,
        typer.Option(
            envvar="K_SINK",
            metavar="URL",
            help="The broker for raw input. Default: the running instance's.",
        ),
    ] = None,
    database_url: DatabaseUrl = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """Send rejects through the pipeline again, after a fix of a setting or of Kandle.

    Each is sent unchanged with its original receive time, and leaves the table once the broker has
    accepted it. What still fails is rejected again, with the current reason. If it was cut off, run
    it again with the same filters: others may choose other parts of an event, whose trades without
    ids then count twice.
    """
    sink = http_address(broker_url, "K_SINK", data_dir, "--broker-url")
    parameters = _selected(symbol_contains, code, since, limit)
    with database(database_url, data_dir) as connection:
        if connection.execute(_ALONE).fetchone() == (False,):
            raise CliError("another replay of rejects is running")
        rows = _select(connection, _TO_REPLAY, parameters)
        sent = [row for row in rows if row.format in _REPLAYABLE and row.original]
        try:
            for some in _batches(sent):
                _send(connection, sink, some)
        except TransientError as error:
            raise CliError(f"the broker did not take them: {error}; try again") from None
    left = len(rows) - len(sent)
    text = f"sent {len(sent):,} rejects again; what is still none shows in kandle rejects list"
    show(text, as_json=as_json, sent=len(sent), left=left)
    if left and not as_json:
        typer.echo(f"{left:,} are empty, or parts of a feed's messages, and stay", err=True)


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
    parameters = _selected(symbol_contains, code, since, limit)
    with database(database_url, data_dir) as connection:
        connection.read_only = True
        if by is By.REASON:
            _show_reasons(_select(connection, _BY_REASON, parameters), json_lines=json_lines)
            return
        rejects = _select(connection, _NEWEST, parameters)[::-1]
        counts = _select(connection, _COUNTS, parameters)
    _show(rejects, json_lines=json_lines)
    for each, count in counts:
        typer.echo(f"{excerpt(each.encode())}: {count:,}", err=json_lines)
    total = sum(count for _, count in counts)
    if total > len(rejects):
        typer.echo(f"{total:,} rejects, the newest {len(rejects):,} shown; see --limit", err=True)


def _selected(
    contains: str | None, code: str | None, since: str | None, limit: int
) -> dict[str, Any]:
    """Return the parameters of the queries for the options. Raises UsageError."""
    return {
        "code": code,
        "text": None if contains is None else contains.encode(),
        "since_us": None if since is None else time_us(since, "--since"),
        "limit": limit,
    }


def _select(connection: Connection, query: str, parameters: dict[str, Any]) -> list[Any]:
    """Return the rows of a query over the selected rejects, by column name."""
    from psycopg import sql
    from psycopg.rows import namedtuple_row

    with connection.cursor(row_factory=namedtuple_row) as cursor:
        whole = sql.SQL(query).format(sql.SQL(_WHERE))
        return cursor.execute(whole, parameters).fetchall()


def _batches(rows: Sequence[Any]) -> Iterator[list[Any]]:
    """Yield rows to be sent and deleted together; those of an event stay together."""
    from shared.adapter.sink import CONNECTIONS

    batch: list[Any] = []
    events = 0
    for _, same in groupby(rows, key=_event_of):
        batch += same
        events += 1
        if len(batch) >= A_BATCH or events == CONNECTIONS:
            yield batch
            batch, events = [], 0
    if batch:
        yield batch


def _event_of(row: Any) -> tuple[int, str]:
    return row.format, row.event_id


def _send(connection: Connection, sink: str, rows: Sequence[Any]) -> None:
    from shared.adapter.sink import Sink

    async def emit(events: Sequence[OutgoingEvent]) -> None:
        target = Sink(sink, "/kandle/rejects")
        try:
            await target.emit(events)
        finally:
            await target.close()

    of_events = groupby(rows, key=_event_of)
    asyncio.run(emit([event for _, same in of_events for event in _events(list(same))]))
    connection.execute(_DELETE, ([row.event_id for row in rows], [row.position for row in rows]))
    connection.commit()


def _events(rows: Sequence[Any]) -> Iterator[OutgoingEvent]:
    """Yield the raw batch of an event's rejects.

    They name it, so that a replay that was cut off and is repeated with the same filters counts
    once, also when more rejects have come meanwhile.
    """
    from shared.sources.batcher import Batch

    names = "".join(f"{row.event_id} {row.position}\n" for row in rows)
    source = f"rejects-{hashlib.sha256(names.encode()).hexdigest()[:16]}"
    batch = Batch(
        source,
        _REPLAYABLE[rows[0].format],
        source,
        0,
        b"".join(bytes(row.original) for row in rows),
        [len(row.original) for row in rows],
        [row.receive_time_us for row in rows],
    )
    return (event for event, _ in batch.events())


def _show_reasons(reasons: list[Any], *, json_lines: bool) -> None:
    if json_lines:
        for each in reasons:
            shown = {
                "reason": each.code,
                "source": each.kind,
                "rejects": each.rejects,
                "newest": _time(each.newest_us).isoformat(),
                "fix": each.detail,
                "sample": excerpt(each.original),
            }
            typer.echo(json.dumps(shown))
    elif not reasons:
        typer.echo("no rejects")
    else:
        from local.cli.output.display import print_table

        rows = (
            (
                *(one_line(each.code, EXCERPT_CHARS), one_line(each.kind, EXCERPT_CHARS)),
                *(f"{each.rejects:,}", f"{_time(each.newest_us):%Y-%m-%d %H:%M:%S}"),
                *(one_line(each.detail, 2 * DETAIL_CHARS), excerpt(each.original)),
            )
            for each in reasons
        )
        print_table(
            ("reason", "source", "rejects", "newest (UTC)", "what is wrong", "sample"),
            rows,
            right=("rejects",),
            drops=("sample", "source", "newest (UTC)"),
            prose=("what is wrong",),
        )
        typer.echo("after a fix: kandle rejects replay", err=True)


def _show(rejects: list[Any], *, json_lines: bool) -> None:
    if json_lines:
        for each in rejects:
            shown = {
                "time": _time(each.receive_time_us).isoformat(),
                "code": each.code,
                "detail": each.detail,
                "original": excerpt(each.original),
                "original_bytes": len(each.original),
                "original_base64": base64.b64encode(each.original).decode(),
                "source": each.source,
                "sequence": each.sequence,
            }
            typer.echo(json.dumps(shown))
    elif not rejects:
        typer.echo("no rejects")
    else:
        from local.cli.output.display import print_table

        rows = (
            (
                f"{_time(each.receive_time_us):%Y-%m-%d %H:%M:%S.%f}"[:-3],
                *(one_line(each.code, EXCERPT_CHARS), one_line(each.detail, DETAIL_CHARS)),
                *(excerpt(each.original), one_line(each.source, EXCERPT_CHARS)),
            )
            for each in rejects
        )
        columns = ("received (UTC)", "code", "detail", "original", "source")
        print_table(columns, rows, drops=("source", "original"), prose=("detail",))


def excerpt(original: bytes, limit: int = EXCERPT_CHARS) -> str:
    """Return the start of the input on one line, with unprintable bytes escaped."""
    text = original[: limit * 4].decode("utf-8", "backslashreplace")
    printable = "".join(
        c if c.isprintable() else c.encode("unicode_escape").decode() for c in text[: limit + 1]
    )
    whole = len(printable) <= limit and len(original) <= limit * 4
    return printable if whole else printable[: limit - 1] + "…"


def _time(time_us_: int) -> datetime:
    return EPOCH + timedelta(microseconds=time_us_)
