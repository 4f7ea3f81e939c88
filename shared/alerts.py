"""Alert rules: a small strict grammar, and the alert that is told when one comes true.

BTC-USD close > 75000
BTC-USD volume >= 1000 on 5m
BTC-USD pattern double_top on 15m
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final
from urllib.parse import urlsplit

import orjson

from shared.decimals import to_text
from shared.errors import PermanentError
from shared.timeframes import Timeframe

FIELDS: Final = ("open", "high", "low", "close", "volume")
OPERATORS: Final = (">", ">=", "<", "<=")
DEFAULT_TIMEFRAME: Final = "1m"

_MAX_RULE: Final = 200
_NUMBER: Final = re.compile(r"-?[0-9]{1,30}(\.[0-9]{1,30})?")
_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,63}")
_USAGE: Final = (
    "a rule is SYMBOL FIELD OP NUMBER [on TIMEFRAME], such as 'BTC-USD close > 75000 on 5m',"
    " or SYMBOL pattern NAME [on TIMEFRAME]"
)


class RuleError(ValueError):
    """A text is no rule; the message says what is wrong, and the form."""


@dataclass(frozen=True, slots=True)
class Rule:
    """When to tell: a candle's field crosses a number, or a pattern is found (`field` pattern).

    `operator` and `number` are of the first, `pattern` of the second.
    """

    instrument: str
    timeframe: str
    field: str
    operator: str = ""
    number: Decimal = Decimal(0)
    pattern: str = ""

    @classmethod
    def parse(cls, text: str) -> Rule:
        """Read a rule. Raises RuleError."""
        words = text.split()
        if len(text) > _MAX_RULE:
            raise RuleError(f"longer than {_MAX_RULE} characters; {_USAGE}")
        timeframe = DEFAULT_TIMEFRAME
        if len(words) >= 2 and words[-2] == "on":
            *words, _, timeframe = words
            try:
                Timeframe.parse(timeframe)
            except ValueError as error:
                raise RuleError(str(error)) from error
        match words:
            case [symbol, "pattern", name]:
                if not _NAME.fullmatch(name):
                    raise RuleError(f"{name!r} is no name of a pattern, such as double_top")
                return cls(symbol, timeframe, "pattern", pattern=name)
            case [symbol, field, operator, number]:
                if field not in FIELDS:
                    raise RuleError(f"field {field!r} is none of {', '.join(FIELDS)}, pattern")
                if operator not in OPERATORS:
                    raise RuleError(f"operator {operator!r} is none of {' '.join(OPERATORS)}")
                if not _NUMBER.fullmatch(number):
                    raise RuleError(f"{number!r} is no plain decimal number, such as 75000.5")
                return cls(symbol, timeframe, field, operator, Decimal(number))
        raise RuleError(_USAGE)

    def text(self) -> str:
        """Write the rule in its one canonical form."""
        if self.field == "pattern":
            return f"{self.instrument} pattern {self.pattern} on {self.timeframe}"
        number = to_text(self.number)
        return f"{self.instrument} {self.field} {self.operator} {number} on {self.timeframe}"

    def holds(self, value: Decimal) -> bool:
        """Tell whether the candle's field fulfils the condition."""
        match self.operator:
            case ">":
                return value > self.number
            case ">=":
                return value >= self.number
            case "<":
                return value < self.number
        return value <= self.number


@dataclass(frozen=True, slots=True)
class Alert:
    """A rule that came true on a candle. `body`: the JSON text that is told, empty once it was."""

    rule_id: str
    start_us: int
    body: str = ""


def checked_sink(url: str) -> str:
    """Return the address that alerts are posted to. Raises ValueError unless it is http or https.

    Whoever may add a rule makes the function post to any address that it can reach; so rules are
    added over the database, not over the API.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or len(url) > 2_000:
        raise ValueError(f"sink {url[:80]!r} is no http:// or https:// address")
    if parts.username or parts.password:
        raise ValueError("a sink's address holds no user or password: put a token into its path")
    return url


def as_event_json(
    rule_id: str, rule: Rule, start_us: int, end_us: int, type_: str = "alert", **values: Any
) -> str:
    """Return the JSON text of an alert; `values` tell the candle or the pattern it came true on.

    That of a pattern is the pattern's own form (`type_` pattern_detected) with the rule in it.
    """
    data = {
        "rule_id": rule_id,
        "rule": rule.text(),
        "symbol": rule.instrument,
        "timeframe": rule.timeframe,
        "candle_start": start_us // 1000,
        "timestamp": end_us // 1000,
        **values,
    }
    return orjson.dumps({"type": type_, "data": data}).decode()


@dataclass(frozen=True, slots=True)
class AlertEvent:
    """What an alert's event says, for its row and its delivery."""

    rule_id: str
    instrument: str
    timeframe: str
    start_us: int
    body: str

    @classmethod
    def decode(cls, body: bytes) -> AlertEvent:
        """Read the body of an alerts event. Raises PermanentError."""
        try:
            data = orjson.loads(body)["data"]
            start_us = int(data["candle_start"]) * 1000
            rule_id, symbol, timeframe = data["rule_id"], data["symbol"], data["timeframe"]
            if not all(isinstance(text, str) for text in (rule_id, symbol, timeframe)):
                raise TypeError("rule_id, symbol and timeframe are texts")
        except (ValueError, KeyError, TypeError) as error:
            raise PermanentError("bad_alert", f"body is no alert: {error}") from error
        return cls(rule_id, symbol, timeframe, start_us, body.decode())
