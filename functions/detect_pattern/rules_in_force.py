"""Alert rules in force, by the series that each of them is of or looks at."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from shared.alerts.rule import Rule
from shared.realtime.pattern_series import Name


@dataclass(frozen=True, slots=True)
class RuleInForce:
    """A rule with its id; candles that start after `after_us` count.

    `muted`: its alerts are stored and sent to nobody.
    """

    id: str
    rule: Rule
    after_us: int
    muted: bool = False

    @property
    def names(self) -> list[Name]:
        """The series that it looks at, its own first."""
        return [(self.rule.subject, each) for each in (self.rule.timeframe, *self.rule.longer)]


@dataclass(frozen=True, slots=True)
class RulesInForce:
    """The rules of some instruments."""

    _of: dict[Name, list[RuleInForce]] = field(default_factory=dict)
    _looking: dict[Name, list[RuleInForce]] = field(default_factory=dict)

    @classmethod
    def index(cls, rules: Iterable[RuleInForce]) -> RulesInForce:
        """Return the rules by series."""
        made = cls()
        for rule in rules:
            made._of.setdefault(rule.names[0], []).append(rule)
            for name in rule.names:
                made._looking.setdefault(name, []).append(rule)
        return made

    def of(self, name: Name) -> Sequence[RuleInForce]:
        """Return the rules of a series: its candles make them come true."""
        return self._of.get(name, ())

    def looking_at(self, name: Name) -> Sequence[RuleInForce]:
        """Return the rules that look at a series, those of others included."""
        return self._looking.get(name, ())

    def seen_together(self, names: Iterable[Name]) -> list[Name]:
        """Return the series and all that rules see together with them.

        A rule of several timeframes is judged when any of its series changes. Each step reads all
        of them and writes each only where it is as it was read; so of two steps that change two of
        them at the same time, one sees both.
        """
        found = dict.fromkeys(names)
        for name in list(found):
            for rule in self.looking_at(name):
                found |= dict.fromkeys(rule.names)
        return list(found)
