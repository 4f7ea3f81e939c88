"""Cursors: the end of a page as an opaque text for the next request."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import Final, Literal

import orjson

from shared.market.order import OrderKey

_LARGEST: Final = 2**62
_TYPES: Final = (int, int, int, int, int)


class CursorError(ValueError):
    """A text is no cursor of this API."""

    def __init__(self) -> None:
        super().__init__("not one that this API gave; take it from the page before")


@dataclass(frozen=True, slots=True)
class CandleCursor:
    """Continue `after` or `before` the candle that starts at `start_us`."""

    direction: Literal["after", "before"]
    start_us: int

    def text(self) -> str:
        """Write the cursor."""
        return _pack([self.direction, self.start_us])

    @classmethod
    def read(cls, text: str) -> CandleCursor:
        """Read it back. Raises CursorError."""
        match _unpack(text):
            case ["after" | "before" as direction, int(start)] if 0 <= start < _LARGEST:
                return cls(direction, start)
        raise CursorError


@dataclass(frozen=True, slots=True)
class TickCursor:
    """Continue before the tick with this order key; many ticks may share one time."""

    key: OrderKey

    def text(self) -> str:
        """Write the cursor."""
        return _pack(list(self.key))

    @classmethod
    def read(cls, text: str) -> OrderKey:
        """Read the key back. Raises CursorError."""
        value = _unpack(text)
        if not isinstance(value, list) or [type(part) for part in value] != list(_TYPES):
            raise CursorError
        key = OrderKey(*value)
        if not 0 <= key.event_time_us < _LARGEST:
            raise CursorError
        return key


@dataclass(frozen=True, slots=True)
class TickPlace:
    """Continue `after` or `before` the tick with this order key."""

    direction: Literal["after", "before"]
    key: OrderKey

    def text(self) -> str:
        """Write the cursor."""
        return _pack([self.direction, TickCursor(self.key).text()])

    @classmethod
    def read(cls, text: str) -> TickPlace:
        """Read it back. Raises CursorError."""
        match _unpack(text):
            case ["after" | "before" as direction, str(key)]:
                return cls(direction, TickCursor.read(key))
        raise CursorError


@dataclass(frozen=True, slots=True)
class MomentCursor:
    """Continue before the row with this time and id."""

    time_us: int
    id: str

    def text(self) -> str:
        """Write the cursor."""
        return _pack([self.time_us, self.id])

    @classmethod
    def read(cls, text: str) -> MomentCursor:
        """Read it back. Raises CursorError."""
        match _unpack(text):
            case [int(time), str(id_)] if 0 <= time < _LARGEST and len(id_) <= 64 and id_.isalnum():
                return cls(time, id_)
        raise CursorError


def _pack(value: object) -> str:
    return base64.urlsafe_b64encode(orjson.dumps(value)).decode().rstrip("=")


def _unpack(text: str) -> object:
    try:
        return orjson.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (ValueError, binascii.Error) as error:
        raise CursorError from error
