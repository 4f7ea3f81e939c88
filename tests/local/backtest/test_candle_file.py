"""Candle files of programs and vendors are read as the columns that detectors take."""

from __future__ import annotations

import gzip
import json
import zipfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet
import pytest

from local.backtest.candle_file import InputError, read_candles
from local.errors import UsageError
from local.feeds.files.errors import FileError
from shared.analysis.candle_series import Candles

DAY_US = 86_400_000_000
FIRST_US = 1_735_689_600_000_000  # 2025-01-01
ROWS = [(10.5, 12.25, 9.75, 11.0, 700.0), (11.0, 13.5, 10.5, 12.75, 800.0)]


def read(path: Path, symbol: str | None = None) -> Candles:
    found = read_candles(path, symbol)
    assert found is not None, "no candles"
    return found[0]


def notes(path: Path) -> list[str]:
    found = read_candles(path)
    assert found is not None, "no candles"
    return found[1]


def check(candles: Candles, step_us: int = DAY_US) -> None:
    """Assert the two candles of `ROWS`, one step apart."""
    assert candles.start_us.tolist() == [FIRST_US, FIRST_US + step_us]
    columns = (candles.open, candles.high, candles.low, candles.close, candles.volume)
    assert list(zip(*(each.tolist() for each in columns), strict=True)) == ROWS


