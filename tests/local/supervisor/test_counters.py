from __future__ import annotations

from prometheus_client import REGISTRY

from local.supervisor.counters import Counters, samples_of
from local.supervisor.status import METRICS
from shared.runtime import metrics  # noqa: F401 (declares them)

TEXT = """\
# HELP kandle_rejects_total Rejects by reason.
# TYPE kandle_rejects_total counter
kandle_rejects_total{reason="bad_price"} 2.0
kandle_rejects_total{reason="no } brace"} 1.0
kandle_ticks_total 1e+06
kandle_ticks_created 1.7e+09
python_gc_objects_collected_total{generation="0"} 99.0
"""


def test_only_our_samples_are_read() -> None:
    """Only Kandle's metrics are read, with any labels."""
    assert samples_of(TEXT, "kandle_") == {
        'kandle_rejects_total{reason="bad_price"}': 2.0,
        'kandle_rejects_total{reason="no } brace"}': 1.0,
        "kandle_ticks_total": 1e6,
        "kandle_ticks_created": 1.7e9,
    }


def test_all_that_the_status_asks_for_exists() -> None:
    """Each series that the status asks for is one of the metrics that processes serve."""
    served = {family.name for family in REGISTRY.collect()}
    assert {name.removesuffix("_total") for name in METRICS} <= served


def test_a_total_spans_labels_and_processes() -> None:
    """A total is summed over labels and processes."""
    counters = Counters()
    counters.observe("a", {'kandle_x_total{k="1"}': 1, 'kandle_x_total{k="2"}': 2})
    counters.observe("b", {"kandle_x_total": 4})
    assert counters.total("kandle_x_total") == 7
    assert counters.total("kandle_unknown_total") == 0


def test_a_restarted_process_counts_on() -> None:
    """A value below the last one is a restarted counter, and the total goes on."""
    counters = Counters()
    for value in (10, 12, 3, 5):
        counters.observe("a", {"kandle_x_total": value})
    assert counters.total("kandle_x_total") == 17
