"""Grammar of alert conditions: text to a tree of `conditions`, or an error with its position."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final, NamedTuple

from lark import Lark, Token, Transformer, Tree, v_args
from lark.exceptions import UnexpectedCharacters, UnexpectedInput, UnexpectedToken, VisitError

from shared.alerts import conditions as c
from shared.alerts import terms as t
from shared.analysis.indicators import MAX_PERIOD, MIN_PERIOD, parse_indicators
from shared.market.timeframes import Timeframe

MAX_WORDS: Final = 100
MAX_BACK: Final = 200
MAX_LONGER: Final = 3
MAX_TARGETS: Final = 8

_GRAMMAR: Final = r"""
start: condition [on] [frequency] [to]
on: "on" timeframe
to: "to" NAME ("," NAME)*
frequency: "once" -> once | "each" "time" -> each_time | "once" "a" "bar" -> once_a_bar
?condition: conjunction | condition "or" conjunction -> either
?conjunction: test | conjunction "and" test -> both
?test: sum OPERATOR sum -> comparison
     | sum "crosses" [direction] sum -> crossing
     | "pattern" NAME -> pattern
     | "(" condition ")"
?sum: product | sum SIGN product -> arithmetic
?product: unary | product TIMES unary -> arithmetic
?unary: atom | SIGN unary -> signed
?atom: NUMBER -> number
     | NAME -> name
     | NAME "(" timeframe ")" -> name_of
     | NAME "(" sum "," NUMBER ")" -> rolling
     | atom "[" NUMBER "]" -> past
     | "(" sum ")"
direction: "above" -> above | "below" -> below
timeframe: TIMEFRAME
OPERATOR: ">=" | "<=" | ">" | "<"
SIGN: "+" | "-"
TIMES: "*" | "/"
TIMEFRAME.2: /[0-9]+[A-Za-z](?![A-Za-z0-9_.])/
NUMBER: /[0-9.][0-9A-Za-z_.]*/
NAME: /[A-Za-z_][A-Za-z0-9_]*(:[A-Za-z0-9_.]+)*/
%ignore /[ \t]+/
"""
_WORDS: Final = re.compile(r"[\w.:]+|[<>]=|\S")
_PLAIN: Final = re.compile(r"[0-9]{1,30}(\.[0-9]{1,30})?", re.ASCII)
_PATTERN: Final = re.compile(r"[a-z][a-z0-9_]{0,63}")
_TARGET: Final = re.compile(r"[a-z][a-z0-9_]{0,31}")
_EXPECTED: Final = {
    "NUMBER": "a number",
    "NAME": "a field or an indicator",
    "TIMEFRAME": "a timeframe such as 5m",
    "OPERATOR": "one of > >= < <=",
    "CROSSES": "crosses",
    "SIGN": "+ or -",
    "TIMES": "* or /",
    "ON": "on TIMEFRAME",
    "TO": "to NAME",
    "$END": "the end",
    "RPAR": ")",
    "COMMA": ", and a period",
}
_LEFT_OUT: Final = ("SIGN", "TIMES", "LSQB", "LPAR", "RPAR", "COMMA")
"""Allowed nearly everywhere: reported only if nothing else is expected."""


class RuleError(ValueError):
    """A text is not a rule; the message names the error, its position and the fix."""


class Parsed(NamedTuple):
    """A condition; `timeframe` and `frequency` are empty if omitted.

    `longer`: further timeframes of its terms, ascending. `to`: names of targets.
    """

    condition: c.Condition
    timeframe: str
    frequency: str
    longer: tuple[str, ...] = ()
    to: tuple[str, ...] = ()


def parse_condition(text: str, offset: int = 0) -> Parsed:
    """Parse `rsi:14(1h) crosses 30 once`. Raises RuleError; positions start at `offset` + 1."""
    if len(_WORDS.findall(text)) > MAX_WORDS:
        raise RuleError(f"a condition has at most {MAX_WORDS} words and signs")
    try:
        tree = _parser().parse(text)
        parsed: Parsed = _Build(offset, *_frames(tree, offset)).transform(tree)
    except VisitError as error:
        if isinstance(error.orig_exc, RuleError):
            raise error.orig_exc from None
        raise
    except UnexpectedInput as error:
        raise RuleError(_unexpected(error, text, offset)) from None
    return parsed


def _is_timeframe(part: Any) -> bool:
    return isinstance(part, Token) and part.type == "TIMEFRAME"


def _frames(tree: Tree[Token], offset: int) -> tuple[str, tuple[str, ...]]:
    """Return the rule's timeframe, the shortest one named, and the longer ones."""
    frames: dict[str, Timeframe] = {}
    for token in tree.scan_values(_is_timeframe):
        try:
            frames[str(token)] = Timeframe.parse(str(token))
        except ValueError as error:
            raise _error(offset, token, str(error)) from error
    shortest = min(frames.values(), default=None)
    if shortest is None:
        return "", ()
    longer = sorted(each for each in frames.values() if each.length_us > shortest.length_us)
    for clause in tree.find_data("on"):
        (token,) = clause.scan_values(_is_timeframe)
        if token != shortest.name:
            raise _error(offset, token, f"is longer than {shortest}: a rule is of its shortest one")
    names = {each.length_us: each.name for each in longer}
    for token in tree.scan_values(_is_timeframe):
        length_us = frames[token].length_us
        if token != names.get(length_us, shortest.name):
            raise _error(
                offset, token, f"is as long as {names.get(length_us, shortest.name)}: name one"
            )
        if not frames[token].nests(shortest):
            raise _error(offset, token, f"is not made of whole candles of {shortest}")
    if len(longer) > MAX_LONGER:
        raise RuleError(f"a rule has at most {MAX_LONGER} timeframes beside its own")
    return shortest.name, tuple(each.name for each in longer)


