"""One replica: its hub, subscriptions and client limits, for every protocol."""

from __future__ import annotations

from dataclasses import dataclass, field

from functions.live_feed.hub import Hub
from functions.live_feed.interest import Interest
from functions.live_feed.protocols.client_limits import ClientSlots
from functions.live_feed.protocols.frames import Form
from functions.live_feed.protocols.session import Session, SessionLimits
from functions.live_feed.protocols.subscriber import Subscriber
from functions.live_feed.replays.replay import Replays


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
