"""Mapping between a dataclass and its protobuf message, with decimals as canonical text."""

from __future__ import annotations

from dataclasses import fields
from decimal import Decimal
from operator import attrgetter
from typing import Any

from shared.market.decimals import to_text


class MessageFields:
    """The fields of a dataclass with text annotations."""

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
        """Return the fields of a message for its dataclass.

        Raises decimal.InvalidOperation: invalid decimal.
        """
        values = dict(zip(self._others, self._rest(message), strict=True))
        values.update(zip(self._decimals, map(Decimal, self._numbers(message)), strict=True))
        return values
