"""`make exchange`: local exchanges with a simulated market, so that `--feed` works offline.

They lose trades and cut connections now and then, so that the feed's repair is visible.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import signal
import sys
import time
from collections.abc import Iterator

from local.feeds.instruments import PRESETS, SimulatedInstrument, instrument
from local.feeds.simulator import Simulator
from tests.exchanges.binance import BinanceDialect
from tests.exchanges.bridge import of_playback
from tests.exchanges.coinbase import CoinbaseDialect
from tests.exchanges.dialects import Dialect, Trade
from tests.exchanges.kraken import KrakenDialect
from tests.exchanges.playback import Playback

DIALECTS: dict[str, type[Dialect]] = {
    "binance": BinanceDialect,
    "coinbase": CoinbaseDialect,
    "kraken": KrakenDialect,
}
STEP_S = 0.05
LOST_S = 1.0
KEPT = 100_000


class Market:
    """One exchange: its playback, and the simulated trades of its symbols.

    An id is the number of trades since 1970 at this rate, so that a later start uses none again,
    and ids in between are soon known not to exist.
    """

    def __init__(self, name: str, symbols: list[str], rate: float) -> None:
        self.name = name
        self.symbols = symbols
        self.playback = Playback(DIALECTS[name]())
        now_s = time.time()
        self._ids = {symbol: itertools.count(int(now_s * rate)) for symbol in symbols}
        self._simulator = Simulator(
            [_like_known(symbol) for symbol in symbols],
            seed=1,
            start_ms=int(now_s * 1000),
            rate=rate,
        )

    def step(self, *, is_losing: bool) -> int:
        """Publish the trades up to now; return the number that no client received."""
        trades = [
            Trade(
                tick.symbol,
                next(self._ids[tick.symbol]),
                tick.price,
                tick.size,
                tick.time_ms or 0,
                buyer_made=tick.side == "sell",
            )
            for tick, _ in self._simulator.advance(time.time_ns() // 1_000_000)
        ]
        if is_losing:
            self.playback.lose(trades)
        else:
            self.playback.play(trades)
        for symbol in self.symbols:
            del self.playback.released[symbol][:-KEPT]
        return len(trades) if is_losing else 0


def _like_known(symbol: str) -> SimulatedInstrument:
    for known in PRESETS.values():
        if symbol.startswith(known.symbol.partition("-")[0]):
            return dataclasses.replace(known, symbol=symbol)
    return instrument(symbol)


def faults(every_s: float) -> Iterator[str]:
    """Yield the current fault at each call: trades are lost for LOST_S, or connections cut."""
    began_s = time.monotonic()
    for turn in itertools.count(1):
        fault = "lose" if turn % 2 else "cut"
        while (late_s := time.monotonic() - began_s - turn * every_s) < 0 or not every_s:
            yield ""
        while fault == "lose" and late_s < LOST_S:
            yield fault
            late_s = time.monotonic() - began_s - turn * every_s
        yield "cut" if fault == "cut" else "told"


def run(markets: list[Market], every_s: float) -> None:
    """Trade until interrupted; print each fault."""
    lost = dict.fromkeys((market.name for market in markets), 0)
    for fault in faults(every_s):
        for market in markets:
            lost[market.name] += market.step(is_losing=fault == "lose")
            if fault == "cut":
                market.playback.cut()
        if fault == "cut":
            print("every connection was cut", flush=True)
        if fault == "told":
            text = ", ".join(f"{count} of {name}" for name, count in lost.items())
            print(f"trades that no client was told of: {text}", flush=True)
            lost = dict.fromkeys(lost, 0)
        time.sleep(STEP_S)


def main() -> int:
    """The command line."""
    # a shell lets background processes ignore Ctrl-C
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    parser = argparse.ArgumentParser(prog="make exchange", description=__doc__)
    parser.add_argument("feeds", nargs="*", default=["binance:BTCUSDT,ETHUSDT"])
    parser.add_argument("--rate", type=float, default=20, help="trades a second, of each exchange")
    parser.add_argument("--faults", type=float, default=20, help="seconds between; 0: none")
    given = parser.parse_args()
    symbols_by_name = {
        name: symbols.split(",") for name, _, symbols in (f.partition(":") for f in given.feeds)
    }
    if not all(name in DIALECTS and all(symbols) for name, symbols in symbols_by_name.items()):
        parser.error(f"feeds are NAME:SYMBOL,... with a name of {', '.join(DIALECTS)}")
    markets = [Market(name, symbols, given.rate) for name, symbols in symbols_by_name.items()]
    print("# in another terminal:")
    for market in markets:
        settings = of_playback(market.playback)
        print("export " + " ".join(f"{k}={v}" for k, v in settings.items() if k.endswith("_URL")))
    feeds = " ".join(
        f"--feed {name}:{','.join(symbols)}" for name, symbols in symbols_by_name.items()
    )
    print(f"kandle up {feeds}", flush=True)
    try:
        run(markets, given.faults)
    except KeyboardInterrupt:
        return 0
    finally:
        for market in markets:
            market.playback.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
