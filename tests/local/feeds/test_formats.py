from __future__ import annotations

import gzip
import json
import re
import zipfile
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from local.feeds.formats import FeedFileError, Reading, UnknownFormatError, format_of
from local.feeds.tick import Tick

symbols = st.from_regex(r"[A-Z][A-Z0-9./:_-]{0,11}", fullmatch=True)
prices = st.decimals(min_value="0.00000001", max_value=10**9, places=8).map(lambda d: f"{d:f}")
ticks = st.builds(
    Tick,
    symbols.filter(lambda s: s.lower() != "symbol"),
    prices,
    st.one_of(st.just(""), prices),
    st.one_of(st.none(), st.integers(0, 4 * 10**12)),
    st.sampled_from(["buy", "sell", ""]),
    st.one_of(
        st.just(""),
        st.integers(0, 2**63).map(str),
        st.from_regex(r"[a-f0-9-]{1,36}", fullmatch=True),
    ),
)
in_one_directory = settings(
    max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)


def read(path: Path, symbol: str | None = None, name: str | None = None) -> list[Tick]:
    return list(format_of(path, name).read(path, symbol))


def zipped(path: Path, member: str, text: str) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(member, text)
    return path


# csv


@in_one_directory
@given(recorded=st.lists(ticks, min_size=1, max_size=20))
def test_lines_come_back_as_the_ticks_that_wrote_them(recorded: list[Tick], tmp_path: Path) -> None:
    """Writing ticks as lines and reading them again changes nothing, compressed or not."""
    content = b"\n".join(tick.line() for tick in recorded)
    plain, packed = tmp_path / "ticks.csv", tmp_path / "ticks.csv.gz"
    plain.write_bytes(content)
    packed.write_bytes(gzip.compress(content + b"\r\n"))
    archive = zipped(tmp_path / "ticks.zip", "ticks.csv", content.decode())
    assert read(plain) == read(packed) == read(archive) == recorded


def test_a_header_may_name_the_columns_in_its_own_order(tmp_path: Path) -> None:
    """A first row of column names is no tick, and says which field is which."""
    path = tmp_path / "ticks.csv"
    path.write_text("\ufeffTime_ms,Symbol,Price,Side\n5,BTC-USD,1.50,BUY\n\n6,BTC-USD,1.60,\n")
    assert read(path) == [
        Tick("BTC-USD", "1.50", "", 5, "buy"),
        Tick("BTC-USD", "1.60", "", 6),
    ]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("BTC,abc", "row 2: price is not a decimal number: 'abc'"),
        ("BTC,NaN", "row 2: price is not a decimal number: 'NaN'"),
        ("BTC", "row 2: price is not a decimal number: ''"),
        (",1", "row 2: symbol is empty: ''"),
        ("BTC,1,x", "row 2: size is not a decimal number: 'x'"),
        ("BTC,1,1,1.5", "row 2: time_ms is not whole milliseconds: '1.5'"),
        ("BTC,1,1,1,up", "row 2: side is neither buy nor sell: 'up'"),
        ("BTC,1,1,1,buy,a\x07", "row 2: trade_id is too long or holds controls"),
        ("BTC,1,1,1,buy,7,8", "row 2: the line has 7 fields, not 6"),
    ],
)
def test_a_bad_line_is_named_by_file_row_and_field(row: str, message: str, tmp_path: Path) -> None:
    """A person can find the bad value with the message alone."""
    path = tmp_path / "ticks.csv"
    path.write_text(f"BTC,1\n{row}\n")
    with pytest.raises(FeedFileError, match=re.escape(f"{path}: {message}")):
        read(path)


def test_one_symbol_cannot_name_two_instruments(tmp_path: Path) -> None:
    """A symbol given for a file of two instruments would mix their prices, so it is refused."""
    path = tmp_path / "ticks.csv"
    path.write_text("BTC,1\nBTC,2\n")
    assert [tick.symbol for tick in read(path, "X")] == ["X", "X"]
    path.write_text("BTC,1\nETH,2\n")
    with pytest.raises(FeedFileError, match="one --symbol cannot name both"):
        read(path, "X")


# freqtrade


def test_freqtrade_numbers_keep_the_text_of_the_file(tmp_path: Path) -> None:
    """A JSON number is never a float on the way: digits stay, exponents are written out."""
    path = tmp_path / "XRP_ETH-trades.json.gz"
    rows = (
        '[[1570752011620,"13519807",null,"sell",0.1000,23.0,2.3],'
        "[1570752011621,null,null,null,1e-05,1.00000000000000000001,0]]"
    )
    path.write_bytes(gzip.compress(rows.encode()))
    assert read(path) == [
        Tick("XRP-ETH", "0.1000", "23.0", 1570752011620, "sell", "13519807"),
        Tick("XRP-ETH", "0.00001", "1.00000000000000000001", 1570752011621),
    ]


