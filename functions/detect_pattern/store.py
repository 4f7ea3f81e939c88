"""The series in Redis: many read in one round trip, each replaced by an atomic compare-and-set."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING, Any, Final, cast

from functions.detect_pattern.series import Series
from functions.detect_pattern.window import Window
from shared.errors import TransientError
from shared.market.shards import shard_of
from shared.realtime.pattern_series import (
    SHARDS_KEY,
    Name,
    adopt,
    due_key,
    end_unused,
    is_open,
    listed_key,
    member,
    name_of,
    series_key,
    used_key,
)
from shared.runtime.group_commit import GroupCommit
from shared.stores.redis import translated

if TYPE_CHECKING:
    import redis

_REPLACE: Final = resources.files(__package__).joinpath("replace.lua").read_text()
_BEGIN: Final = resources.files(__package__).joinpath("begin.lua").read_text()
_VERSION_BYTES: Final = 8
"""Each value begins with its version, which the script compares."""
_SERIES_A_SCRIPT: Final = 500
"""Limits how long one script blocks Redis to a few milliseconds."""


def version(number: int) -> bytes:
    """Encode a version."""
    return number.to_bytes(_VERSION_BYTES, "big")


@dataclass(frozen=True, slots=True)
class Read:
    """Encoded value of a series; None if it is missing. `number`: its version."""

    number: int = 0
    value: bytes | None = None

    @classmethod
    def of(cls, blob: bytes) -> Read:
        """Split version and value."""
        return cls(int.from_bytes(blob[:_VERSION_BYTES], "big"), blob[_VERSION_BYTES:])


@dataclass(frozen=True, slots=True)
class Replacement:
    """A compare-and-set. `value` None: unchanged. `due_ms`: wall clock."""

    name: Name
    read: Read
    number: int
    value: bytes | None
    due_ms: int | None


class Store:
    """The series of all shards. Every method raises TransientError while Redis is away.

    `group` keeps the threads of this process from racing; `replace` detects races with other
    processes.
    """

    def __init__(self, client: redis.Redis, shards: int) -> None:
        self.group: GroupCommit[Mapping[Name, Window], list[Series]] = GroupCommit(
            turn=threading.Lock()
        )
        self._client = client
        self._shards = shards
        self._is_adopted = False
        self._replace = client.register_script(_REPLACE)
        self._begin = client.register_script(_BEGIN)

    def adopt(self) -> None:
        """Delete series of another number of shards, once: who starts last decides.

        From then on a replica that started earlier with another number raises TransientError when
        it writes: what it wrote would stay behind in shards that nobody reads.
        """
        if not self._is_adopted:
            adopt(self._client, self._shards)
            self._is_adopted = True

    def ready(self) -> None:
        """Adopt the series. Raises TransientError while a replica of other SHARDS has them."""
        self.adopt()
        with translated():
            number = cast(bytes | None, self._client.get(SHARDS_KEY))
        self._check(number)

    def read(self, names: Iterable[Name]) -> dict[Name, Read]:
        """Read series."""
        reads: dict[Name, Read] = {}
        for shard_names, blobs in self._by_shard(
            names,
            lambda pipe, shard, shard_names: pipe.mget(
                [series_key(shard, name) for name in shard_names]
            ),
        ):
            for name, blob in zip(shard_names, cast(list[bytes | None], blobs), strict=True):
                reads[name] = Read() if blob is None else Read.of(blob)
        return reads

    def replace(self, replacements: Iterable[Replacement], now_ms: int) -> dict[Name, bool]:
        """Write each series that is unchanged since it was read; return which were written."""
        by_name = {each.name: each for each in replacements}

        def write(pipe: Any, shard: int, shard_names: Sequence[Name]) -> None:
            keys = [SHARDS_KEY, due_key(shard), used_key(shard)]
            arguments: list[bytes | str] = [str(self._shards), str(now_ms)]
            for name in shard_names:
                each = by_name[name]
                keys.append(series_key(shard, name))
                arguments += [
                    b"" if each.read.value is None else version(each.read.number),
                    b"" if each.value is None else version(each.number) + each.value,
                    member(name),
                    "" if each.due_ms is None else str(each.due_ms),
                ]
            self._replace(keys=keys, args=arguments, client=pipe)

        written: dict[Name, bool] = {}
        for shard_names, answers in self._by_shard(by_name, write):
            if not isinstance(answers, list):
                self._check(cast(bytes | None, answers))
                answers = [0] * len(shard_names)
            written |= zip(shard_names, map(bool, answers), strict=True)
        return written

    def due(self, now_ms: int, longest_ms: int, limit: int) -> list[Name]:
        """Return series that are due, the longest due of each shard first.

        One that is due later than `longest_ms` from now was written before the clock was set back.
        """
        with translated(), self._client.pipeline(transaction=False) as pipe:
            for shard in range(self._shards):
                for first, last in (("-inf", str(now_ms)), (f"({now_ms + longest_ms}", "inf")):
                    pipe.zrange(
                        due_key(shard),
                        first,
                        last,
                        byscore=True,
                        offset=0,
                        num=-(-limit // self._shards),
                    )
            answers = cast(list[list[bytes]], pipe.execute())
        return [name_of(each) for members in answers for each in members]

    def unloaded_shards(self, now_ms: int, longest_ms: int) -> list[int]:
        """Return the shards to list from storage: new, lost, or due for a repeat, as in `due`."""
        with translated():
            keys = [SHARDS_KEY, *map(listed_key, range(self._shards))]
            number, *again_ms = cast(list[bytes | None], self._client.mget(keys))
        self._check(number)
        return [
            shard
            for shard, again in enumerate(again_ms)
            if again is None or (int(again) and not now_ms < int(again) <= now_ms + longest_ms)
        ]

    def begin(self, shards: Sequence[int], names: Iterable[Name], again_ms: int) -> None:
        """Mark the series of these shards as due; the first time, schedule a repeat."""

        def mark(pipe: Any, shard: int, shard_names: Sequence[Name]) -> None:
            arguments = [str(self._shards), "", *map(member, shard_names)]
            self._begin(keys=[SHARDS_KEY, due_key(shard)], args=arguments, client=pipe)

        mine = [each for each in names if shard_of(each[0], self._shards) in shards]
        if not self._accepted(answer for _, answer in self._by_shard(mine, mark)):
            return
        with translated(), self._client.pipeline(transaction=False) as pipe:
            for shard in shards:
                keys = [SHARDS_KEY, due_key(shard), listed_key(shard)]
                self._begin(keys=keys, args=[str(self._shards), str(again_ms)], client=pipe)
            answers = pipe.execute()
        self._accepted(answers)

    def instruments(self) -> int:
        """Return how many instruments have a series."""
        with translated(), self._client.pipeline(transaction=False) as pipe:
            for shard in range(self._shards):
                pipe.zrange(used_key(shard), 0, -1)
            answers = cast(list[list[bytes]], pipe.execute())
        return len({name_of(each)[0] for members in answers for each in members})

    def end_unused(self, until_ms: int) -> int:
        """Delete a batch of series not written since `until_ms`; return how many."""
        return end_unused(self._client, self._shards, until_ms)

    def _accepted(self, answers: Iterable[object]) -> bool:
        """Return whether the scripts ran; False: Redis had lost its data. TransientError."""
        for answer in answers:
            if not isinstance(answer, list):
                self._check(cast(bytes | None, answer))
                return False
        return True

    def _check(self, number: bytes | None) -> None:
        """Raise TransientError for another number of shards; without one, Redis lost its data."""
        if is_open(number, self._shards):
            adopt(self._client, self._shards, starts=False)
        elif number is not None and int(number) != self._shards:
            raise TransientError(
                f"a replica with other SHARDS ({abs(int(number))}) has the series; if SHARDS is to "
                f"be {self._shards}, restart detect-pattern: who starts last decides"
            )

    def _by_shard(
        self, names: Iterable[Name], command: Any
    ) -> Iterator[tuple[Sequence[Name], object]]:
        """Call `command(pipe, shard, names)` for the names of each shard; yield the answers."""
        of_shard: dict[int, list[Name]] = {}
        for name in names:
            of_shard.setdefault(shard_of(name[0], self._shards), []).append(name)
        groups = [
            (shard, shard_names[first : first + _SERIES_A_SCRIPT])
            for shard, shard_names in of_shard.items()
            for first in range(0, len(shard_names), _SERIES_A_SCRIPT)
        ]
        if not groups:
            return
        with translated(), self._client.pipeline(transaction=False) as pipe:
            for shard, shard_names in groups:
                command(pipe, shard, shard_names)
            answers = pipe.execute()
        yield from zip((shard_names for _, shard_names in groups), answers, strict=True)
