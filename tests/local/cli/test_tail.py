"""Output of `kandle tail` for messages of the live feed."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from local.cli.commands.tail import Revisions, line

CANDLE = {
    "symbol": "A",
    "timeframe": "1m",
    "t": 0,
    "o": "1",
    "h": "1",
    "l": "1",
    "c": "1",
    "v": "1",
    "n": 1,
    "vw": "1",
    "closed": True,
    "partial": False,
    "complete": True,
    "revision": 1,
}
TICK = {"symbol": "A", "t": 0, "price": "1", "size": "2", "side": "buy"}


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 5))))
def test_a_candle_is_printed_when_its_revision_grows(states: list[tuple[int, int]]) -> None:
    """A candle is printed only at a higher revision, in any order of arrival."""
    revisions = Revisions()
    printed = [
        (minute, revision)
        for minute, revision in states
        if revisions.raises(
            {"channel": "candles:1m:A", "data": {"t": minute, "revision": revision}}
        )
    ]
    for each_minute in {minute for minute, _ in states}:
        seen = [revision for minute, revision in printed if minute == each_minute]
        assert seen == sorted(set(seen))
        assert seen[-1] == max(revision for minute, revision in states if minute == each_minute)


def test_a_late_trade_and_a_corrected_candle_are_marked() -> None:
    """A late trade and a corrected candle, older than what was printed, are marked."""
    late, new = ({"channel": "ticks:A", "data": TICK, "late": late} for late in (True, False))
    assert line(late) == line(new) + "  LATE"
    assert line({"channel": "candles:1m:A", "data": CANDLE, "late": True}).endswith("  CORRECTED")
