"""Cancelled and corrected trades in history."""

from __future__ import annotations

import pytest

from functions.history_query.queries import tick_slices
from functions.persist.busts import BustWriter
from shared.wire.busts import Bust
from shared.wire.raw_batch import FORMAT_SCANNER
from shared.wire.ticks import INTEGER_ID, VOLUME_ONLY
from tests.functions.history_query.conftest import House
from tests.functions.history_query.market import START_US, Tick, batches

TICK = Tick(START_US, INTEGER_ID, 1, "", START_US + 5_000, "udp-1", 1, 100, 0, 10_000, 1)


def stored(house: House, ticks: list[Tick], flags: dict[int, int] | None = None) -> None:
    """Store ticks; `flags` by trade id."""
    for batch in batches(ticks, "A", 60):
        for row, trade_id in enumerate(batch.trade_id.tolist()):
            batch.flags[row] = (flags or {}).get(trade_id, 0)
        house.tick_writer([(str(next(house.numbers)), batch)])


def bust(house: House, trade_id: int, received_us: int, price: str = "", size: str = "") -> None:
    """Cancel a trade, or correct it."""
    message = Bust(
        *("A", None, str(trade_id), 0, bool(price), price, size, received_us, 1, b"bust"),
    )
    BustWriter(house.postgres)(f"bust{received_us}", "udp-2", FORMAT_SCANNER, [message])


def test_a_print_is_listed_with_its_end_and_as_of_has_each_state(house: House) -> None:
    """A corrected and cancelled print is listed with its end, and `as_of` has each state.

    A print at 999 that is corrected to 2 and cancelled at last.
    """
    wrong = TICK._replace(time_us=START_US + 1_000_000, price=999, number=2)
    stored(house, [TICK, wrong])
    corrected_us, cancelled_us = START_US + 60_000_000, START_US + 120_000_000
    bust(house, 2, corrected_us, price="2", size="7")
    bust(house, 2, cancelled_us)
    got = house.get("/api/ticks/A", **{"from": "0"}).json()["ticks"]
    assert [(row["p"], row["ended"], row["flags"]) for row in got] == [
        ("100", None, None),
        ("999", corrected_us // 1000, None),
        ("2", cancelled_us // 1000, "corrected"),
    ]
    for as_of_us, high, volume in (
        (corrected_us - 1_000, "999", "20"),
        (corrected_us, "100", "17"),
        (cancelled_us, "100", "10"),
    ):
        answer = house.get(
            "/api/candles/A",
            timeframe="1m",
            **{"from": "0", "as_of": str(as_of_us // 1000)},
        ).json()
        (candle,) = answer["candles"]
        assert (candle["h"], candle["v"]) == (high, volume)
    for format_ in ("csv", "parquet", "arrow", "ndjson"):
        assert house.get("/api/ticks/A", format=format_, **{"from": "0"}).status_code == 200
    with house.postgres.connection() as connection:
        rows = connection.execute("SELECT price, flags FROM ticks").fetchall()
        between = connection.execute(
            "SELECT price FROM ticks_between('A', '2000-01-01', '2100-01-01')"
        ).fetchall()
    assert (rows, between) == ([(100, 0)], [(100,)])


def test_prices_are_those_of_trades_that_count(house: House) -> None:
    """The price history has no cancelled trade, and a corrected one as it was corrected."""
    prices = (100, 999, 998)
    stored(
        house,
        [
            TICK._replace(time_us=START_US + n * 1_000_000, price=price, number=n + 1)
            for n, price in enumerate(prices)
        ],
    )
    bust(house, 2, START_US + 60_000_000)
    bust(house, 3, START_US + 61_000_000, price="2", size="7")
    ticks = house.get("/api/history/A", **{"from": "0"}).json()
    assert [each["p"] for each in ticks] == [100, 2]
    assert [each["price"] for each in house.get("/prices/A/history").json()] == [2, 100]
    newest = house.get("/prices/A/history", limit="1")
    assert [each["price"] for each in newest.json()] == [2]
    (older,) = house.get(newest.links["next"]["url"]).json()
    assert older["price"] == 100


def test_corrections_of_18_decimals_are_stored_exactly(house: House) -> None:
    """Corrections of one event keep their digits, beside one beyond an int64."""
    stored(house, [TICK._replace(number=n, time_us=START_US + n) for n in (1, 2, 3)])
    prices = ["9.500000000000000001", "-0.93", "88.610000000000000001"]
    said = [
        Bust("A", None, str(n), 0, True, price, price.lstrip("-"), START_US + n, n, b"bust")
        for n, price in enumerate(prices, 1)
    ]
    BustWriter(house.postgres)("busts", "udp-2", FORMAT_SCANNER, said)
    ticks = house.get("/api/ticks/A", **{"from": "0"}).json()["ticks"]
    assert [(each["p"], each["s"]) for each in ticks if each["ended"] is None] == [
        (price, price.lstrip("-")) for price in prices
    ]


def test_flags_of_a_trade_are_listed_and_apply_on_reading(house: House) -> None:
    """A trade's flags are listed, and apply to candles made of several slices."""
    extreme = TICK._replace(time_us=START_US + 1, price=999, number=2)
    stored(house, [TICK, extreme], {2: VOLUME_ONLY})
    got = house.get("/api/ticks/A", **{"from": "0"}).json()["ticks"]
    assert [row["flags"] for row in got] == [None, "volume_only"]
    (candle,) = house.get("/api/candles/A", timeframe="90s", **{"from": "0"}).json()["candles"]
    assert (candle["h"], candle["v"], candle["n"]) == ("100", "20", 2)


def test_a_volume_only_trade_is_no_price_of_the_history(house: House) -> None:
    """A trade that counts for volume only is left out of both price histories, not of the pages."""
    extreme = TICK._replace(time_us=START_US + 1, price=999, number=2)
    last = TICK._replace(time_us=START_US + 2, number=3)
    stored(house, [TICK, extreme, last], {2: VOLUME_ONLY})
    for path, name in (("/api/history/A", "p"), ("/prices/A/history", "price")):
        answer = house.get(path, **{"from": "0"})
        assert [each[name] for each in answer.json()] == [100, 100]
        newest = house.get(path, limit="2", **{"from": "0"})
        (older,) = house.get(newest.links["next"]["url"]).json()
        assert (len(newest.json()), older[name]) == (1, 100)


def test_a_candle_cut_by_slices_is_whole_where_one_of_them_makes_no_price(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A candle of two slices is whole if the trades of one have volume only."""
    monkeypatch.setattr(tick_slices, "LARGEST_SLICE", 3)
    start_us = START_US // 450_000_000 * 450_000_000
    ticks = [
        TICK._replace(time_us=start_us + n * 20_000_000, number=n, sequence=n) for n in range(7)
    ]
    stored(house, ticks, dict.fromkeys(range(3), VOLUME_ONLY))
    for newest in ({"from": "0"}, {}):
        answer = house.get("/api/candles/A", timeframe="150s", limit="1", **newest).json()
        (candle,) = answer["candles"]
        assert (candle["n"], candle["v"]) == (7, "70")
