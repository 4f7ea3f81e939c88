"""The simulated past of a market leads to its present: prices, ids and volumes continue."""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal

import pytest

from local.feeds.instruments import instrument
from local.feeds.past import TRADES, LastTrade, Past, make_past
from local.feeds.simulator import Simulator
from local.feeds.tick import Tick

UNTIL_MS = 1_700_000_000_000
HOUR_MS = 3_600_000
SYMBOLS = ("BTC-USD", "AAPL", "MADE-UP")


def past(known: dict[str, LastTrade] | None = None, seed: int = 1, hours: int = 6) -> Past:
    return make_past(
        [instrument(symbol) for symbol in SYMBOLS],
        known or {},
        seed=seed,
        span_ms=hours * HOUR_MS,
        until_ms=UNTIL_MS,
        rate=200,
    )


def by_symbol(made: Past) -> dict[str, list[Tick]]:
    found = defaultdict(list)
    for tick in made.trades.ticks():
        found[tick.symbol].append(tick)
    return found


def test_a_seed_has_one_past() -> None:
    """A seed gives the same past with the same identity, another seed another one."""
    assert past().trades.lines() == past().trades.lines()
    assert past().trades.identity == past().trades.identity
    assert past().trades.lines() != past(seed=2).trades.lines()
    assert past().trades.identity != past(seed=2).trades.identity


def test_every_minute_has_trades_in_the_order_of_time() -> None:
    """Every minute of the span has trades, in time order over all instruments, with unique ids."""
    made = past()
    times = made.trades.times_us().tolist()
    assert times == sorted(times)
    assert times[-1] < UNTIL_MS * 1000
    for symbol, ticks in by_symbol(made).items():
        minutes = {(tick.time_ms or 0) // 60_000 for tick in ticks}
        assert len(minutes) >= 6 * 60 - 5, symbol
        ids = [int(tick.trade_id) for tick in ticks]
        assert ids == sorted(set(ids))
        assert ids[-1] < UNTIL_MS * 1000


def test_the_trades_of_a_past_are_bounded() -> None:
    """A long past has no more trades than the bound, so that a start takes seconds."""
    assert TRADES * 0.99 <= len(past(hours=24 * 30).trades) <= TRADES


def test_the_simulator_continues_at_the_last_price() -> None:
    """The simulator's first trade is near the past's last price and has a higher id."""
    made = past()
    last = {symbol: ticks[-1] for symbol, ticks in by_symbol(made).items()}
    live = Simulator(made.instruments, seed=1, start_ms=UNTIL_MS, rate=200)
    first: dict[str, Tick] = {}
    for tick, _ in live.advance(UNTIL_MS + 1_000):
        first.setdefault(tick.symbol, tick)
    for symbol, tick in first.items():
        assert float(tick.price) == pytest.approx(float(last[symbol].price), rel=2e-3)
        assert int(tick.trade_id) > int(last[symbol].trade_id)


def test_volume_continues_at_the_same_rate() -> None:
    """The past has about the same volume per time as the live market."""
    made = past()
    live = Simulator(made.instruments, seed=1, start_ms=UNTIL_MS, rate=200)
    total = 0.0
    for at_ms in range(UNTIL_MS + 1_000, UNTIL_MS + 300_001, 1_000):
        ticks = (tick for tick, _ in live.advance(at_ms))
        total += sum(float(tick.size) for tick in ticks if tick.symbol == "AAPL")
    past_total = sum(float(tick.size) for tick in by_symbol(made)["AAPL"])
    assert past_total / 360 == pytest.approx(total / 5, rel=0.3)


def test_an_instrument_continues_after_its_last_trade() -> None:
    """A stored instrument's past begins after its last trade, at its price."""
    known_ms = UNTIL_MS - HOUR_MS
    made = past({"BTC-USD": LastTrade(Decimal("50000.25"), known_ms)})
    ticks = by_symbol(made)
    assert min(tick.time_ms or 0 for tick in ticks["BTC-USD"]) > known_ms
    assert float(ticks["BTC-USD"][0].price) == pytest.approx(50_000.25, rel=5e-3)
    assert min(tick.time_ms or 0 for tick in ticks["AAPL"]) < UNTIL_MS - 5 * HOUR_MS


def test_a_market_that_just_stopped_has_no_past() -> None:
    """A market that stopped a millisecond ago has no past and its last price."""
    known = {symbol: LastTrade(Decimal(100), UNTIL_MS - 1) for symbol in SYMBOLS}
    made = past(known)
    assert len(made.trades) == 0
    assert {each.symbol: each.price for each in made.instruments}["BTC-USD"] == 10_000
