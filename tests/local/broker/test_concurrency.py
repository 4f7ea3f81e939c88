"""`maxAckPending` bounds the events in flight; with one of them order is kept."""

from __future__ import annotations

import uuid

from tests.local.broker.conftest import NAMESPACE
from tests.local.broker.processes import BrokerRun
from tests.local.broker.subscriber import Reply, Subscriber


def test_no_more_than_max_ack_pending_are_in_flight(
    rules: BrokerRun, subscriber: Subscriber
) -> None:
    """With maxAckPending 3, three events are delivered at once and never four."""
    events = [f"three-{uuid.uuid4().hex[:8]}" for _ in range(12)]
    for event in events:
        subscriber.script[event] = [Reply(204, delay=0.1)]
        rules.send(f"{NAMESPACE}/three", event, type="three")
    for event in events:
        subscriber.wait_for(event)
    assert subscriber.most_in_flight["/three"] == 3


def test_one_slot_keeps_order_across_a_retry(rules: BrokerRun, subscriber: Subscriber) -> None:
    """With maxAckPending 1 an event that fails blocks the later ones."""
    run = uuid.uuid4().hex[:8]
    events = [f"one-{run}-{n}" for n in range(5)]
    subscriber.script[events[2]] = [Reply(503), Reply(503), Reply(204)]
    for event in events:
        rules.send(f"{NAMESPACE}/one", event, type="one")
    subscriber.wait_for(events[-1])
    order = [each.id for each in subscriber.received if each.id.startswith(f"one-{run}")]
    assert order == [events[0], events[1], *[events[2]] * 3, events[3], events[4]]


def test_events_in_backoff_occupy_slots(rules: BrokerRun, subscriber: Subscriber) -> None:
    """While three events wait for their next attempt, a fourth is not delivered."""
    run = uuid.uuid4().hex[:8]
    failing = [f"three-{run}-{n}" for n in range(3)]
    for event in failing:
        subscriber.script[event] = [Reply(503), Reply(503), Reply(204)]
        rules.send(f"{NAMESPACE}/three", event, type="three")
    rules.send(f"{NAMESPACE}/three", f"three-{run}-last", type="three")
    (last,) = subscriber.wait_for(f"three-{run}-last")
    done = [subscriber.of(event)[-1] for event in failing if len(subscriber.of(event)) == 3]
    assert done
    assert last.at >= min(each.at for each in done)
