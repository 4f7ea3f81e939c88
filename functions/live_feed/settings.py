"""Settings of a replica, for all protocols."""

from __future__ import annotations

from dataclasses import dataclass, field

from functions.live_feed.derived.history_api import READS_PER_S, HistoryApi
from functions.live_feed.hub import Hub
from functions.live_feed.interest import Interest, nobody
from functions.live_feed.protocols.client_limits import ClientSlots
from functions.live_feed.protocols.replica import Replica
from functions.live_feed.replays.replay import Replays
from functions.live_feed.stream import Limits, LiveStream
from shared.market.shards import DEFAULT_SHARDS, MAX_SHARDS
from shared.market.timeframes import DEFAULT_LADDER, Timeframe, parse_ladder
from shared.realtime.leases import Leases
from shared.runtime.settings import Environment
from shared.stores.redis import connect


@dataclass(frozen=True)
class LiveSettings:
    """The live stream, client limits, leases and initial values."""

    nats_url: str = field(repr=False)
    redis_url: str = field(repr=False)
    api_url: str
    api_token: str = field(repr=False)
    shards: int
    ladder: tuple[Timeframe, ...]
    max_clients: int
    queue: int
    remembered: int
    replays: int
    reads_per_s: int
    limits: Limits

    @classmethod
    def read(cls, env: Environment) -> LiveSettings:
        """Read from `env`; the caller calls `env.check()`."""
        return cls(
            nats_url=env.text("NATS_URL"),
            redis_url=env.text("REDIS_URL"),
            api_url=env.text("API_URL", ""),
            api_token=env.text("API_TOKENS", "").partition(",")[0].strip(),
            shards=env.integer("SHARDS", DEFAULT_SHARDS, 1, MAX_SHARDS),
            ladder=env.parsed("TIMEFRAMES", DEFAULT_LADDER, parse_ladder),
            max_clients=env.integer("LIVE_MAX_CLIENTS", 2_000, 1, 100_000),
            queue=env.integer("LIVE_QUEUE", 2_000, 10, 1_000_000),
            remembered=env.integer("LIVE_REMEMBERED", 20_000, 0, 1_000_000),
            replays=env.integer("LIVE_REPLAYS", 20, 0, 1_000),
            reads_per_s=env.integer("LIVE_READS_PER_S", READS_PER_S, 1, 10_000),
            limits=Limits(
                env.integer("LIVE_REPLAY_S", 600, 1, 86_400),
                env.integer("LIVE_REPLAY_BYTES", 256 * 1024 * 1024, 1024 * 1024, 2**40),
                env.integer("KEEP_INSTRUMENTS_D", 90, 0, 100_000) * 86_400,
            ),
        )

    def stream(self) -> LiveStream:
        """Return the live stream, not yet connected."""
        return LiveStream(self.nats_url, self.limits)

    def replica(self, *, serves_nats: bool = False) -> Replica:
        """Return a replica; `serves_nats`: it also leases for watchers on NATS."""
        stream = self.stream()
        hub = Hub(stream, self.remembered, self.limits.latest_age_s)
        history = HistoryApi(self.api_url, self.api_token, self.reads_per_s)
        interest = Interest(
            hub,
            Leases(connect(self.redis_url), self.shards),
            history,
            self.ladder,
            stream.watched if serves_nats else nobody,
        )
        replays = Replays(history, self.ladder, self.replays)
        return Replica(hub, interest, ClientSlots(self.max_clients), replays, self.queue)
