"""The canned events of tests/events, and normalize's results."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import pytest

from functions.normalize.handler import Normalize
from shared.adapter.event import Event
from shared.inputs.clock import ClockRule
from shared.market.decimals import from_mantissa
from shared.schema import raw_pb2, rejects_pb2
from shared.wire import events
from shared.wire.compression import decompress
from shared.wire.raw_batch import RawBatch
from shared.wire.ticks import Ticks

EVENTS: Final = sorted((Path(__file__).parents[2] / "events").glob("*.json"))


@pytest.mark.parametrize("path", EVENTS, ids=lambda path: path.stem)
def test_a_canned_event_becomes_its_ticks_and_rejects(path: Path) -> None:
    """A canned event gives its file's ticks and rejects in total order.

    A repetition gives the same bytes and ids.
    """
    canned: dict[str, Any] = json.loads(path.read_text())
    payloads = [each.encode() for each in canned["payloads"]]
    format_ = raw_pb2.Format.Value(canned["format"])
    batch = RawBatch.of(format_, "udp-1", 0, payloads, canned["receive_time_us"])
    event = Event("u-1", events.RAW, "/test", {}, batch.encode())
    emitted = Normalize(ClockRule(5_000_000))(event).emit
    found, reasons = [], []
    for each in emitted:
        if each.type == events.REJECTS:
            reasons += [
                r.code for r in rejects_pb2.RejectBatch.FromString(decompress(each.body)).rejects
            ]
            continue
        ticks = Ticks.decode(decompress(each.body))
        for entry, rows in ticks.runs():
            for row in range(rows.start, rows.stop):
                price = from_mantissa(int(ticks.price[row]), entry.price_scale)
                size = from_mantissa(int(ticks.size[row]), entry.size_scale)
                time_us = int(ticks.event_time_us[row])
                found.append([entry.name, f"{price:f}", f"{size:f}", time_us])
    assert found == canned["ticks"]
    assert reasons == canned["rejects"]
    again = Normalize(ClockRule(5_000_000))(event).emit
    assert [(each.id, each.body) for each in again] == [(each.id, each.body) for each in emitted]
