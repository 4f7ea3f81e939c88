"""The WebSocket /ws."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from typing import Final

from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from functions.live_feed.protocols.frames import Form
from functions.live_feed.protocols.replica import ClientSlots, Replica
from functions.live_feed.protocols.session import Session
from functions.live_feed.protocols.subscriber import (
    SLOW,
    ReplicaEndsError,
    SlowConsumerError,
    Subscriber,
)
from shared.errors import TransientError
from shared.runtime.tasks import end

log = logging.getLogger(__name__)

CODE_SLOW: Final = 4008
"""Close code for a client that reads too slowly; it may resume with from_seq."""
CODE_LATER: Final = 1013
CODE_RESTART: Final = 1012
"""Close code for shutdown: the client reconnects at once with from_seq."""
CODE_TOO_LARGE: Final = 1009
MAX_REQUEST_BYTES: Final = 64 * 1024
_CLOSE_S: Final = 5.0


def websocket_endpoint(replica: Replica) -> Callable[[WebSocket], Awaitable[None]]:
    """Return the endpoint."""
    clients = replica.slots

    async def endpoint(socket: WebSocket) -> None:
        offered = socket.scope.get("subprotocols", [])
        form = next((f for f in Form if f.value in offered), None)
        if clients.is_full:
            await socket.accept(subprotocol=form)
            await socket.close(CODE_RESTART if clients.is_leaving else CODE_LATER, clients.refusal)
            return
        session = replica.session(form or Form.JSON)
        with clients.slot("websocket", session.client):
            await socket.accept(subprotocol=form)
            try:
                await replica.hub.ready()
            except TransientError as error:
                await socket.close(CODE_LATER, str(error))
                return
            await _serve(socket, session, clients)

    return endpoint


async def _serve(socket: WebSocket, session: Session, clients: ClientSlots) -> None:
    tasks = (
        asyncio.create_task(_read(socket, session), name="read"),
        asyncio.create_task(_write(socket, session.client), name="write"),
        asyncio.create_task(session.client.ended(), name="end"),
    )
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        if session.client.is_leaving:
            await _close(socket, CODE_RESTART, clients.refusal)
        elif session.client.overflown:
            await _close(socket, CODE_SLOW, SLOW)
    finally:
        session.close()
        for task, result in zip(tasks, await end(*tasks), strict=True):
            if isinstance(result, Exception) and not isinstance(
                result, SlowConsumerError | ReplicaEndsError | WebSocketDisconnect
            ):
                log.warning("client ended: %s: %r", task.get_name(), result)


async def _write(socket: WebSocket, client: Subscriber) -> None:
    binary = client.form is Form.PROTOBUF
    while True:
        for frame in await client.next():
            if binary:
                await socket.send_bytes(frame)
            else:
                await socket.send_text(frame.decode())


async def _read(socket: WebSocket, session: Session) -> None:
    while True:
        message = await socket.receive()
        if message["type"] == "websocket.disconnect":
            return
        text = message.get("text") or message.get("bytes") or b""
        if len(text) > MAX_REQUEST_BYTES:
            await _close(socket, CODE_TOO_LARGE, f"a request has {MAX_REQUEST_BYTES} bytes at most")
            return
        await session.receive(text)


async def _close(socket: WebSocket, code: int, reason: str) -> None:
    if socket.application_state is WebSocketState.CONNECTED:
        # A slow client does not read the close frame either: it gets time to catch up.
        with contextlib.suppress(RuntimeError, OSError, TimeoutError):
            await asyncio.wait_for(socket.close(code, reason), _CLOSE_S)
