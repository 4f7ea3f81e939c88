"""Quotes in a real Postgres: the latest only advances; all are stored if configured."""

from __future__ import annotations

import itertools
import random
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from decimal import Decimal
from typing import Any, LiteralString

import numpy as np
import psycopg

from functions.persist.quotes import QuotesStore, QuoteWriter
from shared.market.instruments import Market
from shared.stores.postgres import Postgres
from shared.wire.instrument_table import Entries, Entry
from shared.wire.quotes import Quotes

DAY_US = 86_400_000_000


def quotes(*rows: tuple[int, int, int], source: str = "feed-1", name: str = "A") -> Quotes:
    """Rows of (event time, update id, bid); the ask is one above the bid."""

    def column(values: list[int]) -> Any:
        return np.array(values, dtype=np.int64)

    count = len(rows)
    bids = [bid for _, _, bid in rows]
    return Quotes(
        source,
        Entries.of(Entry(name, 2, 1, count, Market("KRAKEN", f"{name}/X"))),
        column([time for time, _, _ in rows]),
        column(bids),
        column([bid + 1 for bid in bids]),
        column([-1] * count),
        column([15] * count),
        column([update for _, update, _ in rows]),
        column([9] * count),
        column(list(range(count))),
    )


def rows(database: str, query: LiteralString) -> list[tuple[Any, ...]]:
    with psycopg.connect(database) as connection:
        return connection.execute(query).fetchall()


LATEST: LiteralString = "SELECT instrument, bid, ask, bid_size, ask_size FROM latest_quotes"


def test_the_latest_quote_is_the_highest_in_the_total_order(
    postgres: Postgres, database: str
) -> None:
    """The latest quote is the highest by time, update id and source, in any order of events."""
    told = [quotes((5, 1, 100), (7, 1, 200)), quotes((7, 3, 300)), quotes((7, 3, 400), source="b")]
    for n, order in enumerate(itertools.permutations([*told, told[0]])):
        renamed = [
            replace(q, entries=Entries.of(replace(q.entries[0], name=f"A{n}"))) for q in order
        ]
        for k, some in enumerate(renamed):
            QuoteWriter(postgres).quotes(f"e{n}.{k}", some)
    found = rows(database, LATEST)
    assert len(found) == 24
    expected = (Decimal("3.00"), Decimal("3.01"), None, Decimal("1.5"))
    assert {row[1:] for row in found} == {expected}
    assert rows(database, "SELECT count(*) FROM quote_segments") == [(0,)]
    assert rows(database, "SELECT count(*) FROM applied_events") == [(0,)]


def test_racing_writers_agree(postgres: Postgres, database: str) -> None:
    """Eight concurrent writers end with the newest quote and without a deadlock."""
    source = random.Random(3)
    writer = QuoteWriter(postgres)
    told = [quotes((time, 0, time), name=name) for time in range(1, 41) for name in ("A", "B")]
    source.shuffle(told)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda item: writer.quotes(f"e{item[0]}", item[1]), enumerate(told)))
    assert sorted(row[:2] for row in rows(database, LATEST)) == [
        ("A", Decimal("0.40")),
        ("B", Decimal("0.40")),
    ]


def test_all_quotes_are_stored_once_where_asked_for(postgres: Postgres, database: str) -> None:
    """If configured, all quotes are stored once in daily segments and read back as rows."""
    writer = QuoteWriter(postgres, QuotesStore.ALL)
    whole = quotes((DAY_US - 1, 4, 100), (DAY_US, -1, 12345))
    assert writer.quotes("e1", whole) == (True, 1)
    assert writer.quotes("e1", whole) == (False, 0)
    assert rows(database, "SELECT day::text, count(*) FROM quotes GROUP BY 1 ORDER BY 1") == [
        ("1970-01-01", 1),
        ("1970-01-02", 1),
    ]
    assert rows(
        database,
        "SELECT instrument, event_time_us, bid, ask, bid_size, ask_size, update_id FROM quotes"
        " ORDER BY event_time_us",
    ) == [
        ("A", DAY_US - 1, Decimal(1), Decimal("1.01"), None, Decimal("1.5"), 4),
        ("A", DAY_US, Decimal("123.45"), Decimal("123.46"), None, Decimal("1.5"), None),
    ]


def test_what_exchanges_call_an_instrument_is_kept(postgres: Postgres, database: str) -> None:
    """Each venue's name of an instrument is stored, once by a process."""
    writer = QuoteWriter(postgres)
    entry = Entry("BTC-USD.KRAKEN", 0, 0, 1, Market("KRAKEN", "BTC/USD"))
    older = replace(entry, market=Market("KRAKEN", "XBT/USD"))
    for entries in ([entry, Entry("AAPL", 0, 0, 1)], [older], [entry]):
        writer.markets(Entries.of(*entries))
        QuoteWriter(postgres).markets(Entries.of(*entries))
    assert sorted(rows(database, "SELECT * FROM markets")) == [
        ("BTC-USD.KRAKEN", "KRAKEN", "BTC/USD"),
        ("BTC-USD.KRAKEN", "KRAKEN", "XBT/USD"),
    ]
