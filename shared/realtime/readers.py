"""Readers of the live state: latest trades and candles, including open ones.

A longer candle is the fold of its closed base candles, joined with the open ones by the reader.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from shared.market.blocks import CLOSED, INCOMPLETE, PARTIAL, PRICED, Records, concatenated, fold
from shared.market.decimals import mantissa_text
from shared.market.shards import shard_of
from shared.market.timeframes import DEFAULT_LADDER, Timeframe, parse_ladder
from shared.realtime.instrument_records import INSTRUMENT, NEVER_US
from shared.realtime.keys import Block, Keys
from shared.stores.redis import translated
from shared.wire.candle_columns import CandleColumns, joined

if TYPE_CHECKING:
    import redis

_ALWAYS: Final = (-(2**63), 2**63 - 1)
_STARTS: Final = 500
"""Fewest intervals read at once: there are few, unless history is imported."""
_NOTHING: Final = (np.zeros(0, dtype=np.int64), Records.empty(0))
_Key = tuple[int, Block]


class Latest(NamedTuple):
    """The latest trade of an instrument; prices and sizes as plain text, times in microseconds."""

    instrument: str
    price: str
    size: str
    time_us: int
    received_us: int


class _Read(NamedTuple):
    """A block, or part of one."""

    shard: int
    block: Block
    names: list[str]
    records: Records


@dataclass(frozen=True, slots=True)
class LiveState:
    """Reads the live state; `ladder`: base first. Raises TransientError while Redis is away."""

    client: redis.Redis
    shards: int
    ladder: tuple[Timeframe, ...]

    @classmethod
    def of(cls, client: redis.Redis, shards: int) -> LiveState:
        """Return the reader with the ladder recorded in the state."""
        with translated():
            ladder = cast(bytes | None, client.hget(Keys(0).head, "ladder"))
        return cls(client, shards, parse_ladder(ladder.decode() if ladder else DEFAULT_LADDER))

    def latest(self, names: Sequence[str] | None = None) -> list[Latest]:
        """Return the latest trade of the instruments, or of all, by name."""
        latest = []
        blobs = self._instruments(names)
        data = _decoded(blobs.values())
        columns = ("price", "size", "price_scale", "size_scale", "received_us")
        values = zip(*(data[each].tolist() for each in columns), strict=True)
        for name, blob, last_us, (price, traded, price_scale, size_scale, received_us) in zip(
            blobs, blobs.values(), data["last"][:, 0].tolist(), values, strict=True
        ):
            if last_us == NEVER_US:
                continue  # traded, but without a price-making tick
            if len(blob) > INSTRUMENT.itemsize:
                price, traded = map(int, blob[INSTRUMENT.itemsize :].split())
            texts = mantissa_text(price, price_scale), mantissa_text(traded, size_scale)
            latest.append(Latest(name, *texts, last_us, received_us))
        return sorted(latest)

    def watermark_us(self, name: str) -> int | None:
        """Return the watermark of an instrument; None if nothing is live."""
        blob = self._instruments([name]).get(name)
        if blob is None:
            return None
        return int(_decoded([blob])["watermark_us"][0])

    def candles_of(
        self,
        names: Sequence[str],
        timeframe: Timeframe,
        from_us: int,
        to_us: int,
        count: int | None = None,
        *,
        newest: bool = False,
    ) -> CandleColumns:
        """Return the live candles of instruments that start in [from_us, to_us).

        Those of each instrument ascend. With a `count`, which bounds what is read of imported
        history, at least its first ones, or its last ones if `newest`.
        """
        keys = self._keys(self._by_shard(names), timeframe, from_us, to_us)
        by_start: dict[int, list[_Key]] = defaultdict(list)
        for key in keys:
            by_start[timeframe.start_us(key[1].start_us)].append(key)
        starts = sorted(by_start, reverse=newest)
        size = len(starts) if count is None else max(count, _STARTS)
        parts, found = [CandleColumns(timeframe.name, [], *_NOTHING)], Counter[str]()
        while starts and names:
            some, starts = starts[:size], starts[size:]
            read = self._read(self._by_shard(names), chain(*(by_start[each] for each in some)))
            parts.append(self._joined(timeframe, *read))
            found.update(parts[-1].names)
            names = [name for name in names if count is None or found[name] < count]
        (whole,) = joined(parts[::-1] if newest else parts)
        return whole

    def all_candles(self, timeframe: Timeframe, from_us: int = _ALWAYS[0]) -> CandleColumns:
        """Return the live candles of every instrument that start at `from_us` or later."""
        shards = dict.fromkeys(range(self.shards))
        keys = self._keys(shards, timeframe, from_us, _ALWAYS[1])
        return self._joined(timeframe, *self._read(shards, keys))

    def _instruments(self, names: Sequence[str] | None) -> dict[str, bytes]:
        names_of: Mapping[int, Sequence[str] | None] = (
            dict.fromkeys(range(self.shards)) if names is None else self._by_shard(names)
        )
        with translated(), self.client.pipeline(transaction=False) as pipe:
            for shard, members in names_of.items():
                _get(pipe, Keys(shard).instruments, members)
            return _found(names_of.values(), pipe.execute() if names_of else [])

    def _by_shard(self, names: Sequence[str]) -> dict[int, list[str]]:
        grouped: dict[int, list[str]] = defaultdict(list)
        for name in names:
            grouped[shard_of(name, self.shards)].append(name)
        return grouped

    def _keys(
        self, shards: Iterable[int], timeframe: Timeframe, from_us: int, to_us: int
    ) -> list[_Key]:
        """Return the blocks of a timeframe that start in [from_us, to_us), and open base blocks."""
        base = self.ladder[0].name
        with translated(), self.client.pipeline(transaction=False) as pipe:
            for shard in shards:
                pipe.hgetall(Keys(shard).blocks)
            stored = cast(list[dict[bytes, bytes]], pipe.execute())
        keys: dict[_Key, None] = {}
        for shard, blocks in zip(shards, stored, strict=True):
            for text, count in blocks.items():
                block = Block.of(text)
                start_us = timeframe.start_us(block.start_us)
                if not from_us <= start_us < to_us:
                    continue
                if block.timeframe == timeframe.name:
                    keys[shard, block] = None
                elif block.timeframe == base and int(count):
                    # If it closes meanwhile, its candles are in the fold.
                    keys[shard, block] = keys[shard, Block(timeframe.name, start_us)] = None
        return list(keys)

    def _read(
        self, names_of: Mapping[int, Sequence[str] | None], keys: Iterable[_Key]
    ) -> tuple[list[_Read], dict[str, bytes]]:
        """Read blocks and their instruments, in one round trip."""
        keys = [key for key in keys if key[0] in names_of]
        # Atomic: a base candle is either open in its block or in the fold.
        with translated(), self.client.pipeline(transaction=True) as pipe:
            for shard, block in keys:
                _get(pipe, Keys(shard).block(block), names_of[shard])
            shards = dict.fromkeys(shard for shard, _ in keys)
            for shard in shards:
                _get(pipe, Keys(shard).instruments, names_of[shard])
            replies = pipe.execute() if keys else []
        reads = []
        for (shard, block), reply in zip(keys, replies, strict=False):
            blobs = _found([names_of[shard]], [reply])
            reads.append(_Read(shard, block, list(blobs), Records.decode(list(blobs.values()))))
        return reads, _found([names_of[shard] for shard in shards], replies[len(keys) :])

    def _joined(
        self, timeframe: Timeframe, read: Iterable[_Read], instruments: dict[str, bytes]
    ) -> CandleColumns:
        names: list[str] = []
        starts, parts = [], []
        for each in read:
            records, members = each.records, each.names
            if each.block.timeframe != timeframe.name:  # closed base candles are in the folds
                is_open = np.flatnonzero(~records.has(CLOSED) & records.has(PRICED))
                records, members = records.at(is_open), [members[row] for row in is_open.tolist()]
            names += members
            starts.append(np.full(len(members), timeframe.start_us(each.block.start_us)))
            parts.append(records)
        if not names:
            return CandleColumns(timeframe.name, [], *_NOTHING)
        start_us, records = np.concatenate(starts), concatenated(parts)
        numbers = {name: n for n, name in enumerate(sorted(set(names)))}
        number = np.array([numbers[name] for name in names])
        order = np.lexsort((start_us, number))
        is_first = np.append(True, (np.diff(number[order]) != 0) | (np.diff(start_us[order]) != 0))
        groups = np.flatnonzero(is_first)
        merged = _merged(records.at(order), groups)
        rows = order[groups]
        priced = np.flatnonzero(merged.has(PRICED))
        whole = CandleColumns(
            timeframe.name, [names[row] for row in rows.tolist()], start_us[rows], merged
        )
        return _flagged(whole.at(priced), timeframe, instruments)


def _get(pipe: Any, key: str, names: Sequence[str] | None) -> None:
    """Queue the command that reads members of a hash, all without names."""
    if names is None:
        pipe.hgetall(key)
    else:
        pipe.hmget(key, list(names))


def _found(names_of: Iterable[Sequence[str] | None], replies: Iterable[Any]) -> dict[str, bytes]:
    """Return the members that are there, of the replies to `_get`."""
    found: dict[str, bytes] = {}
    for names, reply in zip(names_of, replies, strict=True):
        if names is None:
            found |= {name.decode(): blob for name, blob in reply.items()}
        else:
            found |= {n: blob for n, blob in zip(names, reply, strict=True) if blob is not None}
    return found


def _flagged(
    candles: CandleColumns, timeframe: Timeframe, instruments: dict[str, bytes]
) -> CandleColumns:
    """Set `partial` by each instrument's first tick."""
    first_us_of = _decoded(instruments.values())["first_us"].tolist()
    first = dict(zip(instruments, first_us_of, strict=True))
    first_us = np.array([first.get(name, NEVER_US) for name in candles.names], dtype=np.int64)
    flags = candles.records.data["flags"]
    partial = (candles.start_us < first_us) & (first_us < candles.start_us + timeframe.length_us)
    flags &= 255 - PARTIAL
    flags |= np.where(partial, PARTIAL, 0).astype(np.uint8)
    return candles


def _decoded(blobs: Iterable[bytes]) -> NDArray[np.void]:
    """Return the fixed part of instruments' records."""
    return np.frombuffer(b"".join(blob[: INSTRUMENT.itemsize] for blob in blobs), dtype=INSTRUMENT)


def _merged(records: Records, groups: NDArray[np.intp]) -> Records:
    """Fold groups; a candle has its latest part's revision, and any part's gap."""
    data = records.data
    revision = np.maximum.reduceat(data["revision"], groups)
    flags = np.bitwise_or.reduceat(data["flags"] & INCOMPLETE, groups)
    flags |= np.bitwise_and.reduceat(data["flags"] & CLOSED, groups)
    merged = fold(records, groups)
    merged.data["revision"] = revision
    merged.data["flags"] = merged.data["flags"] & (255 - CLOSED) | flags
    return merged
