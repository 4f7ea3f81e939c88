"""Sessions of an exchange by `exchange-calendars`, a program: `python exchange_sessions.py NAME`.

A process of its own, since pandas, by which they are computed, takes 60 MiB that never return.
Writes JSON: the `names` of all exchanges and, if it is one of them, the columns of its sessions
(`open` and `close` in microseconds, `label` as the ordinal of its date) or the `error`.
"""

from __future__ import annotations

import json
import sys
from typing import Any, Final

_SINCE: Final = "1990-01-01"


def main(name: str) -> None:
    """Write the sessions since 1990, or those of twenty years if less is known."""
    from exchange_calendars import get_calendar_names

    answer: dict[str, Any] = {"names": get_calendar_names()}
    try:
        if name in answer["names"]:
            answer |= _columns(name)
    except Exception as error:  # noqa: BLE001 (some calendars fail for good)
        answer["error"] = f"{type(error).__name__}: {error}"[:100]
    sys.stdout.write(json.dumps(answer))


def _columns(name: str) -> dict[str, list[int]]:
    from exchange_calendars import get_calendar

    try:
        schedule = get_calendar(name, start=_SINCE).schedule
    except ValueError:
        schedule = get_calendar(name).schedule
    times = {
        each: schedule[each].dt.tz_localize(None).to_numpy("datetime64[us]").astype("int64")
        for each in ("open", "close")
    }
    labels = [each.toordinal() for each in schedule.index]
    return {each: column.tolist() for each, column in times.items()} | {"label": labels}


if __name__ == "__main__":
    main(sys.argv[1])
