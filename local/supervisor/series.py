"""The series of many processes as one text for Prometheus, and as names with values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import Metric
from prometheus_client.parser import text_string_to_metric_families


class _Together:
    def __init__(self, texts: Mapping[str, str]) -> None:
        self._texts = texts

    def collect(self) -> Iterator[Metric]:
        """Yield each family once, for Prometheus wants the lines of one together."""
        together: dict[str, Metric] = {}
        for component, text in self._texts.items():
            for family in _families(text):
                into = together.setdefault(
                    family.name, Metric(family.name, family.documentation, family.type)
                )
                for sample in family.samples:
                    labels = {**sample.labels, "component": component}
                    into.add_sample(sample.name, labels, sample.value)
        yield from together.values()


def together(texts: Mapping[str, str]) -> bytes:
    """Return the series of all; the label `component` says whose they are.

    `texts`: what each component answers at `/metrics`, by its name.
    """
    registry = CollectorRegistry()
    registry.register(_Together(texts))
    return generate_latest(registry)


def values(text: str) -> dict[str, float]:
    """Return values by series, as `name{label="value"}`; without buckets."""
    return {
        _named(sample.name, sample.labels): sample.value
        for family in _families(text)
        for sample in family.samples
        if not sample.name.endswith("_bucket")
    }


def _families(text: str) -> Iterator[Metric]:
    # When a counter began is of no use once processes are put together.
    return (each for each in text_string_to_metric_families(text) if not _is_start(each))


def _is_start(family: Metric) -> bool:
    return family.name.endswith("_created")


def _named(name: str, labels: Mapping[str, str]) -> str:
    inside = ",".join(f'{key}="{value}"' for key, value in labels.items())
    return f"{name}{{{inside}}}" if inside else name
