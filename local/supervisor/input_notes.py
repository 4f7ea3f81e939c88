"""Notes about the input from counters: the share of rejects, and unread fields."""

from __future__ import annotations

from typing import Final

from local.supervisor.counters import Counters

REJECTED_SHARE: Final = 0.01
"""A larger share of the input is worth a line."""
_MOST: Final = 3


def input_notes(counters: Counters) -> list[str]:
    """Return the lines that a sender should see, none where all is read."""
    notes = []
    rejects = counters.total("kandle_rejects_total")
    taken = counters.total("kandle_ticks_total") + counters.total("kandle_quotes_total")
    if rejects > REJECTED_SHARE * (rejects + taken):
        by_reason = list(counters.by_labels("kandle_rejects_total").items())[:_MOST]
        reasons = ", ".join(f"{' from '.join(labels)} {count:,}" for labels, count in by_reason)
        share = rejects / (rejects + taken)
        notes.append(
            f"{share:.1%} of the input is rejects ({reasons}): kandle rejects list --by reason"
        )
    for (field, source), count in list(counters.by_labels("kandle_fields_unread_total").items())[
        :_MOST
    ]:
        notes.append(
            f"field {field!r} of {source} is not read ({count:,} times): docs/formats.md names"
            " those that are"
        )
    return notes
