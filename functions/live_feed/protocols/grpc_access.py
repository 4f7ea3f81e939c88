"""API_TOKENS for gRPC: the same bearer tokens, in the metadata `authorization`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeAlias

import grpc

from shared.adapter.access import AccessRules
from shared.runtime import metrics

_OPEN: Final = ("/grpc.health.v1.Health/",)
"""A kubelet has no token."""

Method: TypeAlias = "grpc.RpcMethodHandler[Any, Any] | None"
Next = Callable[[grpc.HandlerCallDetails], Awaitable[Method]]


class Tokens(grpc.aio.ServerInterceptor):
    """Rejects calls without a valid token; open if no tokens are configured."""

    def __init__(self, rules: AccessRules) -> None:
        self._rules = rules

    async def intercept_service(
        self, continuation: Next, handler_call_details: grpc.HandlerCallDetails
    ) -> Method:
        """Return the handler, or one that fails with UNAUTHENTICATED."""
        handler = await continuation(handler_call_details)
        if not self._rules.tokens or handler_call_details.method.startswith(_OPEN):
            return handler
        header = dict(handler_call_details.invocation_metadata).get("authorization", "")
        scheme, _, token = str(header).partition(" ")
        if scheme.lower() == "bearer" and self._rules.knows(token.strip()):
            return handler
        metrics.REQUESTS_REFUSED.labels("token").inc()
        return _refusing(handler)


def _refusing(handler: Method) -> Method:
    """Return a handler of the same kind, which the client expects."""

    async def refuse(_: object, context: grpc.aio.ServicerContext[Any, Any]) -> None:
        await context.abort(grpc.StatusCode.UNAUTHENTICATED, "send authorization: Bearer <token>")

    kinds: dict[tuple[bool, bool], Callable[[Any], Any]] = {
        (False, False): grpc.unary_unary_rpc_method_handler,
        (False, True): grpc.unary_stream_rpc_method_handler,
        (True, False): grpc.stream_unary_rpc_method_handler,
        (True, True): grpc.stream_stream_rpc_method_handler,
    }
    kind = (False, False)
    if handler is not None:
        kind = (bool(handler.request_streaming), bool(handler.response_streaming))
    refusing: Method = kinds[kind](refuse)
    return refusing
