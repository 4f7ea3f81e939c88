"""The state in Redis: reads in pipelines, and one atomic step that writes what was computed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from importlib import resources
from typing import Final, Literal, cast

import redis

from shared.errors import TransientError
from shared.state import MISSING, Keys, unpack
from shared.stores.redis import translated

Applied = Literal["ok", "applied", "conflict"]

Operation = list[str | int]
"""An index command: name, then the key, then its arguments."""


def _script(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text()


APPLY: Final = _script("apply.lua")
PUBLISHED: Final = _script("published.lua")


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

    def index(self, name: str, key: str, *arguments: str) -> None:
        """Add an index command, such as ZADD."""
        self.operations.append([name, key, *arguments])

    def recompute_due(self, open_key: str, due_key: str, instrument: str) -> None:
        """Set when the instrument is due from its open candles, after the other commands."""
        self.operations.append(["DUE", open_key, due_key, instrument])


class Store:
    """One shard's state. Every method raises TransientError while Redis is away."""

    def __init__(self, client: redis.Redis, keys: Keys) -> None:
        self.keys = keys
        self._client = client
        self._apply = client.register_script(APPLY)
        self._published = client.register_script(PUBLISHED)

    def epoch(self) -> int | None:
        """Return the state's epoch, or None when there is no state."""
        with translated():
            value = cast(bytes | None, self._client.get(self.keys.epoch))
        return None if value is None else int(value)

    def begin(self, epoch: int) -> None:
        """Set the epoch where there is none."""
        with translated():
            self._client.set(self.keys.epoch, epoch, nx=True)

    def read(self, keys: Sequence[str]) -> dict[str, Versioned]:
        """Read versioned values."""
        if not keys:
            return {}
        with translated():
            blobs = cast(list[bytes | None], self._client.mget(keys))
        return {key: _versioned(blob) for key, blob in zip(keys, blobs, strict=True)}

    def is_applied(self, event_id: str) -> bool:
        """Tell whether the event's marker is there."""
        with translated():
            return bool(self._client.exists(self.keys.marker(event_id)))

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
        """Return instruments whose earliest open candle ends by the given time."""
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
        self, step: Step, epoch: int, *, event_id: str | None = None, marker_ms: int = 0
    ) -> Applied:
        """Write all of the step, or nothing. Raises TransientError when the epoch is another."""
        values = list(step.writes.items())
        index_keys = list(dict.fromkeys(key for op in step.operations for key in _keys_of(op)))
        place = {key: 3 + len(values) + i for i, key in enumerate(index_keys)}
        operations = [_placed(op, place) for op in step.operations]
        keys = [
            self.keys.epoch if event_id is None else self.keys.marker(event_id),
            self.keys.epoch,
            *(key for key, _ in values),
            *index_keys,
        ]
        pairs = [part for _, (version, value) in values for part in (version, value)]
        arguments: list[str | int | bytes] = [epoch, 0 if event_id is None else marker_ms]
        arguments += [len(values), *pairs, json.dumps(operations) if operations else "[]"]
        with translated():
            answer = cast(bytes, self._apply(keys=keys, args=arguments)).decode()
        if answer == "epoch":
            raise TransientError("the state was rebuilt meanwhile")
        return cast(Applied, answer)

    def unpublished(self, limit: int) -> list[tuple[str, int, int]]:
        """Return (candle key, revision, since when in ms) of candles that are to be emitted."""
        with translated():
            _, entries = cast(
                tuple[int, dict[bytes, bytes]],
                self._client.hscan(self.keys.unpublished, count=limit),
            )
        found = []
        for key, value in entries.items():
            revision, since = value.split(b":")
            found.append((key.decode(), int(revision), int(since)))
        return sorted(found)[:limit]

    def mark_published(self, revisions: Iterable[tuple[str, int]]) -> None:
        """Note that candles were emitted at these revisions."""
        arguments = [part for pair in revisions for part in pair]
        if arguments:
            with translated():
                self._published(keys=[self.keys.unpublished], args=arguments)


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
