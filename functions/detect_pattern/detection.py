"""The detectors as judging asks them: many questions at once, by the settings of each symbol."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from functions.detect_pattern.detectors.charts import CHARTS
from functions.detect_pattern.detectors.detect import detect_many
from functions.detect_pattern.detectors.settings import DetectorSettings
from functions.detect_pattern.found import Found
from functions.detect_pattern.judge import Question


@dataclass(frozen=True, slots=True)
class Detection:
    """Answers questions. `of_symbol`: the settings of those that have their own."""

    settings: DetectorSettings
    of_symbol: Mapping[str, DetectorSettings] = field(default_factory=dict)

    def __call__(self, questions: Sequence[Question]) -> list[list[Found]]:
        """Return what is found for each question."""
        groups: dict[DetectorSettings, list[int]] = {}
        for place, question in enumerate(questions):
            settings = self.of_symbol.get(question.instrument, self.settings)
            groups.setdefault(settings, []).append(place)
        answers: list[list[Found]] = [[] for _ in questions]
        for settings, places in groups.items():
            series = [(questions[at].candles(), questions[at].first) for at in places]
            found = detect_many(series, settings)
            for at, answer in zip(places, found, strict=True):
                answers[at] = answer
        return answers


def kind_of(pattern: str) -> str:
    """Return what kind of pattern it is: candlestick, chart or anomaly."""
    if pattern.startswith("cdl_"):
        return "candlestick"
    return "chart" if pattern in CHARTS else "anomaly"
