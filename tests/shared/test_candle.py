"""The merge: any split of the same ticks ends in the same candle."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from functools import reduce

from hypothesis import given
from hypothesis import strategies as st

from shared.candle import Bar, CandleState
from shared.candle_columns import decode_batch, encode_batch
from shared.decimals import EXACT
from shared.order import NO_ORDER_ID, OrderKey

PRICES = st.decimals("0.000001", "9e18", allow_nan=False, places=6)


def one_tick(n: int, time_us: int, price: Decimal, size: Decimal, side: int) -> CandleState:
    key = OrderKey(time_us, n, 0, 1, n)
    nothing = Decimal(0)
    bar = Bar(
        *(price, price, price, price, size, EXACT.multiply(price, size), 1),
        size if side == 1 else nothing,
        size if side == 2 else nothing,
        *(key, key),
    )
    return CandleState("A", "1m", 0, bar)


ticks = st.lists(
    st.tuples(st.integers(0, 3), PRICES, st.decimals("0", "1e9", places=3), st.integers(0, 2)),
    min_size=1,
    max_size=12,
).map(lambda rows: [one_tick(n, *row) for n, row in enumerate(rows)])


@given(ticks, st.randoms(use_true_random=False))
def test_order_and_grouping_do_not_matter(states: list[CandleState], random: object) -> None:
    """Merging in order, shuffled, or in a tree gives one result, equal to the plain definition."""
    expected = reduce(CandleState.merge, states)
    shuffled = list(states)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    while len(shuffled) > 1:
        a = shuffled.pop(random.randrange(len(shuffled)))  # type: ignore[attr-defined]
        b = shuffled.pop(random.randrange(len(shuffled)))  # type: ignore[attr-defined]
        shuffled.append(a.merge(b))
    assert shuffled[0] == expected

    in_order = sorted(states, key=lambda s: s.bar.first)
    candle = expected.candle
    assert candle.open == in_order[0].candle.open
    assert candle.close == in_order[-1].candle.close
    assert candle.high == max(s.candle.high for s in states)
    assert candle.low == min(s.candle.low for s in states)
    assert candle.volume == sum(s.candle.volume for s in states)
    assert candle.trade_count == len(states)


IDS = st.one_of(st.just(NO_ORDER_ID), st.integers(-(2**63), 2**63 - 1))
MANTISSAS = st.integers(-(2**63), 2**63 - 1)


@st.composite
def extreme_ticks(draw: st.DrawFn) -> list[CandleState]:
    """Ticks of any magnitude at any scale, most of them at the same time, with ids of all kinds."""
    states = []
    for n in range(draw(st.integers(1, 8))):
        price = Decimal(draw(MANTISSAS)).scaleb(-draw(st.integers(0, 30)), EXACT)
        size = Decimal(draw(st.integers(0, 2**63 - 1))).scaleb(-draw(st.integers(0, 30)), EXACT)
        state = one_tick(n, 0, price, size, draw(st.integers(0, 2)))
        key = OrderKey(draw(st.integers(0, 1)), draw(IDS), draw(st.integers(0, 1)), 1, n)
        state.bar.first = state.bar.last = key
        states.append(state)
    return states


@given(extreme_ticks())
def test_a_candle_holds_what_every_candle_must(states: list[CandleState]) -> None:
    """low <= open, close <= high; low <= VWAP <= high; sums without a lost digit."""
    candle = reduce(CandleState.merge, states).candle
    assert candle.low <= candle.open <= candle.high
    assert candle.low <= candle.close <= candle.high
    # VWAP is notional / volume: compared without the division, hence exactly.
    low, high = (EXACT.multiply(price, candle.volume) for price in (candle.low, candle.high))
    assert low <= candle.notional <= high
    assert Fraction(candle.volume) == sum(Fraction(s.bar.volume) for s in states)
    assert Fraction(candle.notional) == sum(
        Fraction(s.bar.open) * Fraction(s.bar.volume) for s in states
    )
    sides = Fraction(candle.buy_volume) + Fraction(candle.sell_volume)
    assert sides <= Fraction(candle.volume)


@given(extreme_ticks(), st.randoms(use_true_random=False))
def test_ties_are_resolved_by_the_total_order(states: list[CandleState], random: object) -> None:
    """Ticks of one moment: open and close by trade id, receive time, sequence; not by arrival."""
    in_order = sorted(states, key=lambda state: state.bar.first)
    random.shuffle(states)  # type: ignore[attr-defined]
    candle = reduce(CandleState.merge, states).candle
    assert candle.open == in_order[0].bar.open
    assert candle.close == in_order[-1].bar.close


@given(ticks)
def test_a_candle_stays_itself_in_state_and_on_the_wire(states: list[CandleState]) -> None:
    """No digit is lost in Redis or in an event, at any magnitude."""
    state = reduce(CandleState.merge, states)
    assert CandleState.decode(state.encode()) == state
    assert decode_batch(encode_batch([state.candle])) == [state.candle]
