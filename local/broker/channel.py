"""The JetStream channel behind a Broker: its stream, and a durable push consumer per Trigger.

Names and settings are those of the real NatsJetStreamChannel, so that a stream looks the same here
and on a cluster.
"""

from __future__ import annotations

import uuid
from dataclasses import replace
from functools import cache

from nats.js.api import (
    AckPolicy,
    ConsumerConfig,
    ConsumerInfo,
    DeliverPolicy,
    DiscardPolicy,
    ReplayPolicy,
    RetentionPolicy,
    StorageType,
    StreamConfig,
)
from nats.js.errors import APIError, NotFoundError

from local.broker.jetstream import JetStream
from local.broker.stats import LoudWarnings
from local.topology.channel_template import ChannelTemplate
from local.topology.eventing import Broker, Trigger

ACK_WAIT_MARGIN = 0.5
"""Seconds by which the dispatcher's ackWait exceeds the delivery timeout."""
CUT_MARGIN = 0.2
"""Without a delivery timeout a subscriber is cut this many seconds before the ackWait."""
_CONSUMER_PREFIX = "KN_SUB_"
_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_DNS, "triggers.kandle.dev")

_RETENTION = {
    "Limits": RetentionPolicy.LIMITS,
    "Interest": RetentionPolicy.INTEREST,
    "Work": RetentionPolicy.WORK_QUEUE,
}
_STORAGE = {"File": StorageType.FILE, "Memory": StorageType.MEMORY}
_DISCARD = {"Old": DiscardPolicy.OLD, "New": DiscardPolicy.NEW}
_DELIVER = {"All": DeliverPolicy.ALL, "Last": DeliverPolicy.LAST, "New": DeliverPolicy.NEW}
_REPLAY = {"Instant": ReplayPolicy.INSTANT, "Original": ReplayPolicy.ORIGINAL}


def stream_name(namespace: str, broker: str) -> str:
    """Return the stream of a Broker's channel."""
    name = f"{namespace}__{broker}_kne-trigger"
    return f"KN_{name.upper().replace('-', '_')}"


def subject_name(namespace: str, broker: str) -> str:
    """Return the subject that the stream takes."""
    return f"{namespace}.{broker}-kne-trigger._knative"


def consumer_name(trigger: Trigger) -> str:
    """Return the durable consumer of a Trigger, the same at every start."""
    return _consumer_name(trigger.key)


@cache
def _consumer_name(key: str) -> str:
    return _CONSUMER_PREFIX + str(uuid.uuid5(_NAMESPACE, key)).upper().replace("-", "_")


def ack_wait_seconds(trigger: Trigger, template: ChannelTemplate) -> float:
    """Return how long JetStream waits for an acknowledgement before it delivers again."""
    timeout = trigger.delivery.timeout
    return template.consumer.ack_wait if timeout is None else timeout + ACK_WAIT_MARGIN


def attempt_seconds(trigger: Trigger, template: ChannelTemplate) -> float:
    """Return how long one attempt may take."""
    timeout = trigger.delivery.timeout
    return template.consumer.ack_wait - CUT_MARGIN if timeout is None else timeout


