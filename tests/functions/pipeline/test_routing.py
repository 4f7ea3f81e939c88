"""The one-function form routes each event as the Triggers do."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from functions.pipeline.routing import STAGES_BY_TYPE, stages_for
from local.broker.filters import compile_filters
from local.topology.eventing import load_eventing
from shared.wire import events

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
