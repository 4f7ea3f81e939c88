"""Alert rules: when to alert, and how often.

BTC-USD close > 75000
BTC-USD rsi:14(1h) crosses 30 once
BTC-USD close(1m) > sma:20(1h) and delta > 5
BTC-USD volume > 3 * sma(volume, 20) on 5m once a bar
BTC-USD pattern double_top on 15m
BTC-USD spread > 5
BTC-USD gap to ops
"SPXW  241227P05000000" close < 1
feed binance stalled
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from shared.alerts import conditions as c
from shared.alerts import terms as t
from shared.alerts.grammar import RuleError, parse_condition, target_names
from shared.analysis.candle_series import Bools
from shared.market.timeframes import Timeframe
from shared.wire.feed_status import FeedState

DEFAULT_TIMEFRAME: Final = "1m"
MAX_CANDLES: Final = 4_000
"""The largest warm-up of a rule: what storage is read for at once."""

MAX_CHARACTERS: Final = 300
_FEED: Final = "feed"
GAP: Final = "gap"
_SUBJECT: Final = re.compile(r'\s*(?:"(?P<quoted>[^"]+)"|(?P<word>[^"\s]\S*))\s+(?=\S)')
_USAGE: Final = (
    "a rule is SYMBOL CONDITION [on TIMEFRAME] [once | once a bar] [to NAME], such as"
    " 'BTC-USD close > 75000 on 5m', or feed NAME STATE; a SYMBOL with blanks stands in double"
    " quotes"
)


class Frequency(StrEnum):
    """Frequency of a rule: the first time it becomes true, each time, or on each candle."""

    ONCE = "once"
    EACH_TIME = "each time"
    ONCE_A_BAR = "once a bar"


class Kind(StrEnum):
    """Subject of a rule: closed candles, the latest quote, or the state of feeds."""

    CANDLES = "candles"
    QUOTE = "quote"
    FEED = "feed"
    GAP = "gap"


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule. `subject` is an instrument, or a feed for kind FEED.

    `timeframe` is empty without candles; `longer`: further timeframes of its terms. `condition` is
    for kinds CANDLES and QUOTE; `state` for FEED: a FeedState or `gap`. `to`: names of the targets
    to notify; none means all.
    """

    kind: Kind
    subject: str
    timeframe: str
    frequency: Frequency
    condition: c.Condition | None = None
    state: str = ""
    longer: tuple[str, ...] = ()
    to: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Rule:
        """Read a rule. Raises RuleError."""
        rule = cls._read(text)
        written = rule.text()
        if written != text:
            try:
                cls._read(written)  # it is stored so
            except RuleError as error:
                raise RuleError(f"too long once every parenthesis is written: {error}") from None
        return rule

    @classmethod
    def _read(cls, text: str) -> Rule:
        if len(text) > MAX_CHARACTERS:
            raise RuleError(f"longer than {MAX_CHARACTERS} characters; {_USAGE}")
        if not text.isprintable():
            raise RuleError(f"a rule has printable characters only; {_USAGE}")
        start = _SUBJECT.match(text)
        if start is None:
            raise RuleError(_USAGE)
        rest = text[start.end() :]
        if start["word"] == _FEED:
            return cls._of_feed(rest)
        subject = start["quoted"] or start["word"]
        words = rest.split()
        if words[0] == GAP:
            frequency, to = _of_state(words[1:])
            return cls(Kind.GAP, subject, "", frequency, to=to)
        parsed = parse_condition(rest, start.end())
        frequency = Frequency(parsed.frequency or Frequency.EACH_TIME)
        fields = {each.name for each in _terms(parsed.condition) if isinstance(each, t.Field)}
        if fields.isdisjoint(t.QUOTE_FIELDS):
            timeframe = parsed.timeframe or DEFAULT_TIMEFRAME
            return cls(
                *(Kind.CANDLES, subject, timeframe, frequency, parsed.condition),
                longer=parsed.longer,
                to=parsed.to,
            )
        if frequency is Frequency.ONCE_A_BAR or parsed.timeframe or not _is_plain(parsed.condition):
            names = ", ".join(t.QUOTE_FIELDS)
            raise RuleError(
                f"{names} are of the latest quote: a rule with them compares only those and"
                " numbers (bid > 100), without crosses, a timeframe or bars"
            )
        return cls(Kind.QUOTE, subject, "", frequency, parsed.condition, to=parsed.to)

    @classmethod
    def _of_feed(cls, text: str) -> Rule:
        name, *rest = text.split()
        states = (*FeedState, GAP)
        if not rest or rest[0] not in states:
            raise RuleError(f"after feed NAME comes one of {', '.join(states)}")
        frequency, to = _of_state(rest[1:])
        return cls(Kind.FEED, name, "", frequency, state=rest[0], to=to)

    def text(self) -> str:
        """Format the rule in its canonical form."""
        often = "" if self.frequency is Frequency.EACH_TIME else f" {self.frequency}"
        often += f" to {', '.join(self.to)}" if self.to else ""
        if self.kind is Kind.FEED:
            return f"{_FEED} {self.subject} {self.state}{often}"
        subject = self.subject
        if " " in subject or subject == _FEED:
            subject = f'"{subject}"'
        if self.kind is Kind.GAP:
            return f"{subject} {GAP}{often}"
        condition = str(self.condition)
        if isinstance(self.condition, c.Combined):
            condition = condition[1:-1]
        on = f" on {self.timeframe}" if self.timeframe else ""
        return f"{subject} {condition}{on}{often}"

    @property
    def waits_for_an_edge(self) -> bool:
        """Whether it alerts only if it did not hold before."""
        return self.frequency is not Frequency.ONCE_A_BAR

    def need(self, timeframe: str) -> int:
        """Return the number of earlier candles of a timeframe that it needs."""
        if self.condition is None:
            return 0
        frame = "" if timeframe == self.timeframe else timeframe
        length_us = Timeframe.parse(timeframe).length_us
        return min(self.condition.need(frame, length_us), MAX_CANDLES)

    def fires(self, inputs: t.Inputs) -> Bools:
        """Return the candles on which it alerts, shape [n]; a `once` rule, on each candidate."""
        assert self.condition is not None
        holds, rested = self.condition.evaluate(inputs)
        return holds if self.frequency is Frequency.ONCE_A_BAR else holds & rested