TEXTS = {
    "kandle": "start_us,open,high,low,close,volume\n"
    "1735689600000000,10.5,12.25,9.75,11,700\n1735776000000000,11,13.5,10.5,12.75,800\n",
    "yahoo": "Date,Open,High,Low,Close,Adj Close,Volume\n"
    "2025-01-01,10.5,12.25,9.75,11,10.9,700\n2025-01-02,11,13.5,10.5,12.75,12.7,800\n",
    "yfinance": "Price,Close,High,Low,Open,Volume\nTicker,A,A,A,A,A\nDate,,,,,\n"
    "2025-01-01,11,12.25,9.75,10.5,700\n2025-01-02,12.75,13.5,10.5,11,800\n",
    "pandas": ",open,high,low,close,volume\n2025-01-01 00:00:00+00:00,10.5,12.25,9.75,11,700\n"
    "2025-01-02 00:00:00+00:00,11,13.5,10.5,12.75,800\n",
    "tradingview": "time,open,high,low,close,Volume,RSI\n1735689600,10.5,12.25,9.75,11,700,50\n"
    "1735776000,11,13.5,10.5,12.75,800,NaN\n",
    "binance with a header": "open_time,open,high,low,close,volume,close_time,ignore\n"
    "1735689600000000,10.5,12.25,9.75,11,700,1735775999999999,0\n"
    "1735776000000000,11,13.5,10.5,12.75,800,1735862399999999,0\n",
    "binance without": "1735689600000,10.5,12.25,9.75,11,700,1735775999999,7,8,9,1,0\n"
    "1735776000000,11,13.5,10.5,12.75,800,1735862399999,7,8,9,1,0\n",
    "kraken": "1735689600,10.5,12.25,9.75,11,700,12\n1735776000,11,13.5,10.5,12.75,800,13\n",
    "metatrader 4": "2025.01.01,00:00,10.5,12.25,9.75,11,700\n"
    "2025.01.02,00:00,11,13.5,10.5,12.75,800\n",
    "metatrader 5": "<DATE>\t<OPEN>\t<HIGH>\t<LOW>\t<CLOSE>\t<TICKVOL>\t<VOL>\t<SPREAD>\n"
    "2025.01.01\t10.5\t12.25\t9.75\t11\t700\t0\t1\n2025.01.02\t11\t13.5\t10.5\t12.75\t800\t0\t1\n",
    "stooq": "<TICKER>,<PER>,<DATE>,<TIME>,<OPEN>,<HIGH>,<LOW>,<CLOSE>,<VOL>,<OPENINT>\n"
    "A.US,D,20250101,000000,10.5,12.25,9.75,11,700,0\n"
    "A.US,D,20250102,000000,11,13.5,10.5,12.75,800,0\n",
    "ninjatrader": "20250101 000000;10.5;12.25;9.75;11;700\n"
    "20250102 000000;11;13.5;10.5;12.75;800\n",
    "dukascopy": "Gmt time,Open,High,Low,Close,Volume\n"
    "01.01.2025 00:00:00.000,10.5,12.25,9.75,11,700\n"
    "02.01.2025 00:00:00.000,11,13.5,10.5,12.75,800\n",
    "polygon": "ticker,volume,open,close,high,low,window_start,transactions\n"
    "A,700,10.5,11,12.25,9.75,1735689600000000000,9\n"
    "A,800,11,12.75,13.5,10.5,1735776000000000000,9\n",
    "cryptodatadownload": "https://www.CryptoDataDownload.com\n"
    "unix,date,symbol,open,high,low,close,Volume BTC,Volume USD\n"
    "1735776000,2025-01-02 00:00:00,BTC/USD,11,13.5,10.5,12.75,800,9\n"
    "1735689600,2025-01-01 00:00:00,BTC/USD,10.5,12.25,9.75,11,700,9\n",
    "nasdaq": "Date,Close/Last,Volume,Open,High,Low\n01/02/2025,$12.75,800,$11,$13.5,$10.5\n"
    "01/01/2025,$11,700,$10.5,$12.25,$9.75\n",
    "investing": '"Date","Price","Open","High","Low","Vol.","Change %"\n'
    '"Jan 02, 2025","12.75","11.00","13.50","10.50","0.80K","1%"\n'
    '"Jan 01, 2025","11.00","10.50","12.25","9.75","0.70K","1%"\n',
    "a decimal comma": "date;open;high;low;close;volume\n2025-01-01;10,5;12,25;9,75;11;700\n"
    "2025-01-02;11;13,5;10,5;12,75;800\n",
    "germany": "Datum;Open;High;Low;Close;Volume\n01.01.2025;10,5;12,25;9,75;11;700\n"
    "02.01.2025;11;13,5;10,5;12,75;800\n",
    "interactive brokers": "date,open,high,low,close,volume,average,barCount\n"
    "20241231 19:00:00 US/Eastern,10.5,12.25,9.75,11,700,1,1\n"
    "20250101 19:00:00 US/Eastern,11,13.5,10.5,12.75,800,1,1\n",
    "metastock": "<TICKER>,<PER>,<DTYYYYMMDD>,<TIME>,<OPEN>,<HIGH>,<LOW>,<CLOSE>,<VOL>\n"
    "A,D,20250101,000000,10.5,12.25,9.75,11,700\n"
    "A,D,20250102,000000,11,13.5,10.5,12.75,800\n",
    "nse": "Date ,series ,OPEN ,HIGH ,LOW ,ltp ,close ,VOLUME \n"
    '02-Jan-2025,EQ,11,13.5,10.5,12,12.75,"800"\n01-Jan-2025,EQ,10.5,12.25,9.75,1,11,"700"\n',
    "cryptodatadownload's hours": "Date,Symbol,Open,High,Low,Close,Volume BTC\n"
    "2025-01-01 12-AM,A,10.5,12.25,9.75,11,700\n2025-01-02 12-AM,A,11,13.5,10.5,12.75,800\n",
    "google sheets": "Date,Open,High,Low,Close,Volume\n2025-01-01,10.5,12.25,9.75,11,700\n"
    "2025-01-02,11,13.5,10.5,12.75,800\n2025-01-03,#N/A,#N/A,#N/A,#N/A,#N/A\n",
    "dukascopy here": "Local time,Open,High,Low,Close,Volume\n"
    "01.01.2025 01:00:00.000 GMT+0100,10.5,12.25,9.75,11,700\n"
    "02.01.2025 01:00:00.000 GMT+0100,11,13.5,10.5,12.75,800\n",
    "bybit": '{"retCode":0,"result":{"category":"spot","list":['
    '["1735776000000","11","13.5","10.5","12.75","800","1"],'
    '["1735689600000","10.5","12.25","9.75","11","700","1"]]}}',
    "okx": '{"code":"0","data":[["1735689600000","10.5","12.25","9.75","11","700","1","1","1"],'
    '["1735776000000","11","13.5","10.5","12.75","800","1","1","1"]]}',
    "freqtrade": "[[1735689600000,10.5,12.25,9.75,11.0,700],"
    "[1735776000000,11,13.5,10.5,12.75,800]]",
    "coinbase": "[[1735776000,10.5,13.5,11,12.75,800],[1735689600,9.75,12.25,10.5,11,700]]",
    "objects": '[{"time":1735689600,"open":"10.5","high":"12.25","low":"9.75","close":"11",'
    '"volume":700},{"time":1735776000,"open":11,"high":13.5,"low":10.5,"close":12.75,"volume":800}]',
    "objects a line": '{"t":1735689600,"o":10.5,"h":12.25,"l":9.75,"c":11,"v":700}\n'
    '{"t":1735776000,"o":11,"h":13.5,"l":10.5,"c":12.75,"v":800}\n',
    "columns": '{"s":"ok","t":[1735689600,1735776000],"o":[10.5,11],"h":[12.25,13.5],'
    '"l":[9.75,10.5],"c":[11,12.75],"v":[700,800]}',
    "an answer of this API": '{"symbol":"A","timeframe":"1d","candles":['
    '{"t":1735689600000,"o":"10.5","h":"12.25","l":"9.75","c":"11","v":"700","closed":true},'
    '{"t":1735776000000,"o":"11","h":"13.5","l":"10.5","c":"12.75","v":"800","closed":true}]}',
}


