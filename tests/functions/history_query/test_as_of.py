"""`as_of`: candles of the ticks received by a time, whatever was received later."""

from __future__ import annotations

import pytest

from tests.functions.history_query.conftest import House
from tests.functions.history_query.market import START_US, Tick, batches, candles, generated
from tests.functions.history_query.test_pages import shown


def delayed(count: int) -> list[Tick]:
    """Trades of which each third was received half an hour late, and each fifth is corrected."""
    ticks = []
    for n, tick in enumerate(generated(21, count, 4_000_000)):
        late_us = 1_800_000_000 if n % 3 == 0 else 5_000
        ticks.append(tick._replace(receive_us=tick.time_us + late_us, sequence=n << 16))
    return ticks


@pytest.mark.parametrize(
    ("timeframe", "seconds"), [("1s", 1), ("1m", 60), ("5m", 300), ("1h", 3600)]
)
def test_candles_as_of_a_time_have_the_ticks_received_by_then(
    house: House, timeframe: str, seconds: int
) -> None:
    """Candles `as_of` a time are those of the ticks received by then; without it all count.

    Of every timeframe, at several times, page by page.
    """
    ticks = delayed(400)
    for batch in batches(ticks, "A", 60):
        house.tick_writer([(str(next(house.numbers)), batch)])
    first_us, last_us = START_US, max(tick.receive_us for tick in ticks)
    step_us = (last_us - first_us) // 4
    for as_of_us in (first_us - 1, *range(first_us, last_us, step_us), last_us + 1000):
        as_of_ms = as_of_us // 1000
        received = [tick for tick in ticks if tick.receive_us // 1000 <= as_of_ms]
        got: list[dict[str, object]] = []
        cursor: dict[str, str] = {}
        while True:
            body = house.get(
                "/api/candles/A",
                timeframe=timeframe,
                limit="50",
                **{"from": "0", "as_of": str(as_of_ms)},
                **cursor,
            ).json()
            got += body["candles"]
            if body["next"] is None:
                break
            cursor = {"cursor": body["next"]}
        expected = candles(received, seconds)
        assert [shown(candle) for candle in got] == expected
        for candle in got:
            end_ms = int(str(candle["t"])) + seconds * 1000
            assert candle["closed"] == (end_ms <= as_of_ms)


def test_a_tick_counts_as_of_its_receive_time_in_the_api(house: House) -> None:
    """A tick counts at its own `received` time, which is truncated to the millisecond."""
    tick = generated(21, 1, 4_000_000)[0]._replace(receive_us=START_US + 500_400)
    for batch in batches([tick], "A", 60):
        house.tick_writer([(str(next(house.numbers)), batch)])
    (tick_row,) = house.get("/api/ticks/A", **{"from": "0"}).json()["ticks"]
    for as_of, known in ((tick_row["received"], 1), (tick_row["received"] - 1, 0)):
        body = house.get("/api/candles/A", **{"from": "0", "as_of": str(as_of)}).json()
        assert len(body["candles"]) == known


def test_an_invalid_time_is_named(house: House) -> None:
    """An invalid `as_of` is a 400 that names it."""
    response = house.get("/api/candles/A", as_of="soon")
    assert response.status_code == 400
    assert "as_of" in response.text
