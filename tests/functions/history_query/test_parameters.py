"""Parameters: parsing, and refusals that name them."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import QueryParams

from functions.history_query.api.cursors import CandleCursor, TickCursor
from functions.history_query.api.parameters import (
    FURTHEST_US,
    ParameterError,
    read_bars,
    read_page,
    read_raw_ticks,
    read_ticks,
    refuse_unknown,
)
from functions.history_query.topics.alerts import read_alerts
from functions.history_query.topics.flow import read_profile
from functions.history_query.topics.patterns import read_patterns
from shared.market.order import OrderKey
from shared.market.resolution import resolve
from shared.market.timeframes import parse_ladder
from shared.market.utc_days import DAY_US

LADDER = parse_ladder("1m,5m,15m,1h,4h,1d")
NOW_US = 1_700_000_000_123_456
MINUTE_US = 60_000_000


@pytest.mark.parametrize(
    ("name", "part"),
    [
        *(("1m", "1m"), ("1d", "1d"), ("60m", "1h"), ("2m", "1m"), ("10m", "5m"), ("30m", "15m")),
        *(("2h", "1h"), ("90m", "15m"), ("12h", "4h"), ("1w", "1d"), ("120s", "1m"), ("7m", "1m")),
        ("1M", "1d"),
        *(("1s", None), ("5s", None), ("30s", None), ("90s", None), ("7s", None)),
    ],
)
def test_a_timeframe_is_folded_from_the_longest_stored_one_that_divides_it(
    name: str, part: str | None
) -> None:
    """A timeframe is folded from the longest stored one that divides it, else made of ticks."""
    made_of = resolve(name, LADDER).part
    assert (made_of and made_of.name) == part


@pytest.mark.parametrize(
    "name", ["8d", "7d", "168h", "3601s", "0m", "2w", "m", "1.5m", "-1m", "11000m", "2M"]
)
def test_an_invalid_timeframe_is_refused_with_the_valid_forms(name: str) -> None:
    """The error of an invalid timeframe quotes it and says how timeframes are written."""
    with pytest.raises(ParameterError, match=f"^timeframe: '{name}' (is|would)"):
        read_page({"timeframe": name}, LADDER)


@pytest.mark.processes
@pytest.mark.parametrize(
    ("query", "name", "part"),
    [
        ({"tz": "UTC", "timeframe": "1d"}, "1d", "1d"),
        ({"tz": "Asia/Tokyo", "timeframe": "1h"}, "1h", "1h"),
        ({"tz": "Asia/Kolkata", "timeframe": "1h"}, "1h@Asia/Kolkata", "15m"),
        ({"tz": "America/New_York", "timeframe": "1M"}, "1M@America/New_York", "1h"),
        ({"timeframe": "1d@America/New_York"}, "1d@America/New_York", "1h"),
        ({"calendar": "XNYS", "timeframe": "1y"}, "1y@XNYS", "15m"),
        (
            {"session": "09:30-16:00@America/New_York", "timeframe": "1h"},
            "1h@0930-1600@America/New_York",
            "15m",
        ),
        ({"timeframe": "3M"}, "3M", "1d"),
    ],
)
def test_trading_days_are_those_of_the_request(query: dict[str, str], name: str, part: str) -> None:
    """Days are those of tz, session, calendar or timeframe.

    Those that begin on hours of UTC are as without.
    """
    resolution = read_page(query, LADDER).resolution
    assert (resolution.timeframe.name, resolution.part and resolution.part.name) == (name, part)


@pytest.mark.processes
@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ({"calendar": "NOWHERE"}, "calendar"),
        ({"calendar": "XNYS", "session": "09:30@America/New_York"}, "session"),
        ({"session": "09:30@America/Nowhere"}, "session"),
        ({"session": "09:30-09:30@America/New_York"}, "session"),
        ({"session": "XNYS"}, "session"),
        ({"timeframe": "1d@XNYS", "calendar": "XNYS"}, "timeframe"),
        ({"timeframe": "2w@XNYS"}, "timeframe"),
    ],
)
def test_invalid_trading_days_are_refused(query: dict[str, str], parameter: str) -> None:
    """The error of invalid days names the parameter."""
    with pytest.raises(ParameterError, match=f"^{parameter}: "):
        read_page(query, LADDER)


def test_days_that_begin_between_base_candles_are_refused() -> None:
    """Days of Kathmandu, 5 h 45 min ahead, cannot be made of half-hour candles."""
    with pytest.raises(ParameterError, match="begins between candles of 30m"):
        read_page({"timeframe": "1d@Asia/Kathmandu"}, parse_ladder("30m,1h"))


def test_bounds_are_moved_to_starts_of_intervals() -> None:
    """Bounds are moved to starts of intervals, so that no page has a part of a candle."""
    page = read_page({"timeframe": "1h", "from": "1700001800000", "to": "1700006400001"}, LADDER)
    assert (page.from_us, page.to_us, page.newest) == (
        1_700_002_800_000_000,
        1_700_010_000_000_000,
        False,
    )


@pytest.mark.parametrize(
    ("text", "time_us"),
    [
        ("0", 0),
        ("1700000000", 1_700_000_000_000_000),
        ("1700000000123", 1_700_000_000_123_000),
        ("1700000000123456", 1_700_000_000_123_456),
        ("1700000000123456789", 1_700_000_000_123_456),
        ("2023-11-14T22:13:20", 1_700_000_000_000_000),
        ("2023-11-14T22:13:20.000001Z", 1_700_000_000_000_001),
        ("2023-11-15T00:13:20+02:00", 1_700_000_000_000_000),
        ("-90s", NOW_US - 90_000_000),
        ("-24h", NOW_US - DAY_US),
        ("-999999d", 0),
        ("1960-01-01", 0),
        ("9999-12-31T23:59:59-23:59", FURTHEST_US),
        ("0001-01-01T00:00:00+23:59", 0),
        ("99999999999999", 99_999_999_999_999_000),
    ],
)
def test_times_are_ms_iso_8601_or_ago(text: str, time_us: int) -> None:
    """Times are milliseconds, ISO 8601 or relative, and bounded by 1970 and 5138."""
    assert read_ticks({"from": text}, None, 10, NOW_US).from_us == time_us


@pytest.mark.parametrize(
    ("name", "text"),
    [
        *(("from", "soon"), ("to", "1.5"), ("from", "²"), ("to", "-1y"), ("from", "2023-13-01")),
        *(("limit", "0"), ("limit", "10001"), ("limit", "²"), ("limit", "-1"), ("limit", "1e3")),
        *(("cursor", "x"), ("cursor", "é"), ("cursor", "WzEsMl0"), ("cursor", "e30")),
    ],
)
def test_a_bad_parameter_is_named(name: str, text: str) -> None:
    """The error of a bad parameter begins with its name."""
    with pytest.raises(ParameterError, match=f"^{name}: "):
        read_page({name: text}, LADDER)
    with pytest.raises(ParameterError, match=f"^{name}: "):
        read_ticks({name: text}, None, 10)


def test_history_is_of_the_last_day_by_default() -> None:
    """Without `from` history begins a day before `to` or now, whichever is earlier."""
    assert read_ticks({}, DAY_US, 10, NOW_US).from_us == NOW_US - DAY_US
    assert read_ticks({"to": "1700000000"}, DAY_US, 10, NOW_US).from_us == (
        1_700_000_000_000_000 - DAY_US
    )
    assert read_ticks({}, None, 10, NOW_US).from_us == 0


@given(
    st.tuples(
        st.integers(0, 2**61), st.integers(-(2**63), 2**63 - 1), st.integers(0, 2**61),
        st.integers(-(2**63), 2**63 - 1), st.integers(0, 2**63 - 1),
    )
)  # fmt: skip
def test_a_cursor_reads_back(parts: tuple[int, int, int, int, int]) -> None:
    """A cursor is read back as the same position in the total order."""
    key = OrderKey(*parts)
    assert TickCursor.read(TickCursor(*key).text()).key == key
    cursor = CandleCursor("before", key.event_time_us)
    assert CandleCursor.read(cursor.text()) == cursor


@given(st.text())
def test_no_text_crashes_the_reader_of_cursors(text: str) -> None:
    """Any text is read as a cursor or refused by name."""
    try:
        read_ticks({"cursor": text}, None, 1)
    except ParameterError as error:
        outcome = str(error)
    else:
        outcome = "cursor: good" if text else "cursor: none"
    assert outcome.startswith("cursor: ")


@pytest.mark.parametrize(
    "read",
    [lambda query: read_page(query, LADDER), read_raw_ticks, read_bars, read_patterns, read_alerts,
     read_profile, lambda query: read_ticks(query, None, 10)],
)  # fmt: skip
def test_a_range_that_ends_before_it_begins_is_refused(
    read: Callable[[Mapping[str, str]], object],
) -> None:
    """A range that ends before it begins is refused, and an empty one is accepted."""
    with pytest.raises(ParameterError, match=r"^to: '2025-02-20' is before from='2025-02-24'"):
        read({"from": "2025-02-24", "to": "2025-02-20"})
    read({"from": "2025-02-24", "to": "2025-02-24"})


def test_a_repeated_parameter_is_refused() -> None:
    """A repeated parameter is refused, since servers disagree about which one counts."""
    with pytest.raises(ParameterError, match=r"^from: is there 2 times: say it once"):
        refuse_unknown(QueryParams("from=2025-02-20&limit=1&from=2025-02-21"), {"from", "limit"})
    refuse_unknown(QueryParams("symbol=A&symbol=B"), {"symbol"})
    with pytest.raises(ParameterError, match=r"^form: no such parameter; there are from, limit"):
        refuse_unknown(QueryParams("form=1"), {"limit", "from"})
