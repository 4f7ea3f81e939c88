"""Candles that touch an open gap of their feed are not complete, and are again when it is filled.

Postgres has the gaps. Candles in the state are judged here, each second; those that have left it
are queued for repair by whoever stores the gap, and the repair asks `open_gaps`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from psycopg import Connection

from functions.candle_aggregate.merge import put_candle, revised
from functions.candle_aggregate.rules import Rules
from functions.candle_aggregate.store import Step, Store
from shared.candle import CandleState
from shared.gaps import touches
from shared.kernel import CandleKey
from shared.shards import shard_of
from shared.state import end_us
from shared.stores.postgres import Postgres

GAPS_AT_ONCE: Final = 2_000

Span = tuple[int, int]
"""Event times: of the last trade before a gap, and of the first one after, in microseconds."""


@dataclass(slots=True)
class Judged:
    """Candles whose judgement changed, by key."""

    closed: dict[str, CandleState] = field(default_factory=dict)
    open: dict[str, CandleState] = field(default_factory=dict)


def open_gaps(connection: Connection, instrument: str) -> list[Span]:
    """Return the spans of an instrument's open gaps."""
    rows = connection.execute(
        "SELECT from_us, to_us FROM gaps WHERE instrument = %s AND state = 'open'", (instrument,)
    )
    return rows.fetchall()


def judge_gaps(store: Store, postgres: Postgres, rules: Rules, epoch: int, now_us: int) -> Judged:
    """Raise the revision of live candles whose `complete` is not what the gaps say.

    An open gap is looked at each time, since candles may begin in it; a filled one until all of its
    candles have been judged. Raises TransientError.
    """
    judged = Judged()
    with postgres.connection() as connection:
        rows = connection.execute(
            "SELECT instrument, from_us, to_us, state, feed, symbol, first_id, last_id FROM gaps"
            " WHERE NOT judged ORDER BY instrument, first_id LIMIT %s",
            (GAPS_AT_ONCE,),
        ).fetchall()
        spans: dict[str, list[Span]] = defaultdict(list)
        for name, from_us, to_us, *_ in rows:
            if shard_of(name, rules.shards) == store.keys.shard:
                spans[name].append((from_us, to_us))
        opened = {name: open_gaps(connection, name) for name in spans}
        settled = [
            name
            for name, here in spans.items()
            if _judge(
                store,
                rules,
                epoch,
                now_us,
                _touched(store, rules, name, here),
                opened[name],
                judged,
            )
        ]
        connection.cursor().executemany(
            "UPDATE gaps SET judged = true WHERE state = 'filled'"
            " AND feed = %s AND symbol = %s AND first_id = %s AND last_id = %s",
            [key for name, _, _, state, *key in rows if name in settled and state == "filled"],
        )
    return judged


def _touched(store: Store, rules: Rules, name: str, spans: Iterable[Span]) -> list[CandleKey]:
    """Return the live candles that share time with any of the spans."""
    found: dict[CandleKey, None] = {}
    for from_us, to_us in spans:
        for timeframe in rules.ladder:
            first_us = timeframe.start_us(from_us)
            for start_us in store.candles_between(name, timeframe.name, first_us, to_us):
                found[(name, timeframe.name, start_us)] = None
    return list(found)


def _judge(
    store: Store,
    rules: Rules,
    epoch: int,
    now_us: int,
    candles: Sequence[CandleKey],
    gaps: Sequence[Span],
    judged: Judged,
) -> bool:
    """Write what changes in one step; return False where another worker was faster."""
    keys: Mapping[CandleKey, str] = {candle: store.keys.candle(*candle) for candle in candles}
    read = store.read(list(keys.values()))
    step = Step()
    changed: dict[str, CandleState] = {}
    for (_, timeframe, start_us), key in keys.items():
        blob = read[key].value
        if blob is None:
            continue
        state = CandleState.decode(blob)
        complete = not touches(gaps, start_us, end_us(rules.timeframe(timeframe), start_us))
        if state.complete != complete:
            state = replace(state, complete=complete)
            state = revised(state, read[key].number, epoch, now_us, closed=state.closed)
            put_candle(store, step, rules, key, read[key], state)
            changed[key] = state
    if changed and store.apply(step, epoch) != "ok":
        return False
    for key, state in changed.items():
        (judged.closed if state.closed else judged.open)[key] = state
    return True
