"""Draining: detect shutdown by SIGTERM and, earlier in a cluster, by queue-proxy.

Knative Serving sends SIGTERM only after queue-proxy has drained, which waits until every request
has ended: for a watcher up to `timeoutSeconds`. queue-proxy answers the kubelet's probes with
`shutting down` as soon as the pod is terminating; this polls the same endpoint.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import threading
from collections.abc import Awaitable, Callable
from types import FrameType
from typing import Final

from shared.runtime.tasks import end

QUEUE_PROXY: Final = "http://127.0.0.1:8012"
_PROBE: Final = {
    "user-agent": "kube-probe/kandle",
    "k-kubelet-probe": "queue",
    "k-network-probe": "queue",
}
_SHUTTING_DOWN: Final = "shutting down"
_POLL_S: Final = 1.0

log = logging.getLogger(__name__)


class Draining:
    """Calls `leave` once, in the event loop that called `begin`, before requests have ended.

    `queue_proxy` is queue-proxy's address; empty outside Knative Serving.
    """

    def __init__(self, leave: Callable[[], None], queue_proxy: str = "") -> None:
        self._leave = leave
        self._queue_proxy = queue_proxy
        self._begun = False
        self._is_draining = False
        self._task: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Start listening; a second call does nothing."""
        if self._begun:
            return
        self._begun = True
        loop = asyncio.get_running_loop()
        if threading.current_thread() is threading.main_thread():
            following = signal.getsignal(signal.SIGTERM)

            def terminated(number: int, frame: FrameType | None) -> None:
                loop.call_soon_threadsafe(self._end)
                if callable(following):
                    following(number, frame)

            signal.signal(signal.SIGTERM, terminated)
        if self._queue_proxy:
            self._task = asyncio.create_task(self._poll(), name="draining")

    def from_readiness(self, ready: Callable[[], None]) -> Callable[[], Awaitable[None]]:
        """Return the readiness check of a process that listens from its first check on."""

        async def check() -> None:
            self.begin()
            await asyncio.to_thread(ready)

        return check

    async def close(self) -> None:
        """Ask no more."""
        if self._task is not None:
            await end(self._task)

    def _end(self) -> None:
        if not self._is_draining:
            self._is_draining = True
            log.info("shutting down")
            self._leave()

    async def _poll(self) -> None:
        import httpx  # 13 MiB, which a process that only waits for SIGTERM need not load

        async with httpx.AsyncClient(trust_env=False, timeout=_POLL_S) as client:
            while not self._is_draining:
                try:
                    response = await client.get(self._queue_proxy, headers=_PROBE)
                    if response.is_server_error and _SHUTTING_DOWN in response.text:
                        self._end()
                except httpx.HTTPError as error:
                    log.debug("queue-proxy does not answer: %r", error)
                await asyncio.sleep(_POLL_S)
