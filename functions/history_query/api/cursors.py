"""Cursors: the end of a page as an opaque text for the next request."""

from __future__ import annotations

import base64
from typing import Annotated, Final, Literal, Self

import msgspec

from shared.market.order import OrderKey

_LARGEST: Final = 2**62
_Time = Annotated[int, msgspec.Meta(ge=0, lt=_LARGEST)]
_Int64 = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
_Direction = Literal["after", "before"]


class CursorError(ValueError):
    """A text is not a cursor of this API."""

    def __init__(self) -> None:
        super().__init__("not one that this API gave; take it from the page before")


class _Cursor(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    def text(self) -> str:
        """Write the cursor."""
        return base64.urlsafe_b64encode(msgspec.json.encode(self)).decode().rstrip("=")

    @classmethod
    def read(cls, text: str) -> Self:
        """Read it back. Raises CursorError."""
        try:
            body = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
            return msgspec.json.decode(body, type=cls)
        except ValueError as error:
            raise CursorError from error


class CandleCursor(_Cursor, frozen=True):
    """Continue `after` or `before` the candle that starts at `start_us`."""

    direction: _Direction
    start_us: _Time


class TickCursor(_Cursor, frozen=True):
    """Continue before the tick with this order key; many ticks may share one time."""

    event_time_us: _Time
    order_id: _Int64
    receive_time_us: _Int64
    source_key: _Int64
    sequence: _Int64

    @property
    def key(self) -> OrderKey:
        """The order key."""
        return OrderKey(*msgspec.structs.astuple(self))


class TickPlace(_Cursor, frozen=True):
    """Continue `after` or `before` the tick with this cursor."""

    direction: _Direction
    tick: str

    @classmethod
    def of(cls, direction: _Direction, key: OrderKey) -> TickPlace:
        """Return the place of the tick with this order key."""
        return cls(direction, TickCursor(*key).text())

    @property
    def key(self) -> OrderKey:
        """The order key. Raises CursorError."""
        return TickCursor.read(self.tick).key


class MomentCursor(_Cursor, frozen=True):
    """Continue before the row with this time and id."""

    time_us: _Time
    id: Annotated[str, msgspec.Meta(max_length=64, pattern=r"^[^\W_]+\Z")]
