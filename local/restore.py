"""Restore of the live state from storage, verified against its snapshot."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import Final

import httpx
import redis

from local.audit import Batch, Stores, stored_candles
from shared.adapter.event import OutgoingEvent
from shared.errors import TransientError
from shared.lake.reading.cold import Cold
from shared.lake.record import lake_of
from shared.lake.recovery import PREFIX, adopt, finish, is_adopted, is_empty, ticks_of
from shared.lake.states import (
    LiveInstrument,
    State,
    StateObject,
    list_states,
    live_instruments,
    read_state,
)
from shared.market.timeframes import Timeframe
from shared.reading.ranges import last_tick_us
from shared.realtime.keys import Keys
from shared.stores.postgres import Postgres
from shared.stores.redis import translated
from shared.stores.s3 import ObjectStore, S3Access
from shared.wire import busts, events
from shared.wire.candle import Candle
from shared.wire.raw_batch import FORMAT_SCANNER
from shared.wire.ticks import ENDING, Ticks

SOURCE: Final = "/kandle/restore"
_POLL_S: Final = 0.2
_ATTEMPTS: Final = 60


@dataclass(frozen=True)
class Restore:
    """A restore over its stores. `say` reports progress. Methods raise TransientError."""

    postgres: Postgres
    client: redis.Redis
    access: S3Access
    ladder: tuple[Timeframe, ...]
    shards: int
    wait_s: float
    say: Callable[[str], object]

    @cached_property
    def store(self) -> ObjectStore:
        """The objects of the lake."""
        return ObjectStore(self.access)

    def snapshot(self, at_us: int) -> StateObject | None:
        """Return the last snapshot before a time; for an empty database, of another lake."""
        with self.postgres.connection() as connection:
            lake = lake_of(connection)
        copies = [each for each in list_states(self.store) if each.taken_us <= at_us]
        if not is_empty(self.postgres):
            copies = [each for each in copies if each.lake == lake]
        elif not is_adopted(self.postgres):
            copies = [each for each in copies if each.lake != lake]
        return max(copies, key=lambda each: each.taken_us, default=None)

    def run(self, copy: StateObject, at_us: int, broker: Callable[[], str]) -> list[str]:
        """Restore; return what the state lacks of the snapshot. `broker`: address for ticks."""
        state = read_state(self.store, copy)
        if is_empty(self.postgres):
            self.say(f"this database is empty: it is filled from the lake {state.lake}")
            self._fill(state, at_us, broker())
        is_reset = reset_state(self.client, self.shards, self.wait_s)
        if not is_reset:
            raise TransientError("candle-aggregate did not build its state anew")
        self.say("the live state was made anew from what is stored")
        not_restored: list[str] = []
        cold = Cold(self.access)

        def missing() -> int:
            with self.postgres.connection() as connection:
                stores = Stores(connection, self.client, cold, self.ladder, self.shards)
                not_restored[:] = behind(state, stores)
            return len(not_restored)

        poll_until_zero(missing, self.wait_s)  # the clock applies the rest
        return not_restored

    def _fill(self, state: State, at_us: int, broker: str) -> None:
        """Idempotent: a second call resumes an interrupted one, by ids and file names."""
        if not reset_state(self.client, self.shards, self.wait_s):
            raise TransientError("candle-aggregate did not begin a new state")
        adopted = adopt(self.postgres, self.access, self.store, state.lake, at_us)
        events_, ticks = 0, 0
        for count in send(broker, self._ticks(adopted.hot, at_us), self.shards):
            events_, ticks = events_ + 1, ticks + count
        if left := poll_until_zero(lambda: events_ - self._stored(), self.wait_s):
            raise TransientError(f"{left} of {events_} events are not stored yet")
        repairs = finish(self.postgres, self.access, adopted, self.ladder)
        self.say(
            f"{len(adopted.cold)} days left in the lake,"
            f" {ticks:,} ticks taken in again, {repairs:,} candles queued for repair"
        )

    def _ticks(self, days: Sequence[date], at_us: int) -> Iterator[tuple[str, Ticks]]:
        for day in days:
            yield from ticks_of(self.postgres, self.access, day, at_us)

    def _stored(self) -> int:
        with self.postgres.connection() as connection:
            row = connection.execute(
                "SELECT count(*) FROM applied_events WHERE event_id LIKE %s", (PREFIX + "%",)
            ).fetchone()
        return int(row[0]) if row else 0


def reset_state(client: redis.Redis, shards: int, wait_s: float) -> bool:
    """Make candle-aggregate rebuild its state; return whether it has. Raises TransientError."""
    heads = [Keys(shard).head for shard in range(shards)]
    with translated():
        for head in heads:
            client.hdel(head, "lineage")
    deadline = time.monotonic() + wait_s
    while time.monotonic() < deadline:
        with translated():
            if all(client.hexists(head, "lineage") for head in heads):
                return True
        time.sleep(_POLL_S)
    return False


def send(url: str, batches: Iterable[tuple[str, Ticks]], shards: int) -> Iterator[int]:
    """Post batches of ticks to a Broker; yield the ticks of each accepted event.

    Cancels and corrections are sent as busts. Raises TransientError if it keeps refusing.
    """
    with httpx.Client(trust_env=False, timeout=30.0) as client:
        for id_, ticks in batches:
            ending = (ticks.flags & ENDING) != 0
            prints = ticks.select(~ending)
            if len(prints):
                body = prints.sharded(shards).encode()
                _post(client, url, OutgoingEvent.packed(id_, events.TICKS, body))
                yield len(prints)
            if ending.any():
                body = busts.encode(ticks.source, FORMAT_SCANNER, busts.of_ticks(ticks))
                _post(client, url, OutgoingEvent.packed(f"{id_}/busts", events.BUSTS, body))
                yield int(ending.sum())


def _post(client: httpx.Client, url: str, event: OutgoingEvent) -> None:
    reason = ""
    for _ in range(_ATTEMPTS):
        try:
            response = client.post(url, content=event.body, headers=event.headers(SOURCE, {}))
        except httpx.HTTPError as error:
            reason = str(error) or type(error).__name__
        else:
            if response.is_success:
                return
            reason = f"answered {response.status_code} {response.text[:200]}"
        time.sleep(1.0)
    raise TransientError(f"the broker at {url} does not take the ticks: {reason}")


def poll_until_zero(done: Callable[[], int], wait_s: float) -> int:
    """Poll until it returns 0, or without progress for a while; return the last value."""
    left, since = done(), time.monotonic()
    while left and time.monotonic() - since < wait_s:
        time.sleep(_POLL_S)
        if (now := done()) != left:
            left, since = now, time.monotonic()
    return left


def behind(state: State, stores: Stores) -> list[str]:
    """Return what is missing or less than in a snapshot: empty if all is well.

    Raises TransientError while Redis is away.
    """
    now = {each.symbol: each for each in live_instruments(stores.redis, stores.shards)}
    missing = []
    for symbol, then in state.instruments.items():
        latest = now.get(symbol)
        is_live = latest is not None and latest.time_us >= then.time_us
        # If candles are only in the lake, no price is live; the trades are there.
        if not is_live and not _is_stored(stores, symbol, then.time_us):
            missing.append(f"{symbol}: the latest trade is {_trade(latest)}, was {_trade(then)}")
        for candle in then.candles:
            is_ = _candle(candle, latest, stores)
            if is_ is None or is_.trade_count < candle.trade_count:
                count = 0 if is_ is None else is_.trade_count
                name = f"{symbol} {candle.timeframe} from {candle.start_us} us"
                missing.append(f"{name}: has {count} trades, had {candle.trade_count}")
    return missing


def _candle(then: Candle, latest: LiveInstrument | None, stores: Stores) -> Candle | None:
    key = (then.instrument, then.timeframe, then.start_us)
    for candle in latest.candles if latest else ():
        if (candle.instrument, candle.timeframe, candle.start_us) == key:
            return candle
    batch = Batch([then.instrument], then.start_us, then.start_us + 1)
    return stored_candles(stores, batch, [Timeframe.parse(then.timeframe)]).get(key)


def _is_stored(stores: Stores, symbol: str, time_us: int) -> bool:
    with stores.postgres.transaction():  # keeps the plan of hot and cold data valid
        last_us = last_tick_us(stores.postgres, symbol, stores.cold)
    return last_us is not None and last_us >= time_us


def _trade(instrument: LiveInstrument | None) -> str:
    if instrument is None:
        return "missing"
    return f"{instrument.price} at {instrument.time_us} us"
