"""The event handler's event loop is free while a large event is decoded."""

from __future__ import annotations

import asyncio

from functions.candle_aggregate.handler import DECODE_HERE_BYTES, Aggregate
from shared.adapter.event import Event, OutgoingEvent
from shared.wire import events
from tests.functions.candle_aggregate.trades import trades
from tests.functions.candle_aggregate.truth import as_ticks
from tests.functions.candle_aggregate.world import World


def test_a_large_event_that_compresses_well_is_decoded_beside_the_event_loop(world: World) -> None:
    """Nothing else waits while it is decoded: the size of its data decides, not of its body."""
    handler = Aggregate(world.engine, world.storage)

    def deliver(event_id: str, count: int) -> Event:
        ticks = as_ticks(trades(0, count)).sharded(world.rules.shards)
        out = OutgoingEvent.packed(event_id, events.TICKS, ticks.encode())
        attributes = {"id": out.id, "type": out.type, **out.extensions}
        event = Event(out.id, out.type, "/test", attributes, out.body)
        asyncio.run(handler(event))
        return event

    small = deliver("e0", 3)
    assert small.data_bytes() <= DECODE_HERE_BYTES
    assert not handler._decoder._threads
    large = deliver("e1", 12_000)
    assert len(large.body) <= DECODE_HERE_BYTES < large.data_bytes()
    assert handler._decoder._threads
