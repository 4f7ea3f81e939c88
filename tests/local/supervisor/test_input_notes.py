"""Notes about the input in `kandle status`, from counters."""

from __future__ import annotations

from local.supervisor.counters import Counters
from local.supervisor.status import input_notes


def test_a_share_of_rejects_above_one_percent_is_a_line_with_its_reasons() -> None:
    """Rejects over one percent are a line with reasons and sources, the most frequent first."""
    counters = Counters()
    counters.observe("normalize", {"kandle_ticks_total": 990.0})
    counters.observe("normalize", {'kandle_rejects_total{reason="bad_time",source="udp"}': 10.0})
    assert input_notes(counters) == []
    counters.observe("normalize", {'kandle_rejects_total{reason="bad_price",source="http"}': 90.0})
    assert input_notes(counters) == [
        "9.2% of the input is rejects (bad_price from http 90, bad_time from udp 10):"
        " kandle rejects list --by reason"
    ]


def test_a_field_that_nobody_reads_is_a_line() -> None:
    """A field that nobody reads is a line, also without a reject."""
    counters = Counters()
    counters.observe("a", {'kandle_fields_unread_total{field="mood \\"x\\"",source="http"}': 2.0})
    counters.observe("a", {'kandle_fields_unread_total{field="mood \\"x\\"",source="http"}': 3.0})
    assert input_notes(counters) == [
        "field 'mood \\\\\"x\\\\\"' of http is not read (3 times): docs/formats.md names those that"
        " are"
    ]
