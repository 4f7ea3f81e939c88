"""The merge: any split of the same ticks ends in the same candle."""

from __future__ import annotations

from decimal import Decimal
from functools import reduce

from hypothesis import given
from hypothesis import strategies as st

from shared.candle import Bar, CandleState, decode_batch, encode_batch
from shared.decimals import EXACT
from shared.order import OrderKey

PRICES = st.decimals("0.000001", "9e18", allow_nan=False, places=6)


def one_tick(n: int, time_us: int, price: Decimal, size: Decimal, side: int) -> CandleState:
    key = OrderKey(time_us, 1, n, "", 0, "udp-1", n)
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


@given(ticks)
def test_a_candle_stays_itself_in_state_and_on_the_wire(states: list[CandleState]) -> None:
    """No digit is lost in Redis or in an event, at any magnitude."""
    state = reduce(CandleState.merge, states)
    assert CandleState.decode(state.encode()) == state
    assert decode_batch(encode_batch([state.candle])) == [state.candle]
