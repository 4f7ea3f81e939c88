"""One door for events, another for people: a public function takes events under its cluster name.

The gateway in front of a public function routes by host name, and has the cluster's own names on
its inner side alone: a request from outside cannot carry one (docs/security.md).
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from shared import metrics
from shared.problem import problem

_CLUSTER: Final = (".svc", ".svc.cluster.local")


class EventDoor:
    """ASGI middleware: POSTs to `paths` pass under a name of the cluster, and no other."""

    def __init__(self, app: ASGIApp, paths: Collection[str] = ("/",)) -> None:
        self._app = app
        self._paths = frozenset(paths)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if (
            scope["type"] == "http"
            and scope["method"] == "POST"
            and scope["path"] in self._paths
            and not is_of_cluster(Headers(scope=scope).get("host", ""))
        ):
            metrics.REQUESTS_REFUSED.labels("event").inc()
            refused = problem(403, "no events here", "events come from the broker, inside")
            await refused(scope, receive, send)
            return
        await self._app(scope, receive, send)


def is_of_cluster(host: str) -> bool:
    """Whether a Host header names a Service by its name in the cluster."""
    return host.partition(":")[0].endswith(_CLUSTER)
