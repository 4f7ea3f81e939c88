"""The one-function form routes each event as the Triggers do."""

from __future__ import annotations

import asyncio
import re
from contextlib import closing
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Route

from functions.pipeline.routing import STAGES_BY_TYPE, Router, stages_for, unrouted
from local.broker.filters import compile_filters
from local.topology.eventing import load_eventing
from shared.adapter.app import EventApp, Outcome
from shared.adapter.event import Event
from shared.adapter.sink import Sink
from shared.errors import PermanentError, TransientError
from shared.wire import events
from tests.local.broker.subscriber import Subscriber

EVENTING = load_eventing(Path(__file__).parents[3] / "eventing")


@pytest.mark.parametrize("closed", ["true", "false"])
@pytest.mark.parametrize("type_", sorted(STAGES_BY_TYPE))
def test_an_event_goes_where_the_triggers_say(type_: str, closed: str) -> None:
    """Each event goes to the Trigger's stage, from whichever broker: the small form has one."""
    attributes = {"type": type_, "id": "1", "source": "/s", events.CLOSED: closed}
    wanted = {
        trigger.subscriber.ref.name
        for trigger in EVENTING.triggers
        if trigger.broker != "kandle/display"
        and trigger.subscriber.ref
        and compile_filters(trigger.filters)(attributes)
    }
    assert set(stages_for(attributes)) == wanted


def test_no_type_of_the_triggers_is_left_out() -> None:
    """Each type that a Trigger filters for is taken by a stage."""
    types = {
        found
        for trigger in EVENTING.triggers
        if trigger.broker != "kandle/display"
        for found in re.findall(r"dev\.[\w.]+", str(trigger.filters))
    }
    assert types == set(STAGES_BY_TYPE)


def test_an_unknown_type_is_for_no_stage() -> None:
    """An unknown type goes to no stage, so the app dead-letters it."""
    assert stages_for({"type": "com.example.other", "id": "1", "source": "/s"}) == ()


@pytest.mark.parametrize("persist", ["takes it", "dead-letters it"])
def test_an_event_that_one_of_two_stages_cannot_take_now_is_answered_503(persist: str) -> None:
    """The answer is the worst: 503 if one stage needs a redelivery, else 204.

    The other may have taken or dead-lettered the event by then.
    """
    is_away = [True, False]

    def stored(event: Event) -> Outcome:
        if persist == "takes it":
            return Outcome()
        raise PermanentError("bad_batch", "the body is not a batch")

    def aggregated(event: Event) -> Outcome:
        if is_away.pop(0):
            raise TransientError("Redis is away")
        return Outcome()

    async def post(url: str) -> list[int]:
        letters = Sink(url, "/test")
        stages = {
            "persist": EventApp("persist", stored, dead_letters=letters),
            "candle-aggregate": EventApp("candle-aggregate", aggregated),
        }
        router = Router(stages, EventApp("pipeline", unrouted))
        app = Starlette(routes=[Route("/", router.receive, methods=["POST"])])
        attributes = {"specversion": "1.0", "id": "e-1", "type": events.TICKS, "source": "/s"}
        headers = {f"ce-{name}": value for name, value in attributes.items()}
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url="http://pipeline"
        ) as client:
            statuses = [(await client.post("/", headers=headers)).status_code for _ in range(2)]
        await letters.close()
        return statuses

    with closing(Subscriber()) as subscriber:
        assert asyncio.run(post(subscriber.url)) == [503, 204]
        assert len(subscriber.of("e-1")) == (0 if persist == "takes it" else 2)
