"""Server-Sent Events: GET /sse?channels=candles:1m:BTC-USD,ticks:*."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from functools import partial
from typing import Final

import orjson
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from functions.live_feed.protocols.frames import Form
from functions.live_feed.protocols.replica import ClientSlots, Replica
from functions.live_feed.protocols.session import MAX_SEQ, Session
from functions.live_feed.protocols.subscriber import SLOW, ReplicaEndsError, SlowConsumerError
from functions.live_feed.replays.replay import STREAM
from functions.live_feed.replays.replay_request import BY_EVENT, RequestError
from shared.errors import TransientError
from shared.realtime import channels as live
from shared.runtime.problem import problem
from shared.runtime.tasks import end

_SILENCE_S: Final = 15.0
_LAST_WORD_S: Final = 5.0
_EVENTS_AT_ONCE: Final = 256
_PARAMETERS: Final = ("channels", "last_event_id", "replay_from", "replay_to", "speed", "by")
_HEADERS: Final = {"cache-control": "no-store", "x-accel-buffering": "no"}


def sse_endpoint(replica: Replica) -> Callable[[Request], Awaitable[Response]]:
    """Return the endpoint. An event's `id` is `<stream>/<seq>`; clients resume with it."""
    limits, clients = replica.limits, replica.slots

    async def endpoint(request: Request) -> Response:
        requested = ",".join(request.query_params.getlist("channels"))
        try:
            if unknown := [name for name in request.query_params if name not in _PARAMETERS]:
                reason = f"no such parameter; there are {', '.join(_PARAMETERS)}"
                raise live.ChannelError(f"{unknown[0][:40]}: {reason}")
            channels = await replica.interest.checked(e for e in requested.split(",") if e)
            if not channels:
                raise live.ChannelError("channels: name some, such as ?channels=candles:1m:BTC-USD")
            if len(channels) > limits.channels:
                raise live.ChannelError(f"channels: at most {limits.channels}")
            stream, from_seq = _last_seen(request)
        except live.ChannelError as error:
            return problem(400, "bad parameter", str(error))
        replay = _replay(request, channels, stream, from_seq)
        if stream == STREAM and replay is None:
            return Response(status_code=204)  # the replay has ended: the browser does not reconnect
        try:
            await replica.hub.ready()
        except TransientError as error:
            return problem(503, "the live stream is away", str(error), 1)
        if clients.is_full:
            return problem(503, "too many clients", clients.refusal, 1)
        session = replica.session(Form.JSON)
        if replay is None:
            return _Stream(session, partial(session.subscribe, channels, from_seq, stream), clients)
        try:
            session.replay(replay)
        except RequestError as error:
            status = {"too_many_replays": 503, "no_history": 501}.get(error.code, 400)
            return problem(status, error.code, str(error), 1 if status == 503 else None)
        return _Stream(session, _at_once, clients)

    return endpoint


class _Stream(StreamingResponse):
    """Holds a slot and a subscription for its lifetime, even if no byte is sent."""

    def __init__(
        self, session: Session, subscribe: Callable[[], Awaitable[None]], clients: ClientSlots
    ) -> None:
        self._events = _events(session)
        super().__init__(self._events, headers=_HEADERS, media_type="text/event-stream")
        self._session = session
        self._subscribe = subscribe
        self._slots = clients

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send until the client disconnects or is disconnected."""
        with self._slots.slot("sse", self._session.client):
            try:
                await self._subscribe()
                await super().__call__(scope, receive, send)
            finally:
                self._session.close()

    async def stream_response(self, send: Send) -> None:
        """Stream; a client that is too slow gets time to read the error."""
        sending = asyncio.create_task(super().stream_response(send))
        ended = asyncio.create_task(self._session.client.ended())
        try:
            await asyncio.wait((sending, ended), return_when=asyncio.FIRST_COMPLETED)
            await asyncio.wait((sending,), timeout=_LAST_WORD_S)
            if sending.done():
                sending.result()
        finally:
            await end(sending, ended)
            await self._events.aclose()


async def _events(session: Session) -> AsyncGenerator[bytes, None]:
    while True:
        try:
            frames = await asyncio.wait_for(session.client.next(), _SILENCE_S)
        except TimeoutError:
            yield b": still here\n\n"
            continue
        except ReplicaEndsError:
            return  # the browser reconnects with Last-Event-ID
        except SlowConsumerError:
            yield _event(orjson.dumps({"type": "error", "code": SLOW, "msg": "read faster"}), "")
            return
        stream = "" if session.is_replay else session.hub.stream_name
        for n in range(0, len(frames), _EVENTS_AT_ONCE):
            some = frames[n : n + _EVENTS_AT_ONCE]
            yield b"".join(_event(frame, stream) for frame in some)
        if session.is_replay and _is_last(frames[-1]):
            return


async def _at_once() -> None:
    """Subscribe to nothing: a replay runs."""


def _replay(
    request: Request, channels: list[str], stream: str, position: int | None
) -> Mapping[str, object] | None:
    """Return the requested replay, resumed after a disconnect; None: none, or it has ended.

    A replay's events have the id `replay/<ms>`, the last one `replay/0`.
    """
    query = request.query_params
    if not query.get("replay_from") or (stream == STREAM and position == 0):
        return None
    speed: object = query.get("speed", "1")
    with contextlib.suppress(ValueError):
        speed = float(query.get("speed", "1"))
    return {
        "channels": channels,
        "from": str(position) if stream == STREAM and position else query["replay_from"],
        "to": query.get("replay_to"),
        "speed": speed,
        "by": query.get("by", BY_EVENT),
    }


def _event(frame: bytes, stream: str) -> bytes:
    """Write a frame as an event, with an id once the client has all up to that place."""
    message = orjson.loads(frame)
    is_place = "seq" in message and message["type"] != "subscribed" and not message.get("more")
    id_line = f"id: {stream}/{message['seq']}\n" if stream and is_place else ""
    if message["type"] == "replay":
        id_line = f"id: {STREAM}/{message['time_ms'] if message['state'] == 'playing' else 0}\n"
    return f"{id_line}event: {message['type']}\ndata: ".encode() + frame + b"\n\n"


def _is_last(frame: bytes) -> bool:
    message = orjson.loads(frame)
    return bool(message["type"] == "replay" and message["state"] != "playing")


def _last_seen(request: Request) -> tuple[str, int | None]:
    last_id = request.headers.get("last-event-id") or request.query_params.get("last_event_id", "")
    if not last_id:
        return "", None
    stream, _, seq = last_id.rpartition("/")
    if not (seq.isascii() and seq.isdigit() and int(seq) <= MAX_SEQ):
        raise live.ChannelError("Last-Event-ID: the id of an event")
    return stream, int(seq)
