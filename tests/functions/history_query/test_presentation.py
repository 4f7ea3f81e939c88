"""Forms of a response: filled gaps, sessions, local time, formats, validators, compression."""

from __future__ import annotations

import csv
import io
import json
from datetime import datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from functions.history_query.queries import tick_slices
from shared.market.calendar_timeframes import timeframe_of
from shared.market.decimals import to_text
from tests.functions.history_query.conftest import House
from tests.functions.history_query.market import Tick, candles, columns, generated, trades

PATH = "/api/candles/A/B"
MINUTE_MS = 60_000


def market(house: House, count: int = 200, gap_us: int = 40_000_000) -> list[Tick]:
    ticks = [
        tick._replace(source="u", price_scale=2) for tick in generated(7, count, gap_us=gap_us)
    ]
    house.take(columns(ticks, "A/B"))
    return ticks


@pytest.mark.parametrize("direction", ["forwards", "backwards"])
@pytest.mark.parametrize("fill", ["previous", "null"])
@pytest.mark.parametrize("limit", ["1", "3", "7", "1000"])
def test_joined_filled_pages_have_every_interval(
    house: House, direction: str, fill: str, limit: str
) -> None:
    """Filled pages have each interval between the first and last candle once."""
    ticks = market(house, 60)
    by_start = {each["t"]: each for each in candles(ticks, 60)}
    parameters = {"fill": fill, "limit": limit, "columns": "t,o,h,l,c,v,n"}
    if direction == "forwards":
        parameters["from"] = "0"
    joined: list[dict[str, object]] = []
    while True:
        page = house.get(PATH, **parameters).json()
        rows = page["candles"]
        assert len(rows) <= int(limit)
        joined = [*joined, *rows] if direction == "forwards" else [*rows, *joined]
        if page["next"] is None:
            break
        parameters["cursor"] = page["next"]
    starts = sorted(by_start)
    assert [row["t"] for row in joined] == list(range(starts[0], starts[-1] + 1, MINUTE_MS))
    close = None
    for row in joined:
        there = by_start.get(int(str(row["t"])))
        if there is None:
            price = close if fill == "previous" else None
            assert row == {"t": row["t"], **dict.fromkeys("ohlc", price), "v": "0", "n": 0}
        else:
            assert row == {key: there[key] for key in ("t", "o", "h", "l", "c", "v", "n")}
            close = there["c"]


