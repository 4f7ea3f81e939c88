"""The series in Redis: read together, each replaced by one atomic compare-and-set."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Final, cast

import redis

from functions.detect_pattern.series import Name
from functions.detect_pattern.turns import Turns
from shared.state import MISSING, pack, unpack
from shared.stores.redis import translated

_REPLACE: Final = resources.files(__package__).joinpath("replace.lua").read_text()


@dataclass(frozen=True, slots=True)
class Read:
    """A series as it was read, encoded; None when it is missing. `number`: its version."""

    number: int = 0
    value: bytes | None = None


@dataclass(frozen=True, slots=True)
class Replacement:
    """What to write in place of what was read; `value` None leaves it. `due_ms`: wall clock."""

    name: Name
    read: Read
    number: int
    value: bytes | None
    due_ms: int | None


class Store:
    """One shard's series. Every method raises TransientError while Redis is away.

    `turns`: keep the threads of this process from racing. Other processes may: `replace` tells.
    """

    def __init__(self, client: redis.Redis, shard: int) -> None:
        self.turns = Turns()
        self._client = client
        self._replace = client.register_script(_REPLACE)
        self._prefix = f"{{{shard}}}:patterns:"

    def read(self, names: Sequence[Name]) -> dict[Name, Read]:
        """Read series."""
        if not names:
            return {}
        with translated():
            blobs = cast(list[bytes | None], self._client.mget([self._key(n) for n in names]))
        return {
            name: Read() if blob is None else Read(*unpack(blob))
            for name, blob in zip(names, blobs, strict=True)
        }

    def replace(self, replacements: Sequence[Replacement]) -> list[bool]:
        """Write each where it is as it was read; tell for each whether it was."""
        if not replacements:
            return []
        with translated():
            pipe = self._client.pipeline(transaction=False)
            for each in replacements:
                version = MISSING if each.read.value is None else pack(each.read.number, b"")
                value = b"" if each.value is None else pack(each.number, each.value)
                due = "" if each.due_ms is None else str(each.due_ms)
                keys = [self._key(each.name), f"{self._prefix}due", f"{self._prefix}all"]
                self._replace(
                    keys=keys, args=[version, value, _member(each.name), due], client=pipe
                )
            return [bool(answer) for answer in pipe.execute()]

    def due(self, now_ms: int, limit: int) -> list[Name]:
        """Return series to look at by now, the longest due first."""
        with translated():
            members = self._client.zrange(
                f"{self._prefix}due", "-inf", now_ms, byscore=True, offset=0, num=limit
            )
        return [_name(member) for member in cast(list[bytes], members)]

    def is_begun(self, now_ms: int) -> bool:
        """Tell whether storage was asked for all series, since the state is new or was lost."""
        with translated():
            again_ms = cast(bytes | None, self._client.get(f"{self._prefix}begun"))
        return again_ms is not None and not 0 < int(again_ms) <= now_ms

    def begin(self, names: Iterable[Name], again_ms: int) -> None:
        """Note that these series are to be looked at; the first time, that it be done once more."""
        begun = f"{self._prefix}begun"
        with translated(), self._client.pipeline(transaction=False) as pipe:
            for name in names:
                pipe.zadd(f"{self._prefix}due", {_member(name): 0}, nx=True)
            pipe.execute()
            self._client.set(begun, 0 if self._client.exists(begun) else again_ms)

    def instruments(self) -> int:
        """Return how many instruments have a series."""
        with translated():
            members = cast(set[bytes], self._client.smembers(f"{self._prefix}all"))
        return len({_name(member)[0] for member in members})

    def _key(self, name: Name) -> str:
        return f"{self._prefix}series:{_member(name)}"


def _member(name: Name) -> str:
    instrument, timeframe = name
    return f"{timeframe}:{instrument}"


def _name(member: bytes) -> Name:
    timeframe, instrument = member.decode().split(":", 1)
    return instrument, timeframe
