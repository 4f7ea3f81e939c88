"""Cancels and corrections of trades, and their form on the wire (busts.proto)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from shared.errors import PermanentError
from shared.market.bounds import LATEST_US, check_instrument
from shared.market.decimals import mantissa_text
from shared.schema import busts_pb2
from shared.wire.message_fields import parsed, read, written
from shared.wire.ticks import CANCELLED, CORRECTED, ENDING, INTEGER_ID, Ticks

CANCEL: Final = "cancel"
CORRECT: Final = "correct"
_CODE = "bad_bust_batch"


@dataclass(frozen=True, slots=True)
class Bust:
    """A cancel or correction of the trade with this venue and id.

    `venue`: None if not given. `event_time_us`: of the trade, 0 if not given. `price`, `size`: new
    values of a correction as text, empty if unchanged. `original` is as received. `corrected_id`:
    the new id of a corrected trade, with its `flags`. `may_be_absent`: no reject if the trade never
    arrived.
    """

    instrument: str
    venue: str | None
    trade_id: str
    event_time_us: int
    is_correction: bool
    price: str
    size: str
    receive_time_us: int
    sequence: int
    original: bytes
    corrected_id: str = ""
    flags: int = 0
    may_be_absent: bool = False


def of_ticks(ticks: Ticks) -> list[Bust]:
    """Return the busts among the rows, as received."""
    result = []
    for entry, rows in ticks.runs():
        for row in (np.flatnonzero(ticks.flags[rows] & ENDING) + rows.start).tolist():
            is_correction = bool(ticks.flags[row] & CORRECTED)
            is_integer = ticks.trade_id_kind[row] == INTEGER_ID
            trade_id = str(int(ticks.trade_id[row])) if is_integer else ticks.text_at(row)
            fields = {
                CORRECT if is_correction else CANCEL: trade_id,
                "symbol": entry.name,
                "venue": entry.market.venue,
                "time": int(ticks.event_time_us[row]),
            }
            if is_correction:
                fields["price"] = mantissa_text(int(ticks.price[row]), entry.price_scale)
                fields["size"] = mantissa_text(int(ticks.size[row]), entry.size_scale)
            result.append(
                Bust(
                    entry.name,
                    entry.market.venue,
                    trade_id,
                    int(ticks.event_time_us[row]),
                    is_correction,
                    str(fields.get("price", "")),
                    str(fields.get("size", "")),
                    int(ticks.receive_time_us[row]),
                    int(ticks.sequence[row]),
                    json.dumps(fields).encode(),
                )
            )
    return result


def encode(source: str, format_: int, busts: Sequence[Bust]) -> bytes:
    """Return a BustBatch of busts of one format."""
    messages = [busts_pb2.Bust(**written(bust)) for bust in busts]
    return busts_pb2.BustBatch(source=source, busts=messages, format=format_).SerializeToString()


def decode(body: bytes) -> tuple[str, int, list[Bust]]:
    """Read a BustBatch: its source, its format and its busts. Raises PermanentError."""
    message = parsed(_CODE, busts_pb2.BustBatch, body)
    result = []
    for each in message.busts:
        check_instrument(_CODE, each.instrument)
        if not each.trade_id or "\0" in each.trade_id + each.venue + each.corrected_id:
            raise PermanentError(_CODE, "trade_id is empty, or a text has a NUL in it")
        if each.flags >= CANCELLED:
            raise PermanentError(_CODE, f"flags {each.flags} are none of a trade")
        if not (0 <= each.event_time_us < LATEST_US and 0 <= each.receive_time_us < LATEST_US):
            raise PermanentError(_CODE, "event_time_us or receive_time_us is out of range")
        result.append(Bust(**read(Bust, each)))
    return message.source, int(message.format), result
