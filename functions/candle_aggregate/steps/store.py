"""The live state in Redis: leases, reads in one pipeline, one atomic script a shard and step."""

from __future__ import annotations

import secrets
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import resources
from typing import TYPE_CHECKING, Any, Final, cast

from shared.errors import TransientError
from shared.realtime.keys import Block, Keys, granted_to
from shared.stores.redis import NoScriptError, RedisError, translated

if TYPE_CHECKING:
    import redis
    from redis.commands.core import Script

LEASE_MS: Final = 5_000
"""Time for which a dead replica keeps its shards from the others."""
FORM: Final = "2"
"""Form of a shard's state, which begins each version: a state that was last written in another form
is rebuilt. It changes with what a replica relies on in what others write."""
_ARGUMENTS: Final = 4_000
"""Of one command: Lua unpacks no more than 8,000 values."""

Value = str | int | bytes


def _script(name: str) -> str:
    folder = resources.files(__package__)
    return folder.joinpath("grant.lua").read_text() + folder.joinpath(name).read_text()


@dataclass(slots=True)
class Lease:
    """The lease of a shard that this replica holds, and the head of the shard's state.

    `lineage` is empty where there is no state. `blocks`: every block and its open records.
    `made_for`: the ladder and the number of shards that the state was made for; `began_us`: the
    wall clock then. `evictions`: how often blocks have left it; `left`: how many
    records of instruments have.
    """

    shard: int
    replica: str
    fence: int
    lineage: str = ""
    version: str = ""
    steps: int = 0
    made_for: tuple[str, int] = ("", 0)
    evictions: int = 0
    began_us: int = 0
    numbers: int = 0
    left: int = 0
    blocks: dict[Block, int] = field(default_factory=dict)

    @property
    def open(self) -> list[Block]:
        """The blocks that have open records."""
        return [block for block, count in self.blocks.items() if count]

    @property
    def token(self) -> str:
        """The value of the key: replica and fencing token."""
        return f"{self.replica}|{self.fence}"

    @property
    def has_form(self) -> bool:
        """Whether the state was last written by a replica of this form."""
        return self.version.startswith(FORM + "-")

    @property
    def life(self) -> tuple[str, int]:
        """While it is equal, no block and no trade ids were removed."""
        return self.lineage, self.evictions


@dataclass(slots=True)
class Changes:
    """One step's writes to a shard: commands, and the events whose markers it sets.

    `opened`: for each block that it touches, how many more of its records are open.
    """

    events: list[str] = field(default_factory=list)
    opened: Counter[Block] = field(default_factory=Counter)
    dropped: list[Block] = field(default_factory=list)
    evictions: int = 0
    left: int = 0
    commands: list[tuple[str, str, list[Value]]] = field(default_factory=list)

    def add(self, command: str, key: str, arguments: Sequence[Value] = ()) -> None:
        """Add a command; one with many arguments, which come in pairs, becomes several."""
        for first in range(0, len(arguments), _ARGUMENTS) or (0,):
            chunk = list(arguments[first : first + _ARGUMENTS])
            self.commands.append((command, key, chunk))

    def put(self, key: str, names: Sequence[str | bytes], blobs: Sequence[bytes]) -> None:
        """Write fields of a hash."""
        self.add("HSET", key, [part for pair in zip(names, blobs, strict=True) for part in pair])

    def settle(self, lease: Lease) -> None:
        """Update the lease after the write."""
        for block, delta in self.opened.items():
            lease.blocks[block] = lease.blocks.get(block, 0) + delta
        for block in self.dropped:
            lease.blocks.pop(block, None)
        lease.evictions += self.evictions
        lease.left += self.left

    def __bool__(self) -> bool:
        return bool(self.events or self.commands)


@dataclass(frozen=True, slots=True)
class Written:
    """Result of a write: `ok`, `fenced`, `changed`, or `applied` (these events were, before).

    `is_held`: whether the lease is still held, and was not handed over.
    """

    answer: str
    applied: tuple[str, ...] = ()
    is_held: bool = True


