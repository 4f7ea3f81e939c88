"""A whole range in one answer, however long: page after page, only one of them in memory."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from starlette.responses import StreamingResponse

from functions.history_query.api.formats import MEDIA_TYPES, Row, Shown, rendered
from functions.history_query.api.parameters import ParameterError
from functions.history_query.api.presentation import Presentation
from shared.errors import TransientError

ALL: Final = "all"
PAGE: Final = 2_000
_FORMATS: Final = ("ndjson", "csv")
_APART: Final = ("cursor", "fill", "indicators")
_TRIES: Final = 5

NextPage = Callable[[], tuple[list[Row], bool]]
"""Returns the rows that come next, and whether there are more."""


def asks_for_all(query: Mapping[str, str], presentation: Presentation) -> bool:
    """Tell whether `limit` is `all`. Raises ParameterError where that does not go."""
    if query.get("limit") != ALL:
        return False
    if presentation.format not in _FORMATS:
        raise ParameterError(f"limit: all goes with format={' or '.join(_FORMATS)}")
    if not query.get("from"):
        raise ParameterError("limit: all needs `from`")
    if found := [name for name in _APART if query.get(name)]:
        raise ParameterError(f"limit: all does not go with {found[0]}")
    return True


def streamed(
    presentation: Presentation, first: tuple[list[Row], bool], following: NextPage
) -> StreamingResponse:
    """Answer with the first page, and those that follow.

    Where a store stays away, the answer is broken off, which HTTP shows: never cut without a word.
    """

    def bodies() -> Iterator[bytes]:
        rows, more = first
        yield _body(presentation, rows, is_first=True)
        while more:
            rows, more = _tried(following)
            yield _body(presentation, rows, is_first=False)

    return StreamingResponse(
        bodies(), media_type=MEDIA_TYPES[presentation.format], headers={"cache-control": "no-store"}
    )


def _tried(following: NextPage) -> tuple[list[Row], bool]:
    for _ in range(_TRIES):
        try:
            return following()
        except TransientError:
            time.sleep(1.0)
    return following()


def _body(presentation: Presentation, rows: list[Row], *, is_first: bool) -> bytes:
    shown = [presentation.row(row) for row in rows]
    body = rendered(Shown("", {}, shown, None, frozenset()), presentation.format)
    if presentation.format == "csv" and not is_first:
        return body.partition(b"\n")[2]
    return body