@pytest.mark.parametrize("kind", TEXTS)
def test_files_of_common_programs_are_read(tmp_path: Path, kind: str) -> None:
    """Files are read with the names, orders, times, numbers and delimiters of common programs."""
    path = tmp_path / "candles"
    path.write_text(TEXTS[kind])
    check(read(path))


def test_points_group_digits_beside_a_decimal_comma(tmp_path: Path) -> None:
    """With a decimal comma 1.000 is a thousand; beside 1,000.5 a comma groups digits."""
    path = tmp_path / "candles"
    header = "Date;Open;High;Low;Close;Volume\n2025-01-02;"
    for row in ("1.000,5;1.200;900,5;1.100;1.000", "1,000.5;1,200;900.5;1,100;1,000"):
        path.write_text(header + row)
        candles = read(path)
        assert (candles.open[0], candles.high[0], candles.low[0]) == (1000.5, 1200, 900.5)
        assert candles.volume[0] == 1000


def test_a_grouped_volume_beside_decimal_points_is_no_decimal_comma(tmp_path: Path) -> None:
    """12,345 is a number of thousands beside prices such as 157.123."""
    path = tmp_path / "candles"
    path.write_text(
        "Date\tOpen\tHigh\tLow\tClose\tVolume\n"
        "2025-01-02\t157.123\t157.500\t156.900\t157.321\t12,345\n"
    )
    candles = read(path)
    assert (candles.open[0], candles.volume[0]) == (157.123, 12345)
    path.write_text("Date;Open;High;Low;Close;Volume\n2025-01-02;157;158;156;157;1,234,567\n")
    assert read(path).volume[0] == 1_234_567


def test_numbers_that_could_be_others_are_named(tmp_path: Path) -> None:
    """A note says how 12,345 is read, and that integers of Databento are prices of 1e-9."""
    path = tmp_path / "candles"
    for text, note, expected in (
        (
            "date;open;high;low;close\n2025-01-02;12,345;12,400;12,300;12,350\n",
            "12,345 is read with a decimal comma, as 12.345",
            12.345,
        ),
        (
            "ts_event,rtype,publisher_id,instrument_id,open,high,low,close,volume,symbol\n"
            "1735804800000000000,33,1,1,100250000000,100500000000,100000000000,100300000000,1,E\n",
            "its prices are integers of 1e-9, as Databento's",
            100.25,
        ),
    ):
        path.write_text(text)
        found = read_candles(path)
        assert found is not None
        candles, notes = found
        assert (candles.open[0], notes) == (expected, [note])


def test_compressed_and_encoded_files_are_read(tmp_path: Path) -> None:
    """gzip, an archive of one file, UTF-16, a byte order mark and CRLF are read."""
    text = TEXTS["yahoo"]
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(text.encode()))
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a.csv", text)
    (tmp_path / "utf16.csv").write_text(text, encoding="utf-16")
    (tmp_path / "mark.csv").write_bytes(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode())
    for path in sorted(tmp_path.iterdir()):
        check(read(path))