def _of_state(words: list[str]) -> tuple[Frequency, tuple[str, ...]]:
    """Parse the part after a state: frequency and targets."""
    at = words.index("to") if "to" in words else len(words)
    text, names = " ".join(words[:at]), " ".join(words[at + 1 :])

    def error(name: str, problem: str) -> RuleError:
        return RuleError(f"{name[:40]!r} {problem}")

    to = target_names(map(str.strip, names.split(",")), error) if at < len(words) else ()
    if text == Frequency.ONCE_A_BAR:
        raise RuleError("a state has no bars: once, or each time (which needs not be said)")
    try:
        return Frequency(text or Frequency.EACH_TIME), to
    except ValueError:
        raise RuleError(
            f"{text[:40]!r}: after a state comes once, each time, to NAME, or nothing"
        ) from None


def _terms(node: t.Node) -> Iterator[t.Term]:
    if isinstance(node, t.Term):
        yield node
    for each in node.children:
        yield from _terms(each)


def _is_plain(condition: c.Condition) -> bool:
    """Whether a quote is sufficient: comparisons of its fields and numbers."""
    if isinstance(condition, c.Combined):
        return _is_plain(condition.left) and _is_plain(condition.right)
    return isinstance(condition, c.Comparison) and all(
        each.name in t.QUOTE_FIELDS
        if isinstance(each, t.Field)
        else isinstance(each, t.Number | t.Arithmetic)
        for each in _terms(condition)
    )
