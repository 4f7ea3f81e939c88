"""JSON objects that cancel or correct a trade."""

from __future__ import annotations

import json
from dataclasses import astuple
from typing import Any

import pytest

from functions.normalize.handler import Normalize
from shared.adapter.event import Event
from shared.inputs.clock import ClockRule
from shared.wire import busts, events
from shared.wire.compression import decompress
from shared.wire.raw_batch import FORMAT_SCANNER, RawBatch
from tests.shared.inputs.feeds import parsed, trades

TIME = 1_735_689_600_000


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"cancel": 42, "symbol": "A"}, ("A", None, "42", 0, False, "", "")),
        ({"cancel": "x-1", "ticker": "A", "venue": ""}, ("A", "", "x-1", 0, False, "", "")),
        (
            {"cancel": 1, "symbol": "A", "exchange": "KRAKEN", "time": TIME, "price": 3},
            ("A", "KRAKEN", "1", TIME * 1000, False, "", ""),
        ),
        ({"correct": 1, "symbol": "A", "price": "1.50"}, ("A", None, "1", 0, True, "1.50", "")),
        ({"correct": 1, "symbol": "A", "qty": 2.5}, ("A", None, "1", 0, True, "", "2.5")),
    ],
)
def test_a_bust_is_read(fields: dict[str, Any], expected: tuple[Any, ...]) -> None:
    """A bust is read under each accepted field name, and its texts stay unchanged."""
    found = parsed(FORMAT_SCANNER, json.dumps(fields).encode())
    ((_, _, bust),) = found.busts
    assert astuple(bust)[:7] == expected
    assert (found.rejected, len(found.rows)) == ([], 0)


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"cancel": 42}, "bad_symbol"),
        ({"cancel": 42, "symbol": "A,B"}, "bad_symbol"),
        ({"cancel": "x" * 65, "symbol": "A"}, "bad_trade_id"),
        ({"cancel": 42, "symbol": "A", "time": 20250220}, "bad_time"),
        ({"correct": 42, "symbol": "A"}, "bad_price"),
        ({"correct": 42, "symbol": "A", "price": "much"}, "bad_price"),
        ({"correct": 42, "symbol": "A", "size": -1}, "bad_size"),
    ],
)
def test_a_bust_that_cannot_be_read_is_a_reject(fields: dict[str, Any], code: str) -> None:
    """A malformed bust is a reject whose code names the field."""
    found = parsed(FORMAT_SCANNER, json.dumps(fields).encode())
    assert [reject.code for reject in found.rejected] == [code]
    assert not found.busts


def test_a_null_bust_field_is_a_trade() -> None:
    """An object whose cancel field is `null` is a trade."""
    found = parsed(FORMAT_SCANNER, b'{"cancel": null, "symbol": "A", "price": 1}')
    assert len(trades(found)) == 1
    assert not found.busts


def test_busts_are_an_event_with_a_stable_identity() -> None:
    """Busts become an event with receive time and bytes; the same batch gives the same event."""
    bodies = [b'{"symbol": "A", "price": 1}', b'{"cancel": 7, "symbol": "A"}']
    batch = RawBatch.of(FORMAT_SCANNER, "udp-1", 3, bodies, [TIME * 1000, TIME * 1000 + 1])
    handler = Normalize(ClockRule(5_000_000), 16)
    event = Event("u-1", events.RAW, "/test", {}, batch.encode())
    first, again = handler(event), handler(event)
    assert first.emit == again.emit
    (out,) = [each for each in first.emit if each.type == events.BUSTS]
    source, format_, (bust,) = busts.decode(decompress(out.body))
    assert (out.id, source, format_) == ("u-1/normalize/busts.0", "udp-1", FORMAT_SCANNER)
    assert bust == busts.Bust("A", None, "7", 0, False, "", "", TIME * 1000 + 1, 4 << 16, bodies[1])
