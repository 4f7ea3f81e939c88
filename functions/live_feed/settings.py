"""Settings of a replica, for all protocols."""

from __future__ import annotations

from dataclasses import dataclass

from functions.live_feed.derived.history_api import HistoryApi
from functions.live_feed.history_reads import READS_PER_S, HistoryReads
from functions.live_feed.hub import Hub
from functions.live_feed.interest import Interest, nobody
from functions.live_feed.protocols.replica import ClientSlots, Replica
from functions.live_feed.replays.replay import Replays
from functions.live_feed.stream import Limits, LiveStream
from shared.market.shards import DEFAULT_SHARDS, MAX_SHARDS
from shared.market.timeframes import DEFAULT_LADDER, Timeframe, parse_ladder
from shared.realtime.leases import Leases
from shared.runtime.settings import FromEnvironment, integer, listed, nested, parsed, text
from shared.stores.redis import connect


@dataclass(frozen=True, kw_only=True)
class LiveSettings(FromEnvironment):
    """The live stream, client limits, leases and initial values."""

    nats_url: str = text("NATS_URL")
    redis_url: str = text("REDIS_URL")
    api_url: str = text("API_URL", "")
    api_token: str = parsed("API_TOKENS", "", lambda tokens: (listed(tokens) or ("",))[0])
    shards: int = integer("SHARDS", DEFAULT_SHARDS, 1, MAX_SHARDS)
    ladder: tuple[Timeframe, ...] = parsed("TIMEFRAMES", DEFAULT_LADDER, parse_ladder)
    max_clients: int = integer("LIVE_MAX_CLIENTS", 2_000, 1, 100_000)
    queue: int = integer("LIVE_QUEUE", 2_000, 10, 1_000_000)
    remembered: int = integer("LIVE_REMEMBERED", 20_000, 0, 1_000_000)
    replays: int = integer("LIVE_REPLAYS", 20, 0, 1_000)
    reads_per_s: int = integer("LIVE_READS_PER_S", READS_PER_S, 1, 10_000)
    limits: Limits = nested(Limits.read)

    def stream(self) -> LiveStream:
        """Return the live stream, not yet connected."""
        return LiveStream(self.nats_url, self.limits)

    def replica(self, *, serves_nats: bool = False) -> Replica:
        """Return a replica; `serves_nats`: it also leases for watchers on NATS."""
        stream = self.stream()
        hub = Hub(stream, self.remembered, self.limits.latest_age_s)
        history = HistoryApi(self.api_url, self.api_token)
        interest = Interest(
            hub,
            Leases(connect(self.redis_url), self.shards),
            history,
            self.ladder,
            stream.watched if serves_nats else nobody,
            reads=HistoryReads(self.reads_per_s),
        )
        replays = Replays(history, self.ladder, self.replays)
        return Replica(hub, interest, ClientSlots(self.max_clients), replays, self.queue)
