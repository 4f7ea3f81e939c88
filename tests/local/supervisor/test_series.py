"""Metric series of several processes, merged."""

from __future__ import annotations

import asyncio

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from local.servers.ports import free_port
from local.supervisor.observe import Observer, together, values

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


def test_the_page_is_served_until_the_stop() -> None:
    """The page, samples and metrics are served; a port in use is an error, also after a stop."""

    async def statuses() -> list[int]:
        port = free_port()
        observer = Observer([], port)
        await observer.start()
        second = Observer([], port)
        with pytest.raises(OSError, match="address already in use"):
            await second.start()
        await second.stop()
        async with httpx.AsyncClient(base_url=observer.url, trust_env=False) as client:
            found = [(await client.get(path)).status_code for path in ("/", "/samples", "/metrics")]
            await observer.stop()
            with pytest.raises(httpx.ConnectError):
                await client.get("/")
        return found

    assert asyncio.run(statuses()) == [200, 200, 200]