@in_one_directory
@given(st.lists(st.tuples(st.integers(0, 10**13), prices, prices), max_size=20))
def test_freqtrade_rows_come_back(tmp_path: Path, rows: list[tuple[int, str, str]]) -> None:
    """Rows that are written with their decimals are read with the same decimals."""
    path = tmp_path / "A_B-trades.json"
    path.write_text(
        "["
        + ",".join(f'[{t},"{n}",null,"buy",{p},{a},0]' for n, (t, p, a) in enumerate(rows))
        + "]"
    )
    expected = [Tick("A-B", p, a, t, "buy", str(n)) for n, (t, p, a) in enumerate(rows)]
    assert read(path) == expected


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[[1570752011620", "is not JSON"),
        ("{}", "is not a JSON array of trades"),
        ("[[1,2]]", "row 1: the row is not 7 values"),
        ('[["x",null,null,"buy",1,1,1]]', "row 1: timestamp is not milliseconds: 'x'"),
        ('[[1,null,null,"up",1,1,1]]', "row 1: side is neither buy nor sell: 'up'"),
        ('[[1,null,null,"buy",NaN,1,1]]', "row 1: price is not a decimal number: 'NaN'"),
        ('[[1,null,null,"buy",1,null,1]]', "row 1: amount is not a decimal number: 'None'"),
        ('[[1,[],null,"buy",1,1,1]]', "row 1: id is neither text nor a number"),
    ],
)
def test_a_bad_freqtrade_file_is_told_clearly(content: str, message: str, tmp_path: Path) -> None:
    """What is wrong with a file of trades is one line with the place."""
    path = tmp_path / "A_B-trades.json"
    path.write_text(content)
    with pytest.raises(FeedFileError, match=re.escape(message)):
        read(path)


def test_a_freqtrade_file_of_another_name_needs_a_symbol(tmp_path: Path) -> None:
    """The pair is only in the file's name; under another name it has to be said."""
    path = tmp_path / "trades.json"
    path.write_text('[[1570752011620,"1",null,"sell",1.5,2,3]]')
    assert format_of(path).name == "freqtrade"
    assert read(path, "X-Y")[0].symbol == "X-Y"
    with pytest.raises(FeedFileError, match="give it with --symbol"):
        read(path)


# binance-ws


def trade(**changes: object) -> dict[str, object]:
    return {
        "e": "trade", "E": 1700000000100, "s": "BTCUSDT", "t": 7, "p": "61837.63000000",
        "q": "0.02000000", "T": 1700000000099, "m": True, "M": True,
    } | changes  # fmt: skip


def capture(path: Path, *messages: object) -> Path:
    lines = (f"{1700000000000000000 + n} {json.dumps(m)}" for n, m in enumerate(messages))
    path.write_bytes(gzip.compress("\n".join(lines).encode()))
    return path


def test_only_trades_of_a_capture_become_ticks_and_the_rest_is_counted(tmp_path: Path) -> None:
    """Trades, bare or wrapped, are ticks at the exchange's time; the rest is counted."""
    path = capture(
        tmp_path / "btcusdt.gz",
        trade(),
        {"stream": "btcusdt@trade", "data": trade(t=8, m=False)},
        {"stream": "ethusdt@aggTrade", "data": trade(e="aggTrade", s="ETHUSDT", a=3, f=4, l=5)},
        {"stream": "btcusdt@bookTicker", "data": {"u": 1, "s": "BTCUSDT"}},
        {"stream": "btcusdt@depth@100ms", "data": {"e": "depthUpdate"}},
        {"result": None, "id": 1},
    )
    reading = Reading()
    found = list(format_of(path).read(path, None, reading))
    assert found == [
        Tick("BTCUSDT", "61837.63000000", "0.02000000", 1700000000099, "sell", "7"),
        Tick("BTCUSDT", "61837.63000000", "0.02000000", 1700000000099, "buy", "8"),
        Tick("ETHUSDT", "61837.63000000", "0.02000000", 1700000000099, "sell", "3"),
    ]
    assert reading.skipped == {"bookTicker": 1, "depthUpdate": 1, "other": 1}
    assert reading.fraction == 1.0


def test_a_trade_is_not_counted_again_as_part_of_an_aggregate(tmp_path: Path) -> None:
    """Where both streams of an instrument were recorded, the kind that comes first counts."""
    path = capture(tmp_path / "c.gz", trade(), trade(e="aggTrade", a=1), trade(t=8))
    reading = Reading()
    found = list(format_of(path).read(path, None, reading))
    assert [tick.trade_id for tick in found] == ["7", "8"]
    assert reading.skipped == {"aggTrade": 1}


def test_what_is_no_market_trade_of_the_futures_exchange_is_left_out(tmp_path: Path) -> None:
    """Insurance fund and auto-deleveraging prints have no market price."""
    path = capture(tmp_path / "c.gz", trade(X="MARKET"), trade(X="NA", p="0"))
    assert [tick.trade_id for tick in read(path)] == ["7"]


