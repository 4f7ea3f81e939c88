"""The total order of an instrument's ticks, on which every recomputation agrees."""

from __future__ import annotations

from typing import Final, NamedTuple

from shared.schema import state_pb2

NO_ORDER_ID: Final = -(2**63)
"""Order id of a tick without an integer trade id: before every tick that has one."""


class OrderKey(NamedTuple):
    """A tick's place: compare as a tuple.

    Event time first; among equal times the trade id (none, then integers, then text by code point);
    then when the bridge received it, which bridge, and where in its stream. Stamped once by the
    bridge and carried everywhere.
    """

    event_time_us: int
    trade_id_kind: int
    trade_id: int
    trade_id_text: str
    receive_time_us: int
    source: str
    sequence: int

    def to_message(self) -> state_pb2.OrderKey:
        """Return the protobuf form."""
        return state_pb2.OrderKey(
            event_time_us=self.event_time_us,
            trade_id_kind=self.trade_id_kind,
            trade_id=self.trade_id,
            trade_id_text=self.trade_id_text,
            receive_time_us=self.receive_time_us,
            source=self.source,
            sequence=self.sequence,
        )

    @classmethod
    def from_message(cls, message: state_pb2.OrderKey) -> OrderKey:
        """Read the protobuf form."""
        return cls(
            message.event_time_us,
            message.trade_id_kind,
            message.trade_id,
            message.trade_id_text,
            message.receive_time_us,
            message.source,
            message.sequence,
        )
