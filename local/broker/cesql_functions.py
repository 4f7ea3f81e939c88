"""The values of CloudEvents SQL: casts between its three types, and its built-in functions."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

Value = str | int | bool
T = TypeVar("T", bound=Value)

_INTEGER = re.compile(r"[+-]?[0-9]+")
_LEAST, _MOST = -(2**31), 2**31 - 1


class EvaluationError(Exception):
    """An expression has no value for an event.

    Attributes:
        kind: `missing_attribute`, `cast`, `math` or `function`.

    """

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


def in_range(value: int) -> int:
    """`value`, if it is a 32-bit signed integer.

    Raises EvaluationError: it is not.
    """
    if not _LEAST <= value <= _MOST:
        raise EvaluationError("math", f"{value} is no 32-bit integer")
    return value


def cast(value: Value, target: type[T]) -> T:
    """`value` as `target`, by the implicit casts of the language.

    Raises EvaluationError: a string that is neither an integer nor a boolean.
    """
    if type(value) is target:
        return value
    if target is str:
        return str(value).lower() if isinstance(value, bool) else str(value)  # type: ignore[return-value]
    if not isinstance(value, str):
        return target(value)
    if target is bool:
        if value.lower() in ("true", "false"):
            return value.lower() == "true"  # type: ignore[return-value]
    elif _INTEGER.fullmatch(value):
        number = int(value)
        if _LEAST <= number <= _MOST:
            return number  # type: ignore[return-value]
    raise EvaluationError("cast", f"{value!r} is no {target.__name__}")


@dataclass(frozen=True)
class Function:
    """A built-in; `rest` is the type of further arguments, if it takes any number of them.

    A parameter of type None takes its argument as it is.
    """

    run: Callable[..., Value]
    parameters: tuple[tuple[type | None, ...], ...]
    rest: type | None = None

    def takes(self, count: int) -> bool:
        """Whether it can be called with `count` arguments."""
        lengths = [len(each) for each in self.parameters]
        return count in lengths or (self.rest is not None and count > max(lengths))

    def call(self, arguments: list[Value]) -> Value:
        """Cast the arguments and run it.

        Raises EvaluationError: a cast fails, or the function has no value for these arguments.
        """
        fixed: tuple[Any, ...] = max(self.parameters, key=len)
        types = (*fixed, *[self.rest] * (len(arguments) - len(fixed)))
        pairs = zip(arguments, types, strict=False)
        return self.run(*(value if kind is None else cast(value, kind) for value, kind in pairs))


def _left(text: str, length: int) -> str:
    if length < 0:
        raise EvaluationError("function", "LEFT of a negative length")
    return text[:length]


def _right(text: str, length: int) -> str:
    if length < 0:
        raise EvaluationError("function", "RIGHT of a negative length")
    return text[-length:] if length else ""


def _substring(text: str, position: int, length: int | None = None) -> str:
    if abs(position) > len(text) or (length is not None and length < 0):
        raise EvaluationError("function", "SUBSTRING outside the string")
    if position == 0:
        return ""
    start = position - 1 if position > 0 else len(text) + position
    return text[start:] if length is None else text[start : start + length]


def _is(target: type) -> Callable[[Value], bool]:
    def castable(value: Value) -> bool:
        try:
            cast(value, target)
        except EvaluationError:
            return False
        return True

    return castable


FUNCTIONS: dict[str, Function] = {
    "LENGTH": Function(len, ((str,),)),
    "CONCAT": Function(lambda *texts: "".join(texts), ((),), str),
    "CONCAT_WS": Function(lambda between, *texts: between.join(texts), ((str,),), str),
    "LOWER": Function(str.lower, ((str,),)),
    "UPPER": Function(str.upper, ((str,),)),
    "TRIM": Function(str.strip, ((str,),)),
    "LEFT": Function(_left, ((str, int),)),
    "RIGHT": Function(_right, ((str, int),)),
    "SUBSTRING": Function(_substring, ((str, int), (str, int, int))),
    "ABS": Function(lambda value: in_range(abs(value)), ((int,),)),
    "INT": Function(lambda value: value, ((int,),)),
    "BOOL": Function(lambda value: value, ((bool,),)),
    "STRING": Function(lambda value: value, ((str,),)),
    "IS_INT": Function(_is(int), ((None,),)),
    "IS_BOOL": Function(_is(bool), ((None,),)),
}
