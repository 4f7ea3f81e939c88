from __future__ import annotations

from pathlib import Path

import pytest

from local.supervisor.component import Component, Kind
from local.supervisor.stopping import PHASES, WITHIN_S, kill_message, patience_s


def test_every_kind_has_its_time_and_all_of_it_fits() -> None:
    """Each kind has its time to stop within ten seconds, and drains end before the kill."""
    assert {each.kind for each in PHASES} == set(Kind)
    assert sum(each.patience_s for each in PHASES) <= WITHIN_S < 10
    for each in PHASES:
        assert 0 < each.drain_s <= each.patience_s - 0.5


def test_what_hangs_takes_nothing_from_those_after_it() -> None:
    """If all hang, each kind has its guaranteed time."""
    left_s = WITHIN_S
    for each in PHASES:
        given = patience_s(each.kind, left_s)
        assert given == pytest.approx(each.patience_s)
        left_s -= given


def test_what_the_others_did_not_need_is_for_the_last() -> None:
    """A slow server has nearly all the time when others stopped quickly."""
    assert patience_s(Kind.SERVER, WITHIN_S - 1) == WITHIN_S - 1
    assert patience_s(Kind.SERVER, -1) > 0


def test_a_kill_says_what_it_may_have_cost() -> None:
    """The report of a kill says what may be lost, and names the log."""

    async def ready() -> bool:
        return True

    log = Path("logs/udp-listener.log")
    listener = Component("udp-listener", Kind.SOURCE, (), "", log, ready)
    assert kill_message(listener, 3.51) == (
        "udp-listener did not stop within 3.5 s and was killed: what it had received and not yet "
        "handed to the broker is lost; log: logs/udp-listener.log"
    )
