"""What the hub of a replica reads from its environment, whichever protocol it serves."""

from __future__ import annotations

from dataclasses import dataclass, field

from functions.live_feed.hub import Hub
from functions.live_feed.stream import Limits, LiveStream
from shared.settings import Environment


@dataclass(frozen=True)
class HubSettings:
    """The live stream, and what each client may take of it."""

    nats_url: str = field(repr=False)
    max_clients: int
    queue: int
    remembered: int
    limits: Limits

    @classmethod
    def read(cls, env: Environment) -> HubSettings:
        """Read; `env.check()` is the caller's."""
        return cls(
            nats_url=env.text("NATS_URL"),
            max_clients=env.integer("LIVE_MAX_CLIENTS", 2_000, 1, 100_000),
            queue=env.integer("LIVE_QUEUE", 2_000, 10, 1_000_000),
            remembered=env.integer("LIVE_REMEMBERED", 20_000, 0, 1_000_000),
            limits=Limits(
                env.integer("LIVE_REPLAY_S", 600, 1, 86_400),
                env.integer("LIVE_REPLAY_BYTES", 256 * 1024 * 1024, 1024 * 1024, 2**40),
            ),
        )

    def stream(self) -> LiveStream:
        """Return the live stream, not yet connected."""
        return LiveStream(self.nats_url, self.limits)

    def hub(self) -> Hub:
        """Return a hub on it."""
        return Hub(self.stream(), self.remembered)
