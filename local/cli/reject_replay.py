"""`kandle rejects replay`: send rejects through the pipeline again, after a fix."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from local.cli.addresses import address, http_url
from local.cli.database import database
from local.cli.options import AsJson, DatabaseUrl, DataDir
from local.cli.reject_selection import WHERE, Code, Contains, Since, selected
from local.errors import CliError
from local.instance import DEFAULT_DATA_DIR
from shared.errors import TransientError
from shared.wire import raw_batch as raw

if TYPE_CHECKING:
    from psycopg import Connection

    from shared.adapter.event import OutgoingEvent

A_BATCH: Final = 1_000
"""Rejects per batch, sent and deleted together."""

_WHOLE: Final = {
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

_SELECT: Final = (
    "SELECT event_id, position, original, receive_time_us, format FROM rejects {}"
    " ORDER BY format, receive_time_us, event_id, position LIMIT %(limit)s"
)
_DELETE: Final = (
    "DELETE FROM rejects USING unnest(%s::text[], %s::int[]) AS sent (event_id, position)"
    " WHERE rejects.event_id = sent.event_id AND rejects.position = sent.position"
)

app = typer.Typer()


@app.command("replay")
def replay(
    code: Code = None,
    symbol_contains: Contains = None,
    since: Since = None,
    limit: Annotated[int, typer.Option(min=1, help="Most rejects to send.")] = 100_000,
    broker_url: Annotated[
        str | None,
        typer.Option(
            envvar="K_SINK",
            metavar="URL",
            help="The broker for raw input. Default: the running instance's.",
            show_default=False,
        ),
    ] = None,
    database_url: DatabaseUrl = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """Send rejects through the pipeline again, after a fix of a setting or of Kandle.

    Each is sent unchanged with its original receive time, and leaves the table once the broker has
    accepted it. What still fails is rejected again, with the current reason.
    """
    from psycopg import sql

    sink = http_url(address(broker_url, "K_SINK", "--broker-url", data_dir), "--broker-url")
    parameters = {**selected(symbol_contains, code, since), "limit": limit}
    with database(database_url, data_dir) as connection:
        query = sql.SQL(_SELECT).format(sql.SQL(WHERE))
        rows = connection.execute(query, parameters).fetchall()
        sent = [row for row in rows if row[4] in _WHOLE and row[2]]
        try:
            for part in _parts(sent):
                _send(connection, sink, part)
        except TransientError as error:
            raise CliError(f"the broker did not take them: {error}; try again") from None
    left = len(rows) - len(sent)
    if as_json:
        typer.echo(json.dumps({"sent": len(sent), "left": left}))
        return
    typer.echo(f"sent {len(sent):,} rejects again; what is still none shows in kandle rejects list")
    if left:
        typer.echo(f"{left:,} are empty, or parts of a feed's messages, and stay", err=True)


def _parts(rows: Sequence[Any]) -> Iterator[list[Any]]:
    """Yield batches of rows of one format, at most A_BATCH each."""
    for _, group in groupby(rows, key=lambda row: row[4]):
        chunk = list(group)
        yield from (chunk[start : start + A_BATCH] for start in range(0, len(chunk), A_BATCH))


def _send(connection: Connection, sink: str, rows: Sequence[Any]) -> None:
    from shared.adapter.sink import Sink

    async def emit(events: Sequence[OutgoingEvent]) -> None:
        target = Sink(sink, "/kandle/rejects")
        try:
            await target.emit(events)
        finally:
            await target.close()

    asyncio.run(emit(list(_events(rows))))
    connection.execute(_DELETE, ([row[0] for row in rows], [row[1] for row in rows]))
    connection.commit()


def _events(rows: Sequence[Any]) -> Iterator[OutgoingEvent]:
    """Yield the raw batch of rejects; the same rejects have the same id (idempotent)."""
    from shared.sources.batcher import Batch

    digest = hashlib.sha256("".join(f"{row[0]} {row[1]}\n" for row in rows).encode()).hexdigest()
    source = f"rejects-{digest[:16]}"
    batch = Batch(
        source,
        _WHOLE[rows[0][4]],
        source,
        0,
        b"".join(bytes(row[2]) for row in rows),
        [len(row[2]) for row in rows],
        [row[3] for row in rows],
    )
    return (event for event, _ in batch.events())
