from __future__ import annotations

from itertools import pairwise

import pytest

from local.feeds.files.errors import FileError
from local.feeds.files.layouts import Choice
from local.feeds.files.opening import Progress
from local.feeds.files.trades import read_trades
from local.feeds.tick import Tick
from tests.local.feeds.recorded import recorded


def read(name: str) -> tuple[str, list[Tick], Progress]:
    progress = Progress()
    found = list(read_trades([recorded(name)], Choice(), progress))
    return found[0][0].name, [tick for _, each in found for tick in each.ticks()], progress


def test_every_trade_of_the_freqtrade_file_is_read() -> None:
    """All 12,477 trades of the XRP/ETH file are read, with distinct ids."""
    _, ticks, _ = read("binance/XRP_ETH-trades.json.gz")
    assert len(ticks) == 12_477
    assert ticks[0] == Tick("XRP-ETH", "0.00141342", "23.0", 1570752011620, "sell", "13519807")
    assert len({tick.trade_id for tick in ticks}) == 12_477


@pytest.mark.parametrize(
    ("file", "symbol", "count", "skipped"),
    [("btcusdt", "BTCUSDT", 9_757, 31_492), ("ethusdt", "ETHUSDT", 6_106, 27_512)],
)
def test_no_trade_of_a_binance_capture_is_missed(
    file: str, symbol: str, count: int, skipped: int
) -> None:
    """A capture's trade ids are contiguous."""
    name, ticks, progress = read(f"binance/{file}_20240808.gz")
    assert name == "Binance WebSocket capture"
    assert {tick.symbol for tick in ticks} == {symbol}
    assert len(ticks) == count
    assert all(int(b.trade_id) - int(a.trade_id) == 1 for a, b in pairwise(ticks))
    assert progress.skipped.total() == skipped


def test_captures_of_another_recorder_are_read() -> None:
    """A capture with other timestamps and a line about the connection is read."""
    name, ticks, progress = read("exchanges/BINANCE_FUTURES.ws.1.0.gz")
    assert (name, len(ticks)) == ("Binance WebSocket capture", 91)
    assert progress.skipped["connection"] == 1


def test_every_print_of_the_lean_day_is_read() -> None:
    """All 250,601 prints of the SPY day are read, from 4:00 to 20:00 in New York."""
    name, ticks, _ = read("equity/spy-20131007-tick.zip")
    assert (name, len(ticks)) == ("Lean ticks", 250_601)
    assert ticks[0] == Tick("SPY", "167.4100", "100", 1381132800464, "", "", "lean:20002000")
    assert ticks[-1] == Tick("SPY", "167.3000", "100", 1381190399536, "", "", "lean:2000")


def test_a_file_of_bars_is_refused() -> None:
    """The file of minute bars beside the ticks is refused by name."""
    with pytest.raises(FileError, match="not trade ticks"):
        read("equity/spy-20131007-minute.zip")