@pytest.mark.parametrize("session", ["09:15@Asia/Kolkata", "09:30@America/New_York"])
def test_candles_of_a_session_begin_with_it(house: House, session: str) -> None:
    """Hours of a session count from its opening in the zone's time, and equal its ticks."""
    ticks = market(house, 300, 600_000_000)
    clock, _, zone = session.partition("@")
    candles = house.get(PATH, timeframe="1h", session=session, **{"from": "0"}).json()["candles"]
    groups: dict[int, list[Tick]] = {}
    for tick in trades(ticks):
        local = datetime.fromtimestamp(tick.time_us // 1_000_000, ZoneInfo(zone))
        opening = local.replace(hour=int(clock[:2]), minute=int(clock[3:]), second=0)
        opening_s = round(opening.timestamp())
        if opening_s * 1_000_000 > tick.time_us:
            opening_s -= 86_400
        start = opening_s + (tick.time_us // 1_000_000 - opening_s) // 3600 * 3600
        groups.setdefault(start * 1000, []).append(tick)
    assert [each["t"] for each in candles] == sorted(groups)
    assert [each["n"] for each in candles] == [len(groups[start]) for start in sorted(groups)]
    assert {each["t"] % 3_600_000 for each in candles} == {
        int(clock[3:]) * MINUTE_MS if zone == "America/New_York" else 45 * MINUTE_MS
    }


@pytest.mark.parametrize(
    ("timeframe", "query"),
    [
        ("1d", {"calendar": "XNYS"}),
        ("1h", {"calendar": "XNYS"}),
        ("1w", {"calendar": "XNYS"}),
        ("4h", {"session": "22:30-01:15@America/New_York"}),
        ("1d", {"tz": "Asia/Kolkata"}),
        ("1M", {"tz": "America/New_York"}),
        ("1y", {}),
    ],
)
@pytest.mark.parametrize("direction", ["forwards", "backwards"])
def test_candles_of_a_calendar_hold_the_trades_of_their_hours(
    house: House, timeframe: str, query: dict[str, str], direction: str
) -> None:
    """Candles of a calendar have each trade within their hours once, and no other.

    Hours of an exchange or a session, days of a zone.
    """
    ticks = market(house, 300, 1_800_000_000)
    days = next(iter(query.values()), "")
    frame = timeframe_of(f"{timeframe}@{days}" if days else timeframe)
    groups: dict[int, list[Tick]] = {}
    for tick in trades(ticks):
        if frame.holds(tick.time_us):
            groups.setdefault(frame.start_us(tick.time_us) // 1000, []).append(tick)
    assert groups
    parameters = {"timeframe": timeframe, "limit": "2", **query}
    if direction == "forwards":
        parameters["from"] = "0"
    joined: list[dict[str, Any]] = []
    while True:
        page = house.get(PATH, **parameters).json()
        rows = page["candles"]
        joined = [*joined, *rows] if direction == "forwards" else [*rows, *joined]
        if page["next"] is None:
            break
        parameters["cursor"] = page["next"]
    assert [row["t"] for row in joined] == sorted(groups)
    assert all(row["closed"] for row in joined[:-1])
    for row in joined:
        group = groups[row["t"]]
        assert row["n"] == len(group)
        assert Decimal(row["v"]) == sum(each.decimal_size for each in group)


def test_gaps_are_filled_within_trading_hours_alone(house: House) -> None:
    """Gaps are filled within trading hours only."""
    market(house, 300, 1_800_000_000)
    query = {"session": "09:30-11:30@America/New_York", "timeframe": "1h", "fill": "previous"}
    candles = house.get(PATH, **query, **{"from": "0"}).json()["candles"]
    clocks = [
        datetime.fromtimestamp(row["t"] / 1000, ZoneInfo("America/New_York")) for row in candles
    ]
    assert {f"{each:%H:%M}" for each in clocks} == {"09:30", "10:30"}
    assert [each.hour for each in clocks[1:]] == [
        10 if each.hour == 9 else 9 for each in clocks[:-1]
    ]


def test_the_formats_hold_the_same_values(house: House) -> None:
    """JSON, NDJSON, CSV, Parquet and Arrow have the same decimals."""
    market(house)
    rows = house.get(PATH, columns="t,o,v,n").json()["candles"]
    lines = list(csv.DictReader(io.StringIO(house.get(PATH, columns="t,o,v,n", format="csv").text)))
    assert [{**line, "t": int(line["t"]), "n": int(line["n"])} for line in lines] == rows
    assert house.get(PATH, columns="t,o,v,n", format="ndjson").text.count("\n") == len(rows)
    parquet = pq.read_table(io.BytesIO(house.get(PATH, columns="o,v", format="parquet").content))
    assert parquet["o"].to_pylist() == [Decimal(row["o"]) for row in rows]
    stream = house.get(PATH, format="arrow").content
    arrow = pa.ipc.open_stream(stream).read_all()
    assert arrow["v"].to_pylist() == [Decimal(row["v"]) for row in rows]
    chart = house.get(PATH, format="lightweight-charts", fill="null").json()
    assert [each["time"] * 1000 for each in chart if "open" in each] == [row["t"] for row in rows]
    influx = house.get(PATH, format="influx").text.splitlines()
    assert len(influx) == len(rows)
    assert influx[0].startswith(f"candles,symbol=A/B,timeframe=1m open={rows[0]['o']},high=")
    assert influx[0].endswith(f"trades={rows[0]['n']}i {rows[0]['t']}000000")


def test_an_empty_table_has_the_columns_of_a_full_one(house: House) -> None:
    """An empty table has the columns of a full one, in CSV too.

    A program that reads a quiet hour needs no special case.
    """
    market(house)
    hour = {"from": "2020-01-01", "to": "2020-01-01T01:00"}

    def table(path: str, parameters: dict[str, str]) -> pa.Table:
        return pa.ipc.open_stream(house.get(path, format="arrow", **parameters).content).read_all()

    for kind in ("candles", "bars", "flow", "ticks"):
        for zone in ({}, {"tz": "Asia/Kolkata"}):
            path = f"/api/{kind}/A/B"
            full, empty = table(path, zone), table(path, zone | hour)
            assert len(full) > len(empty) == 0
            assert empty.column_names == full.column_names
            assert {field for field in full.schema if field.type != pa.null()} <= {*empty.schema}
            header, *_ = house.get(path, format="csv", **zone).text.splitlines()
            assert house.get(path, format="csv", **zone, **hour).text.splitlines() == [header]


def test_accept_chooses_the_format_and_headers_have_the_cursor(house: House) -> None:
    """`Accept` selects the format, and headers have the cursor of formats other than JSON."""
    market(house)
    ranked = house.ask(PATH, {"accept": "application/json;q=0.5, text/csv"}, limit="5")
    assert ranked.headers["content-type"].startswith("text/csv")
    first = house.ask(PATH, {"accept": "text/csv"}, limit="5")
    assert first.headers["content-type"].startswith("text/csv")
    cursor = first.headers["x-kandle-next"]
    assert f"cursor={cursor}" in first.headers["link"]
    assert house.get(PATH, limit="5", cursor=cursor).json()["candles"]


def test_local_times_and_adjusted_sides(house: House) -> None:
    """`tz` gives the local time; `adjusted` divides the volume without a side."""
    market(house)
    for row in house.get(PATH, tz="Asia/Kolkata", adjusted="true").json()["candles"]:
        moment = datetime.fromisoformat(row["time"])
        assert moment.timestamp() * 1000 == row["t"]
        assert moment.utcoffset() == ZoneInfo("Asia/Kolkata").utcoffset(moment.replace(tzinfo=None))
        assert Decimal(row["bv"]) + Decimal(row["sv"]) == Decimal(row["v"])


def test_an_unchanged_response_is_not_sent_again(house: House) -> None:
    """A response is 304 while nothing changed, and is private and always revalidated."""
    market(house)
    old = {"from": "2020-09-01", "to": "2020-09-30"}
    first = house.get(PATH, **old)
    assert first.headers["cache-control"] == "private, no-cache"
    again = house.ask(PATH, {"if-none-match": first.headers["etag"]}, **old)
    assert (again.status_code, again.content) == (304, b"")
    for moving in ({}, {"from": "-999999d", "to": "-1000d"}, {"from": "2020-09-01"}):
        response = house.get(PATH, **moving)
        assert response.headers["cache-control"] == "private, no-cache"
    market(house, 201)
    assert house.ask(PATH, {"if-none-match": first.headers["etag"]}, **old).status_code == 200


@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
def test_large_responses_are_compressed_as_accepted(house: House, encoding: str) -> None:
    """Large responses are compressed as accepted, with the same content."""
    market(house)
    plain = house.ask(PATH, {"accept-encoding": "identity"})
    small = house.ask(PATH, {"accept-encoding": f"{encoding};q=0.5"})
    assert small.headers["content-encoding"] == encoding
    assert int(small.headers["content-length"]) < len(plain.content)
    assert small.content == plain.content


@pytest.mark.parametrize(
    ("parameter", "value", "told"),
    [
        ("session", "25:00@Asia/Kolkata", "session: "),
        ("session", "09:15@Nowhere/None", "session: "),
        ("tz", "../../etc/passwd", "tz: "),
        ("columns", "t,nonsense", "columns: "),
        ("format", "xml", "format: "),
        ("fill", "zero", "fill: "),
        ("adjusted", "yes", "adjusted: "),
    ],
)
def test_invalid_formats_are_refused_by_name(
    house: House, parameter: str, value: str, told: str
) -> None:
    """A bad parameter is a 400 whose detail names it."""
    response = house.get(PATH, **{parameter: value})
    assert response.status_code == 400
    assert response.json()["detail"].startswith(told)


@pytest.mark.parametrize("parameters", [{}, {"from": "0"}])
@pytest.mark.parametrize("limit", ["3", "50", "1000"])
def test_joined_pages_of_raw_ticks_are_the_trades(
    house: House, parameters: dict[str, str], limit: str
) -> None:
    """Concatenated pages of ticks have each trade once in the total order, in both directions."""
    ticks = market(house, 120, 400_000)
    joined: list[dict[str, object]] = []
    query = {**parameters, "limit": limit}
    while True:
        page = house.get("/api/ticks/A/B", **query).json()
        joined = [*joined, *page["ticks"]] if parameters else [*page["ticks"], *joined]
        if page["next"] is None:
            break
        query["cursor"] = page["next"]
    expected = trades(ticks)
    assert [row["us"] for row in joined] == [tick.time_us for tick in expected]
    assert [Decimal(str(row["p"])) for row in joined] == [tick.decimal_price for tick in expected]
    assert [row["side"] for row in joined] == [(None, "buy", "sell")[t.side] for t in expected]


def test_a_cursor_means_the_same_place_while_data_arrives(house: House) -> None:
    """A cursor keeps its position for two clients while new and late ticks arrive."""
    ticks = market(house, 300, 20_000_000)
    expected = [each["t"] for each in candles(ticks, 60)]
    pages: dict[str, list[int]] = {"a": [], "b": []}
    cursors: dict[str, str | None] = {"a": "", "b": ""}
    last = max(tick.time_us for tick in ticks)
    for step in range(1_000):
        client = "a" if step % 3 else "b"
        cursor = cursors[client]
        if cursor is None:
            if cursors["a"] is None and cursors["b"] is None:
                break
            continue
        bound = {"cursor": cursor} if cursor else {"to": str(last // 1000 + 1)}
        body = house.get(PATH, limit="4", **bound).json()
        pages[client] = [*[row["t"] for row in body["candles"]], *pages[client]]
        cursors[client] = body["next"]
        new = ticks[step % len(ticks)]._replace(
            time_us=last + step * 7_000_000 + 60_000_000, sequence=(1 << 40) + step, kind=0
        )
        house.take(columns([new._replace(number=0, text="")], "A/B"))
    assert pages == {"a": expected, "b": expected}


@pytest.mark.parametrize("format_", ["ndjson", "csv", "arrow"])
def test_a_range_of_ticks_is_one_response(
    house: House, monkeypatch: pytest.MonkeyPatch, format_: str
) -> None:
    """`limit=all` has every trade once, over any slices."""
    monkeypatch.setattr(tick_slices, "LARGEST_SLICE", 50)
    expected = trades(market(house, 120, 400_000))
    query = {"from": "0", "limit": "all", "format": format_}
    response = house.get("/api/ticks/A/B", **query)
    assert response.status_code == 200
    rows: list[dict[str, Any]]
    if format_ == "arrow":
        rows = pa.ipc.open_stream(response.content).read_all().to_pylist()
    elif format_ == "csv":
        rows = list(csv.DictReader(io.StringIO(response.text)))
    else:
        rows = [json.loads(line) for line in response.text.splitlines()]
    assert [int(row["us"]) for row in rows] == [tick.time_us for tick in expected]
    assert [Decimal(row["p"]) for row in rows] == [tick.decimal_price for tick in expected]
    assert [row["side"] or None for row in rows] == [
        (None, "buy", "sell")[t.side] for t in expected
    ]
    one = house.get("/api/ticks/A/B", **{**query, "limit": "10000"})
    assert response.content == one.content or format_ == "arrow"


def test_formats_of_ticks_hold_the_same_values(house: House) -> None:
    """Columns of the binary formats have the values of JSON, nulls included."""
    market(house, 120, 400_000)
    query = {"from": "0", "limit": "10000", "tz": "Asia/Kolkata"}
    expected = house.get("/api/ticks/A/B", **query).json()["ticks"]
    assert len(expected) > 50
    for format_ in ("arrow", "parquet"):
        body = house.get("/api/ticks/A/B", format=format_, **query).content
        is_arrow = format_ == "arrow"
        table = pa.ipc.open_stream(body).read_all() if is_arrow else pq.read_table(io.BytesIO(body))
        assert table.column_names == list(expected[0])
        rows = table.set_column(0, "t", table["t"].cast(pa.int64())).to_pylist()
        for row in rows:
            row["p"], row["s"] = to_text(row["p"]), to_text(row["s"])
        assert rows == expected