def _error(offset: int, token: Token, problem: str) -> RuleError:
    at = offset + (token.start_pos or 0) + 1
    return RuleError(f"position {at}: {str(token)[:40]!r} {problem}")


def target_names(names: Iterable[Any], error: Callable[[Any, str], RuleError]) -> tuple[str, ...]:
    """Return the names of targets, each once. Raises `error` for an invalid one."""
    targets: dict[str, None] = {}
    for name in names:
        if not _TARGET.fullmatch(name):
            raise error(name, "is not the name of a target of ALERT_URLS: a to z, 0 to 9 and _")
        targets[str(name)] = None
        if len(targets) > MAX_TARGETS:
            raise error(name, f"is one too many: at most {MAX_TARGETS} targets")
    return tuple(targets)


@lru_cache(maxsize=1)
def _parser() -> Lark:
    return Lark(_GRAMMAR, parser="lalr")


def _unexpected(error: UnexpectedInput, text: str, offset: int) -> str:
    if isinstance(error, UnexpectedToken):
        names = error.accepts or error.expected
    else:
        names = getattr(error, "allowed", None) or set()
    terminals = [each for each in sorted(names) if each not in _LEFT_OUT] or sorted(names)
    expected = ", ".join(_EXPECTED.get(each, each.lower()) for each in terminals)
    if isinstance(error, UnexpectedToken) and error.token.type == "$END":
        return f"the rule ends too early: expected {expected}"
    at = error.pos_in_stream or 0
    offending = text[at] if isinstance(error, UnexpectedCharacters) else str(error.token)  # type: ignore[attr-defined]
    return f"position {offset + at + 1}, at {offending[:40]!r}: expected {expected}"


def _word(text: str) -> Callable[[Any], str]:
    """Return a rule that stands for a text."""
    return lambda _: text


def _text(_: Any, token: str) -> str:
    """Rule of one token: its text."""
    return str(token)


