"""A trade is its instrument, venue, trade id and UTC minute: venues may share ids."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations

import numpy as np
import psycopg
import pytest

from functions.persist.tick_writer import TickWriter
from shared.candles.trade_identity import each_once
from shared.candles.trades import Rows, TradeIds, concatenated, trades_of
from shared.lake.tables.tick_table import each_trade_once, to_rows, to_table
from shared.market.decimals import from_mantissa
from shared.market.instruments import Market
from shared.market.timeframes import parse_ladder
from shared.reading.recompute import recomputed
from shared.stores.postgres import Postgres
from shared.wire.busts import of_ticks
from shared.wire.candle import Candle
from shared.wire.instrument_table import Entries, Entry
from shared.wire.ticks import CANCELLED, CORRECTED, INTEGER_ID, TEXT_ID, Ticks

VENUES = ("KRAKEN", "COINBASE", "")
ID_KINDS = pytest.mark.parametrize("kind", [INTEGER_ID, TEXT_ID])


def of_venue(venue: str, kind: int) -> Ticks:
    """Trades 1 and 2 of an instrument; trade 1 is sent twice."""
    n = 3
    ids = np.array([1, 1, 2], dtype=np.int64)
    integer = kind == INTEGER_ID
    return Ticks(
        f"feed-{venue}",
        Entries.of(Entry("BTC-USD", 0, 0, n, Market(venue, "XBT/USD" if venue else ""))),
        np.arange(n, dtype=np.int64),
        np.array([-5, -5, 7], dtype=np.int64),
        np.ones(n, dtype=np.int64),
        np.zeros(n, dtype=np.uint8),
        np.full(n, kind, dtype=np.uint8),
        ids if integer else np.zeros(n, dtype=np.int64),
        None if integer else np.array([f"id-{each}" for each in ids], dtype=object),
        np.arange(n, dtype=np.int64),
        np.arange(n, dtype=np.int64),
        np.zeros(n, dtype=np.uint8),
    )


@ID_KINDS
def test_equal_ids_of_several_venues_all_count(kind: int) -> None:
    """Equal ids of several venues are separate trades in repairs and in pages of history."""
    batches = [of_venue(venue, kind) for venue in VENUES]
    assert sum(map(len, each_once(batches))) == 2 * len(VENUES)
    rows = [Rows.of(batch) for batch in batches]
    assert len(trades_of(concatenated(rows))) == 2 * len(VENUES)
    earlier = TradeIds.of(0, rows[:1])
    assert earlier.known(concatenated(rows)).tolist() == [True] * 3 + [False] * 6


def candles_of(connection: psycopg.Connection, name: str) -> list[Candle]:
    """The repaired candles of the first minute."""
    (base,) = parse_ladder("1m")
    found = recomputed(connection, [name], 0, 60_000_000, base)
    return [each for some in found for each in some.columns("1m", [name]).candles()]


def word(trade: Ticks, flag: int, received_us: int, price: int = 0) -> Ticks:
    """A cancel or correction of a trade, as a batch of one row."""
    first = trade.select(np.arange(len(trade)) == 0)
    return replace(
        first,
        source="busts",
        price=np.array([price or int(first.price[0])]),
        receive_time_us=np.array([received_us]),
        flags=np.array([flag], dtype=np.uint8),
    )


@ID_KINDS
def test_the_last_bust_of_a_trade_wins(kind: int) -> None:
    """The last received bust decides about a trade, in any order of reading.

    A reader of history sees each bust and when it was superseded.
    """
    trade = of_venue("KRAKEN", kind)
    words = [word(trade, CORRECTED, 90, 8), word(trade, CANCELLED, 70), word(trade, CORRECTED, 50)]
    for some in permutations([trade, *words]):
        standing = [batch.standing() for batch in each_once(some)]
        assert sorted(p for b in standing for p in b.price.tolist()) == [7, 8]
        trades = trades_of(concatenated([Rows.of(batch) for batch in some]))
        prints = trades.rows.at(trades.prints)
        assert prints.price.tolist() == [-5, -5, 8, 7]
        assert trades.ended_us[trades.prints].tolist() == [50, 70, 0, 0]
        assert trades.standing().price.tolist() == [8, 7]
    without = trades_of(concatenated([Rows.of(trade), Rows.of(words[1])]))
    assert without.standing().price.tolist() == [7]


@ID_KINDS
def test_a_snapshot_restores_busts(kind: int) -> None:
    """Rows of the lake are read as the busts that they were, and a merge has each once."""
    trade = of_venue("KRAKEN", kind)
    words = [word(trade, CORRECTED, 50, 8), word(trade, CANCELLED, 70)]
    found = [bust for each in words for bust in of_ticks(each)]
    trade_id = "1" if kind == INTEGER_ID else "id-1"
    assert [(b.instrument, b.venue, b.trade_id) for b in found] == [
        ("BTC-USD", "KRAKEN", trade_id)
    ] * 2
    assert [(b.is_correction, b.price, b.receive_time_us) for b in found] == [
        (True, "8", 50),
        (False, "", 70),
    ]
    merged = to_rows(each_trade_once(to_table([trade, *words, *words])))
    assert sorted(merged.flags.tolist()) == [0, 0, CANCELLED, CORRECTED]


@ID_KINDS
def test_stored_trades_of_several_venues_are_rows_and_candles(
    kind: int, postgres: Postgres, database: str
) -> None:
    """The view `ticks` and the repaired candle have each trade once, also at negative prices."""
    writer = TickWriter(postgres)
    for venue in VENUES:
        writer([(venue, of_venue(venue, kind))])
    with psycopg.connect(database) as connection:
        rows = connection.execute(
            "SELECT venue, price, order_id FROM ticks ORDER BY 1, 2"
        ).fetchall()
        candles = candles_of(connection, "BTC-USD")
    order_id = 1 if kind == INTEGER_ID else -(2**63)
    assert [(row[0], int(row[1])) for row in rows] == [
        (venue, price) for venue in sorted(VENUES) for price in (-5, 7)
    ]
    assert {row[2] for row in rows if row[1] < 0} == {order_id}
    (candle,) = candles
    assert (int(candle.open), int(candle.high), int(candle.low)) == (-5, 7, -5)
    assert (candle.trade_count, int(candle.volume), int(candle.notional)) == (6, 6, 6)


def test_wide_mantissas_and_flags_are_stored_exactly(postgres: Postgres, database: str) -> None:
    """Wide mantissas are NUMERIC in the view and exact Python integers in columns."""
    plain = of_venue("", INTEGER_ID)
    price = np.array([-(10**40), 10**40, 3], dtype=object)
    wide = Ticks(
        "udp-1",
        Entries.of(Entry("DEX", 18, 18, 3)),
        plain.event_time_us,
        price,
        np.array([0, 1, 10**50], dtype=object),
        plain.side,
        plain.trade_id_kind,
        np.arange(3, dtype=np.int64),
        None,
        plain.receive_time_us,
        plain.sequence,
        np.array([0, 1, 15], dtype=np.uint8),
    )
    TickWriter(postgres)([("e1", wide)])
    with psycopg.connect(database) as connection:
        rows = connection.execute(
            "SELECT price * 10::numeric^18, flags, source_key FROM ticks ORDER BY order_id"
        ).fetchall()
        candles = candles_of(connection, "DEX")
    assert [int(row[0]) for row in rows] == price.tolist()
    assert [row[1] for row in rows] == [0, 1, 15]
    assert {row[2] for row in rows} == {wide.source_key}
    (candle,) = candles
    assert candle.volume == from_mantissa(1 + 10**50, 18)
