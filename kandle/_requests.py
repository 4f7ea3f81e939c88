"""Parts of requests: addresses, pages, times, and errors from responses."""

from __future__ import annotations

import json
import math
import os
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, TypedDict
from urllib.parse import quote

from kandle._errors import AddressError, ApiError, UnreachableError
from kandle._rows import Sent

if TYPE_CHECKING:
    import httpx

Moment = datetime | int | str | None
"""An aware datetime, milliseconds since 1970, ISO 8601, or a time ago such as `-24h`."""

PAGE: Final = 10_000
TRIES: Final = 4
RETRY_S: Final = 0.5
TIMEOUT_S: Final = 30.0
DIRECT: Final[dict[str, None]] = dict.fromkeys(
    ("all://localhost", "all://127.0.0.1", "all://[::1]")
)
"""Hosts that are reached without the environment's proxy."""
_NEWEST: Final = 1_000
_TICKS_A_BODY: Final = 5_000
_BYTES_A_BODY: Final = 256 * 1024
_AWAY: Final = (429, 502, 503, 504)
_VARIABLES: Final = {"API_URL": "url", "LIVE_URL": "live_url", "INGEST_URL": "ingest_url"}


class Options(TypedDict, total=False):
    """Options of a connection besides its API address."""

    live_url: str | None
    ingest_url: str | None
    token: str | None
    timeout_s: float
    trust_env: bool


def address(value: str | None, variable: str) -> str:
    """Return the address, by default the environment's. Raises AddressError."""
    url = value or os.environ.get(variable)
    if not url:
        raise AddressError(
            f'no address: set {variable}, as `eval "$(kandle env)"` does, '
            f"or pass {_VARIABLES[variable]}="
        )
    if not url.lower().startswith(("http://", "https://")):
        raise AddressError(f"{variable}: {url!r} has no http:// or https:// before the host")
    return url


def headers_of(token: str | None) -> dict[str, str]:
    """Return the authorization headers, by default with the environment's token."""
    token = token or os.environ.get("KANDLE_TOKEN")
    return {"authorization": f"Bearer {token}"} if token else {}


def path_of(name: str, symbol: str | None) -> str:
    """Return the path of a route of the API, for one symbol or all."""
    return f"/api/{name}" if symbol is None else f"/api/{name}/{quote(symbol)}"


def text_of(value: object) -> str:
    """Format a parameter for the API."""
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (list, tuple)):
        return ",".join(map(str, value))
    return str(value)


def query_of(parameters: Mapping[str, object]) -> dict[str, str]:
    """Return the query of the non-None parameters."""
    return {name: text_of(value) for name, value in parameters.items() if value is not None}


class Paging:
    """The query of the next page; None after the last, or once enough was read."""

    def __init__(
        self, start: Moment, end: Moment, limit: int | None, options: Mapping[str, object]
    ) -> None:
        self.backwards = start is None
        self._left = _NEWEST if limit is None and start is None else limit
        self.query: dict[str, str] | None = query_of({**options, "from": start, "to": end})
        self.query["limit"] = self._limit()

    def follow(self, cursor: str | None, rows: int) -> None:
        """Advance to a cursor, after this many rows."""
        assert self.query is not None
        if self._left is not None:
            self._left -= rows
        if cursor is None or (self._left is not None and self._left <= 0):
            self.query = None
            return
        self.query = {**self.query, "cursor": cursor, "limit": self._limit()}

    def _limit(self) -> str:
        return str(PAGE if self._left is None else min(PAGE, self._left))


def is_away(response: httpx.Response) -> bool:
    """Whether retrying the same request may succeed."""
    return response.status_code in _AWAY


def checked(response: httpx.Response) -> httpx.Response:
    """Return a successful response. Raises ApiError."""
    if response.is_success:
        return response
    raise refusal(response)


def refusal(response: httpx.Response) -> ApiError:
    """Return the error that a response tells."""
    try:
        problem = response.json()
        title, detail = str(problem["title"]), str(problem["detail"])
    except (ValueError, KeyError, TypeError):
        title, detail = (
            "no answer of Kandle",
            f"is {response.url.host} right? {response.text[:200]}",
        )
    return ApiError(response.status_code, title, detail)


def wait_s(response: httpx.Response) -> float:
    """Return the wait before the next attempt, from the response."""
    text = response.headers.get("retry-after", "1")
    return min(float(text), 10.0) if text.isascii() and text.isdigit() else 1.0


def unreachable(url: httpx.URL | str, error: Exception) -> UnreachableError:
    """Return the error for an unreachable server, with the fix."""
    return UnreachableError(
        f"nothing answers at {url} ({type(error).__name__}: {error}): "
        "is `kandle up` running, and is this the address that `kandle env` prints?"
    )


def bodies(
    ticks: Iterable[Mapping[str, Any]], key: str | None
) -> Iterator[tuple[bytes, dict[str, str]]]:
    """Yield bodies of ticks, with an idempotency key in the headers."""
    key = key or uuid.uuid4().hex
    chunk: list[str] = []
    size = number = 0
    for tick in ticks:
        _check(tick)
        text = json.dumps(dict(tick), default=_json)
        if chunk and (len(chunk) == _TICKS_A_BODY or size + len(text) > _BYTES_A_BODY):
            yield _body(chunk, f"{key}-{number}")
            chunk, size, number = [], 0, number + 1
        chunk.append(text)
        size += len(text) + 1
    if chunk:
        yield _body(chunk, f"{key}-{number}")


def _check(tick: Mapping[str, Any]) -> None:
    if not isinstance(tick, Mapping):
        raise TypeError(
            f'a tick is a mapping such as {{"symbol": "AAPL", "price": "224.57"}}, not '
            f'{type(tick).__name__}; send a data frame as df.to_dict("records") or df.to_dicts()'
        )
    for name, value in tick.items():
        if not _is_known(value):
            raise ValueError(f"{name}: {value} is not a number: leave out what is not known")


def _is_known(value: Any) -> bool:
    """Tell whether it is neither NaN, NaT, NA nor infinite."""
    if isinstance(value, Decimal):
        return value.is_finite()
    try:
        return bool(value == value) and value not in (math.inf, -math.inf)
    except (TypeError, ValueError):  # NA; an array, which is refused later
        return hasattr(value, "dtype")


def _body(ticks: Sequence[str], key: str) -> tuple[bytes, dict[str, str]]:
    body = f"[{','.join(ticks)}]".encode()
    return body, {"content-type": "application/json", "idempotency-key": key}


def _json(value: object) -> str:
    if isinstance(value, (Decimal, datetime)) or getattr(value, "shape", None) == ():  # of NumPy
        return text_of(value)
    raise TypeError(f"a tick has a {type(value).__name__}: give numbers, Decimal, datetime or text")


def sent(responses: Iterable[httpx.Response]) -> Sent:
    """Add up the responses to several bodies."""
    bodies_ = [response.json() for response in responses]
    errors = [error for each in bodies_ for error in each.get("first_errors", ())]
    return Sent(
        sum(each["accepted"] for each in bodies_),
        sum(each["rejected"] for each in bodies_),
        tuple(errors),
    )
