"""How the client follows pages, and reads errors."""

from __future__ import annotations

import io
from collections.abc import Mapping
from datetime import datetime
from typing import Final

import httpx

from kandle._rows import KandleError

Moment = datetime | int | str | None

PAGE: Final = 10_000
TRIES: Final = 4


class Paging:
    """The query of the next page; None when there is none, or enough was read."""

    def __init__(
        self, start: Moment, end: Moment, limit: int | None, options: Mapping[str, str]
    ) -> None:
        self._left = 1_000 if limit is None and start is None else limit
        self.query: dict[str, str] | None = dict(options)
        for name, moment in (("from", start), ("to", end)):
            if moment is not None:
                self.query[name] = text_of(moment)
        self.query["limit"] = str(min(PAGE, self._left or PAGE))

    def next(self, answer: httpx.Response, name: str | None) -> None:
        """Go on from an answer; `name`: where its rows are, None when it is an Arrow stream."""
        assert self.query is not None
        cursor = answer.headers.get("x-kandle-next")
        if self._left is not None:
            self._left -= len(answer.json()[name]) if name else _arrow_rows(answer.content)
        if cursor is None or (self._left is not None and self._left <= 0):
            self.query = None
            return
        self.query = {
            **self.query,
            "cursor": cursor,
            "limit": str(min(PAGE, self._left or PAGE)),
        }


def _arrow_rows(body: bytes) -> int:
    import polars as pl

    return pl.read_ipc_stream(io.BytesIO(body)).height


def text_of(moment: datetime | int | str) -> str:
    """Return a time as the API reads it."""
    return moment.isoformat() if isinstance(moment, datetime) else str(moment)


def checked(answer: httpx.Response) -> httpx.Response:
    """Return an answer that is good. Raises KandleError."""
    if answer.is_success:
        return answer
    try:
        told = answer.json()
        title, detail = str(told["title"]), str(told["detail"])
    except (ValueError, KeyError, TypeError):
        title, detail = "no answer of this API", answer.text[:200]
    raise KandleError(answer.status_code, title, detail)


def wait_s(answer: httpx.Response) -> float:
    """Return how long to wait, as the answer says, 10 s at most."""
    told = answer.headers.get("retry-after", "1")
    return min(float(told), 10.0) if told.isascii() and told.isdigit() else 1.0
