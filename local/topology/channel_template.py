"""The `channel-template-spec` of a Broker: settings of its JetStream stream and consumers.

The real admission accepts any string for enumerations and drops unknown fields, so a typo becomes a
stream that retains everything or nothing: here both are errors.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import yaml

from local.topology.durations import go_seconds
from local.topology.fields import LOADER, Fields

KEY = "channel-template-spec"
LOSSY_ANNOTATION = "kandle.dev/may-lose"
_CHANNEL = ("messaging.knative.dev/v1alpha1", "NatsJetStreamChannel")
_NOT_HERE_STREAM = ("additionalSubjects", "mirror", "sources", "placement")
_NOT_HERE_CONSUMER = ("filterSubject", "rateLimitBPS", "sampleFrequency")
_PULL_ONLY = ("fetchMaxWait", "fetchBatchSize")


@dataclass(frozen=True)
class StreamTemplate:
    """`spec.stream.config`; times in seconds, sizes in bytes, None if not set."""

    retention: str = "Limits"
    storage: str = "File"
    discard: str = "Old"
    max_age: float | None = None
    max_bytes: int | None = None
    max_msgs: int | None = None
    max_msg_size: int | None = None
    max_consumers: int | None = None
    replicas: int | None = None
    duplicate_window: float = 120.0


@dataclass(frozen=True)
class ConsumerTemplate:
    """`spec.consumerConfigTemplate`; `ack_wait` in seconds."""

    deliver_policy: str = "All"
    ack_wait: float = 30.0
    max_ack_pending: int = 1000
    replay_policy: str = "Instant"


@dataclass(frozen=True)
class ChannelTemplate:
    """The NatsJetStreamChannel of every Broker of a ConfigMap."""

    stream: StreamTemplate
    consumer: ConsumerTemplate
    warnings: tuple[str, ...] = ()
    may_lose: bool = False
    """Whether its events may be lost, by the annotation LOSSY_ANNOTATION of its ConfigMap."""


LOCAL_DEFAULT = ChannelTemplate(
    StreamTemplate(retention="Interest", discard="New", max_age=168 * 3600, max_bytes=2 * 1024**3),
    ConsumerTemplate(deliver_policy="New", max_ack_pending=100),
)
"""Default for a Broker without a template: durable, bounded in time and space."""

LOCAL_DEFAULT_WORDS = (
    "taken here: NatsJetStreamChannel with retention Interest, storage File, maxAge 168h, "
    "maxBytes 2147483648, discard New, deliverPolicy New, ackWait 30s, maxAckPending 100; a "
    "cluster takes defaults of its own (InMemoryChannel, or retention Limits without a limit)"
)


def read_template(where: str, data: Fields) -> ChannelTemplate:
    """Read the template in the ConfigMap's `data`; what the channel would ignore is wrong."""
    text = data.needed_text(KEY)
    try:
        parsed = yaml.load(text, LOADER)  # noqa: S506 - it is a safe one
    except yaml.YAMLError as error:
        data.wrong(KEY, f"is not YAML: {error}")
        return LOCAL_DEFAULT
    top = Fields(where, f"data.{KEY}", parsed, data.problems)
    api, kind = top.needed_text("apiVersion"), top.needed_text("kind")
    if api and kind and (api, kind) != _CHANNEL:
        top.wrong("kind", f"{api} {kind} is not durable here: use {' '.join(_CHANNEL)}")
    spec = top.inner("spec")
    top.done()
    if spec is None:
        warning = f"{where}: data.{KEY}: spec: is missing; {LOCAL_DEFAULT_WORDS}"
        return replace(LOCAL_DEFAULT, warnings=(warning,))
    holder = spec.inner("stream")
    stream = StreamTemplate()
    if holder:
        config = holder.inner("config")
        holder.done()
        stream = _read_stream(config) if config else stream
    inner = spec.inner("consumerConfigTemplate")
    consumer, warnings = _read_consumer(inner) if inner else (ConsumerTemplate(), [])
    if spec.raw("delivery") is not None:
        warnings.append("the template's delivery is not used: put it into Broker and Trigger")
    spec.done()
    if stream.retention == "Limits" and stream.max_age is None and stream.max_bytes is None:
        warnings.append(
            "retention Limits without maxAge or maxBytes keeps every event forever: "
            "set retention: Interest, or a limit"
        )
    if stream.discard == "Old" and (stream.max_bytes or stream.max_msgs):
        warnings.append(
            "discard Old loses the oldest events, delivered or not, when the stream is full: "
            "set discard: New, which refuses new ones"
        )
    return ChannelTemplate(stream, consumer, tuple(f"{where}: {text}" for text in warnings))


def _read_stream(config: Fields) -> StreamTemplate:
    _refuse(config, _NOT_HERE_STREAM, "is not implemented by the local broker")
    if config.raw("noAck"):
        config.wrong("noAck", "would answer 202 before an event is stored: remove it")
    if config.raw("numReplicas") is not None:
        config.wrong("numReplicas", "does not exist: write replicas")
    age = config.read("maxAge", go_seconds)
    window = config.read("duplicateWindow", go_seconds)
    read = StreamTemplate(
        retention=config.text("retention", choices=("Limits", "Interest", "Work")) or "Limits",
        storage=config.text("storage", choices=("File", "Memory")) or "File",
        discard=config.text("discard", choices=("Old", "New")) or "Old",
        max_age=age,
        max_bytes=config.whole("maxBytes", least=1),
        max_msgs=config.whole("maxMsgs", least=1),
        max_msg_size=config.whole("maxMsgSize", least=1),
        max_consumers=config.whole("maxConsumers", least=1),
        replicas=config.whole("replicas", least=1),
        duplicate_window=120.0 if window is None else window,
    )
    if age is not None and window is not None and window > age:
        config.wrong("duplicateWindow", "is longer than maxAge: JetStream refuses that")
    config.done()
    return read


def _read_consumer(config: Fields) -> tuple[ConsumerTemplate, list[str]]:
    warnings = []
    _refuse(config, _NOT_HERE_CONSUMER, "is not implemented by the local broker")
    if config.text("consumerType", choices=("Push", "Pull")) == "Pull":
        warnings.append(
            "consumerType Pull may block a second subscriber: use Push (as is done here)"
        )
    for name in _PULL_ONLY:
        config.raw(name)
    if config.raw("maxDeliver") is not None:
        warnings.append("maxDeliver is not used: the dispatcher sets it to delivery.retry + 1")
    ack_wait = config.read("ackWait", go_seconds)
    if ack_wait is not None and ack_wait < 1:
        config.wrong("ackWait", "must be at least 1s")
    read = ConsumerTemplate(
        # the ByStart policies need a start position, which no manifest can know
        deliver_policy=config.text("deliverPolicy", choices=("All", "Last", "New")) or "All",
        ack_wait=30.0 if ack_wait is None else ack_wait,
        max_ack_pending=config.whole("maxAckPending", least=1) or 1000,
        replay_policy=config.text("replayPolicy", choices=("Instant", "Original")) or "Instant",
    )
    config.done()
    return read, warnings


def _refuse(fields: Fields, names: tuple[str, ...], why: str) -> None:
    for name in names:
        if fields.raw(name) is not None:
            fields.wrong(name, why)
