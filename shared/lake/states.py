"""Snapshots of the live state in object storage: latest trades and open candles, one object each.

An object is zstd-compressed lines of JSON, decimals as text: first what it is, then an instrument a
line. `state/date=2026-11-21/20261121T143000.123456Z-<lake>-<unique>.ndjson.zst`.
"""

from __future__ import annotations

import json
import re
import uuid
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Final

import zstandard
from pydantic import TypeAdapter

from shared.lake.maintenance.settings import Terms
from shared.lake.record import lake_of
from shared.market.timestamps import EPOCH, us_of
from shared.market.utc_days import DAY_US, day_of
from shared.realtime.readers import LiveState
from shared.stores.postgres import Postgres
from shared.stores.s3 import ObjectStore
from shared.wire.candle import Candle

if TYPE_CHECKING:
    import redis

STATE: Final = "state"
_STAMP: Final = "%Y%m%dT%H%M%S.%fZ"
_NAME: Final = re.compile(
    r"date=[0-9-]{10}/([0-9]{8}T[0-9]{6}\.[0-9]{6}Z)-([0-9a-z]+)-[0-9a-f]+\.ndjson\.zst"
)


@dataclass(frozen=True, slots=True)
class LiveInstrument:
    """An instrument's latest trade in the total order, and its open candles."""

    symbol: str
    price: Decimal
    size: Decimal
    time_us: int
    candles: tuple[Candle, ...]


_LINE: Final = TypeAdapter(LiveInstrument)


@dataclass(frozen=True, slots=True)
class State:
    """The live state of a snapshot."""

    lake: str
    taken_us: int
    instruments: dict[str, LiveInstrument]


@dataclass(frozen=True, slots=True)
class StateObject:
    """Key of a snapshot, its owner, and its time."""

    key: str
    lake: str
    taken_us: int
    bytes: int


def live_instruments(client: redis.Redis, shards: int) -> list[LiveInstrument]:
    """Return every instrument's live state. Raises TransientError."""
    live = LiveState.of(client, shards)
    candles: dict[str, list[Candle]] = defaultdict(list)
    for timeframe in live.ladder:
        for candle in live.all_candles(timeframe).candles():
            if not candle.closed:
                candles[candle.instrument].append(candle)
    return [
        LiveInstrument(
            each.instrument,
            Decimal(each.price),
            Decimal(each.size),
            each.time_us,
            tuple(candles[each.instrument]),
        )
        for each in live.latest()
    ]


def take_state(
    postgres: Postgres, client: redis.Redis, store: ObjectStore, shards: int, now_us: int
) -> StateObject:
    """Write a snapshot of the live state as it is now. Raises TransientError."""
    instruments = live_instruments(client, shards)
    with postgres.connection() as connection:
        lake = lake_of(connection)
    head = {"lake": lake, "taken_us": now_us, "instruments": len(instruments)}
    lines = [json.dumps(head).encode(), *map(_LINE.dump_json, instruments), b""]
    body = zstandard.ZstdCompressor(level=3).compress(b"\n".join(lines))
    taken_at = EPOCH + timedelta(microseconds=now_us)
    name = f"{taken_at.strftime(_STAMP)}-{lake}-{uuid.uuid4().hex}.ndjson.zst"
    key = f"date={taken_at:%Y-%m-%d}/{name}"
    store.create(STATE, key, body)
    return StateObject(key, lake, now_us, len(body))


def state_is_due(postgres: Postgres, store: ObjectStore, terms: Terms, now_us: int) -> bool:
    """Tell whether the next snapshot of this lake's state is due. Raises TransientError."""
    if not terms.state_s:
        return False
    with postgres.connection() as connection:
        lake = lake_of(connection)
    since_us = now_us - terms.state_s * 1_000_000
    return not any(
        each.lake == lake and each.taken_us > since_us
        for day in {day_of(since_us), day_of(now_us)}
        for each in list_states(store, f"date={day}/")
    )


def list_states(store: ObjectStore, prefix: str = "") -> Iterator[StateObject]:
    """Yield the snapshots whose names begin with the prefix, the oldest first. TransientError."""
    for each in sorted(store.listing(STATE, prefix), key=lambda each: each.key):
        if match := _NAME.fullmatch(each.key):
            taken_at = datetime.strptime(match[1], _STAMP).replace(tzinfo=UTC)
            yield StateObject(each.key, match[2], us_of(taken_at), each.bytes)


def read_state(store: ObjectStore, at: StateObject) -> State:
    """Read a snapshot. Raises TransientError."""
    body = zstandard.ZstdDecompressor().decompressobj().decompress(store.read(STATE, at.key))
    first, *lines = body.splitlines()
    head, instruments = json.loads(first), map(_LINE.validate_json, lines)
    return State(head["lake"], head["taken_us"], {each.symbol: each for each in instruments})


def end_states(postgres: Postgres, store: ObjectStore, terms: Terms, now_us: int) -> int:
    """Remove this lake's old state snapshots; return how many. Raises TransientError."""
    if not terms.state_days:
        return 0
    with postgres.connection() as connection:
        lake = lake_of(connection)
    expired = [
        each.key
        for each in list_states(store)
        if each.lake == lake and each.taken_us < now_us - terms.state_days * DAY_US
    ]
    for key in expired:
        store.remove(STATE, key)
    return len(expired)
