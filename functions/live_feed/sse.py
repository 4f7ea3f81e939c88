"""Server-Sent Events: GET /sse?channels=candles:1m:BTC-USD,ticks:*."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from functools import partial
from typing import Final

import orjson
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from functions.live_feed.frames import Form
from functions.live_feed.places import Places
from functions.live_feed.replica import Replica
from functions.live_feed.session import MAX_SEQ, Session
from functions.live_feed.subscriber import SLOW, ReplicaEndsError, SlowConsumerError
from shared import live, metrics
from shared.errors import TransientError
from shared.problem import problem

_SILENCE_S: Final = 15.0
_LAST_WORD_S: Final = 5.0
_HEADERS: Final = {"cache-control": "no-store", "x-accel-buffering": "no"}


def sse_endpoint(replica: Replica) -> Callable[[Request], Awaitable[Response]]:
    """Return the endpoint. An event's `id` is `<stream>/<seq>`; a client comes back with it."""
    limits, places = replica.limits, replica.places

    async def endpoint(request: Request) -> Response:
        asked = request.query_params.get("channels", "")
        try:
            channels = [replica.interest.check(each) for each in asked.split(",") if each]
            if not channels:
                raise live.ChannelError("channels: name some, such as ?channels=candles:1m:BTC-USD")
            if len(channels) > limits.channels:
                raise live.ChannelError(f"channels: at most {limits.channels}")
            stream, from_seq = _last_seen(request)
        except live.ChannelError as error:
            return problem(400, "bad parameter", str(error))
        try:
            await replica.hub.ready()
        except TransientError as error:
            return problem(503, "the live stream is away", str(error), 1)
        if places.are_taken:
            return problem(503, "too many clients", places.refusal, 1)
        session = replica.session(Form.JSON)
        return _Stream(session, partial(session.subscribe, channels, from_seq, stream), places)

    return endpoint


class _Stream(StreamingResponse):
    """Has a place and a subscription for as long as it lasts, also when no byte is sent."""

    def __init__(
        self, session: Session, subscribe: Callable[[], Awaitable[None]], places: Places
    ) -> None:
        self._events = _events(session)
        super().__init__(self._events, headers=_HEADERS, media_type="text/event-stream")
        self._session = session
        self._subscribe = subscribe
        self._places = places

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send until the client leaves or has to."""
        with self._places.taken("sse"), self._places.serving(self._session.client):
            try:
                await self._subscribe()
                await super().__call__(scope, receive, send)
            finally:
                self._session.close()

    async def stream_response(self, send: Send) -> None:
        """Stream; a client that is told that it is too slow gets a while to read it."""
        sending = asyncio.create_task(super().stream_response(send))
        slow = asyncio.create_task(self._session.client.too_slow())
        try:
            await asyncio.wait((sending, slow), return_when=asyncio.FIRST_COMPLETED)
            if slow.done():
                metrics.LIVE_DISCONNECTED.labels(SLOW).inc()
                await asyncio.wait((sending,), timeout=_LAST_WORD_S)
            if sending.done():
                sending.result()
        finally:
            for task in (sending, slow):
                task.cancel()
            await asyncio.gather(sending, slow, return_exceptions=True)
            await self._events.aclose()


async def _events(session: Session) -> AsyncGenerator[bytes, None]:
    while True:
        try:
            frames = await asyncio.wait_for(session.client.next(), _SILENCE_S)
        except TimeoutError:
            yield b": still here\n\n"
            continue
        except ReplicaEndsError:
            return  # the browser comes back by itself, with Last-Event-ID
        except SlowConsumerError:
            metrics.LIVE_DISCONNECTED.labels(SLOW).inc()
            yield _event(orjson.dumps({"type": "error", "code": SLOW, "msg": "read faster"}), "")
            return
        stream = session.hub.stream_name
        yield b"".join(_event(frame, stream) for frame in frames)


def _event(frame: bytes, stream: str) -> bytes:
    said = orjson.loads(frame)
    place = f"id: {stream}/{said['seq']}\n" if stream and "seq" in said else ""
    return f"{place}event: {said['type']}\ndata: ".encode() + frame + b"\n\n"


def _last_seen(request: Request) -> tuple[str, int | None]:
    place = request.headers.get("last-event-id") or request.query_params.get("last_event_id", "")
    if not place:
        return "", None
    stream, _, seq = place.rpartition("/")
    if not (seq.isascii() and seq.isdigit() and int(seq) <= MAX_SEQ):
        raise live.ChannelError("Last-Event-ID: what an event's id said")
    return stream, int(seq)
