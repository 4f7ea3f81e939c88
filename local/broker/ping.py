"""PingSources: clocks that post an event to their sink on schedule."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable
from datetime import UTC, datetime

from local.broker.addresses import Addresses, UnknownAddressError
from local.broker.event import CONTENT_TYPE, Event
from local.broker.http_client import HttpClient
from local.broker.stats import LoudWarnings
from local.topology.eventing import PingSource

PING_TYPE = "dev.knative.sources.ping"
TRIES = 5
FIRST_WAIT = 0.05
TIMEOUT = 10.0
CORRECTION_S = 5


async def run_ping_source(
    source: PingSource,
    http: HttpClient,
    addresses: Addresses,
    warnings: LoudWarnings,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> None:
    """Post one event in each scheduled second, until cancelled.

    Seconds missed while the machine is suspended or the sink is slow are not made up. A clock that
    is set back by more than a correction of some seconds goes on from there.
    """
    running: set[asyncio.Task[None]] = set()
    done = 0
    while True:
        now = clock()
        second = int(now.timestamp())
        if second > done or second < done - CORRECTION_S:
            done = second
            if source.schedule.matches(now.astimezone(source.timezone)):
                task = asyncio.create_task(_fire(source, now, http, addresses, warnings))
                running.add(task)
                task.add_done_callback(running.discard)
        await asyncio.sleep(1.0 - clock().timestamp() % 1.0)


def ping_event(source: PingSource, now: datetime) -> Event:
    """Return the event of a PingSource as Knative's adapter makes it."""
    attributes = {
        "specversion": "1.0",
        "id": str(uuid.uuid4()),
        "source": f"/apis/v1/namespaces/{source.namespace}/pingsources/{source.name}",
        "type": PING_TYPE,
        "time": now.isoformat().replace("+00:00", "Z"),
    }
    if source.content_type:
        attributes[CONTENT_TYPE] = source.content_type
    return Event({**attributes, **source.extensions}, source.body)


async def _fire(
    source: PingSource,
    now: datetime,
    http: HttpClient,
    addresses: Addresses,
    warnings: LoudWarnings,
) -> None:
    event = ping_event(source, now)
    problem = ""
    for attempt in range(TRIES):
        try:
            url = addresses.resolve(source.sink.url)
        except UnknownAddressError as error:
            problem = str(error)
            break
        response = await http.post(url, event.headers(), event.body, TIMEOUT)
        if 200 <= response.status < 300:
            return
        problem = f"the sink answered {response.status}" if response.status else "the sink is away"
        await asyncio.sleep(FIRST_WAIT * 2.0**attempt)
    warnings.warning(f"PingSource {source.namespace}/{source.name}: no event: {problem}")
