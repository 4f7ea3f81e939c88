"""The latest quote beside the latest trade, over real stores."""

from __future__ import annotations

import numpy as np

from shared.wire.instrument_table import Entries, Entry
from shared.wire.quotes import Quotes
from tests.functions.history_query.conftest import House
from tests.functions.history_query.market import columns, generated


def quote(name: str, bid: int, ask: int, *, sizes: bool) -> Quotes:
    """One quote in hundredths at 5 s after 1970."""

    def one(value: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        return np.array([value], dtype=np.int64)

    size = 25 if sizes else -1
    return Quotes(
        "feed-1",
        Entries.of(Entry(name, 2, 1, 1)),
        *(one(value) for value in (5_000_000, bid, ask, size, size, -1, 6_000_000, 0)),
    )


def test_a_quote_is_listed_beside_the_trade(house: House) -> None:
    """The latest quote is shown beside the trade as exact texts, with nulls without one."""
    ticks = [tick._replace(source="u", price_scale=2) for tick in generated(5, 20)]
    house.take(columns(ticks, "A/B"))
    before = house.get("/api/latest/A/B").json()
    nothing = dict.fromkeys(
        ("bid", "ask", "bid_size", "ask_size", "spread", "mid", "quote_t"), None
    )
    assert {name: before[name] for name in nothing} == nothing
    house.quotes.quotes("e1", quote("A/B", 10_000, 10_005, sizes=True))
    told = {"bid": "100", "ask": "100.05", "bid_size": "2.5", "ask_size": "2.5", "spread": "0.05",
            "mid": "100.025", "quote_t": 5_000}  # fmt: skip
    assert house.get("/api/latest/A/B").json() == {**before, **told}


def test_an_instrument_that_is_quoted_but_never_traded_is_known(house: House) -> None:
    """An instrument with quotes only has a null price, and is unknown to the route of prices."""
    house.quotes.quotes("e1", quote("Q", 1, 2, sizes=False))
    expected = {"symbol": "Q", "price": None, "size": None, "t": None, "received": None,
                "bid": "0.01", "ask": "0.02", "bid_size": None, "ask_size": None,
                "spread": "0.01", "mid": "0.015", "quote_t": 5_000}  # fmt: skip
    assert house.get("/api/latest/Q").json() == expected
    assert house.get("/api/latest").json() == [expected]
    assert house.get("/prices/Q").status_code == 404
    assert house.get("/api/latest/NONE").status_code == 404
