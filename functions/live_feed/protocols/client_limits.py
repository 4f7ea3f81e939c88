"""Limit of concurrent clients of one replica, over all protocols."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from functions.live_feed.protocols.subscriber import Subscriber
from shared.runtime import metrics


class Places:
    """Slots for up to `limit` clients. Used by one event loop."""

    def __init__(self, limit: int) -> None:
        self._most = limit
        self._taken = 0
        self._clients: set[Subscriber] = set()
        self.is_leaving = False

    @property
    def are_taken(self) -> bool:
        """Whether none is left."""
        return self.is_leaving or self._taken >= self._most

    @property
    def refusal(self) -> str:
        """The error message for a refused client."""
        if self.is_leaving:
            return "this replica ends: connect again"
        return f"this replica serves {self._most} clients at most"

    @contextlib.contextmanager
    def taken(self, protocol: str) -> Iterator[None]:
        """Hold a slot for a client; check `are_taken` first, without awaiting in between."""
        self._taken += 1
        metrics.LIVE_CLIENTS.labels(protocol).inc()
        try:
            yield
        finally:
            self._taken -= 1
            metrics.LIVE_CLIENTS.labels(protocol).dec()

    @contextlib.contextmanager
    def serving(self, client: Subscriber) -> Iterator[None]:
        """Register a client that is disconnected on shutdown."""
        self._clients.add(client)
        if self.is_leaving:
            client.leave()
        try:
            yield
        finally:
            self._clients.discard(client)

    def leave(self) -> None:
        """Disconnect every client and accept none: shutdown."""
        self.is_leaving = True
        for client in self._clients:
            client.leave()