class Store:
    """Redis. Every method raises TransientError while it is away."""

    def __init__(self, client: redis.Redis, replica: str | None = None) -> None:
        self.client = client
        self.replica = replica or secrets.token_hex(8)
        self._server = (float("-inf"), "")
        self._revision, self._lock = 0, threading.Lock()
        self._acquire = client.register_script(_script("acquire.lua"))
        self._write = client.register_script(_script("write.lua"))
        self._release = client.register_script(_script("release.lua"))

    def acquire(self, shards: Sequence[int], cached: Mapping[int, Lease]) -> dict[int, Lease]:
        """Request the leases of shards; return those granted, and wait in line for the others.

        A lease that is `cached` and still as it was is returned itself, with its new fence.
        """
        calls: list[tuple[list[str], list[Value]]] = []
        for shard in shards:
            keys, lease = Keys(shard), cached.get(shard)
            version = lease.version if lease is not None else ""
            script_keys = [keys.head, keys.lease, keys.waiting, keys.blocks]
            calls.append((script_keys, [self.replica, LEASE_MS, version]))
        answers: list[list[list[bytes]]] = self._run(self._acquire, calls)
        granted = {}
        for shard, answer in zip(shards, answers, strict=True):
            if answer:
                granted[shard] = self._lease(shard, cached.get(shard), *answer)
        return granted

    def _lease(
        self, shard: int, cached: Lease | None, head: list[bytes], blocks: list[bytes] | None = None
    ) -> Lease:
        values = {name.decode(): value.decode() for name, value in _pairs(head)}
        fence = int(values["fence"])
        lineage = values.get("lineage", "")
        if blocks is None and cached is not None and cached.lineage == lineage:
            cached.fence = fence
            return cached
        return Lease(
            shard,
            self.replica,
            fence,
            lineage,
            values.get("version", ""),
            int(values.get("steps", 0)),
            (values.get("ladder", ""), int(values.get("shards", 0))),
            int(values.get("evictions", 0)),
            int(values.get("began_us", 0)),
            int(values.get("numbers", 0)),
            int(values.get("left", 0)),
            {Block.of(name): int(count) for name, count in _pairs(blocks or [])},
        )

    def revision(self, now_us: int) -> int:
        """Return what new revisions are at least: the wall clock, which never goes back here."""
        with self._lock:
            self._revision = max(self._revision + 1, now_us)
            return self._revision

    def read_hashes(
        self, requests: Sequence[tuple[str, Sequence[Value]]]
    ) -> list[list[bytes | None]]:
        """Return fields of hashes, all in one pipeline."""
        return self._pipelined([("HMGET", key, *fields) for key, fields in requests])

    def read_whole(self, keys: Sequence[str]) -> list[dict[bytes, bytes]]:
        """Return whole hashes, all in one pipeline."""
        return self._pipelined([("HGETALL", key) for key in keys])

    def sizes(self, keys: Sequence[str]) -> list[int]:
        """Return how many fields each hash has, all in one pipeline."""
        return self._pipelined([("HLEN", key) for key in keys])

    def delete_fields(self, fields: Mapping[str, Sequence[str]]) -> None:
        """Delete fields of hashes."""
        self._pipelined([("HDEL", key, *names) for key, names in fields.items()])

    def read_ends(self, strings: Sequence[tuple[str, int]]) -> list[bytes]:
        """Return strings, each from a byte on, all in one pipeline; empty if missing."""
        return self._pipelined([("GETRANGE", key, first, -1) for key, first in strings])

    def _pipelined(self, commands: Sequence[tuple[Value, ...]]) -> list[Any]:
        if not commands:
            return []
        with translated(), self.client.pipeline(transaction=False) as pipe:
            for command in commands:
                cast(Any, pipe).execute_command(*command)
            return pipe.execute()

    def write(
        self, steps: Sequence[tuple[Lease, Changes]], now_us: int, *, release: bool = True
    ) -> list[Written]:
        """Write each shard's changes, all in one pipeline; the leases of those written advance.

        `release`: hand over leases of shards for which another replica waits.
        """
        versions = [f"{FORM}-{secrets.token_hex(8)}" for _ in steps]
        calls: list[tuple[list[str], list[Value]]] = []
        for (lease, changes), version in zip(steps, versions, strict=True):
            keys = Keys(lease.shard)
            for block, delta in changes.opened.items():
                if delta or block not in lease.blocks:
                    changes.add("HINCRBY", keys.blocks, [block.field, delta])
            script_keys = [keys.head, keys.lease, keys.waiting, keys.applied, keys.recorded]
            used = dict.fromkeys(key for _, key, _ in changes.commands)
            key_index = {key: n for n, key in enumerate(used, len(script_keys) + 1)}
            arguments: list[Value] = [lease.fence, lease.lineage, lease.version, version]
            arguments += [lease.token, LEASE_MS, now_us // 1000, int(release)]
            arguments += [lease.numbers, len(changes.events), *changes.events]
            for command, key, values in changes.commands:
                arguments += [command, key_index[key], len(values)]
                arguments += values
            calls.append(([*script_keys, *key_index], arguments))
        answers: list[list[bytes]] = self._run(self._write, calls)
        written = []
        granted: set[str] = set()
        for (lease, changes), version, (answer, *details) in zip(
            steps, versions, answers, strict=True
        ):
            texts = tuple(each.decode() for each in details)
            if answer == b"ok":
                lease.version, lease.steps = version, lease.steps + 1
                changes.settle(lease)
                written.append(Written("ok", is_held=not texts))
                granted.update(texts)
            else:
                written.append(Written(answer.decode(), texts))
        self._wake(granted)
        return written

    def keys_of(self, shard: int) -> Iterator[list[bytes]]:
        """Yield every key of a shard, some at a time."""
        cursor = 0
        while True:
            with translated():
                cursor, keys = cast(
                    tuple[int, list[bytes]],
                    self.client.scan(cursor, match=Keys(shard).prefix + "*", count=1_000),
                )
            yield keys
            if not cursor:
                return

    def are_marked(self, shard: int, event_ids: Sequence[str]) -> list[bool]:
        """Tell for each event whether it has a marker in the shard."""
        if not event_ids:
            return []
        keys = Keys(shard)
        scores = self._pipelined(
            [("ZMSCORE", key, *event_ids) for key in (keys.applied, keys.recorded)]
        )
        return [a is not None or b is not None for a, b in zip(*scores, strict=True)]

    def lowest_score(self, key: str) -> int | None:
        """Return the lowest score of a sorted set, if it has one."""
        with translated():
            first = cast(list[tuple[bytes, float]], self.client.zrange(key, 0, 0, withscores=True))
        return int(first[0][1]) if first else None

    def scored(self, key: str, least: int, most: int, limit: int) -> list[str]:
        """Return members of a sorted set with such scores, the lowest first."""
        with translated():
            members = self.client.zrange(key, least, most, byscore=True, offset=0, num=limit)
        return [member.decode() for member in cast(list[bytes], members)]

    def members(self, key: str) -> list[int]:
        """Return the members of a set of numbers."""
        with translated():
            return [int(member) for member in cast(set[bytes], self.client.smembers(key))]

    def server_id(self) -> str:
        """Return the run id of the server; it changes with a restart or a failover.

        Asked at most once a second.
        """
        now_s = time.monotonic()
        if now_s >= self._server[0] + 1.0:
            with translated():
                server = self.client.info("server")
            self._server = now_s, str(server["run_id"])
        return self._server[1]

    def check(self) -> None:
        """Raise TransientError while Redis is away."""
        with translated():
            self.client.ping()

    def release(self, shards: Iterable[int]) -> bool:
        """Give up the leases of shards, or the wait for them; tell whether another waited."""
        calls: list[tuple[list[str], list[Value]]] = [
            ([keys.head, keys.lease, keys.waiting], [self.replica, LEASE_MS])
            for keys in map(Keys, shards)
        ]
        answers: list[bytes] = self._run(self._release, calls)
        granted = {answer.decode() for answer in answers if answer}
        self._wake(granted)
        return bool(granted)

    def wait(self, seconds: float) -> bool:
        """Wait for a lease to be handed over; tell whether one was."""
        with translated():
            return self.client.blpop([granted_to(self.replica)], seconds) is not None

    def _wake(self, replicas: Set[str]) -> None:
        """Tell replicas that leases were handed over to them. One that misses it asks again."""
        if not replicas:
            return
        with suppress(RedisError), self.client.pipeline(transaction=False) as pipe:
            for key in map(granted_to, replicas):
                pipe.delete(key)
                pipe.lpush(key, "")
                pipe.pexpire(key, LEASE_MS)
            pipe.execute()

    def _run(self, script: Script, calls: Sequence[tuple[list[str], list[Value]]]) -> list[Any]:
        """Run a script once for each call, its keys and arguments, all in one pipeline.

        A server that does not know the script runs none of it: it is loaded, and all called again.
        redis-py's own pipelines ask for the script each time, which is a round trip.
        """
        with translated(), self.client.pipeline(transaction=False) as pipe:
            for is_loaded in (True, False):
                if not is_loaded:
                    self.client.script_load(script.script)
                for keys, arguments in calls:
                    pipe.evalsha(script.sha, len(keys), *keys, *arguments)
                with suppress(NoScriptError):
                    return pipe.execute()
        raise TransientError("Redis forgets scripts as soon as they are loaded")


def _pairs(flat: Sequence[Any]) -> Iterable[tuple[Any, Any]]:
    return zip(flat[::2], flat[1::2], strict=True)