@pytest.mark.parametrize(
    ("message", "told"),
    [
        (trade(p=1.5), "row 1: p is not decimal text: '1.5'"),
        (trade(p="1,5"), "row 1: p is not a decimal number: '1,5'"),
        (trade(T="x"), "row 1: T is not a whole number: 'x'"),
        (trade(m=None), "row 1: m is not true or false: 'None'"),
        (trade(s=""), "row 1: s is empty"),
    ],
)
def test_a_bad_trade_is_named_by_row_and_field(
    message: dict[str, object], told: str, tmp_path: Path
) -> None:
    """A trade with a wrong value is an error with the exchange's name of the field."""
    path = capture(tmp_path / "c.gz", message)
    with pytest.raises(FeedFileError, match=re.escape(told)):
        read(path)


# lean-equity

LEAN_ROWS = "34200000,1674100,100,P,20002000,0\n34200001.5,9,1400,Q,0,0\n"


def test_lean_times_count_from_midnight_in_new_york(tmp_path: Path) -> None:
    """Half past nine is 13:30 UTC in summer and 14:30 in winter; prices are ten-thousandths."""
    summer = zipped(tmp_path / "spy-20131007-tick.zip", "20131007_spy_Trade_Tick.csv", LEAN_ROWS)
    winter = zipped(tmp_path / "a.zip", "20131209_spy_Trade_Tick.csv", LEAN_ROWS)
    assert read(summer) == [
        Tick("SPY", "167.4100", "100", 1381152600000),
        Tick("SPY", "0.0009", "1400", 1381152600001),
    ]
    assert read(winter, "SPX")[0] == Tick("SPX", "167.4100", "100", 1386599400000)


@given(st.integers(0, 10**12))
def test_a_lean_price_is_the_integer_over_ten_thousand(price: int) -> None:
    """Moving the decimal point is exact at every size."""
    from local.feeds.formats.lean_equity import _price

    assert Decimal(_price(Path("x"), 1, str(price))) * 10_000 == price


@pytest.mark.parametrize(
    ("member", "rows", "message"),
    [
        ("20131007_spy_minute_trade.csv", "", "holds minute_trade, not trade ticks"),
        ("20131007_spy_Quote_Tick.csv", "", "holds Quote_Tick, not trade ticks"),
        ("20139999_spy_Trade_Tick.csv", LEAN_ROWS, "20139999 is not a date"),
        ("20131007_spy_Trade_Tick.csv", "1,2,3\n", "row 1: the row has 3 fields, not 6"),
        ("20131007_spy_Trade_Tick.csv", "1,x,3,P,0,0\n", "row 1: price is not a whole number"),
        ("20131007_spy_Trade_Tick.csv", "86400000,1,3,P,0,0\n", "row 1: time is past the end"),
    ],
)
def test_a_lean_file_of_something_else_is_refused(
    member: str, rows: str, message: str, tmp_path: Path
) -> None:
    """Bars, quotes and damaged rows are told apart from ticks."""
    path = zipped(tmp_path / "x.zip", member, rows)
    with pytest.raises(FeedFileError, match=re.escape(message)):
        read(path)


def test_a_machine_without_time_zones_is_told_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without tzdata the day cannot be placed, and the message says what to install."""
    from local.feeds.formats import lean_equity

    monkeypatch.setattr(lean_equity, "NEW_YORK", "Nowhere/At_All")
    path = zipped(tmp_path / "x.zip", "20131007_spy_Trade_Tick.csv", LEAN_ROWS)
    with pytest.raises(FeedFileError, match="tzdata"):
        read(path)


# choice and opening


def test_a_format_that_cannot_be_guessed_is_asked_for(tmp_path: Path) -> None:
    """A file like nothing known is an error that lists the formats."""
    path = tmp_path / "notes.txt"
    path.write_text("1,2,3\n")
    with pytest.raises(UnknownFormatError, match="binance-ws, csv, freqtrade, lean-equity"):
        format_of(path)
    with pytest.raises(UnknownFormatError, match="unknown format 'xls'"):
        format_of(path, "xls")


def test_files_that_cannot_be_opened_are_told_in_one_line(tmp_path: Path) -> None:
    """Missing files, directories, damaged and ambiguous archives are errors for people."""
    damaged = tmp_path / "damaged.csv.gz"
    damaged.write_bytes(gzip.compress(b"A,1\n" * 5_000, compresslevel=0)[:-1_000])
    two = tmp_path / "two.zip"
    with zipfile.ZipFile(two, "w") as archive:
        archive.writestr("a.csv", "A,1")
        archive.writestr("b.csv", "A,1")
    for path, message in [
        (tmp_path / "none.csv", "no such file"),
        (tmp_path, "is a directory"),
        (damaged, "cannot be read"),
        (two, "expected one file in the archive, found 2"),
    ]:
        with pytest.raises(FeedFileError, match=message):
            read(path, name="csv")


def test_a_file_is_read_as_it_is_needed(tmp_path: Path) -> None:
    """The first ticks of a long file are there while most of it is still unread."""
    path = tmp_path / "long.csv"
    path.write_text("BTC-USD,61837.63,0.02,1700000000000,buy,1\n" * 50_000)
    reading = Reading()
    found = format_of(path).read(path, None, reading)
    next(found)
    assert 0 < reading.fraction < 0.1
    assert sum(1 for _ in found) == 49_999
    assert reading.fraction == 1.0
