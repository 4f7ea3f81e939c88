"""Loading of exchanges' sessions: one process for each, errors, and the turn of a month."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from shared.errors import TransientError
from shared.market import trading_days
from shared.market.trading_days import Day, ExchangeDays
from shared.realtime import channels
from shared.realtime.channels import ChannelError
from tests.local.broker.processes import eventually


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The exchanges that processes are started for; none is loaded yet."""
    started: list[str] = []
    check_output = subprocess.check_output

    def counted(command: list[str], **options: Any) -> Any:
        started.append(command[-1])
        return check_output(command, **options)

    monkeypatch.setattr(subprocess, "check_output", counted)
    monkeypatch.setattr(trading_days, "_schedules", {})
    monkeypatch.setattr(trading_days, "_exchanges", set())
    yield started
    with trading_days._loading:  # a reload in the background has ended
        pass


@pytest.mark.processes
def test_an_exchange_is_loaded_once_however_many_ask(loads: list[str]) -> None:
    """The sessions stay; other names are refused without a process once all are known."""
    with ThreadPoolExecutor(8) as pool:
        days = list(pool.map(ExchangeDays, ["XNYS"] * 16))
    assert len({id(each._schedule()) for each in days}) == 1
    with pytest.raises(ValueError, match="is neither"):
        ExchangeDays("NOWHERE")
    for name in ("XLON", "XNYS", "XLON"):
        ExchangeDays(name)
    assert loads == ["XNYS", "XLON"]


@pytest.mark.processes
def test_a_new_month_is_served_the_former_sessions_until_it_has_its_own(loads: list[str]) -> None:
    """Nobody waits for the sessions of the month that has begun."""
    days = ExchangeDays("XNYS")
    former = replace(days._schedule(), month=date(2020, 1, 1))
    trading_days._schedules["XNYS"] = former
    with trading_days._loading:
        assert days.at(0) == Day(0, 0, date(1970, 1, 1))
        assert days._schedule().opens is former.opens
    assert eventually(lambda: days._schedule().opens is not former.opens)
    assert loads == ["XNYS", "XNYS"]


@pytest.mark.processes
def test_sessions_that_cannot_be_computed_are_tried_once(loads: list[str]) -> None:
    """Exchange-calendars fails for some of its own exchanges."""
    for _ in range(2):
        with pytest.raises(ValueError, match="XTAE: exchange-calendars cannot compute"):
            ExchangeDays("XTAE")
    assert loads == ["XTAE"]


@pytest.mark.parametrize("answer", [b"", None])
def test_a_load_that_fails_is_tried_again(
    loads: list[str], monkeypatch: pytest.MonkeyPatch, answer: bytes | None
) -> None:
    """It is no mistake of the request; of a live channel it is the channel's error."""

    def failing(command: list[str], **_: float) -> bytes:
        if answer is None:
            raise OSError("no memory")
        return answer

    monkeypatch.setattr(subprocess, "check_output", failing)
    with pytest.raises(TransientError, match="XNYS cannot be loaded"):
        ExchangeDays("XNYS")
    with pytest.raises(ChannelError, match="XKRX cannot be loaded"):
        channels.checked("candles:17m@XKRX:AAPL")
    assert not trading_days._schedules


@pytest.mark.processes
def test_a_day_is_of_one_schedule(loads: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A reload of a calendar that begins later by then, as one of twenty years, shifts no day."""
    days, label = ExchangeDays("XNYS"), date(2025, 11, 28)
    day, former = days.since(label), days._schedule()
    columns = {name: getattr(former, name)[1:] for name in ("opens", "closes", "labels")}
    later = replace(former, **columns)
    finds: list[Callable[[], Day]] = [lambda: days.at(day.open_us), lambda: days.since(label)]
    for find in finds:
        schedules = iter([former, later])
        monkeypatch.setattr(ExchangeDays, "_schedule", staticmethod(schedules.__next__))
        assert find() == day
    assert loads == ["XNYS"]