@v_args(inline=True)
class _Build(Transformer[Token, Any]):
    """Builds the tree, bottom up."""

    def __init__(self, offset: int, timeframe: str, longer: tuple[str, ...]) -> None:
        super().__init__()
        self._offset = offset
        self._timeframe = timeframe
        self._longer = longer

    def start(
        self,
        condition: c.Condition,
        _: str | None,
        frequency: str | None,
        to: tuple[str, ...] | None,
    ) -> Parsed:
        return Parsed(condition, self._timeframe, frequency or "", self._longer, to or ())

    on = timeframe = _text
    once, each_time, once_a_bar = _word("once"), _word("each time"), _word("once a bar")
    above, below = _word("above"), _word("below")

    def to(self, *tokens: Token) -> tuple[str, ...]:
        return target_names(tokens, self._error)

    def either(self, left: c.Condition, right: c.Condition) -> c.Condition:
        return c.Combined("or", left, right)

    def both(self, left: c.Condition, right: c.Condition) -> c.Condition:
        return c.Combined("and", left, right)

    def comparison(self, left: t.Term, operator: Token, right: t.Term) -> c.Condition:
        return c.Comparison(left, str(operator), right)

    def crossing(self, left: t.Term, direction: str | None, right: t.Term) -> c.Condition:
        return c.Crossing(left, direction or "", right)

    def pattern(self, token: Token) -> c.Condition:
        if not _PATTERN.fullmatch(token):
            raise self._error(token, "is not the name of a pattern, such as double_top")
        return c.PatternFound(str(token))

    def arithmetic(self, left: t.Term, operator: Token, right: t.Term) -> t.Term:
        return t.Arithmetic(str(operator), left, right)

    def signed(self, sign: Token, inner: t.Term) -> t.Term:
        if sign == "+":
            return inner
        if isinstance(inner, t.Number):
            return t.Number(inner.number.copy_negate())
        return t.Arithmetic("-", t.Number(Decimal(0)), inner)

    def number(self, token: Token) -> t.Term:
        if not _PLAIN.fullmatch(token):
            raise self._error(token, "is not a plain decimal number, such as 75000.5")
        return t.Number(Decimal(token))

    def name(self, token: Token) -> t.Field | t.IndicatorValue:
        if token in (*t.CANDLE_FIELDS, *t.QUOTE_FIELDS):
            return t.Field(str(token))
        return self._indicator(token)

    def name_of(self, token: Token, timeframe: str) -> t.Term:
        term = self.name(token)
        if timeframe == self._timeframe:
            return term
        if isinstance(term, t.Field) and term.name in t.QUOTE_FIELDS:
            raise self._error(token, "is of the latest quote: it has no timeframe")
        return replace(term, frame=timeframe)

    def rolling(self, token: Token, inner: t.Term, period: Token) -> t.Term:
        if token not in t.FUNCTIONS:
            raise self._error(token, f"is not a function: there are {', '.join(t.FUNCTIONS)}")
        return t.Rolling(str(token), inner, self._whole(period, MIN_PERIOD, MAX_PERIOD))

    def past(self, inner: t.Term, back: Token) -> t.Term:
        return t.Past(inner, self._whole(back, 1, MAX_BACK))

    def _indicator(self, token: Token) -> t.IndicatorValue:
        base, _, output = token.rpartition(":")
        if not base or not output[0].isalpha():
            base, output = str(token), ""
        try:
            (indicator,) = parse_indicators(base)
        except ValueError as error:
            fields = ", ".join((*t.CANDLE_FIELDS, *t.QUOTE_FIELDS))
            raise self._error(token, f"is none of the fields {fields}; {error}") from error
        column = f"{indicator.name}:{output}" if output else indicator.name
        if column not in indicator.columns:
            raise self._error(token, f"has the columns {', '.join(indicator.columns)}: name one")
        return t.IndicatorValue(indicator, column)

    def _whole(self, token: Token, least: int, most: int) -> int:
        if not (token.isascii() and token.isdigit() and len(token) < 6):
            raise self._error(token, "is not a whole number")
        if not least <= int(token) <= most:
            raise self._error(token, f"is not from {least} to {most}")
        return int(token)

    def _error(self, token: Token, problem: str) -> RuleError:
        return _error(self._offset, token, problem)
