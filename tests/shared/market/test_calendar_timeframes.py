"""Weeks, months, days of a zone and sessions equal the tables of pandas and exchange-calendars."""

from __future__ import annotations

from itertools import pairwise

import exchange_calendars
import pandas as pd
import pytest

from shared.market.calendar_timeframes import timeframe_of
from shared.market.timeframes import Timeframe

HOUR_US = 3_600_000_000


def us(stamp: pd.Timestamp) -> int:
    return int(stamp.value) // 1000


def check(frame: Timeframe, edges: list[int]) -> None:
    """Assert that consecutive intervals have the expected edges and contents."""
    for start_us, end_us in pairwise(edges):
        assert frame.next_us(start_us) == end_us
        assert frame.end_us(start_us) == end_us
        for inside in (start_us, start_us + 1, (start_us + end_us) // 2, end_us - 1):
            assert frame.start_us(inside) == start_us
            assert frame.holds(inside)


@pytest.mark.parametrize(
    ("name", "zone", "freq", "first", "last"),
    [
        ("1w", "UTC", "W-MON", "2019-12-23", "2026-01-19"),  # across years, with a leap year
        ("1M", "UTC", "MS", "2023-11-01", "2028-04-01"),  # two leap Februaries
        ("3M", "UTC", "QS", "2023-10-01", "2028-04-01"),
        ("1y", "UTC", "YS", "1971-01-01", "2030-01-01"),
        ("1d@America/New_York", "America/New_York", "D", "2024-02-20", "2024-11-20"),
        ("1d@Europe/Berlin", "Europe/Berlin", "D", "2025-03-20", "2025-11-05"),
        ("1d@Australia/Lord_Howe", "Australia/Lord_Howe", "D", "2025-03-20", "2025-11-05"),
        ("1w@America/New_York", "America/New_York", "W-MON", "2024-12-02", "2026-01-05"),
        ("1M@Asia/Kolkata", "Asia/Kolkata", "MS", "2024-01-01", "2025-03-01"),
        ("1y@Asia/Tokyo", "Asia/Tokyo", "YS", "2020-01-01", "2026-01-01"),
    ],
)
def test_intervals_equal_those_of_pandas(
    name: str, zone: str, freq: str, first: str, last: str
) -> None:
    """Intervals equal those of pandas over a year's end, leap days and days of 23 and 25 hours."""
    edges = [us(each) for each in pd.date_range(first, last, freq=freq, tz=zone)]
    assert len(edges) > 5
    check(timeframe_of(name), edges)
    if name == "1d@America/New_York":
        assert {(b - a) // HOUR_US for a, b in pairwise(edges)} == {23, 24, 25}


def test_a_day_from_17_in_new_york_has_the_next_date() -> None:
    """A day that begins at 17:00 in New York has the next date.

    Its week begins on Sunday evening, its month on the evening before.
    """
    local = pd.date_range("2024-02-01", "2024-12-31", freq="D") - pd.Timedelta(hours=7)
    days = [us(each) for each in local.tz_localize("America/New_York")]
    check(timeframe_of("1d@1700@America/New_York"), days)
    weeks = pd.date_range("2024-02-05", "2025-02-03", freq="W-MON") - pd.Timedelta(hours=7)
    check(
        timeframe_of("1w@17:00@America/New_York"),
        [us(each) for each in weeks.tz_localize("America/New_York")],
    )
    months = pd.date_range("2023-12-01", "2025-02-01", freq="MS") - pd.Timedelta(hours=7)
    check(
        timeframe_of("1M@1700@America/New_York"),
        [us(each) for each in months.tz_localize("America/New_York")],
    )


def test_hours_are_counted_from_the_start_of_the_day() -> None:
    """Intervals of four hours begin at New York's midnight.

    The last one has three hours on a day of 23 and one on a day of 25.
    """
    frame = timeframe_of("4h@America/New_York")
    for date, hours in (("2024-03-10", 23), ("2024-11-03", 25), ("2024-07-01", 24)):
        opening = us(pd.Timestamp(date, tz="America/New_York"))
        edges = [opening + n * HOUR_US for n in range(0, hours, 4)]
        check(frame, [*edges, opening + hours * HOUR_US])


def test_sessions_may_cross_midnight() -> None:
    """A session from 18:00 to 17:00 crosses midnight; the hour between has no candle."""
    frame = timeframe_of("1d@1800-1700@America/New_York")
    opens = us(pd.Timestamp("2024-03-07 18:00", tz="America/New_York"))
    closes = us(pd.Timestamp("2024-03-08 17:00", tz="America/New_York"))
    assert (frame.start_us(closes - 1), frame.end_us(opens)) == (opens, closes)
    assert frame.next_us(opens) == closes + HOUR_US
    assert [frame.holds(each) for each in (opens - 1, opens, closes - 1, closes)] == [
        *(False, True, True, False)
    ]


@pytest.mark.processes
@pytest.mark.parametrize("exchange", ["XNYS", "XLON", "XHKG", "CMES", "24/7", "24/5"])
def test_sessions_equal_those_of_exchange_calendars(exchange: str) -> None:
    """Sessions skip weekends and holidays, and half days end early.

    A trade outside of a session has no candle.
    """
    table = exchange_calendars.get_calendar(exchange, start="2023-01-01", end="2026-01-31").schedule
    opens = [us(each) for each in table["open"]]
    closes = [us(each) for each in table["close"]]
    day, hour = timeframe_of(f"1d@{exchange}"), timeframe_of(f"1h@{exchange}")
    for n in range(len(table) - 1):
        assert (day.end_us(opens[n]), day.next_us(opens[n])) == (closes[n], opens[n + 1])
        assert day.start_us(closes[n] - 1) == day.start_us(opens[n]) == opens[n]
        assert day.holds(closes[n] - 1)
        assert day.holds(closes[n]) == (closes[n] == opens[n + 1])
        last = opens[n] + (closes[n] - opens[n] - 1) // HOUR_US * HOUR_US
        assert hour.start_us(closes[n] - 1) == last
        assert (hour.end_us(last), hour.next_us(last)) == (closes[n], opens[n + 1])
    for name, freq in (("1w", "W-MON"), ("1M", "MS"), ("3M", "QS"), ("1y", "YS")):
        frame = timeframe_of(f"{name}@{exchange}")
        begins = pd.date_range("2023-01-01", "2026-01-01", freq=freq)
        for first, last in pairwise(begins):
            inside = table[(table.index >= first) & (table.index < last)]
            start_us = us(inside["open"].iloc[0])
            assert frame.start_us(us(inside["close"].iloc[-1]) - 1) == start_us
            assert frame.end_us(start_us) == us(inside["close"].iloc[-1])
            assert frame.next_us(start_us) == us(table[table.index >= last]["open"].iloc[0])


@pytest.mark.processes
def test_a_half_day_and_a_holiday_of_new_york() -> None:
    """New York's session closes at 13:00 on 2025-11-28, and Thanksgiving has none."""
    frame = timeframe_of("1d@XNYS")
    start_us = us(pd.Timestamp("2025-11-28 09:30", tz="America/New_York"))
    assert frame.end_us(start_us) == us(pd.Timestamp("2025-11-28 13:00", tz="America/New_York"))
    assert not frame.holds(us(pd.Timestamp("2025-11-27 12:00", tz="America/New_York")))


@pytest.mark.processes
@pytest.mark.parametrize("name", ["7d", "14d", "168h", "2M", "1h@Nowhere/City", "1m@9:30@UTC"])
def test_invalid_timeframes_are_refused(name: str) -> None:
    """Invalid timeframes are refused, such as seven days, two months or an unknown zone."""
    with pytest.raises(ValueError, match=r"begins on Mondays|is not|is neither"):
        timeframe_of(name)


@pytest.mark.processes
@pytest.mark.parametrize(
    "name", ["1M", "1d@America/New_York", "1h@XNYS", "1y@XNYS", "1w@0930-1600@UTC"]
)
def test_every_time_has_an_interval(name: str) -> None:
    """Each time has an interval and a next one, also before and after the known sessions."""
    frame = timeframe_of(name)
    for time_us in (0, 1, 10**15, 10**17):
        start_us = frame.start_us(time_us)
        assert start_us <= time_us
        assert frame.next_us(start_us) > start_us or start_us == 10**17


@pytest.mark.processes
def test_a_time_of_day_without_a_zone_is_refused_with_one() -> None:
    """A session's time needs a zone; the refusal shows how it is written."""
    with pytest.raises(ValueError, match=r"'0915' is neither .* 0915@Asia/Tokyo$"):
        timeframe_of("4h@0915")
