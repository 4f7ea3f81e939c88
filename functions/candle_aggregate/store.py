"""The state in Redis: reads in pipelines, and one atomic step that writes what was computed."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from typing import Final, Literal, cast

import redis

from shared.errors import TransientError
from shared.state import COMPARED, MISSING, Keys, unpack, version_of
from shared.stores.redis import translated

Applied = Literal["ok", "applied", "conflict"]

Operation = list[str | int]
"""An index command: name, then the key, then its arguments."""


def _script(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text()


APPLY: Final = _script("apply.lua")
PUBLISHED: Final = _script("published.lua")
CLAIM: Final = _script("claim.lua")


@dataclass(frozen=True, slots=True)
class Versioned:
    """A value as read, with the version that it must still have when it is replaced."""

    version: bytes
    value: bytes | None

    @property
    def number(self) -> int:
        """The version as an integer, 0 when the value is missing."""
        return int.from_bytes(self.version, "big")


@dataclass(slots=True)
class Step:
    """What one atomic step writes: values with the versions they replace, and index commands."""

    writes: dict[str, tuple[bytes, bytes]] = field(default_factory=dict)
    operations: list[Operation] = field(default_factory=list)

    def write(self, key: str, read: Versioned, value: bytes) -> None:
        """Replace a value that was read."""
        self.writes[key] = (read.version, value)

    def delete(self, key: str, read: Versioned) -> None:
        """Delete a value that was read."""
        self.writes[key] = (read.version, b"")

    def index(self, name: str, key: str, *arguments: str) -> None:
        """Add an index command, such as ZADD."""
        self.operations.append([name, key, *arguments])

    def hash_set(self, key: str, name: str, value: bytes) -> None:
        """Set a field of a hash; `value` must be ASCII, since index commands travel as JSON."""
        self.operations.append(["HSET", key, name, value.decode("ascii")])

    def recompute_due(
        self, keys: Keys, instrument: str, *, not_before_us: int, lateness_us: int
    ) -> None:
        """Set when to look whether the instrument is quiet, after the other commands.

        When its earliest open candle has ended and the allowed lateness is over, and not before the
        time when it can have been idle for long enough.
        """
        operation: Operation = ["DUE", keys.open(instrument), keys.due, instrument]
        self.operations.append([*operation, str(not_before_us), str(lateness_us)])


class Store:
    """One shard's state. Every method raises TransientError while Redis is away."""

    def __init__(self, client: redis.Redis, keys: Keys) -> None:
        self.keys = keys
        self._client = client
        self._apply = client.register_script(APPLY)
        self._published = client.register_script(PUBLISHED)
        self._claim = client.register_script(CLAIM)

    def epoch(self) -> int | None:
        """Return the state's epoch, or None when there is no state."""
        with translated():
            value = cast(bytes | None, self._client.get(self.keys.epoch))
        return None if value is None else int(value)

    def claim(self, epoch: int) -> bool:
        """Claim the building of a state that is not there; False when another has it, or had."""
        with translated():
            return bool(self._claim(keys=[self.keys.epoch, self.keys.rebuilding], args=[epoch]))

    def build(self, step: Step, epoch: int) -> None:
        """Write a step while the state is being built.

        Raises TransientError when another has claimed it meanwhile, or has finished.
        """
        if self._write(step, self.keys.rebuilding, epoch, {}) != "ok":
            raise TransientError("another has taken over the rebuild of the live state")

    def all_keys(self) -> Iterator[list[str]]:
        """Yield every key of the shard, some at a time."""
        cursor = 0
        while True:
            with translated():
                cursor, keys = cast(
                    tuple[int, list[bytes]],
                    self._client.scan(cursor, match=f"{{{self.keys.shard}}}:*", count=1_000),
                )
            yield [key.decode() for key in keys]
            if not cursor:
                return

    def settle_markers(self, event_ids: Sequence[str], life_ms: int) -> None:
        """Let markers end: Postgres knows by now that their events are in the candles."""
        if not event_ids:
            return
        with translated(), self._client.pipeline(transaction=True) as pipe:
            for event_id in event_ids:
                pipe.pexpire(self.keys.marker(event_id), life_ms)
            pipe.zrem(self.keys.pending, *event_ids)
            pipe.execute()

    def note_compared(self, event_ids: Iterable[str]) -> None:
        """Note that the trades that events repeated were compared with what is stored."""
        with translated(), self._client.pipeline(transaction=False) as pipe:
            for event_id in event_ids:
                pipe.set(self.keys.marker(event_id), COMPARED, xx=True, keepttl=True)
            pipe.execute()

    def pending_before(self, until_ms: int, limit: int) -> list[str]:
        """Return events that were applied so long ago, and have markers without end."""
        with translated():
            members = self._client.zrange(
                self.keys.pending, "-inf", until_ms, byscore=True, offset=0, num=limit
            )
        return [member.decode() for member in cast(list[bytes], members)]

    def pending_since(self, event_ids: Sequence[str]) -> list[float | None]:
        """Return when (ms) each event was applied, None where Postgres has it on record."""
        if not event_ids:
            return []
        with translated():
            return self._client.zmscore(self.keys.pending, list(event_ids))

    def unpublished_since_ms(self) -> float | None:
        """Return since when the candle waits that waits longest to be emitted, if one does."""
        return self._lowest(self.keys.unpublished)

    def pending_since_ms(self) -> float | None:
        """Return when the event was applied that waits longest to be on record, if one does."""
        return self._lowest(self.keys.pending)

    def _lowest(self, key: str) -> float | None:
        with translated():
            first = cast(list[tuple[bytes, float]], self._client.zrange(key, 0, 0, withscores=True))
        return first[0][1] if first else None

    def markers(self, event_ids: Sequence[str]) -> list[bytes | None]:
        """Return each event's marker: APPLIED, REPEATED, COMPARED or None."""
        if not event_ids:
            return []
        with translated():
            return cast(
                list[bytes | None],
                self._client.mget([self.keys.marker(event_id) for event_id in event_ids]),
            )

    def are_applied(self, event_ids: Sequence[str]) -> list[bool]:
        """Tell for each event whether its marker is there."""
        return [marker is not None for marker in self.markers(event_ids)]

    def read(self, keys: Sequence[str]) -> dict[str, Versioned]:
        """Read versioned values."""
        if not keys:
            return {}
        with translated():
            blobs = cast(list[bytes | None], self._client.mget(keys))
        return {key: _versioned(blob) for key, blob in zip(keys, blobs, strict=True)}

    def open_until(self, instrument_ends: Iterable[tuple[str, int]]) -> list[tuple[str, str, int]]:
        """Return (instrument, timeframe, start_us) of open candles that end by the given time."""
        wanted = list(instrument_ends)
        with translated(), self._client.pipeline(transaction=False) as pipe:
            for name, end in wanted:
                pipe.zrange(self.keys.open(name), 0, end, byscore=True)
            answers = cast(list[list[bytes]], pipe.execute())
        found = []
        for (name, _), members in zip(wanted, answers, strict=True):
            for member in members:
                timeframe, start = member.decode().split(":")
                found.append((name, timeframe, int(start)))
        return found

    def due(self, until_us: int, limit: int) -> list[str]:
        """Return instruments that may be quiet by the given time and have an open candle."""
        with translated():
            members = self._client.zrange(
                self.keys.due,
                "-inf",
                until_us,
                byscore=True,
                offset=0,
                num=limit,
            )
        return [member.decode() for member in cast(list[bytes], members)]

    def apply(
        self, step: Step, epoch: int, *, markers: Mapping[str, bytes] | None = None
    ) -> Applied:
        """Write all of the step and mark its events as applied, or nothing.

        `markers`: event id -> APPLIED or REPEATED. Raises TransientError when the epoch is another.
        """
        answer = self._write(step, self.keys.epoch, epoch, markers or {})
        if answer == "epoch":
            raise TransientError("the state was rebuilt meanwhile")
        return cast(Applied, answer)

    def _write(self, step: Step, guard: str, epoch: int, markers: Mapping[str, bytes]) -> str:
        """Run the atomic step while the value of the key `guard` is the epoch."""
        values = list(step.writes.items())
        head = [guard, *(self.keys.marker(event_id) for event_id in markers)]
        head += [key for key, _ in values]
        index_keys = list(dict.fromkeys(key for op in step.operations for key in _keys_of(op)))
        place = {key: len(head) + 1 + i for i, key in enumerate(index_keys)}
        operations = [_placed(op, place) for op in step.operations]
        pairs = [part for _, (version, value) in values for part in (version, value)]
        arguments: list[str | int | bytes] = [epoch, len(markers), len(values)]
        arguments += [*markers.values(), *pairs]
        arguments.append(json.dumps(operations) if operations else "[]")
        with translated():
            return cast(bytes, self._apply(keys=head + index_keys, args=arguments)).decode()

    def unpublished(self, until_ms: int, limit: int) -> list[str]:
        """Return keys of candles that wait to be emitted since the given time or longer."""
        with translated():
            members = cast(
                list[bytes],
                self._client.zrange(
                    self.keys.unpublished, "-inf", until_ms, byscore=True, offset=0, num=limit
                ),
            )
        return [member.decode() for member in members]

    def candles(self, name: str, timeframe: str, limit: int) -> list[int]:
        """Return the starts (us) of an instrument's candles in state, oldest first."""
        with translated():
            members = cast(
                list[bytes], self._client.zrange(self.keys.candles(name, timeframe), 0, limit - 1)
            )
        return [int(member) for member in members]

    def candles_between(self, name: str, timeframe: str, low_us: int, high_us: int) -> list[int]:
        """Return the starts (us) of an instrument's candles in state, both bounds included."""
        with translated():
            members = cast(
                list[bytes],
                self._client.zrange(
                    self.keys.candles(name, timeframe), low_us, high_us, byscore=True
                ),
            )
        return [int(member) for member in members]

    def some_instruments(self, count: int) -> list[str]:
        """Return a few instruments, chosen by chance."""
        with translated():
            members = cast(list[bytes], self._client.srandmember(self.keys.instruments, count))
        return [member.decode() for member in members]

    def blocks_before(self, name: str, minute: int) -> list[tuple[int, str]]:
        """Return (minute, block) of seen trades in state, of minutes before the given one."""
        with translated():
            members = cast(
                list[bytes],
                self._client.zrange(self.keys.blocks(name), "-inf", f"({minute}", byscore=True),
            )
        pairs = (member.decode().split(":") for member in members)
        return [(int(of), block) for of, block in pairs]

    def evictable(self, now_ms: int, limit: int) -> list[tuple[str, str]]:
        """Return (instrument, timeframe) that may have candles to let go."""
        with translated():
            members = cast(
                list[bytes],
                self._client.zrange(
                    self.keys.evictable, "-inf", now_ms, byscore=True, offset=0, num=limit
                ),
            )
        pairs = (member.decode().split(":", 1) for member in members)
        return [(name, timeframe) for timeframe, name in pairs]

    def are_unpublished(self, keys: Sequence[str]) -> list[bool]:
        """Tell for each candle key whether it waits to be emitted."""
        if not keys:
            return []
        with translated():
            found = self._client.zmscore(self.keys.unpublished, list(keys))
        return [score is not None for score in found]

    def late(self) -> dict[str, tuple[int, bytes]]:
        """Return the late batches to be emitted: event id -> (since when in ms, LateBatch)."""
        with translated():
            entries = cast(dict[bytes, bytes], self._client.hgetall(self.keys.late))
        return {
            event_id.decode(): unpack(base64.b64decode(value))
            for event_id, value in entries.items()
        }

    def mark_late_emitted(self, event_ids: Sequence[str]) -> None:
        """Note that late batches were emitted."""
        if event_ids:
            with translated():
                self._client.hdel(self.keys.late, *event_ids)

    def mark_published(self, revisions: Iterable[tuple[str, int]]) -> None:
        """Note that candles were emitted at these revisions."""
        pairs = list(revisions)
        if pairs:
            keys = [self.keys.unpublished, *(key for key, _ in pairs)]
            with translated():
                self._published(keys=keys, args=[version_of(revision) for _, revision in pairs])


def _versioned(blob: bytes | None) -> Versioned:
    if blob is None:
        return Versioned(MISSING, None)
    _, value = unpack(blob)
    return Versioned(blob[:8], value)


def _keys_of(operation: Operation) -> list[str]:
    count = 2 if operation[0] == "DUE" else 1
    return [str(key) for key in operation[1 : 1 + count]]


def _placed(operation: Operation, place: dict[str, int]) -> Operation:
    count = len(_keys_of(operation))
    indexes: Operation = [place[str(key)] for key in operation[1 : 1 + count]]
    return [operation[0], *indexes, *operation[1 + count :]]
