"""Trade ids: the missing ones are exact, whatever the order in which trades arrive."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from functions.exchange_bridge.exchange import Trade
from functions.exchange_bridge.seen_ids import MOST_HOLES, SymbolIds

FIRST = 100


def trade(id_: int) -> Trade:
    return Trade("A", id_, id_ * 1000)


def missing(ids: SymbolIds) -> set[int]:
    spans = [(hole.first, hole.last) for hole in ids.holes]
    spans += [span for gap in ids.gaps for span in gap.left]
    return {id_ for first, last in spans for id_ in range(first, last + 1)}


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("see"), st.integers(FIRST, FIRST + 30)),
            st.tuples(st.just("exists"), st.integers(FIRST, FIRST + 30)),
            st.tuples(st.just("forget"), st.integers(FIRST, FIRST + 30)),
            st.tuples(st.just("wait"), st.just(0)),
        )
    )
)
def test_unseen_ids_are_missing(steps: list[tuple[str, int]]) -> None:
    """The ids not seen between the first trade and the highest known one are missing."""
    ids = SymbolIds("A")
    ids.see(trade(FIRST), 0.0)
    seen, highest, now_s = {FIRST}, FIRST, 0.0
    for step, id_ in steps:
        now_s += 1
        if step == "see":
            ids.see(trade(id_), now_s)
            seen.add(id_)
        elif step == "exists":
            ids.exists(trade(id_), now_s)
        elif step == "forget" and id_ in seen and id_ > FIRST:
            ids.forget(id_, id_, now_s)
            seen.remove(id_)
        else:
            ids.lasting(now_s, 2.0)
        if step in ("see", "exists"):
            highest = max(highest, id_)
        assert missing(ids) == set(range(FIRST, highest + 1)) - seen
        certain = ids.certain()
        assert certain is not None
        reported = {id_ for gap in ids.gaps for a, b in gap.left for id_ in range(a, b + 1)}
        assert set(range(FIRST, certain.id + 1)) <= seen | reported


def test_missing_ids_are_a_gap_after_a_while() -> None:
    """Missing ids are a gap after a while: an overlapping connection may still bring them."""
    ids = SymbolIds("A")
    ids.see(trade(1), 0.0)
    ids.see(trade(10), 1.0)
    ids.see(trade(5), 1.2)
    assert ids.lasting(1.9, 1.0) == []
    gaps = ids.lasting(2.0, 1.0)
    assert sorted((gap.hole.first, gap.hole.last) for gap in gaps) == [(2, 4), (6, 9)]
    assert {(gap.hole.from_us, gap.hole.to_us) for gap in gaps} == {(1_000, 10_000)}
    for id_ in (2, 3, 4):
        assert ids.closed() == []
        ids.see(trade(id_), 3.0)
    (done,) = ids.closed()
    assert (done.hole.first, done.hole.last, ids.filled) == (2, 4, 1)


def test_a_restart_resumes_at_the_last_id() -> None:
    """After a restart the ids since the stored one are missing.

    Also if the exchange has only named its last trade so far.
    """
    seen, named = SymbolIds("A"), SymbolIds("A")
    seen.see(trade(20), 0.0)
    named.exists(trade(20), 0.0)
    for ids in (seen, named):
        ids.resume(trade(10), 1.0)
    assert missing(seen) == set(range(11, 20))
    assert missing(named) == set(range(11, 21))
    before = SymbolIds("A")
    before.resume(trade(10), 0.0)
    before.see(trade(13), 1.0)
    assert missing(before) == {11, 12}


def test_a_repeated_last_trade_restarts_no_ids() -> None:
    """A heartbeat that repeats a last trade at a later time does not restart the ids."""
    ids = SymbolIds("A")
    for number in (1, 2, 4):
        ids.see(trade(number), 0.0)
    ids.exists(Trade("A", 4, 10**9), 1.0)
    assert (ids.low, ids.high) == (trade(1), trade(4))
    ids.resume(trade(1), 2.0)
    assert missing(ids) == {3}


def test_restarted_ids_are_followed() -> None:
    """A much later trade with a low id restarts the ids."""
    ids = SymbolIds("A")
    ids.see(Trade("A", 1_000, 1_000_000), 0.0)
    ids.see(Trade("A", 3, 100_000_000), 1.0)
    ids.see(Trade("A", 5, 100_000_001), 2.0)
    assert missing(ids) == {4}


def test_a_late_trade_before_the_restart_is_no_gap() -> None:
    """A late trade from before a restart of the ids makes no gap after it."""
    ids = SymbolIds("A")
    ids.see(Trade("A", 1_000, 1_000_000), 0.0)
    ids.see(Trade("A", 3, 100_000_000), 1.0)
    ids.see(Trade("A", 999, 999_999), 2.0)
    ids.exists(Trade("A", 1_000, 1_000_000), 2.0)
    ids.see(Trade("A", 4, 100_000_001), 3.0)
    assert missing(ids) == set()
    ids.see(Trade("A", 990, 100_000_002), 4.0)
    assert missing(ids) == set(range(5, 990))


def test_a_restart_that_is_named_before_it_arrives_is_no_gap() -> None:
    """Trades of the former ids that arrive after a new one was named make no gap.

    The exchange names its newest trade by REST, ahead of what is still on its way.
    """
    ids = SymbolIds("A")
    ids.see(Trade("A", 1_000, 1_000_000), 0.0)
    ids.exists(Trade("A", 2, 100_000_002), 1.0)
    for number in (1_001, 1_002):
        ids.see(Trade("A", number, 1_000_000 + number), 2.0)
    for number in (1, 2, 5):
        ids.see(Trade("A", number, 100_000_000 + number), 3.0)
    assert missing(ids) == {3, 4}


def test_many_holes_become_one() -> None:
    """Holes of a symbol do not grow without bound: dropped trades are fetched as one range."""
    ids = SymbolIds("X")
    for number in range(1, 10_001):
        ids.see(Trade("X", number, number), 0)
    for number in range(1, 10_001, 2):
        ids.forget(number, number, 0)
    assert len(ids.holes) <= MOST_HOLES
    assert set(range(1, 10_001, 2)) <= missing(ids)
