"""One replica: its hub, what is watched, and what each client may have, for every protocol."""

from __future__ import annotations

from dataclasses import dataclass, field

from functions.live_feed.frames import Form
from functions.live_feed.hub import Hub
from functions.live_feed.interest import Interest
from functions.live_feed.places import Places
from functions.live_feed.replay import Replays
from functions.live_feed.session import Session, SessionLimits
from functions.live_feed.subscriber import Subscriber


@dataclass(frozen=True, slots=True)
class Replica:
    """`bound`: most frames that wait for a client."""

    hub: Hub
    interest: Interest
    places: Places
    replays: Replays
    bound: int
    limits: SessionLimits = field(default_factory=SessionLimits)

    def session(self, form: Form) -> Session:
        """Return a new client's conversation."""
        client = Subscriber(form, self.bound)
        return Session(self.hub, self.interest, self.replays, client, self.limits)
