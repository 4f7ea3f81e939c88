"""Metric series of several processes, merged."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from local.supervisor.observe import together, values

ONE = """# HELP kandle_rejects_total Input lines rejected.
# TYPE kandle_rejects_total counter
kandle_rejects_total{reason="a \\"word\\""} 2.0
# TYPE kandle_rejects_created gauge
kandle_rejects_created{reason="a \\"word\\""} 1.7e+09
# TYPE kandle_event_seconds histogram
kandle_event_seconds_bucket{le="+Inf"} 3.0
kandle_event_seconds_count 3.0
kandle_event_seconds_sum 0.5
"""
OTHER = ONE.replace(" 2.0", " 7.0")


def test_each_family_stands_once_and_says_whose_its_series_are() -> None:
    """Each metric family is listed once with a label for the process, and quotes are escaped."""
    text = together({"one": ONE, "other": OTHER, "silent": ""}).decode()
    assert text.count("# TYPE kandle_rejects_total counter") == 1
    (rejects, seconds) = list(text_string_to_metric_families(text))
    assert {(s.labels["component"], s.labels["reason"], s.value) for s in rejects.samples} == {
        ("one", 'a "word"', 2.0),
        ("other", 'a "word"', 7.0),
    }
    assert len(seconds.samples) == 6


def test_values_by_series() -> None:
    """Values by series leave out buckets and creation times."""
    assert values(ONE) == {
        r'kandle_rejects_total{reason="a \"word\""}': 2.0,
        "kandle_event_seconds_count": 3.0,
        "kandle_event_seconds_sum": 0.5,
    }
