"""Inputs of public bug reports as a new user would send them: the folders of ../shared/cases."""

from __future__ import annotations

import json
import runpy
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from typer.testing import CliRunner
from websockets.sync.client import connect

from local.cli.app import command_line
from tests.e2e.client import candles, eventually, fresh_symbol, web
from tests.platform import kandle

CASES = Path(__file__).parents[3] / "shared" / "cases"

pytestmark = pytest.mark.skipif(not CASES.is_dir(), reason="no cases: ../shared/cases is not there")

REPLAYED: dict[str, tuple[str, str, dict[str, Any]]] = {
    "03-text-trade-ids/input.csv": ("STELLAR", "1m", {"o": "100", "c": "103"}),
    "05-negative-prices/input.csv": (
        "CLK20",
        "1d",
        {"o": "-37.63", "h": "1.1", "l": "-37.63", "c": "1.1", "v": "170", "n": 4},
    ),
    "07-replay-confirms-rejects/microseconds.csv": ("XBTUSD", "1d", {"n": 10}),
    "08-symbol-letters/input.csv": ("^GSPC", "1d", {"c": "5881.63"}),
    "09-json-nulls-and-text-ids/input.ndjson": ("J-AMOUNT", "1d", {"v": "0.00116"}),
    "14-replayed-twice/input.csv": ("BCH-EUR.KRAKENCSV", "1h", {"v": "2.3904842", "n": 3}),
    "16-lake-of-numeric-symbols/input.csv": ("600519", "1d", {"c": "1500"}),
    "17-eighteen-decimals/input.csv": ("DEX-18", "1d", {"v": "1234568.890123456789012346"}),
    "10-files-of-the-field/20131008_trade.zip": ("GC201310", "1d", {"n": 1}),
    "10-files-of-the-field/XRP_ETH-trades.feather": ("XRP-ETH", "1d", {"n": 2}),
    "10-files-of-the-field/XRP_OLD-trades.json.gz": ("XRP/ETH", "1d", {"n": 1}),
    "10-files-of-the-field/BTCUSDT-aggTrades-2025-01-01.zip": ("BTC-USDT", "1d", {"n": 2}),
}
"""File -> instrument, timeframe, and what its first candle says."""


def replay(pipeline: dict[str, str], *what: str | Path) -> str:
    """Replay files over HTTP; return the output."""
    directory = ("--data-dir", pipeline["DATA_DIR"])
    done = kandle("replay", *map(str, what), "--to", "http", "--speed", "max", *directory)
    return str(done.stdout)


def first(pipeline: dict[str, str], symbol: str, timeframe: str) -> dict[str, Any]:
    """The first candle, empty until there is one."""
    found = candles(pipeline["API_URL"], quote(symbol, safe="/"), timeframe)
    return found[0] if found else {}


def test_files_are_replayed(pipeline: dict[str, str]) -> None:
    """Every line of every replayed file is a tick, and a second replay changes nothing."""
    for _ in range(2):
        assert " 0 rejects" in replay(pipeline, *(CASES / name for name in REPLAYED))
    for symbol, timeframe, expected in REPLAYED.values():
        shown = eventually(
            lambda symbol=symbol, timeframe=timeframe: first(pipeline, symbol, timeframe),  # type: ignore[misc]
            lambda candle, expected=expected: expected.items() <= candle.items(),  # type: ignore[misc]
        )
        assert {name: shown.get(name) for name in expected} == expected


def test_a_file_that_names_no_instrument_says_what_to_type(pipeline: dict[str, str]) -> None:
    """A file without an instrument is an error with the option, and with it is replayed."""
    path = CASES / "10-files-of-the-field" / "public_trades_list.csv"
    done = kandle("replay", str(path), "--data-dir", pipeline["DATA_DIR"], check=False)
    assert done.returncode != 0
    assert "give it with --symbol" in done.stdout + done.stderr
    trades = path.with_name("BTCUSDT-trades-2025-01-01.csv")
    assert " 0 rejects" in replay(pipeline, path, trades, "--symbol", "LIST")


@pytest.mark.parametrize(
    ("name", "lines"),
    [("no_header", 2), ("header", 1), ("header_other_order", 1), ("quoted_spaced", 2)],
)
def test_every_csv_is_taken(pipeline: dict[str, str], name: str, lines: int) -> None:
    """CSV files with a byte order mark, CRLF, any header, quotes and blanks are accepted."""
    body = (CASES / "04-bom" / f"{name}.csv").read_bytes()
    answer = web.post(pipeline["INGEST_URL"], content=body, headers={"Content-Type": "text/csv"})
    assert (answer.json()["accepted"], answer.json()["rejected"]) == (lines, 0)


def test_a_packed_body_is_taken(pipeline: dict[str, str]) -> None:
    """A gzip body is accepted, and an unknown encoding is 415."""
    body = (CASES / "06-gzip-body" / "body.csv.gz").read_bytes()
    headers = {"Content-Type": "text/csv", "Content-Encoding": "gzip"}
    answer = web.post(pipeline["INGEST_URL"], content=body, headers=headers)
    assert (answer.status_code, answer.json()["accepted"]) == (202, 1000)
    headers["Content-Encoding"] = "br"
    assert web.post(pipeline["INGEST_URL"], content=body, headers=headers).status_code == 415