def test_columnar_files_are_read(tmp_path: Path) -> None:
    """Parquet and Feather are read, also with an index of times."""
    start = pa.array([FIRST_US, FIRST_US + DAY_US], pa.timestamp("us", "UTC"))
    columns = dict(
        zip(("open", "high", "low", "close", "volume"), zip(*ROWS, strict=True), strict=True)
    )
    table = pa.table({"date": start, **columns})
    pyarrow.parquet.write_table(table, tmp_path / "a.parquet")
    pyarrow.feather.write_feather(table, str(tmp_path / "a.feather"))
    for path in sorted(tmp_path.iterdir()):
        check(read(path))


def test_one_symbol_of_several_is_chosen(tmp_path: Path) -> None:
    """One symbol is selected from a file of many, as from a day of Polygon's flat files."""
    path = tmp_path / "day.csv"
    path.write_text(TEXTS["polygon"] + "B,1,1,1,1,1,1735689600000000000,9\n")
    with pytest.raises(UsageError, match="holds A, B: choose one with --symbol"):
        read(path)
    check(read(path, "A"))
    assert len(read(path, "B")) == 1
    with pytest.raises(InputError, match="has no candles of C"):
        read(path, "C")


HEADER = "time,open,high,low,close\n"


def test_changes_to_rows_are_reported(tmp_path: Path) -> None:
    """Notes report skipped days, descending order, duplicate rows and ambiguous dates."""
    path = tmp_path / "candles.csv"
    path.write_text(
        "Date,Open,High,Low,Close,Volume\n03/04/2025,1,1,1,1,5\n02/04/2025,null,null,null,null,null\n"
        "01/04/2025,1,1,1,1,5\n01/04/2025,1,1,1,1,5\n"
    )
    assert notes(path) == [
        "1 rows without prices were left out",
        "its dates are read as month/day/year",
        "the rows were sorted by time",
        "1 rows stand twice and count once",
    ]
    path.write_text("Date,Open,High,Low,Close\n13/04/2025,1,1,1,1\n14/04/2025,1,1,1,1\n")
    assert (notes(path), np.diff(read(path).start_us).tolist()) == ([], [DAY_US])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (HEADER, "has no candles"),
        (f"{HEADER}1700000000,1,2,1,x\n", "row 1: 'x' is not a number"),
        (f"{HEADER}soon,1,2,1,1\n", "row 1: 'soon' is not a time"),
        (f"{HEADER}1700000000,1,2,1\n", "row 1: is cut off"),
        (f"{HEADER}1700000000,1,0.5,1,1\n", "row 1: its prices are not 0 < low"),
        (f"{HEADER}1700000000,-1,2,-1,1\n", "row 1: its prices are not 0 < low"),
        (f"{HEADER}nan,1,2,1,1\n", "row 1: 'nan' is not a time"),
        (f"{HEADER}1700000000,nan,2,1,1\n", "row 1: a price or volume is not there"),
        (f"{HEADER}1700000000,1,1,1,1\n1700000000,1,2,1,1\n", "rows 1 and 2 are candles of one"),
        (f"{HEADER}2025-01-01,1,1,1,1\nthen,1,1,1,1\n", "row 2: 'then' is not a time"),
        ("open,high,low,close,what\n1,1,1,1,1\n", "names no time"),
        ('[{"time":1700000000,"high":2', "is not JSON"),
    ],
)
def test_invalid_files_are_explained(tmp_path: Path, text: str, message: str) -> None:
    """The error of an invalid file names the row and what is wrong with it."""
    path = tmp_path / "bad.csv"
    path.write_text(text)
    with pytest.raises((InputError, FileError), match=message):
        read(path)


@pytest.mark.parametrize(
    "text",
    [
        "A,1,1,1700000000000\n",
        "1700000000,101.5,0.25\n",
        "symbol,price,size,time_ms,side\nA,1,2,1700000000000,buy\n",
        "4359142342,97000.1,0.001,97.1,1735689600000000,True,True\n",
        "3000000001,97000.1,0.001,7,9,1735689600000000,True,True\n",
        '[[1735689600000,"77",null,"buy",97000.1,0.5,48500]]',
        '{"symbol":"A","price":1,"time":1700000000}\n',
        json.dumps([{"s": "A", "p": "1", "q": "2", "T": 1}]),
        "",
    ],
)
def test_trades_are_no_candles(tmp_path: Path, text: str) -> None:
    """A file of ticks is refused as no file of candles."""
    path = tmp_path / "ticks"
    path.write_text(text)
    assert read_candles(path) is None
