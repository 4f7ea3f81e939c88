"""Keys of detect-pattern's series in Redis, and their expiry."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

from shared.market.shards import shard_of
from shared.stores.redis import translated

if TYPE_CHECKING:
    import redis

Name = tuple[str, str]
"""Instrument and timeframe."""

_END: Final = """
local ended = 0
local before = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', ARGV[1])
for _, member in ipairs(before) do
  if ended == tonumber(ARGV[2]) then break end
  local instrument = string.sub(member, string.find(member, ':', 1, true) + 1)
  if (ARGV[3] == '' or ARGV[3] == instrument) and not redis.call('ZSCORE', KEYS[1], member) then
    redis.call('DEL', ARGV[4] .. member)
    redis.call('ZREM', KEYS[2], member)
    ended = ended + 1
  end
end
return ended
"""
_AT_ONCE: Final = 500
SHARDS_KEY: Final = "patterns:shards"
"""Key of the number of shards that the series are divided among.

Negative while those of another number are deleted: replicas of this number may finish it.
"""
_ADOPTING: Final = "patterns:adopting"
"""Key of a lock: none is to delete what another replica has begun anew."""


def due_key(shard: int) -> str:
    """Return the key of the index of series to look at, by time (wall clock, ms)."""
    return _key(shard, "due")


def used_key(shard: int) -> str:
    """Return the key of the index of all series, by when each was last written (wall clock, ms)."""
    return _key(shard, "used")


def listed_key(shard: int) -> str:
    """Return the key of the flag that the shard's series were listed from storage."""
    return _key(shard, "begun")


def series_key(shard: int, name: Name) -> str:
    """Return the key of a series."""
    return _key(shard, "series:") + member(name)


def member(name: Name) -> str:
    """Return a series as a member of an index."""
    instrument, timeframe = name
    return f"{timeframe}:{instrument}"


def name_of(member: bytes) -> Name:
    """Return the series of an index member."""
    timeframe, instrument = member.decode().split(":", 1)
    return instrument, timeframe


def is_open(number: bytes | None, shards: int) -> bool:
    """Return whether a replica that is running may adopt: no number, or its own, unfinished."""
    return number is None or int(number) == -shards


def adopt(client: redis.Redis, shards: int, starts: bool = True) -> None:
    """Delete the series if they were divided among another number of shards: they are stale.

    They are loaded from storage again. A replica that is not starting takes them from no other.
    Raises TransientError.
    """
    with translated(), client.lock(_ADOPTING, timeout=60, blocking_timeout=2):
        number = cast(bytes | None, client.get(SHARDS_KEY))
        if number == str(shards).encode() or not (starts or is_open(number, shards)):
            return
        client.set(SHARDS_KEY, -shards)  # from here on former replicas write no more
        with client.pipeline(transaction=False) as pipe:
            for key in client.scan_iter(match=_key("*", "*"), count=1_000):
                pipe.unlink(key)
                if len(pipe) >= _AT_ONCE:
                    pipe.execute()
            pipe.execute()
        client.set(SHARDS_KEY, shards)


def end_unused(client: redis.Redis, shards: int, until_ms: int) -> int:
    """Delete series not written since then, a batch at a time; return how many.

    Series with anything to publish stay. A series that gets candles again is loaded from storage.
    Raises TransientError.
    """
    return sum(_end(client, shard, until_ms, _AT_ONCE, "") for shard in range(shards))


def end_instrument(client: redis.Redis, shards: int, instrument: str, until_ms: int) -> int:
    """Delete an instrument's series, as `end_unused` does; return how many. TransientError."""
    return _end(client, shard_of(instrument, shards), until_ms, -1, instrument)


def _end(client: redis.Redis, shard: int, until_ms: int, limit: int, instrument: str) -> int:
    keys = due_key(shard), used_key(shard)
    with translated():
        ended = client.eval(_END, 2, *keys, until_ms, limit, instrument, _key(shard, "series:"))
    return cast(int, ended)


def _key(shard: int | str, name: str) -> str:
    return f"{{{shard}}}:patterns:{name}"
