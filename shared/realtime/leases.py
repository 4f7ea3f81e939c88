"""Leases of watched instruments in Redis: `{shard}:watched`, name -> expiry in ms.

A name is an instrument, or `*` for all: emitters of display events use these. Or it is a candle
channel (`candles:5m:BTC-USD`, parts may be `*`) beside its instrument: only watched candle channels
are published. live-feed writes the leases.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Final, cast

from shared.errors import TransientError
from shared.market.shards import shard_of
from shared.realtime import channels as live
from shared.stores.redis import translated

if TYPE_CHECKING:
    import redis

ALL: Final = "*"
LEASE_MS: Final = 15_000
READ_EACH_S: Final = 0.2
"""Cache time of a reader: a new lease takes effect within that."""
RETRY_S: Final = 2.0
"""Longest pause of a reader after a failed read, so that callers rarely wait while Redis is away.

It doubles from READ_EACH_S: after a single slow answer a new lease is seen soon."""


class Selection:
    """Watched names, or all. False if nothing is watched."""

    def __init__(self, names: Iterable[str] = ()) -> None:
        self._names = frozenset(names)
        self._all = ALL in self._names
        channels = [each.split(":", 2) for each in self._names if live.is_of_candles(each)]
        self._timeframes = {timeframe for _, timeframe, _ in channels}
        self._of_candles = {instrument for _, _, instrument in channels}

    def __bool__(self) -> bool:
        return bool(self._names)

    def selects(self, instrument: str) -> bool:
        """Whether the instrument is watched."""
        return self._all or instrument in self._names

    def selects_candles(self, instrument: str) -> bool:
        """Whether candles of the instrument are watched, in any timeframe."""
        return not self._of_candles.isdisjoint((instrument, ALL))

    def shows_any(self, timeframe: str) -> bool:
        """Whether candles of the timeframe are watched, for any instrument."""
        return not self._timeframes.isdisjoint((timeframe, ALL))

    def shows(self, timeframe: str, instrument: str) -> bool:
        """Whether these candles are watched."""
        channel = f"{live.CANDLES}:{timeframe}:{instrument}"
        return any(each in self._names for each in live.patterns_matching(channel))


NOBODY: Final = Selection()
_EVERYBODY: Final = Selection((ALL, f"{live.CANDLES}:{ALL}:{ALL}"))


class Watched:
    """Reads leases of all shards asked for, at most five times a second. Usable from any thread."""

    def __init__(self, client: redis.Redis, clock: Callable[[], float] = time.monotonic) -> None:
        self._client = client
        self._clock = clock
        self._read: dict[int, Selection] = {}
        self._read_s = -math.inf
        self._again_s = -math.inf
        self._pause_s = 0.0

    def of(self, shard: int) -> Selection:
        """Return the watched names of a shard, as `all_of`."""
        return self.all_of((shard,))[shard]

    def cached(self, shards: Iterable[int]) -> dict[int, Selection] | None:
        """Return the watched names of shards, as `all_of`; None if Redis must be read for them."""
        now, requested, read = self._clock(), set(shards), self._read
        is_fresh = now - self._read_s < READ_EACH_S and read.keys() >= requested
        if not is_fresh and now >= self._again_s:
            return None
        return self._selections(requested, read, now)

    def all_of(self, shards: Iterable[int]) -> dict[int, Selection]:
        """Return the watched names of shards.

        While Redis is away, the last known for one lease. After a pause longer than that, in which
        nothing was to be shown, it is all names for one lease: new ones are not known.
        """
        requested = set(shards)
        if (cached := self.cached(requested)) is not None:
            return cached
        now = self._clock()
        return self._selections(requested, self._refresh(requested | self._read.keys(), now), now)

    def _selections(
        self, shards: set[int], read: dict[int, Selection], now: float
    ) -> dict[int, Selection]:
        if now - self._read_s >= LEASE_MS / 1000:
            return dict.fromkeys(shards, NOBODY)
        return {each: read.get(each, NOBODY) for each in shards}

    def _refresh(self, shards: set[int], now: float) -> dict[int, Selection]:
        try:
            with translated():
                pipeline = self._client.pipeline(transaction=False)
                for shard in shards:
                    pipeline.hgetall(key(shard))
                replies = cast(list[dict[bytes, bytes]], pipeline.execute())
        except TransientError:
            if not self._pause_s and LEASE_MS / 1000 <= now - self._read_s < math.inf:
                self._read, self._read_s = dict.fromkeys(shards, _EVERYBODY), now
            self._pause_s = min(RETRY_S, max(READ_EACH_S, 2 * self._pause_s))
            self._again_s = self._clock() + self._pause_s
            return self._read
        self._pause_s = 0.0
        now_ms = time.time_ns() // 1_000_000
        read = self._read | {
            shard: Selection(name.decode() for name, ms in fields.items() if int(ms) > now_ms)
            for shard, fields in zip(shards, replies, strict=True)
        }
        self._read, self._read_s = read, now
        return read


def key(shard: int) -> str:
    """Return the key of a shard's leases."""
    return f"{{{shard}}}:watched"


_RENEW: Final = """
local now, expiry, place = tonumber(ARGV[1]), ARGV[2], ARGV[3]
local since = {}
for i = 4, #ARGV do
  local until_ms = redis.call('HGET', KEYS[1], ARGV[i])
  if not until_ms or tonumber(until_ms) <= now then
    redis.call('HSET', KEYS[2], ARGV[i], place)
  end
  redis.call('HSET', KEYS[1], ARGV[i], expiry)
  since[#since + 1] = redis.call('HGET', KEYS[2], ARGV[i]) or place
end
for _, key in ipairs(KEYS) do redis.call('PEXPIRE', key, ARGV[2] - ARGV[1]) end
return since
"""


class Leases:
    """Writes leases. `since`: the stream position since which a name is leased without a break."""

    def __init__(self, client: redis.Redis, shards: int) -> None:
        self._client = client
        self._shards = shards
        self._script = client.register_script(_RENEW)

    def renew(self, names: Iterable[str], seq: int) -> dict[str, int]:
        """Lease the names for LEASE_MS; return since which position each is leased.

        Raises TransientError while Redis is away.
        """
        by_shard: dict[int, list[str]] = {}
        for name in names:
            instrument = live.instrument_of(name) if live.is_of_candles(name) else name
            everywhere = instrument in (None, ALL)
            shards = (
                range(self._shards) if everywhere else [shard_of(str(instrument), self._shards)]
            )
            for shard in shards:
                by_shard.setdefault(shard, []).append(name)
        now_ms = time.time_ns() // 1_000_000
        since: dict[str, int] = {}
        with translated():
            for shard, members in by_shard.items():
                since_replies = self._script(
                    keys=[key(shard), f"{key(shard)}_since"],
                    args=[now_ms, now_ms + LEASE_MS, seq, *members],
                )
                for name, since_seq in zip(members, cast(list[bytes], since_replies), strict=True):
                    since[name] = max(int(since_seq), since.get(name, 0))
        return since
