"""One replica: its hub, subscriptions and client limits, for every protocol."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field

from functions.live_feed.hub import Hub
from functions.live_feed.interest import Interest
from functions.live_feed.protocols.frames import Form
from functions.live_feed.protocols.session import Session, SessionLimits
from functions.live_feed.protocols.subscriber import Subscriber
from functions.live_feed.replays.replay import Replays
from shared.runtime import metrics


class ClientSlots:
    """Slots for up to `limit` clients. Used by one event loop."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._clients: set[Subscriber] = set()
        self.is_leaving = False

    @property
    def is_full(self) -> bool:
        """Whether none is left."""
        return self.is_leaving or len(self._clients) >= self._limit

    @property
    def refusal(self) -> str:
        """The error message for a refused client."""
        if self.is_leaving:
            return "this replica ends: connect again"
        return f"this replica serves {self._limit} clients at most"

    @contextlib.contextmanager
    def slot(self, protocol: str, client: Subscriber) -> Iterator[None]:
        """Hold a slot for a client; check `is_full` first, without awaiting in between."""
        self._clients.add(client)
        metrics.LIVE_CLIENTS.labels(protocol).inc()
        try:
            yield
        finally:
            self._clients.discard(client)
            metrics.LIVE_CLIENTS.labels(protocol).dec()

    def leave(self) -> None:
        """Disconnect every client and accept none: shutdown."""
        self.is_leaving = True
        for client in self._clients:
            client.leave()


@dataclass(frozen=True, slots=True)
class Replica:
    """`bound`: maximum number of frames queued for a client."""

    hub: Hub
    interest: Interest
    slots: ClientSlots
    replays: Replays
    bound: int
    limits: SessionLimits = field(default_factory=SessionLimits)

    def session(self, form: Form) -> Session:
        """Return a session for a new client."""
        client = Subscriber(form, self.bound)
        return Session(self.hub, self.interest, self.replays, client, self.limits)
