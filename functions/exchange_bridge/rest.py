"""REST requests to an exchange, rate limited as it asks."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final

import httpx
import msgspec
import orjson

from shared.runtime import metrics

log = logging.getLogger(__name__)

TIMEOUT_S: Final = 10.0
"""Of a single read."""
DEADLINE_S: Final = 60.0
"""Of a whole response."""
MAX_ANSWER_BYTES: Final = 16 * 1024 * 1024
LONGEST_WAIT_S: Final = 3 * 86_400.0
"""The longest ban of an address by Binance; requests during a ban prolong it."""
RATE_LIMITED: Final = (418, 429)
_BAD_ROWS: Final = (
    *(LookupError, TypeError, ValueError, ArithmeticError, AssertionError, AttributeError),
)
"""What parsing an unexpected response raises."""
_DEFAULT_WAIT_S: Final = 10.0


class RestError(Exception):
    """The exchange did not return what was requested. `is_final`: nor will it.

    `status`: of the HTTP response; 0: there was none.
    """

    def __init__(self, message: str, *, is_final: bool = False, status: int = 0) -> None:
        super().__init__(message)
        self.is_final = is_final
        self.status = status


class UnfillableError(RestError):
    """A gap that no request fills: its trades could count twice."""


@contextlib.contextmanager
def understood() -> Iterator[None]:
    """Turn what parsing an unexpected response raises into RestError."""
    try:
        yield
    except _BAD_ROWS as error:
        reason = f"the answer is not understood: {type(error).__name__}: {error}"
        raise RestError(reason) from error


class Rest:
    """REST client of one exchange. Proxies come from the environment.

    Requests are made one at a time, at least `spacing_s` apart; after 429 or 418 none is made until
    Retry-After has passed.
    """

    def __init__(
        self, feed: str, base_url: str, spacing_s: float, headers: Mapping[str, str] | None = None
    ) -> None:
        self._feed = feed
        self._base_url = base_url.rstrip("/")
        self._spacing_s = spacing_s
        self._headers = dict(headers or {})
        self._client: httpx.AsyncClient | None = None
        self._one = asyncio.Lock()
        self._not_before = 0.0

    async def get(
        self,
        path: str,
        parameters: Mapping[str, str | int],
        decode: Callable[[bytes], Any] = orjson.loads,
    ) -> Any:
        """Return the JSON response, parsed by `decode`. Raises RestError.

        `path`: relative to the base URL, or a full URL of the same exchange.
        """
        async with self._one:
            while True:
                await self._turn()
                status, headers, body = await self._ask(path, parameters)
                if status not in RATE_LIMITED:
                    break
                self._pause(headers, f"{path} answered {status}")
        if status >= 400:
            self._count("refused")
            raise RestError(
                f"{path} answered {status} {body[:200].decode(errors='replace')}".rstrip(),
                is_final=status < 500,
                status=status,
            )
        try:
            decoded = decode(body)
        except (orjson.JSONDecodeError, msgspec.DecodeError) as error:
            self._count("unreadable")
            raise RestError(f"{path} answered no such JSON: {error}") from error
        self._count("ok")
        return decoded

    async def _turn(self) -> None:
        """Wait until the next request may be made."""
        await asyncio.sleep(max(0.0, self._not_before - time.monotonic()))
        self._not_before = time.monotonic() + self._spacing_s

    def _pause(self, headers: Mapping[str, str], reason: str) -> None:
        """Make no request until Retry-After has passed."""
        self._count("rate_limited")
        pause_s = wait_s(headers)
        log.warning("%s: %s, pausing for %g s", self._feed, reason, pause_s)
        self._not_before = time.monotonic() + pause_s

    async def _ask(
        self, path: str, parameters: Mapping[str, str | int]
    ) -> tuple[int, httpx.Headers, bytes]:
        if self._client is None:
            self._client = httpx.AsyncClient(timeout=TIMEOUT_S, headers=self._headers)
        try:
            async with (
                asyncio.timeout(DEADLINE_S),
                self._client.stream("GET", self._url(path), params=dict(parameters)) as response,
            ):
                body = bytearray()
                async for chunk in response.aiter_bytes():
                    body += chunk
                    if len(body) > MAX_ANSWER_BYTES:
                        raise RestError(f"{path} answered more than {MAX_ANSWER_BYTES} bytes")
                return response.status_code, response.headers, bytes(body)
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
            self._count("unreachable")
            reason = str(error) or type(error).__name__
            raise RestError(f"{self._url(path)} cannot be reached: {reason}") from error

    def _url(self, path: str) -> str:
        return path if "://" in path else self._base_url + path

    def _count(self, outcome: str) -> None:
        metrics.BACKFILL_REQUESTS.labels(self._feed, outcome).inc()

    async def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.aclose()


def wait_s(headers: Mapping[str, str]) -> float:
    """Return the wait of Retry-After: seconds, or a date (RFC 9110, 10.2.3)."""
    text = headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit():
        seconds = float(text)
    else:
        try:
            time = parsedate_to_datetime(text)
        except ValueError:
            return _DEFAULT_WAIT_S
        if time.tzinfo is None:
            time = time.replace(tzinfo=UTC)
        seconds = (time - datetime.now(UTC)).total_seconds()
    return min(max(seconds, 0.0), LONGEST_WAIT_S)
