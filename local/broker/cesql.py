"""CloudEvents SQL v1: parses an expression once and evaluates it against event attributes.

Source: https://github.com/cloudevents/spec/blob/main/cesql/spec.md. Evaluation fails fast: the
first error (missing attribute, cast, arithmetic, function) ends it, and an event with an error does
not pass a filter. As in the parser that Knative uses, AND, OR and XOR share one precedence and
associate to the right (`a AND b OR c` is `a AND (b OR c)`), and NOT binds tighter than a
comparison: parenthesise.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping
from typing import Any

from lark import Lark, Token, Transformer, UnexpectedInput, v_args
from lark.exceptions import VisitError

from local.broker.cesql_functions import FUNCTIONS, EvaluationError, Value, cast, in_range

Attributes = Mapping[str, str]
Expression = Callable[[Attributes], Value]

_GRAMMAR = r"""
start: logic
?logic: comparison | comparison AND logic -> and_ | comparison OR logic -> or_
      | comparison XOR logic -> xor
?comparison: sum | comparison COMPARE sum -> compare
?sum: product | sum (PLUS | MINUS) product -> arithmetic
?product: member | product (STAR | SLASH | PERCENT) member -> arithmetic
?member: like | member IN set -> in_ | member NOT_IN set -> not_in
set: "(" logic ("," logic)* ")"
?like: unary | like LIKE STRING -> like | like NOT_LIKE STRING -> not_like
?unary: atom | NOT unary -> not_ | MINUS unary -> negate | EXISTS NAME -> exists
?atom: "(" logic ")" | FUNCTION "(" [logic ("," logic)*] ")" -> call
     | INTEGER -> integer | TRUE -> true | FALSE -> false | STRING -> string | NAME -> attribute
