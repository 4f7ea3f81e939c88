"""Recorded binary tables are read as trades: Arrow, Parquet, DBN, NumPy."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet
import pytest
import zstandard
from numpy.typing import NDArray

from local.feeds.files import hft
from local.feeds.files.errors import FileError
from local.feeds.files.layouts import Choice
from local.feeds.files.opening import Progress
from tests.local.feeds.test_files import lines, trades, written


@pytest.mark.parametrize("kind", ["feather", "parquet", "arrow"])
def test_binary_tables_are_read(kind: str, tmp_path: Path) -> None:
    """A float becomes the shortest decimal that reads back, and a missing value stays missing."""
    table = pa.table(
        {
            "timestamp": [1570752011620, 1570752011621],
            "id": ["1", None],
            "side": ["sell", "buy"],
            "price": [0.00141342, 1e-7],
            "amount": [23.0, 0.1],
        }
    )
    path = tmp_path / f"XRP_ETH-trades.{kind}"
    if kind == "parquet":
        pyarrow.parquet.write_table(table, path)
    elif kind == "feather":
        pyarrow.feather.write_feather(table, str(path))
    else:
        with path.open("wb") as file, pa.ipc.new_stream(file, table.schema) as stream:
            stream.write_table(table)
    assert lines(path) == [
        "XRP-ETH,0.00141342,23,1570752011620,sell,1",
        "XRP-ETH,0.0000001,0.1,1570752011621,buy,",
    ]


def test_texts_of_polars_are_read(tmp_path: Path) -> None:
    """Texts as views, as Polars writes them, are texts, also beside rows that are left out."""
    path = tmp_path / "t.feather"
    texts = {"symbol": ["A", "A"], "price": ["1.5", "2"], "event_type": ["TRADE", "QUOTE BID"]}
    table = pa.table({name: pa.array(each, pa.string_view()) for name, each in texts.items()})
    with path.open("wb") as file, pa.ipc.new_file(file, table.schema) as stream:
        stream.write_table(table)
    assert lines(path) == ["A,1.5"]


def test_short_floats_and_the_index_of_pandas_are_read(tmp_path: Path) -> None:
    """A float of 32 bits becomes its own shortest decimal; an unnamed index is the time."""
    path = tmp_path / "t.parquet"
    table = {
        "symbol": ["A"],
        "price": pa.array([0.1], pa.float32()),
        "__index_level_0__": [dt.datetime(2025, 1, 1, tzinfo=dt.UTC)],
    }
    pyarrow.parquet.write_table(pa.table(table), path)
    assert lines(path) == ["A,0.1,,1735689600000000000"]
    table["price"] = pa.array([b"\xff\xfe"])
    pyarrow.parquet.write_table(pa.table(table), path)
    with pytest.raises(FileError, match="cannot be read: Invalid UTF8"):
        lines(path)


def test_table_timestamps_are_exact_to_the_nanosecond(tmp_path: Path) -> None:
    """A column of timestamps becomes exact nanoseconds."""
    moment = dt.datetime(2025, 1, 1, 0, 0, 0, 250_000, tzinfo=dt.UTC)
    path = tmp_path / "t.parquet"
    pyarrow.parquet.write_table(
        pa.table({"symbol": ["A"], "price": ["1.50"], "ts": [moment]}), path
    )
    (found,) = trades(path)
    assert found.times_us().tolist() == [1735689600250000]


def test_databento_binary_files_are_read(tmp_path: Path) -> None:
    """Databento's files are read with the symbols of their metadata.

    The encoder is Databento's own.
    """
    dbn = pytest.importorskip("databento_dbn")

    interval = SimpleNamespace(
        start_date=dt.date(2020, 12, 28), end_date=dt.date(2020, 12, 29), symbol="5482"
    )
    head = dbn.Metadata(
        dataset="GLBX.MDP3",
        start=1609113600000000000,
        stype_in=dbn.SType.RAW_SYMBOL,
        stype_out=dbn.SType.INSTRUMENT_ID,
        schema=dbn.Schema.TRADES,
        symbols=["ESH1"],
        mappings=[SimpleNamespace(raw_symbol="ESH1", intervals=(interval,))],
    )
    ts_ns = 1609160400000704060
    trade = dbn.TradeMsg(
        *(1, 5482, ts_ns, 3720250000000, 3, dbn.Action.TRADE, dbn.Side.ASK, 0, ts_ns)
    )
    content = zstandard.compress(bytes(head) + bytes(trade))
    path = written(tmp_path / "es.dbn.zst", content)
    assert lines(path) == ["ESH1,3720.250000000,3,1609160400000704,A"]

    fields = (3720250000000, 3, dbn.Action.TRADE, dbn.Side.BID, 0, ts_ns)
    book = dbn.MBP1Msg(1, 5482, ts_ns, *fields)
    quote = dbn.MBP1Msg(1, 5482, ts_ns, *fields[:2], dbn.Action.ADD, *fields[3:])
    unpriced = dbn.TradeMsg(1, 5482, ts_ns, dbn.UNDEF_PRICE, *fields[1:])
    written(path, bytes(head) + bytes(book) + bytes(quote) + bytes(unpriced))
    progress = Progress()
    assert lines(path, progress=progress) == [
        "ESH1,3720.250000000,3,1609160400000704,B",
        "ESH1,,3,1609160400000704,B",
    ]
    assert progress.skipped == {"MBP1Msg": 1}
    with pytest.raises(FileError, match="ends within a record"):
        lines(written(path, (bytes(head) + bytes(trade))[:-1]))


EVENT = np.dtype(
    [
        *(("ev", "<u8"), ("exch_ts", "<i8"), ("local_ts", "<i8"), ("px", "<f8"), ("qty", "<f8")),
        *(("order_id", "<u8"), ("ival", "<i8"), ("fval", "<f8")),
    ]
)


def events(*rows: tuple[int, int, float, float]) -> NDArray[np.void]:
    """Events of hftbacktest: ev, exchange time (ns), price, size."""
    return np.array([(ev, ns, ns + 5, px, qty, 0, 0, 0.0) for ev, ns, px, qty in rows], EVENT)


def test_trades_of_hftbacktest_are_read_in_parts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Trades of hftbacktest are read in parts without depth and without local repetitions."""
    monkeypatch.setattr(hft, "_ROWS", 2)
    exchange, local, bought, sold = 1 << 31, 1 << 30, 1 << 29, 1 << 28
    ns = 1_723_161_600_000_000_123
    path = tmp_path / "btcusdt_20240809.npz"
    np.savez_compressed(
        path,
        data=events(
            (exchange | local | bought | 2, ns, 61_000.1, 0.25),
            (exchange | local | bought | 1, ns, 61_000, 3),
            (exchange | sold | 2, ns + 1_000, 0.0000001, 1),
            (local | sold | 2, ns + 1_000, 0.0000001, 1),
            (exchange | 2, ns + 2_000, -1.5, 0),
        ),
    )
    progress = Progress()
    assert lines(path, progress=progress) == [
        "BTC-USDT,61000.1,0.25,1723161600000000,buy",
        "BTC-USDT,0.0000001,1,1723161600000001,sell",
        "BTC-USDT,-1.5,0,1723161600000002",
    ]
    assert sum(progress.skipped.values()) == 2
    other = tmp_path / "x.npz"
    np.savez(other, data=np.zeros((2, 6)))
    with pytest.raises(FileError, match="not of hftbacktest's events"):
        lines(other)
    np.savez(other, data=events((exchange | 2, ns, 1, 1)))
    with pytest.raises(FileError, match="--symbol"):
        lines(other)
    assert lines(other, Choice("ETH")) == ["ETH,1,1,1723161600000000"]
