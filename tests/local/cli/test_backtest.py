from __future__ import annotations

import json
from pathlib import Path

from local.servers.ports import free_port
from tests.local.cli.running import invoke, refusal
from tests.local.cli.test_candles import serving
from tests.local.feeds.receivers import http_receiver


def report(*arguments: object) -> dict[str, object]:
    result = invoke("backtest", *arguments, "--json")
    assert result.exit_code == 0, result.output
    found: dict[str, object] = json.loads(result.stdout)
    return found


def test_candles_of_a_file_are_evaluated(recorded_data: Path) -> None:
    """Daily bars of a CSV file are evaluated as a table, with the options of the command."""
    path = recorded_data / "patterns" / "spy_candle_patterns.csv.gz"
    result = invoke("backtest", path, "--patterns", "cdl_engulfing", "--min-confidence", "0")
    assert "500 candles from 2013-02-22 00:00 to 2015-02-17" in result.stdout
    assert "cdl_engulfing" in result.stdout
    assert "cdl_harami" not in result.stdout
    assert report(path, "--horizon", "7")["horizon"] == 7


def test_ticks_of_a_file_are_aggregated(recorded_data: Path) -> None:
    """Ticks of a file in any replay format are aggregated to the given timeframe."""
    path = recorded_data / "binance" / "XRP_ETH-trades.json.gz"
    assert report(path, "--timeframe", "5m", "--patterns", "chart")["candles"] == 706


def test_rows_that_are_no_trades_are_left_out_with_a_note(tmp_path: Path) -> None:
    """A price or size that cannot be read is not a candle; it is counted, with the reason."""
    path = tmp_path / "ticks.csv"
    rows = [f"A,{10 + n % 3},1,{1_700_000_000_000 + n * 60_000}" for n in range(40)]
    path.write_text("\n".join([*rows, "A,x,1,1700000000000", "A,9,-,1700000000000"]))
    result = invoke("backtest", path)
    assert result.exit_code == 0, result.output
    assert "40 candles" in result.stdout
    assert "2 rows are not trades: PRICE 'x' is not a decimal number" in result.stderr


def test_candles_of_a_running_instance_are_evaluated() -> None:
    """All pages of the API are evaluated, without the open candle."""
    with http_receiver() as receiver:
        url = serving(receiver, 1_000)
        receiver.candles[-1]["closed"] = False  # type: ignore[attr-defined]
        found = report("XRP-ETH.BINANCE", "--api-url", url, "--from", "2019-10-11T00:00Z")
        assert found["candles"] == 999
        assert all(r.path.startswith("/api/candles/XRP-ETH.BINANCE?") for r in receiver.requests)
        assert "timeframe=1m" in receiver.requests[0].path


def test_invalid_arguments_are_one_line(tmp_path: Path) -> None:
    """An invalid file, symbol, pattern or address is an error of one line."""
    two = tmp_path / "two.csv"
    two.write_text("A,1,1,1700000000000\nB,2,1,1700000000000\n")
    bad = tmp_path / "bad.csv"
    bad.write_text("symbol,price,size,time\nA,x,1,1700000000000\nA,x,2,1700000000000\n")
    candles = tmp_path / "candles.csv"
    candles.write_text("time,open,high,low,close\n1700000000,1,1,1,1\n")
    strange = tmp_path / "strange.csv"
    strange.write_text("Datum;Hoch;Tief\n01.01.2025;2;1\n")
    nowhere = f"http://127.0.0.1:{free_port()}"
    for arguments, message in [
        ((tmp_path / "none.csv", "--data-dir", tmp_path), "no such file"),
        ((strange,), "Candles need a header: time,open,high,low,close,volume"),
        ((strange, "--symbol", "A"), "cannot tell which column is which"),
        ((two,), "holds A, B: choose one with --symbol"),
        ((two, "--symbol", "C"), "has no ticks of C"),
        ((bad,), "has no ticks; 2 rows are not trades: PRICE 'x' is not a decimal number"),
        ((two, "--symbol", "A", "--timeframe", "1x"), "--timeframe"),
        ((candles, "--patterns", "saucer"), "there is no pattern 'saucer'"),
        ((candles, "--plot", "x.gif"), "a plot ends in .png"),
        (("XRP-ETH", "--api-url", nowhere), "cannot reach"),
    ]:
        assert message in refusal("backtest", *arguments)
