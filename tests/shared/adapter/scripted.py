"""A function for the adapter's tests; the event's `behave` attribute selects its behaviour."""

from __future__ import annotations

import os
import time
from pathlib import Path

from shared.adapter.app import Outcome
from shared.adapter.delegated import served
from shared.adapter.event import Event, OutgoingEvent
from shared.adapter.wiring import event_app
from shared.errors import PermanentError, TransientError


def handle(event: Event) -> Outcome:
    """Behave as the event asks."""
    behave = event.attributes.get("behave", "ok")
    if behave == "emit":
        return Outcome([OutgoingEvent(f"{event.id}/scripted/{n}", "out", b"x") for n in range(3)])
    if behave == "emit-one":
        return Outcome([OutgoingEvent(f"{event.id}/scripted", "out", event.data())])
    if behave == "emit-then-note":
        note = Path(os.environ["NOTE"])

        def write_note() -> None:
            note.write_text(event.id)

        return Outcome([OutgoingEvent(f"{event.id}/scripted", "out", b"x")], write_note)
    if behave == "held":
        hold = Path(os.environ["HOLD"])
        hold.with_name(f"hold.{event.id}").touch()
        while hold.exists():
            time.sleep(0.01)
    if behave == "transient":
        raise TransientError("the store is away", retry_after_s=7)
    if behave == "permanent":
        raise PermanentError("bad_batch", "the body is not a batch")
    if behave == "defect":
        raise ZeroDivisionError("a defect")
    return Outcome()


def check() -> None:
    """Raise if the file says that the function is not ready."""
    if Path(os.environ["NOTE"]).with_name("away").exists():
        raise TransientError("Redis is away")


app = event_app("scripted", handle, os.environ, concurrency=2, ready=check)
scripted = served("scripted", app)
