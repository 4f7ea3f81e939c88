"""The gRPC service kandle.v1.CandleFeed: the hub's channels, one stream per call."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from typing import Any, Final

import grpc
from google.protobuf.message import Message

from functions.live_feed.protocols.frames import Form
from functions.live_feed.protocols.replica import Replica
from functions.live_feed.protocols.session import MAX_SEQ, Session
from functions.live_feed.protocols.subscriber import SLOW, Subscriber
from shared.errors import TransientError
from shared.realtime import channels as live
from shared.runtime.tasks import end
from shared.schema import feed_service_pb2

SERVICE: Final = feed_service_pb2.DESCRIPTOR.services_by_name["CandleFeed"].full_name

log = logging.getLogger(__name__)

Context = grpc.aio.ServicerContext[Any, Any]


_Request = (
    feed_service_pb2.StreamCandlesRequest
    | feed_service_pb2.StreamPatternsRequest
    | feed_service_pb2.StreamTicksRequest
)


class Feed:
    """The calls of one replica.

    A response is the encoded bytes of a protobuf frame, shared by all clients (the proto explains
    why that is valid).
    """

    def __init__(self, replica: Replica) -> None:
        self._replica = replica
        self._limits = replica.limits
        self._slots = replica.slots

    @property
    def handler(self) -> grpc.GenericRpcHandler:
        """The handler to add to a server."""
        return grpc.method_handlers_generic_handler(
            SERVICE,
            {
                "StreamCandles": self._method(feed_service_pb2.StreamCandlesRequest, _candles),
                "StreamPatterns": self._method(feed_service_pb2.StreamPatternsRequest, _patterns),
                "StreamTicks": self._method(feed_service_pb2.StreamTicksRequest, _ticks),
            },
        )

    def leave(self) -> None:
        """End every call: clients resume at another replica with from_seq."""
        self._slots.leave()

    def _method(
        self, request_type: type[Message], channels: Callable[[Any], Iterable[str]]
    ) -> grpc.RpcMethodHandler[Any, Any]:
        async def call(request: _Request, context: Context) -> None:
            await self._stream(request, context, channels)

        return grpc.unary_stream_rpc_method_handler(
            call,
            request_deserializer=request_type.FromString,
            response_serializer=None,
        )

    async def _stream(
        self, request: _Request, context: Context, channels: Callable[[Any], Iterable[str]]
    ) -> None:
        try:
            requested = await self._replica.interest.checked(channels(request))
            if len(requested) > self._limits.channels:
                raise live.ChannelError(f"at most {self._limits.channels} channels a call")
            if request.from_seq > MAX_SEQ:
                raise live.ChannelError("from_seq is the last seq that was seen")
        except live.ChannelError as error:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
        if self._slots.is_full:
            await context.abort(grpc.StatusCode.UNAVAILABLE, self._slots.refusal)
        session = self._replica.session(Form.PROTOBUF)
        with self._slots.slot("grpc", session.client):
            code, text = await self._serve(request, context, session, requested)
        await context.abort(code, text)

    async def _serve(
        self, request: _Request, context: Context, session: Session, requested: list[str]
    ) -> tuple[grpc.StatusCode, str]:
        """Stream until the call must end; return why."""
        try:
            await self._replica.hub.ready()
        except TransientError as error:
            return grpc.StatusCode.UNAVAILABLE, str(error)
        client = session.client
        tasks = asyncio.create_task(_write(context, client)), asyncio.create_task(client.ended())
        try:
            from_seq = request.from_seq if request.HasField("from_seq") else None
            await session.subscribe(requested, from_seq, request.stream)
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if client.is_leaving:
                return grpc.StatusCode.UNAVAILABLE, "this replica ends: come back with from_seq"
            if client.overflown:
                return grpc.StatusCode.RESOURCE_EXHAUSTED, f"{SLOW}: read faster"
            raise tasks[0].exception() or asyncio.CancelledError
        finally:
            session.close()
            await end(*tasks)


async def _write(context: Context, client: Subscriber) -> None:
    while True:
        for frame in await client.next():
            await context.write(frame)


def _candles(request: feed_service_pb2.StreamCandlesRequest) -> Iterable[str]:
    for timeframe in request.timeframes or ["*"]:
        for symbol in request.symbols or ["*"]:
            yield f"{live.CANDLES}:{timeframe}:{symbol}"


def _patterns(request: feed_service_pb2.StreamPatternsRequest) -> Iterable[str]:
    return (f"{live.PATTERNS}:{symbol}" for symbol in request.symbols or ["*"])


def _ticks(request: feed_service_pb2.StreamTicksRequest) -> Iterable[str]:
    return (f"{live.TICKS}:{symbol}" for symbol in request.symbols or ["*"])
