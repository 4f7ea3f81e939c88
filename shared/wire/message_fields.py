"""Bodies of events as protobuf messages, and values by the fields of their dataclass."""

from __future__ import annotations

from dataclasses import fields
from decimal import Decimal
from enum import Enum
from operator import attrgetter
from typing import Any, TypeVar

from google.protobuf.message import DecodeError, Message

from shared.errors import PermanentError
from shared.market.decimals import to_text

M = TypeVar("M", bound=Message)
E = TypeVar("E", bound=Enum)


def parsed(code: str, kind: type[M], body: bytes) -> M:
    """Parse a body. Raises PermanentError `code`."""
    try:
        return kind.FromString(body)
    except DecodeError as error:
        name = kind.DESCRIPTOR.name
        raise PermanentError(code, f"body is no {name}: {error}") from error


def written(value: Any, **others: Any) -> dict[str, Any]:
    """Return the fields of a value for its message; `others` are in place of some."""
    return {each.name: getattr(value, each.name) for each in fields(value)} | others


def read(of: type, message: Any, **others: Any) -> dict[str, Any]:
    """Return the fields of a message for its dataclass; an optional one that is not set is None."""
    values = {
        each.name: None
        if "None" in str(each.type) and not message.HasField(each.name)
        else getattr(message, each.name)
        for each in fields(of)
        if each.name not in others
    }
    return values | others


def numbers(of: type[E], wire: Any, prefix: str) -> dict[E, Any]:
    """Return the number of each member that the enumeration on the wire has: `PREFIX_MEMBER`."""
    known = dict(wire.items())
    return {each: known[prefix + each.name] for each in of if prefix + each.name in known}


class MessageFields:
    """The fields of a dataclass with decimals, which are canonical text in its message."""

    def __init__(self, of: type) -> None:
        self._decimals = [each.name for each in fields(of) if each.type == "Decimal"]
        self._others = [each.name for each in fields(of) if each.type != "Decimal"]
        self._numbers, self._rest = attrgetter(*self._decimals), attrgetter(*self._others)

    def written(self, value: Any) -> dict[str, Any]:
        """Return the fields of a value as its message has them."""
        written = dict(zip(self._others, self._rest(value), strict=True))
        written.update(zip(self._decimals, map(to_text, self._numbers(value)), strict=True))
        return written

    def read(self, message: Any) -> dict[str, Any]:
        """Return a message's fields for its dataclass. Raises decimal.InvalidOperation."""
        values = dict(zip(self._others, self._rest(message), strict=True))
        values.update(zip(self._decimals, map(Decimal, self._numbers(message)), strict=True))
        return values
