"""PingSources: seconds of the wall clock, which may be set back."""

from __future__ import annotations

import asyncio
import itertools
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from local.broker.addresses import Addresses
from local.broker.http_client import HttpClient
from local.broker.ping import run_ping_source
from local.broker.stats import LoudWarnings
from local.topology.addressable import Destination
from local.topology.cron import parse_schedule
from local.topology.eventing import PingSource
from tests.local.broker.processes import eventually
from tests.local.broker.subscriber import Subscriber


@pytest.mark.processes
def test_a_clock_that_is_set_back_goes_on(subscriber: Subscriber) -> None:
    """Events go on, each second once, from an earlier hour to which the clock is set back.

    A correction by a second repeats none.
    """
    source = PingSource(
        "ns",
        "clock",
        parse_schedule("* * * * * *"),
        ZoneInfo("UTC"),
        "application/json",
        b"{}",
        Destination(None, f"{subscriber.url}/pings"),
        {},
    )
    begin = datetime(2026, 11, 30, 12, 0, 0, 999_000, tzinfo=UTC)
    back = [begin - timedelta(hours=1) + timedelta(seconds=n) for n in range(3)]
    later = begin + timedelta(seconds=1)
    read = (begin, later, begin, *back)
    times = itertools.chain(*zip(read, read, strict=True), itertools.repeat(back[-1]))

    def pinged() -> list[str]:
        return sorted(e.headers["ce-time"] for e in subscriber.received if e.path == "/pings")

    async def test() -> None:
        http = HttpClient()
        clock = run_ping_source(
            source, http, Addresses({}, ""), LoudWarnings(), lambda: next(times)
        )
        task = asyncio.create_task(clock)
        await asyncio.to_thread(eventually, lambda: len(pinged()) >= 5)
        task.cancel()
        await http.close()

    asyncio.run(test())
    expected = [each.isoformat().replace("+00:00", "Z") for each in (*back, begin, later)]
    assert pinged() == expected