def made(pipeline: dict[str, str], folder: str, tmp_path: Path) -> None:
    """Replay the output of the folder's make.py."""
    printed = StringIO()
    with redirect_stdout(printed):
        runpy.run_path(str(CASES / folder / "make.py"))
    path = tmp_path / "made.csv"
    path.write_text(printed.getvalue())
    assert " 0 rejects" in replay(pipeline, path)


def test_weeks_and_times_in_any_unit(pipeline: dict[str, str], tmp_path: Path) -> None:
    """Weeks begin on Mondays and times may have any unit.

    Seven days are refused; seconds, dates and a lost + are reported.
    """
    made(pipeline, "01-weeks-and-months", tmp_path)
    url = f"{pipeline['API_URL']}/api/candles/WEEK"

    def weeks() -> list[tuple[Any, ...]]:
        query = {"timeframe": "1w", "from": "2025-02-24", "to": "2025-03-10"}
        found = web.get(url, params=query).json().get("candles", [])
        return [(c["t"], c["o"], c["c"], c["v"]) for c in found]

    expected = [(1740355200000, "196", "363", "168"), (1740960000000, "364", "531", "168")]
    assert eventually(weeks, lambda found: found == expected) == expected

    def months() -> list[tuple[Any, ...]]:
        query = {"timeframe": "1M", "from": "2025-03-01", "to": "2025-04-01"}
        return [(c["t"], c["o"], c["v"]) for c in web.get(url, params=query).json()["candles"]]

    march = (1740787200000, "316", "744")
    assert eventually(months, [march].__eq__) == [march]
    seven = web.get(url, params={"timeframe": "7d", "from": "2025-02-20"})
    assert (seven.status_code, "1w" in seven.json()["detail"]) == (400, True)
    seconds = {"timeframe": "1h", "from": "1740009600", "to": "1740096000"}
    hours = lambda: len(web.get(url, params=seconds).json()["candles"])  # noqa: E731
    assert eventually(hours, (24).__eq__) == 24
    date = web.get(url, params={"timeframe": "1h", "from": "20250220"})
    assert (date.status_code, "2025-02-20" in date.json()["detail"]) == (400, True)
    plus = web.get(f"{url}?timeframe=1h&from=2025-02-20T00:00:00+00:00")
    assert (plus.status_code, "%2B" in plus.json()["detail"]) == (400, True)


def test_timeframes_that_are_not_made_are_folded_live(pipeline: dict[str, str]) -> None:
    """Timeframes that are not stored, 3m, 30m and 2h, are folded live over both protocols."""
    symbol = fresh_symbol("LIVE3")
    channels = [f"candles:{frame}:{symbol}" for frame in ("3m", "30m", "2h", "1m")]
    left, streamed = set(channels), {channels[0]}
    address = pipeline["LIVE_URL"]
    query = {"channels": channels[0]}
    with (
        connect(address.replace("http", "ws") + "/ws", proxy=None) as socket,
        httpx.stream("GET", f"{address}/sse", params=query, timeout=30) as stream,
    ):
        socket.send(json.dumps({"op": "subscribe", "channels": channels}))
        while json.loads(socket.recv(timeout=30))["type"] != "snapshot":
            pass
        lines = stream.iter_lines()
        next(line for line in lines if "snapshot" in line)
        web.post(pipeline["INGEST_URL"], content=f"{symbol},7,1").raise_for_status()
        while left:
            frame = json.loads(socket.recv(timeout=30))
            assert (frame["type"], frame["data"]["c"]) == ("update", "7")
            left.discard(frame["channel"])
        while streamed:
            line = next(line for line in lines if line.startswith("data: "))
            streamed.discard(json.loads(line.removeprefix("data: ")).get("channel"))


def test_flat_markets(pipeline: dict[str, str], tmp_path: Path) -> None:
    """In a flat market RSI is 50 and no pattern that needs bodies is found."""
    made(pipeline, "11-rsi-of-a-flat-market", tmp_path)
    made(pipeline, "12-patterns-of-one-price-candles", tmp_path)
    query = {"timeframe": "1m", "limit": "1", "indicators": "rsi:14"}

    def strength() -> Any:
        answer = web.get(f"{pipeline['API_URL']}/api/candles/FLAT2", params=query).json()
        return [candle["indicators"]["rsi:14"] for candle in answer.get("candles", [])]

    assert eventually(strength, lambda found: found == [50.0]) == [50.0]
    eventually(lambda: candles(pipeline["API_URL"], "FLAT1"), lambda found: len(found) == 120)
    patterns = web.get(
        f"{pipeline['API_URL']}/api/patterns/FLAT1", params={"timeframe": "1m", "from": "0"}
    ).json()["patterns"]
    assert [each for each in patterns if each["pattern_type"].startswith("cdl_")] == []


@pytest.mark.parametrize("name", ["BTCUSDT-1d", "mt5", "newest_first", "yahoo_null"])
def test_files_of_candles_are_backtested(name: str) -> None:
    """Candle files without header, with tabs, newest first or empty days are backtested."""
    arguments = [str(CASES / "15-backtest-candle-files" / f"{name}.csv"), "--horizon", "2"]
    done = CliRunner().invoke(command_line(["backtest"]), ["backtest", *arguments])
    assert "verdict" in done.output, done.output
