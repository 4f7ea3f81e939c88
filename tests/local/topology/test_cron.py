"""Schedules of five and six fields."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from local.topology.cron import parse_schedule

FRIDAY = datetime(2026, 11, 20, 9, 30, 15, tzinfo=UTC)


@pytest.mark.parametrize(
    ("schedule", "fires"),
    [
        ("* * * * * *", True),
        ("*/5 * * * * *", True),
        ("*/2 * * * * *", False),
        ("15 30 9 20 11 5", True),
        ("15 30 9 20 11 MON-FRI", True),
        ("15 30 9 20 nov fri", True),
        ("10-20 * * * * *", True),
        ("10-20/5 * * * * *", True),
        ("1,2,15 * * * * *", True),
        ("5/10 * * * * *", True),
        ("0 30 9 ? * *", False),
        ("* * * * *", False),  # five fields: on the minute only
        ("15 30 9 1 * 5", True),  # both days restricted: either is enough
        ("15 30 9 1 * *", False),
        ("15 30 9 * * 0", False),
    ],
)
def test_a_schedule_fires_when_all_fields_match(schedule: str, fires: bool) -> None:
    """A schedule fires in the seconds that all of its fields allow."""
    assert parse_schedule(schedule).matches(FRIDAY) is fires


def test_five_fields_fire_on_the_minute() -> None:
    """A schedule without seconds fires in second zero."""
    schedule = parse_schedule("30 9 * * *")
    assert schedule.matches(FRIDAY.replace(second=0))
    assert not schedule.matches(FRIDAY)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "@daily",
        "* * * * * * *",
        "a * * * *",
        "5-1 * * * *",
        "² * * * *",
        "٣ * * * *",
        "*/٣ * * * *",
    ],
)
def test_invalid_schedules_are_refused(text: str) -> None:
    """A schedule that PingSource would refuse is refused."""
    with pytest.raises(ValueError, match=r"field|descriptors|outside"):
        parse_schedule(text)
