"""Brokers, Triggers, PingSources and SinkBindings as values."""

from __future__ import annotations

import zoneinfo
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from local.topology.addressable import Destination, Ref
from local.topology.channel_template import ChannelTemplate
from local.topology.cron import Schedule
from local.topology.delivery_spec import Delivery
from local.topology.trigger_filters import Filter


@dataclass(frozen=True)
class _Named:
    namespace: str
    name: str

    @property
    def key(self) -> str:
        """`<namespace>/<name>`; of a Broker also the path of its ingress."""
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True)
class Broker(_Named):
    """A Broker over its JetStream channel."""

    channel: ChannelTemplate
    delivery: Delivery | None


@dataclass(frozen=True)
class Trigger(_Named):
    """A Trigger; `broker`: key of its Broker, `delivery`: the effective one."""

    broker: str
    filters: tuple[Filter, ...]
    subscriber: Destination
    delivery: Delivery


@dataclass(frozen=True)
class PingSource(_Named):
    """A clock that posts `body` to `sink`."""

    schedule: Schedule
    timezone: zoneinfo.ZoneInfo
    content_type: str
    body: bytes
    sink: Destination
    extensions: Mapping[str, str]


@dataclass(frozen=True)
class SinkBinding(_Named):
    """Gives its subject `K_SINK` (`sink.url`) and `K_CE_OVERRIDES` (`extensions`)."""

    subject: Ref
    sink: Destination
    extensions: Mapping[str, str]


@dataclass(frozen=True)
class Eventing:
    """All objects of a directory. `ignored`: objects without a meaning to a broker."""

    brokers: tuple[Broker, ...]
    triggers: tuple[Trigger, ...]
    ping_sources: tuple[PingSource, ...]
    sink_bindings: tuple[SinkBinding, ...]
    ignored: tuple[str, ...]
    warnings: tuple[str, ...]

    def without(self, hosts: Collection[str]) -> Eventing:
        """Return it without the Triggers with one of these hosts as subscriber."""
        triggers = (
            each for each in self.triggers if urlsplit(each.subscriber.url).hostname not in hosts
        )
        return replace(self, triggers=tuple(triggers))
