"""Event entry: a public function accepts events only under its cluster-local host name.

The gateway in front of a public function routes by host name and has cluster names only on its
internal side: a request from outside cannot carry one (docs/security.md).
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Final

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from shared.runtime import metrics
from shared.runtime.problem import problem

_CLUSTER: Final = (".svc", ".svc.cluster.local")


def is_of_cluster(host: str) -> bool:
    """Whether a Host header is the cluster name of a Service."""
    return host.partition(":")[0].endswith(_CLUSTER)


def nowhere(_: str) -> bool:
    """Accept no events, whatever the Host header: anybody can forge one."""
    return False


class EventDoor:
    """ASGI middleware: POSTs to `paths` pass if their Host is `inside` the cluster."""

    def __init__(
        self,
        app: ASGIApp,
        paths: Collection[str] = ("/",),
        inside: Callable[[str], bool] = is_of_cluster,
    ) -> None:
        self._app = app
        self._paths = frozenset(paths)
        self._inside = inside

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if (
            scope["type"] == "http"
            and scope["method"] == "POST"
            and scope["path"] in self._paths
            and not self._inside(Headers(scope=scope).get("host", ""))
        ):
            metrics.REQUESTS_REFUSED.labels("event").inc()
            refused = problem(403, "no events here", "events come from the broker, inside")
            await refused(scope, receive, send)
            return
        await self._app(scope, receive, send)
