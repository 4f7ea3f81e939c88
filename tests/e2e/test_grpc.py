"""gRPC against a running Kandle, by a client that uses the server's reflection only."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)

from local.instance import Instance
from tests.e2e.client import eventually, fresh_symbol
from tests.e2e.test_live import post

SERVICE = "kandle.v1.CandleFeed"


def caller(channel: grpc.Channel, name: str) -> Callable[..., Any]:
    """A method from the server's descriptors, as grpcurl does it."""
    database = ProtoReflectionDescriptorDatabase(channel)
    assert SERVICE in database.get_services()
    method = DescriptorPool(database).FindServiceByName(SERVICE).FindMethodByName(name)
    request = GetMessageClass(method.input_type)
    response = GetMessageClass(method.output_type)
    call: Any = channel.unary_stream(
        f"/{SERVICE}/{name}",
        request_serializer=lambda message: message.SerializeToString(),
        response_deserializer=response.FromString,
    )
    return lambda **fields: call(request(**fields), timeout=60)


def health(channel: grpc.Channel) -> int:
    stub: Any = health_pb2_grpc.HealthStub(channel)
    asked = health_pb2.HealthCheckRequest(service=SERVICE)
    try:
        return int(stub.Check(asked, timeout=5).status)
    except grpc.RpcError:
        return health_pb2.HealthCheckResponse.UNKNOWN


def test_a_reflecting_client_gets_candles_and_comes_back(pipeline: dict[str, str]) -> None:
    """A reflecting client gets candles until SIGTERM ends the call, and resumes by from_seq."""
    symbol = fresh_symbol("GRPC")
    address, start_ms = pipeline["GRPC_ADDR"], 1_700_000_040_000
    serving = health_pb2.HealthCheckResponse.SERVING
    with grpc.insecure_channel(address) as channel:
        assert eventually(lambda: health(channel), serving.__eq__) == serving
        call = caller(channel, "StreamCandles")(symbols=[symbol], timeframes=["1m"])
        told, empty = next(call), next(call)
        assert (told.type, empty.type, empty.HasField("candle")) == (
            "subscribed",
            "snapshot",
            False,
        )
        post(pipeline, f"{symbol},10.50,2,{start_ms}", f"{symbol},11,1,{start_ms + 120_000}")
        closed = next(each for each in call if each.candle.closed)
        assert (closed.candle.open, closed.candle.volume) == ("10.5", "2")
        (process,) = [
            each.pid
            for each in Instance.load(Path(pipeline["DATA_DIR"])).components
            if each.name == "live-grpc"
        ]
        assert process is not None
        os.kill(process, signal.SIGTERM)
        seen = [closed.seq]
        with pytest.raises(grpc.RpcError) as ended:
            seen.extend(each.seq for each in call)
        assert ended.value.code() is grpc.StatusCode.UNAVAILABLE
    post(pipeline, f"{symbol},12,1,{start_ms + 240_000}")
    with grpc.insecure_channel(address) as channel:
        assert eventually(lambda: health(channel), serving.__eq__, 60) == serving
        asked = {
            "symbols": [symbol],
            "timeframes": ["1m"],
            "from_seq": seen[-1],
            "stream": told.stream,
        }
        call = caller(channel, "StreamCandles")(**asked)
        assert next(call).replayed
        again = next(each for each in call if each.candle.close == "12")
        assert again.seq > seen[-1]
        call.cancel()