class Channel:
    """The stream of one Broker and the consumers on it."""

    def __init__(self, jetstream: JetStream, broker: Broker, warnings: LoudWarnings) -> None:
        self._jetstream = jetstream
        self._warnings = warnings
        self._template = broker.channel
        self._key = broker.key
        self.stream = stream_name(broker.namespace, broker.name)
        self.subject = subject_name(broker.namespace, broker.name)

    async def publish(self, message_id: str, payload: bytes) -> bool:
        """Store an event; return whether it was there. It is deduplicated by id, across sources.

        Raises UnavailableError: it is not stored, as far as is known.
        """
        return await self._jetstream.publish(self.subject, message_id, payload)

    def limits(self) -> str:
        """Describe the stream's limits and what happens when they are reached."""
        template = self._template.stream
        ends = []
        if template.max_age is not None:
            ends.append(f"an event for {template.max_age / 3600:g} h at most")
        if template.max_bytes is not None:
            then = "the Broker answers 500" if template.discard == "New" else "the oldest are lost"
            ends.append(f"{template.max_bytes} bytes in all, then {then}")
        return ", ".join(ends) or "without a limit: set maxBytes with discard: New"

    async def ensure_stream(self) -> None:
        """Create the stream, or update it to the template."""
        config = self._stream_config()
        context = self._jetstream.context
        try:
            existing = (await context.stream_info(self.stream)).config
        except NotFoundError:
            await context.add_stream(config)
            return
        try:
            await context.update_stream(config)
        except APIError as error:
            # storage can never be changed, retention not always: the old stream is kept
            self._warnings.warning(
                f"Broker {self._key}: stream {self.stream} keeps its settings (retention "
                f"{existing.retention}, storage {existing.storage}): {error.description}; "
                "to change them, stop, delete the stream and start again"
            )

    async def ensure_consumer(self, trigger: Trigger) -> ConsumerConfig:
        """Create or update a Trigger's consumer; an existing one keeps its position."""
        context = self._jetstream.context
        config = self._consumer_config(trigger)
        existing = await self.consumer_info(trigger)
        if existing is not None:
            # the start position is immutable, and no longer relevant
            config = replace(config, deliver_policy=existing.config.deliver_policy)
        await context.add_consumer(self.stream, config)
        return config

    async def consumer_info(self, trigger: Trigger) -> ConsumerInfo | None:
        """Return the state of a Trigger's consumer, or None when there is none."""
        try:
            info: ConsumerInfo = await self._jetstream.context.consumer_info(
                self.stream, consumer_name(trigger)
            )
        except NotFoundError:
            return None
        return info

    async def remove_orphans(self, triggers: list[Trigger]) -> None:
        """Delete consumers of removed Triggers; warn if events were pending.

        The real channel leaves them behind if its dispatcher is down while a Trigger is deleted;
        they then hold events of an Interest stream forever.
        """
        expected = {consumer_name(trigger) for trigger in triggers}
        context = self._jetstream.context
        for info in await context.consumers_info(self.stream):
            if not info.name.startswith(_CONSUMER_PREFIX) or info.name in expected:
                continue
            waiting = (info.num_pending or 0) + (info.num_ack_pending or 0)
            await context.delete_consumer(self.stream, info.name)
            if waiting:
                self._warnings.loss(
                    f"Broker {self._key}: {waiting} events waited for consumer {info.name} of "
                    f"Trigger {info.config.description}, which the YAML does not hold any more: "
                    "drain a Trigger before removing it"
                )

    def _stream_config(self) -> StreamConfig:
        template = self._template.stream
        return StreamConfig(
            name=self.stream,
            subjects=[self.subject],
            retention=_RETENTION[template.retention],
            storage=_STORAGE[template.storage],
            discard=_DISCARD[template.discard],
            max_age=template.max_age,
            max_bytes=template.max_bytes,
            max_msgs=template.max_msgs,
            max_msg_size=template.max_msg_size,
            max_consumers=template.max_consumers,
            duplicate_window=template.duplicate_window,
            num_replicas=1,  # one server here, whatever the cluster has
        )

    def _consumer_config(self, trigger: Trigger) -> ConsumerConfig:
        template = self._template.consumer
        name = consumer_name(trigger)
        return ConsumerConfig(
            name=name,
            durable_name=name,
            description=trigger.key,
            deliver_policy=_DELIVER[template.deliver_policy],
            replay_policy=_REPLAY[template.replay_policy],
            ack_policy=AckPolicy.EXPLICIT,
            ack_wait=ack_wait_seconds(trigger, self._template),
            # the real dispatcher sets retry + 1 and loses an event if it crashes during the last
            # attempt; here the broker counts attempts and then dead-letters it
            max_deliver=-1,
            max_ack_pending=template.max_ack_pending,
            deliver_subject=f"_KN_DELIVER.{name}",
            deliver_group=name,
        )
