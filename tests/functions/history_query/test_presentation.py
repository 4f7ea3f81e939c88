"""Forms of a response: filled gaps, sessions, local time, formats, validators, compression."""

from __future__ import annotations

import csv
import io
import itertools
import json
from collections.abc import Callable, Iterable
from datetime import datetime
from decimal import Decimal
from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from functions.history_query.queries import tick_slices
from shared.market.calendar_timeframes import timeframe_of
from shared.market.decimals import to_text
from tests.functions.history_query.conftest import WAYS, House
from tests.functions.history_query.market import (
    MINUTE_US,
    START_US,
    Tick,
    batches,
    candles,
    columns,
    generated,
    trades,
)

PATH = "/api/candles/A/B"
MINUTE_MS = 60_000


def market(house: House, count: int = 200, gap_us: int = 40_000_000) -> list[Tick]:
    ticks = [
        tick._replace(source="u", price_scale=2) for tick in generated(7, count, gap_us=gap_us)
    ]
    house.take(columns(ticks, "A/B"))
    return ticks


def test_joined_filled_pages_have_every_interval(house: House) -> None:
    """Filled pages have each interval between the first and last candle once."""
    names = ("t", *"ohlcvn")
    by_start = {each["t"]: each for each in candles(market(house, 60), 60)}
    shapes = ("previous", "1"), ("previous", "1000"), ("null", "7")
    for (fill, limit), way in itertools.product(shapes, WAYS):
        expected: list[dict[str, Any]] = []
        close = None
        for start in range(min(by_start), max(by_start) + 1, MINUTE_MS):
            prices = dict.fromkeys("ohlc", close if fill == "previous" else None)
            there = by_start.get(start, {"t": start, **prices, "v": "0", "n": 0})
            close = there["c"] or close
            expected.append({name: there[name] for name in names})
        query = {"fill": fill, "limit": limit, "columns": ",".join(names), **way}
        assert house.rows(PATH, **query) == expected, (fill, limit, way)


