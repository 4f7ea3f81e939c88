from __future__ import annotations

from collections import Counter, defaultdict
from decimal import Decimal

import pytest

from local.feeds.instruments import PRESETS, instrument
from local.feeds.simulator import Arrival, Arrived, Disorder, Simulator

START_MS = 1_700_000_000_000
SYMBOLS = ("BTC-USD", "ETH-USD", "AAPL", "MADE-UP")


def simulator(
    seed: int = 7,
    start_ms: int = START_MS,
    rate: float = 1_000.0,
    bursts: bool = False,
    disorder: Disorder | None = None,
) -> Simulator:
    return Simulator(
        [instrument(symbol) for symbol in SYMBOLS],
        seed=seed,
        start_ms=start_ms,
        rate=rate,
        bursts=bursts,
        disorder=disorder,
    )


def run(
    market: Simulator, seconds: int, step_ms: int = 20, start_ms: int = START_MS
) -> list[Arrived]:
    arrived = []
    for now_ms in range(start_ms + step_ms, start_ms + seconds * 1000 + 1, step_ms):
        arrived += market.advance(now_ms)
    return arrived + market.drain()


def test_the_same_seed_and_times_give_the_same_ticks() -> None:
    """A seed gives the same ticks, with disorder and bursts; another seed gives others."""
    disorder = Disorder(late_share=0.1, duplicate_share=0.1)
    first = run(simulator(bursts=True, disorder=disorder), 20)
    assert first == run(simulator(bursts=True, disorder=disorder), 20)
    assert first != run(simulator(seed=8, bursts=True, disorder=disorder), 20)


def test_the_rate_is_independent_of_the_steps() -> None:
    """The number of trades a second is the rate, whatever the size of the steps."""
    for step_ms in (1, 20, 500):
        assert len(run(simulator(rate=250), 8, step_ms)) == pytest.approx(2_000, abs=2)
    assert len(run(simulator(rate=0.5), 20)) == 10


def test_trades_are_on_the_grids_of_their_instrument() -> None:
    """Prices and sizes are positive, exact multiples of tick and lot size."""
    for tick, _ in run(simulator(), 10):
        traded = instrument(tick.symbol)
        price, size = Decimal(tick.price), Decimal(tick.size)
        assert price > 0
        assert price % (traded.price_step * Decimal(10) ** -traded.price_scale) == 0
        assert size > 0
        assert size % (traded.size_step * Decimal(10) ** -traded.size_scale) == 0
        assert tick.side in ("buy", "sell")


def test_prices_move_within_their_volatility() -> None:
    """A minute of trades moves a price by at most six standard deviations."""
    prices = defaultdict(list)
    for tick, _ in run(simulator(rate=200), 60):
        prices[tick.symbol].append(float(tick.price))
    assert set(prices) == set(SYMBOLS)
    for symbol in PRESETS.keys() & prices.keys():
        traded = PRESETS[symbol]
        level = traded.price / 10**traded.price_scale
        assert len(set(prices[symbol])) > 3
        assert max(abs(price / level - 1) for price in prices[symbol]) < (
            6 * traded.volatility * 60**0.5 + traded.spread / traded.price
        )


def test_without_disorder_ticks_are_in_order() -> None:
    """Without disorder each instrument's times never decrease and its ids are contiguous."""
    by_symbol = defaultdict(list)
    for tick, arrival in run(simulator(bursts=True), 20):
        assert arrival is Arrival.ON_TIME
        by_symbol[tick.symbol].append((tick.time_ms, int(tick.trade_id)))
    for seen in by_symbol.values():
        assert seen == sorted(seen)
        first = seen[0][1]
        assert [trade_id for _, trade_id in seen] == list(range(first, first + len(seen)))


def test_disorder_does_not_change_the_trades() -> None:
    """Late and repeated ticks are of the same trades, each at least once."""
    calm = {tick for tick, _ in run(simulator(), 20)}
    disordered = run(simulator(disorder=Disorder(0.2, 3_000, 0.2)), 20)
    assert {tick for tick, _ in disordered} == calm


def test_the_configured_share_is_late() -> None:
    """A late tick arrives between half of the configured delay and all of it after its trade."""
    market = simulator(disorder=Disorder(late_share=0.1, late_ms=2_000))
    kinds: Counter[Arrival] = Counter()
    for now_ms in range(START_MS + 10, START_MS + 60_000, 10):
        for tick, arrival in market.advance(now_ms):
            kinds[arrival] += 1
            assert tick.time_ms is not None
            if arrival is Arrival.LATE:
                assert 1_000 - 10 <= now_ms - tick.time_ms <= 2_000 + 10
            else:
                assert now_ms - tick.time_ms <= 10
    assert kinds[Arrival.LATE] / kinds.total() == pytest.approx(0.1, abs=0.015)


def test_the_configured_share_is_repeated() -> None:
    """A duplicate equals its tick and comes after it."""
    seen = set()
    kinds: Counter[Arrival] = Counter()
    for tick, arrival in run(simulator(disorder=Disorder(0.1, 500, 0.05)), 60):
        kinds[arrival] += 1
        key = (tick.symbol, tick.trade_id)
        assert (key in seen) == (arrival is Arrival.DUPLICATE)
        seen.add(key)
    assert kinds[Arrival.DUPLICATE] / len(seen) == pytest.approx(0.05, abs=0.01)


def test_a_later_run_has_new_trade_ids() -> None:
    """A run right after a fast one has new trade ids."""
    first = run(simulator(rate=20_000), 1)
    later_ms = START_MS + 1_001
    second = run(simulator(start_ms=later_ms), 1, start_ms=later_ms)
    ids = [{(t.symbol, t.trade_id) for t, _ in arrived} for arrived in (first, second)]
    assert ids[0].isdisjoint(ids[1])


def test_bursts_come_and_go() -> None:
    """Some seconds have many times the usual number of trades, most have the usual number."""
    per_second = Counter(
        (tick.time_ms or 0) // 1000 for tick, _ in run(simulator(rate=100, bursts=True), 120)
    )
    assert max(per_second.values()) > 300
    assert sum(count <= 110 for count in per_second.values()) > 60


def test_a_pause_of_the_machine_is_not_made_up_for() -> None:
    """After an hour's pause there is one second's worth of trades with current times."""
    market = simulator(rate=100)
    hour_ms = 3_600_000
    arrived = market.advance(START_MS + hour_ms)
    assert len(arrived) == 100
    assert min(tick.time_ms or 0 for tick, _ in arrived) > START_MS + hour_ms - 1_001


def test_a_clock_that_goes_back_gives_no_trades() -> None:
    """While the clock is behind its last time there are no trades."""
    market = simulator()
    market.advance(START_MS + 100)
    assert market.advance(START_MS + 50) == []
    assert market.advance(START_MS + 100) == []
    assert len(market.advance(START_MS + 110)) == 10


def test_trades_can_be_bounded() -> None:
    """At most the given number is traded, and `traded` counts them."""
    market = simulator(rate=10_000)
    assert len(market.advance(START_MS + 100, at_most=7)) == 7
    assert market.traded == 7


def test_an_unknown_name_is_an_instrument_of_its_own_character() -> None:
    """An unknown name always gives the same instrument, another name another one."""
    assert instrument("FOO") == instrument("FOO")
    assert instrument("FOO") != instrument("BAR")
