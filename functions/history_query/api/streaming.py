"""Streaming responses: a whole range page by page, with one page in memory."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, TypeVar

from starlette.responses import Response, StreamingResponse

from functions.history_query.api.endpoints import WHOLE_RANGE
from functions.history_query.api.formats import MEDIA_TYPES, Content, Row, rendered
from functions.history_query.api.parameters import ParameterError
from functions.history_query.api.presentation import Presentation
from shared.errors import TransientError

PAGE: Final = 2_000
FORMATS: Final = ("ndjson", "csv")
_APART: Final = ("cursor", "fill", "indicators")
_TRIES: Final = 5

P = TypeVar("P")
T = TypeVar("T")


def is_whole_range(
    query: Mapping[str, str], presentation: Presentation, formats: Sequence[str] = FORMATS
) -> bool:
    """Tell whether `limit` is `all`. Raises ParameterError if other parameters rule it out."""
    if query.get("limit") != WHOLE_RANGE:
        return False
    if presentation.format not in formats:
        raise ParameterError(f"limit: all goes with format={' or '.join(formats)}")
    if not query.get("from"):
        raise ParameterError("limit: all needs `from`")
    if conflicting := [name for name in _APART if query.get(name)]:
        raise ParameterError(f"limit: all does not go with {conflicting[0]}")
    return True


def streamed_rows(
    symbol: str,
    presentation: Presentation,
    page: P,
    read: Callable[[str, P], tuple[Sequence[Row], P | None]],
    require: Callable[[str], None],
) -> Response:
    """Stream the rows of a page and of those that follow; `read` returns rows and the next page.

    `require` raises UnknownSymbolError if the instrument was never seen.
    """
    rows, following = read(symbol, page)
    if not rows:
        require(symbol)
    pending: Sequence[Row] | None = rows

    def next_content() -> tuple[Content, bool]:
        nonlocal pending, following
        if pending is None:
            assert following is not None
            pending, following = read(symbol, following)
        some, pending = [presentation.row(row) for row in pending], None
        return Content("", {}, some, None), following is None

    return streamed(presentation.format, next_content)


def streamed(format_: str, next_content: Callable[[], tuple[Content, bool]]) -> StreamingResponse:
    """Stream contents as one body. `next_content` returns one, and whether it is the last.

    If a store stays away, the connection is aborted, so the client sees that the body is cut.
    """
    body = StreamBody(format_)
    content, is_last = next_content()
    first = body(content, is_last=is_last)  # what fails here still sets the status

    def bodies() -> Iterator[bytes]:
        nonlocal content, is_last
        yield first
        while not is_last:
            content, is_last = _retried(next_content)
            yield body(content, is_last=is_last)

    return StreamingResponse(
        bodies(),
        media_type=MEDIA_TYPES[format_],
        headers={"cache-control": "no-store"},
    )


def _retried(read: Callable[[], T]) -> T:
    for _ in range(_TRIES):
        try:
            return read()
        except TransientError:
            time.sleep(1.0)
    return read()


class StreamBody:
    """Joins pages to one body with one header or schema."""

    def __init__(self, format_: str) -> None:
        self._format = format_
        self._is_first = True
        self._file = io.BytesIO()
        self._writer: Any = None

    def __call__(self, content: Content, *, is_last: bool) -> bytes:
        """Return what a page adds to the body."""
        is_first, self._is_first = self._is_first, False
        if self._format != "arrow":
            body = rendered(content, self._format)
            return body if is_first or self._format != "csv" else body.partition(b"\n")[2]
        if is_first:
            import pyarrow as pa

            self._writer = pa.ipc.new_stream(self._file, content.table.schema)
        self._writer.write_table(content.table)
        if is_last:
            self._writer.close()
        body = self._file.getvalue()
        self._file.seek(0)
        self._file.truncate()
        return body