@pytest.mark.parametrize("indicators", [{}, {"indicators": "sma:3"}])
@pytest.mark.parametrize("fill", ["previous", "null"])
def test_filled_rows_have_the_columns_of_candles(
    house: House, fill: str, indicators: dict[str, str]
) -> None:
    """Every format has the same columns on each page, where a page or its 1,001st row is filled."""
    (one,) = generated(7, 1)
    minutes = (*range(990), *range(1_010, 1_100))
    ticks = [one._replace(time_us=START_US + n * MINUTE_US, number=n, kind=1) for n in minutes]
    house.take(columns(ticks, "A/B"))
    names, seen = None, 0
    for limit, way in itertools.product(("2000", "995"), WAYS):
        query = {"fill": fill, "limit": limit, **indicators, **way}
        for rows in house.pages(PATH, **query):
            flat = [row | row.pop("indicators", {}) for row in rows]
            names = names or list(flat[0])
            assert all(list(row) == names for row in flat)
            csv_rows = list(csv.reader(io.StringIO(house.get(PATH, **query, format="csv").text)))
            assert csv_rows[0] == names
            assert [row[0] for row in csv_rows[1:]] == [str(row["t"]) for row in flat]
            parquet = io.BytesIO(house.get(PATH, **query, format="parquet").content)
            arrow = house.get(PATH, **query, format="arrow").content
            for table in (pq.read_table(parquet), pa.ipc.open_stream(arrow).read_all()):
                assert table.column_names == names
                assert table["n"].to_pylist() == [row["n"] for row in flat]
            query["cursor"] = house.get(PATH, **query).json()["next"]
            seen += len(flat)
    assert seen == 4 * 1_100
    assert names is not None
    assert ("sma:3" in names) == bool(indicators)


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
def test_candles_of_a_calendar_hold_the_trades_of_their_hours(
    house: House, timeframe: str, query: dict[str, str]
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
    for way in WAYS:
        joined = house.rows(PATH, timeframe=timeframe, limit="2", **query, **way)
        assert all(row["closed"] for row in joined[:-1])
        assert [(row["t"], row["n"], Decimal(row["v"])) for row in joined] == [
            (start, len(group), sum(each.decimal_size for each in group))
            for start, group in sorted(groups.items())
        ]


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
        for zone in ({}, {"tz": "Asia/Kolkata"}, {"columns": "t,time"}):
            path = f"/api/{kind}/A/B"
            full, empty = table(path, zone), table(path, zone | hour)
            assert len(full) > len(empty) == 0
            assert empty.column_names == full.column_names
            assert {field for field in full.schema if field.type != pa.null()} <= {*empty.schema}
            header, *_ = house.get(path, format="csv", **zone).text.splitlines()
            assert house.get(path, format="csv", **zone, **hour).text.splitlines() == [header]
    early = table("/api/candles/A/B", {"indicators": "sma:200", "limit": "1"})
    assert early.schema.field("sma:200").type == pa.float64()
    assert early["sma:200"].null_count == 1


def test_accept_chooses_the_format_and_headers_have_the_cursor(house: House) -> None:
    """`Accept` selects the format, and headers have the cursor of formats other than JSON."""
    market(house)
    ranked = house.ask(PATH, {"accept": "application/json;q=0.5, text/csv"}, limit="5")
    assert ranked.headers["content-type"].startswith("text/csv")
    refused = house.ask(PATH, {"accept": "text/csv;Q=0"}, limit="5")
    assert refused.headers["content-type"].startswith("application/json")
    first = house.ask(PATH, {"accept": "text/csv"}, limit="5")
    assert first.headers["content-type"].startswith("text/csv")
    cursor = first.headers["x-kandle-next"]
    assert f"cursor={cursor}" in first.headers["link"]
    assert house.get(PATH, limit="5", cursor=cursor).json()["candles"]


@pytest.mark.parametrize("symbol", ["币安人生USDT", "C#1", "SPXW  24P", "A&B+C", "A/B"])
def test_the_link_of_a_page_leads_to_the_same_symbol(house: House, symbol: str) -> None:
    """The link to the next page names the same symbol, in any script and with any character."""
    for batch in batches(generated(5, 60, 40_000_000), symbol, 60):
        house.take(batch)
    for kind in ("candles", "ticks"):
        first = house.get(f"/api/{kind}/{quote(symbol)}", limit="5", **{"from": "0"})
        second = house.get(first.links["next"]["url"]).json()
        assert second["symbol"] == symbol
        assert second[kind][0]["t"] >= first.json()[kind][-1]["t"]


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


def test_large_responses_are_compressed_as_accepted(house: House) -> None:
    """Large responses are compressed as accepted, with the same content."""
    market(house)
    plain = house.ask(PATH, {"accept-encoding": "identity"})
    for encoding in ("gzip", "zstd"):
        small = house.ask(PATH, {"accept-encoding": f"{encoding};q=0.5"})
        assert small.headers["content-encoding"] == encoding
        assert int(small.headers["content-length"]) < len(plain.content)
        assert small.content == plain.content


def test_invalid_formats_are_refused_by_name(house: House) -> None:
    """A bad parameter is a 400 whose detail names it."""
    for name, value in (
        *(("session", "25:00@Asia/Kolkata"), ("session", "09:15@Nowhere/None")),
        *(("tz", "../../etc/passwd"), ("columns", "t,nonsense"), ("format", "xml")),
        *(("fill", "zero"), ("adjusted", "yes")),
    ):
        response = house.get(PATH, **{name: value})
        assert response.status_code == 400
        assert response.json()["detail"].startswith(f"{name}: ")


def test_joined_pages_of_raw_ticks_are_the_trades(house: House) -> None:
    """Concatenated pages of ticks have each trade once in the total order, in both directions."""
    expected = shown(trades(market(house, 120, 400_000)))
    for limit, way in itertools.product(("7", "50", "1000"), WAYS):
        rows = house.rows("/api/ticks/A/B", limit=limit, **way)
        assert [(row["us"], Decimal(row["p"]), row["side"]) for row in rows] == expected


def shown(ticks: list[Tick]) -> list[tuple[int, Decimal, str | None]]:
    return [(t.time_us, t.decimal_price, (None, "buy", "sell")[t.side]) for t in ticks]


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


READERS: dict[str, Callable[[bytes], Iterable[dict[str, Any]]]] = {
    "arrow": lambda body: pa.ipc.open_stream(body).read_all().to_pylist(),
    "csv": lambda body: csv.DictReader(io.StringIO(body.decode())),
    "ndjson": lambda body: map(json.loads, body.splitlines()),
}


def test_a_range_of_ticks_is_one_response(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """`limit=all` has every trade once, over any slices."""
    monkeypatch.setattr(tick_slices, "LARGEST_SLICE", 50)
    expected = shown(trades(market(house, 120, 400_000)))
    for format_, reader in READERS.items():
        query = {"from": "0", "limit": "all", "format": format_}
        response = house.get("/api/ticks/A/B", **query)
        assert response.status_code == 200
        assert [
            (int(row["us"]), Decimal(row["p"]), row["side"] or None)
            for row in reader(response.content)
        ] == expected
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
