"""Endpoints from a topic's blocking handlers, with errors as problem+json."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Set
from functools import partial
from typing import Any, Final

import anyio
import orjson
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from functions.history_query.api.parameters import (
    ParameterError,
    UnknownSymbolError,
    refuse_unknown,
)
from shared.errors import TransientError
from shared.runtime.problem import problem

log = logging.getLogger(__name__)

WHOLE_RANGE: Final = "all"
"""`limit` of a request for a range of any length."""
MAX_SYMBOL_CHARACTERS: Final = 64

_LARGE: Final = 2_000
"""Responses with more rows than this need so much memory that few may run at once."""
_LARGE_AT_ONCE: Final = 1
_SMALL_AT_ONCE: Final = 4
_STREAMED_AT_ONCE: Final = 4
"""Whole ranges (`limit=all`) that are sent at once: each has a part of its range in memory."""
_STREAM_WAIT_S: Final = 10.0
_STALLED_S: Final = 60.0
"""A client that takes nothing of its range for so long is disconnected: others may wait."""

Handler = Callable[[Request], Response]


class ConcurrencyLimits:
    """Concurrency limits of large, of small and of streamed requests, to bound memory."""

    def __init__(self) -> None:
        self._large = anyio.CapacityLimiter(_LARGE_AT_ONCE)
        self._small = anyio.CapacityLimiter(_SMALL_AT_ONCE)
        self._streamed = anyio.CapacityLimiter(_STREAMED_AT_ONCE)

    async def begin_stream(self) -> bool:
        """Take a place of those that send a whole range; False if all stay taken."""
        with anyio.move_on_after(_STREAM_WAIT_S):
            await self._streamed.acquire()
            return True
        return False

    def end_stream(self) -> None:
        """Return the task's place."""
        self._streamed.release()

    def of(self, request: Request) -> anyio.CapacityLimiter:
        """Return the limiter for a request of this size."""
        limit = request.query_params.get("limit", "")
        is_large = limit.isdecimal() and len(limit) < 7 and int(limit) > _LARGE
        return self._large if is_large else self._small


def _not_stalled(send: Send) -> Send:
    """Return a `send` that raises TimeoutError once the client takes nothing more."""

    async def bounded(message: Message) -> None:
        try:
            with anyio.fail_after(_STALLED_S):
                await send(message)
        except TimeoutError:
            log.warning("a client read nothing of its range for %d s: cut off", _STALLED_S)
            raise

    return bounded


def endpoint_of(handler: Handler, limits: ConcurrencyLimits, parameters: Set[str] | None) -> Any:
    """Return an endpoint that runs the handler in a thread; errors become problem+json.

    `parameters`: names of the accepted query parameters; None: any.
    """

    async def endpoint(request: Request) -> ASGIApp:
        if request.query_params.get("limit") == WHOLE_RANGE:
            return streamed
        return await answer(request)

    async def streamed(scope: Scope, receive: Receive, send: Send) -> None:
        if not await limits.begin_stream():
            detail = "too many requests read whole ranges at once"
            await problem(503, "too many requests", detail, 1)(scope, receive, send)
            return
        try:
            response = await answer(Request(scope, receive))
            with contextlib.suppress(TimeoutError, ClientDisconnect):
                await response(scope, receive, _not_stalled(send))
        finally:
            limits.end_stream()

    async def answer(request: Request) -> Response:
        symbol = request.path_params.get("symbol")
        if symbol is not None and not 1 <= len(symbol) <= MAX_SYMBOL_CHARACTERS:
            return problem(400, "bad parameter", f"symbol: 1 to {MAX_SYMBOL_CHARACTERS} characters")
        if symbol is not None and not symbol.isprintable():
            return _unknown(symbol)  # and no store needs to be asked with such characters
        try:
            if parameters is not None:
                refuse_unknown(request.query_params, parameters)
            return await anyio.to_thread.run_sync(
                partial(handler, request), limiter=limits.of(request)
            )
        except ParameterError as error:
            return problem(400, "bad parameter", str(error))
        except UnknownSymbolError as error:
            return _unknown(str(error))
        except TransientError as error:
            return problem(503, "a store is away", str(error), 1)

    return endpoint


def as_json(value: Any) -> Response:
    """Answer with JSON."""
    return Response(orjson.dumps(value), media_type="application/json")


def _unknown(symbol: str) -> Response:
    return problem(404, "unknown symbol", f"no tick of {symbol!r} was ever seen")
