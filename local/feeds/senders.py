"""Senders of tick lines: in UDP datagrams, or by HTTP with responses."""

from __future__ import annotations

import logging
import socket
import time
import uuid
from collections.abc import Callable
from typing import Any, Final, Self

import httpx
import stamina

from local.feeds.pacing import Clock, RateLimiter

MAX_DATAGRAM_BYTES: Final = 1_400
"""Fits an Ethernet frame, so that no datagram is fragmented."""

MAX_BODY_BYTES: Final = 256 * 1024
"""Largest body of `POST /ingest`."""

SHOWN_ERRORS: Final = 5
"""Number of rejected lines to show."""

HTTP_LINGER_S: Final = 0.1
"""Maximum wait of a line for others to share its request."""

_REPEATABLE: Final = frozenset({429, 502, 503, 504})

# stamina logs each retry here; users see the count in the summary.
logging.getLogger("stamina").addHandler(logging.NullHandler())


class SendError(Exception):
    """Ticks could not be delivered."""


class _Sender:
    """Sends lines in units of up to `limit` bytes, and counts both."""

    unit: str

    def __init__(self, limit: int, limiter: RateLimiter | None, clock: Clock) -> None:
        self.lines = 0
        self.units = 0
        self._limiter = limiter or RateLimiter(0)
        self._clock = clock
        self._limit = limit
        self._waiting: list[bytes] = []
        self._waiting_since = 0.0
        self._size = 0

    def send(self, line: bytes) -> None:
        """Take one line, without its newline. Raises SendError."""
        size = len(line) + 1
        if size > self._limit:
            raise SendError(f"a line of {len(line)} bytes does not fit into one of the {self.unit}")
        if self._size + size > self._limit:
            self.flush()
        if not self._waiting:
            self._waiting_since = self._clock()
        self._waiting.append(line)
        self._size += size

    def flush(self) -> None:
        """Send what is buffered. Raises SendError: it was not accepted."""
        if count := len(self._waiting):
            body = b"\n".join([*self._waiting, b""])
            self._waiting, self._size = [], 0
            self._send(body, count)
            self._limiter.spend(count)

    def _send(self, body: bytes, count: int) -> None:
        """Send lines, and count them."""
        raise NotImplementedError

    def close(self) -> None:
        """Close the connection, without flushing."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()


class UdpSender(_Sender):
    """Sends lines in datagrams of at most MAX_DATAGRAM_BYTES, within its rate limit.

    UDP has no responses: `lines` counts what was sent. If the kernel reports that nothing listens
    at the address (at once on the same machine), the sender raises, or, with `goes_on_refused`,
    counts the datagram's lines in `refused_lines`.
    """

    unit = "datagrams"

    def __init__(
        self,
        address: tuple[str, int],
        limiter: RateLimiter | None = None,
        *,
        goes_on_refused: bool = False,
    ) -> None:
        super().__init__(MAX_DATAGRAM_BYTES, limiter, time.monotonic)
        self.refused_lines = 0
        self._name = f"{address[0]}:{address[1]}"
        self._goes_on_refused = goes_on_refused
        self._socket = _connected(address)

    def silence(self, seconds: float) -> None:
        """Send what is buffered: a datagram should not wait for later ticks."""
        self.flush()

    def _send(self, body: bytes, count: int) -> None:
        """Send a datagram. Raises SendError: nothing listens at the address."""
        try:
            self._socket.send(body)
            refused = bool(self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR))
        except ConnectionRefusedError:  # about an earlier datagram; this one was not sent
            refused = True
        except OSError as error:
            raise SendError(f"cannot send to {self._name}: {error.strerror or error}") from None
        if not refused:
            self.lines += count
            self.units += 1
        elif self._goes_on_refused:
            self.refused_lines += count
        else:
            raise SendError(f"nothing listens for UDP at {self._name}: is the instance up?")

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()


class HttpSender(_Sender):
    """Sends lines to `POST /ingest`; `lines` counts those confirmed with 2xx.

    `accepted`, `rejected`: from the responses; `unjudged`: lines of responses without counts.
    `first_errors`: the first rejected lines, each with `line` (from 1, of all), `code`, `detail`.

    A batch is retried under the same `Idempotency-Key` while the receiver is unreachable or answers
    429 or 5xx, with growing pauses or those of its `Retry-After`.
    """

    unit = "requests"

    def answers(self) -> dict[str, Any]:
        """Return the counts of the responses, by attribute name."""
        names = ("accepted", "rejected", "unjudged", "repeats", "first_errors")
        return {name: getattr(self, name) for name in names}

    def __init__(
        self,
        url: str,
        limiter: RateLimiter | None = None,
        *,
        token: str = "",
        patience_s: float = 120.0,
        gives_up: Callable[[], bool] = lambda: False,
        transport: httpx.BaseTransport | None = None,
        clock: Clock = time.monotonic,
    ) -> None:
        """Connect lazily. `token`: one of API_TOKENS if the receiver needs it.

        `patience_s`: how long a batch is retried; `gives_up` is called before each retry.
        """
        super().__init__(MAX_BODY_BYTES, limiter, clock)
        self.repeats = 0
        self.accepted = self.rejected = self.unjudged = 0
        self.first_errors: list[dict[str, Any]] = []
        self._url = url
        self._patience_s = patience_s
        self._gives_up = gives_up
        self._key = uuid.uuid4().hex
        self._batches = 0
        self._client = httpx.Client(
            transport=transport,
            headers={"Authorization": f"Bearer {token}"} if token else {},
            timeout=httpx.Timeout(30.0, connect=5.0),
            trust_env=False,
        )

    def silence(self, seconds: float) -> None:
        """Send what is buffered, unless it may wait for more. Raises SendError."""
        if self._clock() - self._waiting_since + seconds >= HTTP_LINGER_S:
            self.flush()

    def _send(self, body: bytes, count: int) -> None:
        """Send a request and wait for the response. Raises SendError: it was not accepted."""
        self._batches += 1
        headers = {"Content-Type": "text/csv", "Idempotency-Key": f"{self._key}-{self._batches}"}
        try:
            for attempt in stamina.retry_context(
                on=self._backoff, attempts=None, timeout=self._patience_s
            ):
                with attempt:
                    response = self._client.post(self._url, content=body, headers=headers)
                    response.raise_for_status()
        except httpx.HTTPStatusError as error:
            raise SendError(_refusal(self._url, error.response)) from None
        except (httpx.TransportError, httpx.InvalidURL) as error:
            reason = str(error) or type(error).__name__
            raise SendError(f"cannot reach {self._url}: {reason}; is the instance up?") from None
        self._note(response, count)
        self.lines += count
        self.units += 1

    def _note(self, response: httpx.Response, count: int) -> None:
        """Add the counts of a response."""
        try:
            body = response.json()
        except ValueError:
            body = {}
        if "rejected" not in body:
            self.unjudged += count
            return
        self.accepted += body["accepted"]
        self.rejected += body["rejected"]
        for error in body.get("first_errors", [])[: SHOWN_ERRORS - len(self.first_errors)]:
            self.first_errors.append({**error, "line": self.lines + error["line"]})

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def _backoff(self, error: Exception) -> bool | float:
        """Return whether to retry: no, with the usual pauses, or after a number of seconds."""
        if self._gives_up():
            return False
        if isinstance(error, httpx.HTTPStatusError):
            if error.response.status_code not in _REPEATABLE:
                return False
            self.repeats += 1
            return _retry_after_s(error.response) or True
        if isinstance(error, httpx.TransportError) and not isinstance(
            error, httpx.UnsupportedProtocol
        ):
            self.repeats += 1
            return True
        return False


def _connected(address: tuple[str, int]) -> socket.socket:
    """Return a UDP socket connected to `address`, by IPv4 where its name has both kinds."""
    try:
        candidates = socket.getaddrinfo(*address, type=socket.SOCK_DGRAM)
        candidates.sort(key=lambda each: each[0] != socket.AF_INET)
        family, kind, protocol, _name, target = candidates[0]
        connection = socket.socket(family, kind, protocol)
        try:
            connection.connect(target)
        except OSError:
            connection.close()
            raise
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise SendError(f"cannot send to {address[0]}:{address[1]}: {reason}") from None
    return connection


def _retry_after_s(response: httpx.Response) -> float | None:
    text = response.headers.get("Retry-After", "")
    return float(text) if text.isascii() and text.isdigit() else None


def _refusal(url: str, response: httpx.Response) -> str:
    """Return the error of a response, from its problem+json if present."""
    message = response.text[:300]
    try:
        problem = response.json()
    except ValueError:
        pass
    else:
        if isinstance(problem, dict):
            message = str(problem.get("detail") or problem.get("title") or message)
    return f"{url} answered {response.status_code}: {message}"
