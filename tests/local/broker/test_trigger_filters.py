"""Every filter dialect through the running broker."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from tests.local.broker.manifests import addresses, broker, channel, delivery, trigger
from tests.local.broker.processes import BrokerRun, NatsServer, eventually
from tests.local.broker.subscriber import Subscriber

NS = "filters"
EXACT_A = {"exact": {"type": "a"}}
FILTERS: dict[str, list[dict[str, Any]]] = {
    "everything": [],
    "exact": [EXACT_A],
    "exact-two": [{"exact": {"type": "a", "shard": "1"}}],
    "prefix": [{"prefix": {"type": "dev.kandle."}}],
    "suffix": [{"suffix": {"type": ".v1"}}],
    "all": [{"all": [{"prefix": {"type": "dev."}}, {"suffix": {"type": ".v1"}}]}],
    "any": [{"any": [EXACT_A, {"exact": {"type": "b"}}]}],
    "not": [{"not": {"exact": {"shard": "1"}}}],
    "cesql": [{"cesql": "type LIKE 'dev.%' AND (EXISTS shard AND shard > 1)"}],
    "anded": [{"prefix": {"type": "dev."}}, {"not": {"suffix": {"type": ".v2"}}}],
    "nested": [{"not": {"any": [EXACT_A, {"all": [{"exact": {"shard": "2"}}]}]}}],
}


@pytest.fixture(scope="module")
def filtering(
    nats_server: NatsServer, subscriber: Subscriber, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[BrokerRun]:
    triggers = [
        trigger(NS, name, filters=filters, delivery=delivery()) for name, filters in FILTERS.items()
    ]
    old = {"attributes": {"type": "a", "shard": ""}}
    objects = [
        channel(NS),
        broker(NS, "main"),
        *triggers,
        trigger(NS, "old", filter=old, delivery=delivery()),
    ]
    services = addresses(NS, subscriber.url)
    run = BrokerRun(tmp_path_factory.mktemp("filters"), nats_server.url, objects, services)
    run.start()
    yield run
    run.close()


@pytest.mark.parametrize(
    ("attributes", "wanted_by"),
    [
        ({"type": "a"}, {"exact", "any", "not"}),
        ({"type": "a", "shard": "1"}, {"exact", "exact-two", "any", "old"}),
        ({"type": "b", "shard": "x"}, {"any", "not", "nested"}),
        ({"type": "dev.kandle.x.v1"}, {"prefix", "suffix", "all", "not", "anded", "nested"}),
        ({"type": "dev.other.v2", "shard": "2"}, {"not", "cesql"}),
        ({"type": "dev.other.v2", "shard": "x"}, {"not", "nested"}),
    ],
)
def test_triggers_get_events_that_pass_their_filters(
    filtering: BrokerRun, subscriber: Subscriber, attributes: dict[str, str], wanted_by: set[str]
) -> None:
    """Each Trigger gets exactly the events that pass all of its filters."""
    event = f"filters-{uuid.uuid4().hex[:8]}"
    before = _decided(filtering)
    filtering.send(f"{NS}/main", event, b"", **attributes)
    eventually(lambda: _decided(filtering) == before + len(FILTERS) + 1)
    paths = {each.path.removeprefix("/") for each in subscriber.of(event)}
    assert paths == wanted_by | {"everything"}


def test_bytes_are_counted_as_offered_and_as_sent(filtering: BrokerRun) -> None:
    """Filtered bytes count as offered, and as sent only for Triggers that get them."""
    decided, before = _decided(filtering), filtering.stats()["triggers"]
    body = b"0123456789"
    filtering.send(f"{NS}/main", f"filters-{uuid.uuid4().hex[:8]}", body, type="b", shard="x")
    eventually(lambda: _decided(filtering) == decided + len(FILTERS) + 1)
    now = filtering.stats()["triggers"]

    def more(trigger: str, count: str) -> int:
        key = f"{NS}/{trigger}"
        return int(now[key][count] - before[key][count])

    assert {more(name, "offered_bytes") for name in FILTERS} == {len(body)}
    sent = {name for name in FILTERS if more(name, "sent_bytes")}
    assert sent == {"everything", "any", "not", "nested"}
    assert {more(name, "sent_bytes") for name in sent} == {len(body)}


def _decided(run: BrokerRun) -> int:
    triggers = run.stats()["triggers"].values()
    return sum(each["filtered"] + each["delivered"] for each in triggers)
