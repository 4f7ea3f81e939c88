from __future__ import annotations

import io

from rich.console import Console

from local.cli.output.notices import Notices


def test_a_repeated_notice_is_counted_not_printed() -> None:
    """A repeated notice is printed again after half a minute with its count."""
    now = [0.0]
    output = io.StringIO()
    notices = Notices(Console(file=output), clock=lambda: now[0])
    for now[0] in (0, 1, 2, 31):
        notices("lost an event")
    notices("[other]")
    assert output.getvalue().splitlines() == [
        "! lost an event",
        "! lost an event (2 times more in the last moments)",
        "! [other]",
    ]