AND.3: /and\b/i
OR.3: /or\b/i
XOR.3: /xor\b/i
NOT_IN.4: /not\s+in\b/i
NOT_LIKE.4: /not\s+like\b/i
NOT.3: /not\b/i
IN.3: /in\b/i
LIKE.3: /like\b/i
EXISTS.3: /exists\b/i
TRUE.3: /true\b/i
FALSE.3: /false\b/i
COMPARE: "=" | "!=" | "<>" | "<=" | ">=" | "<" | ">"
PLUS: "+"
MINUS: "-"
STAR: "*"
SLASH: "/"
PERCENT: "%"
FUNCTION.2: /[a-z][a-z_]*(?=\s*\()/i
INTEGER.2: /[0-9]+(?![a-z0-9])/i
NAME.1: /[a-z0-9]+/i
STRING: /'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*"/s
%ignore /[ \t\r\n]+/
"""


class CesqlSyntaxError(ValueError):
    """The expression cannot be parsed; the message shows where."""


@functools.lru_cache(maxsize=256)
def parse(text: str) -> Expression:
    """Compile `text` into a function from attributes to a string, integer or boolean.

    The function raises `EvaluationError`.

    Raises CesqlSyntaxError: it is no CESQL, or calls a function that does not exist.
    """
    try:
        return _compile(text)
    except UnexpectedInput as error:
        context = error.get_context(text).rstrip()
        raise CesqlSyntaxError(f"not CloudEvents SQL: {text!r}, here:\n{context}") from None
    except VisitError as error:
        raise CesqlSyntaxError(f"not CloudEvents SQL: {text!r}: {error.orig_exc}") from None


def passes(expression: Expression, attributes: Attributes) -> bool:
    """Whether an event passes the filter: the value is true (not "true"), and nothing failed."""
    try:
        return expression(attributes) is True
    except EvaluationError:
        return False


def _like(pattern: str) -> re.Pattern[str]:
    regex = []
    for part in re.findall(r"\\[%_]|.", pattern, re.DOTALL):
        if part in ("%", "_"):
            regex.append(".*" if part == "%" else ".")
        else:
            regex.append(re.escape(part[1:] if len(part) == 2 else part))
    return re.compile("".join(regex), re.DOTALL)


def _unquote(token: str) -> str:
    # only the quote itself is escaped; other backslashes belong to the text (LIKE needs them)
    return token[1:-1].replace("\\" + token[0], token[0])


def _equal(left: Value, right: Value) -> bool:
    return cast(left, type(right)) == right


_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "=": _equal,
    "!=": lambda left, right: not _equal(left, right),
    "<>": lambda left, right: not _equal(left, right),
    "<": lambda left, right: cast(left, int) < cast(right, int),
    "<=": lambda left, right: cast(left, int) <= cast(right, int),
    ">": lambda left, right: cast(left, int) > cast(right, int),
    ">=": lambda left, right: cast(left, int) >= cast(right, int),
}


def _arithmetic(operator: str, x: int, y: int) -> int:
    if operator in "/%":
        if y == 0:
            raise EvaluationError("math", "division by zero")
        quotient = abs(x) // abs(y) * (1 if (x < 0) == (y < 0) else -1)
        return in_range(quotient if operator == "/" else x - quotient * y)
    return in_range({"+": x + y, "-": x - y, "*": x * y}[operator])


@v_args(inline=True)
class _Compiler(Transformer[Token, Expression]):
    """Turns the tree into nested functions, so that evaluating it walks no tree."""

    def start(self, inner: Expression) -> Expression:
        return inner

    def and_(self, left: Expression, _: Token, right: Expression) -> Expression:
        return lambda event: cast(left(event), bool) and cast(right(event), bool)

    def or_(self, left: Expression, _: Token, right: Expression) -> Expression:
        return lambda event: cast(left(event), bool) or cast(right(event), bool)

    def xor(self, left: Expression, _: Token, right: Expression) -> Expression:
        return lambda event: cast(left(event), bool) != cast(right(event), bool)

    def not_(self, _: Token, inner: Expression) -> Expression:
        return lambda event: not cast(inner(event), bool)

    def negate(self, _: Token, inner: Expression) -> Expression:
        return lambda event: in_range(-cast(inner(event), int))

    def exists(self, _: Token, name: Token) -> Expression:
        key = name.lower()
        return lambda event: key in event

    def compare(self, left: Expression, operator: Token, right: Expression) -> Expression:
        compare = _COMPARISONS[operator]
        return lambda event: compare(left(event), right(event))

    def arithmetic(self, left: Expression, operator: Token, right: Expression) -> Expression:
        symbol = str(operator)
        return lambda event: _arithmetic(symbol, cast(left(event), int), cast(right(event), int))

    def set(self, *members: Expression) -> list[Expression]:
        return list(members)

    def in_(self, left: Expression, _: Token, members: list[Expression]) -> Expression:
        def found(event: Attributes) -> bool:
            value = left(event)
            return any(cast(member(event), type(value)) == value for member in members)

        return found

    def not_in(self, left: Expression, token: Token, members: list[Expression]) -> Expression:
        contains = self.in_(left, token, members)
        return lambda event: not contains(event)

    def like(self, left: Expression, _: Token, pattern: Token) -> Expression:
        regex = _like(_unquote(pattern))
        return lambda event: regex.fullmatch(cast(left(event), str)) is not None

    def not_like(self, left: Expression, token: Token, pattern: Token) -> Expression:
        matches = self.like(left, token, pattern)
        return lambda event: not matches(event)

    def call(self, name: Token, *arguments: Expression | None) -> Expression:
        operands = [each for each in arguments if each is not None]
        function = FUNCTIONS.get(name.upper())
        if function is None or not function.takes(len(operands)):
            raise ValueError(f"there is no function {name.upper()} of {len(operands)} arguments")
        return lambda event: function.call([each(event) for each in operands])

    def integer(self, token: Token) -> Expression:
        value = in_range(int(token))
        return lambda event: value

    def true(self, _: Token) -> Expression:
        return lambda event: True

    def false(self, _: Token) -> Expression:
        return lambda event: False

    def string(self, token: Token) -> Expression:
        value = _unquote(token)
        return lambda event: value

    def attribute(self, token: Token) -> Expression:
        key = token.lower()

        def read(event: Attributes) -> Value:
            try:
                return event[key]
            except KeyError:
                raise EvaluationError("missing_attribute", f"no attribute {key}") from None

        return read


@functools.cache
def _parser() -> Lark:
    return Lark(_GRAMMAR, parser="lalr", maybe_placeholders=False)


def _compile(text: str) -> Expression:
    compiled: Expression = _Compiler().transform(_parser().parse(text))
    return compiled
