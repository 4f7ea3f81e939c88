"""The total order of an instrument's ticks, on which every recomputation agrees."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import Final, NamedTuple

NO_ORDER_ID: Final = -(2**63)
"""Order id of a tick without an integer trade id: before every tick that has one."""


class OrderKey(NamedTuple):
    """A tick's position in the total order, five signed 64-bit integers: compare as a tuple.

    Event time first; among equal times the integer trade id (NO_ORDER_ID without one: a text id
    identifies a trade but does not order it); then the bridge's receive time, the bridge
    (`source_key`), and the sequence in its stream. Stamped once by the bridge and carried
    everywhere.
    """

    event_time_us: int
    order_id: int
    receive_time_us: int
    source_key: int
    sequence: int


@lru_cache(maxsize=4096)
def source_key(source: str) -> int:
    """Return a source as a signed 64-bit integer: the first 8 bytes, big endian, of its MD5.

    In SQL: `('x' || left(md5(source), 16))::bit(64)::bigint`, or the function `source_key`.
    """
    digest = hashlib.md5(source.encode(), usedforsecurity=False).digest()
    return int.from_bytes(digest[:8], "big", signed=True)
