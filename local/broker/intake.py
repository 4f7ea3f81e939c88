"""Intake of events into a Broker: adds extensions, enforces limits, stores."""

from __future__ import annotations

import re
import time
from collections import OrderedDict
from datetime import UTC, datetime

from local.broker.channel import Channel
from local.broker.event import Event
from local.broker.jetstream import FullError, UnavailableError
from local.broker.stats import BrokerCounts, LoudWarnings
from shared.wire.events import IDEMPOTENCY_KEY

TTL = "knativebrokerttl"
ARRIVAL_TIME = "knativearrivaltime"
FIRST_TTL = 255
MESSAGE_BYTES = 1024 * 1024
"""The real channel's limit on the stored structured JSON."""
REMEMBERED_IDS = 50_000
_INTEGER = re.compile(r"[+-]?[0-9]{1,10}")
REPEAT_SECONDS = 60.0
"""Interval at which a persistent problem is reported again."""


class NotOpenError(UnavailableError):
    """The Broker's triggers are not subscribed yet: its stream might drop what comes in."""


class TooLargeError(Exception):
    """The stored form would exceed the channel's limit."""


class TtlSpentError(Exception):
    """The event has exceeded its TTL and was dropped."""


class Intake:
    """The intake of one Broker, for its ingress and for replies."""

    def __init__(
        self, key: str, channel: Channel, counts: BrokerCounts, warnings: LoudWarnings
    ) -> None:
        self._key = key
        self._channel = channel
        self._warnings = warnings
        self._digests: OrderedDict[str, int] = OrderedDict()
        self._said: dict[str, float] = {}
        self.counts = counts
        self.open = False
        """Whether every trigger that can be served has its consumer. Before that an Interest
        stream drops events at once, so they are refused. Replies pass: their trigger is at work."""
        self.unserved: tuple[str, ...] = ()
        """Triggers without a subscriber: what waits for them fills the stream."""

    async def accept(self, event: Event, *, reply_to: str | None = None) -> None:
        """Store `event`; returns once JetStream has it. `reply_to` is the input's id of a reply.

        Raises:
            TooLargeError: it exceeds the limit (loud).
            TtlSpentError: its TTL has reached zero (loud).
            UnavailableError: JetStream did not acknowledge it.

        """
        if not self.open and reply_to is None:
            problem = "NATS is away, or the triggers are not subscribed yet"
            self._warn_of_refusal(problem)
            raise NotOpenError(problem)
        attributes = event.attributes
        attributes[TTL] = str(self._ttl(event))
        attributes[ARRIVAL_TIME] = datetime.now(UTC).isoformat().replace("+00:00", "Z")
        size = event.stored_size(MESSAGE_BYTES)
        if size > MESSAGE_BYTES:
            self._warnings.loss(
                f"Broker {self._key} refuses event {event.id!r} of {len(event.body)} bytes: the "
                f"real channel stores the body raw in JSON, which takes {size} bytes (control "
                f"bytes, <, > and & take six each) of {MESSAGE_BYTES}; send less, or compress"
            )
            raise TooLargeError
        digest = _digest(event)
        try:
            is_duplicate = await self._channel.publish(event.id, event.stored_form())
        except FullError as error:
            self._warn_of_refusal(f"{self._channel.stream} is full ({error}): {self._waiting()}")
            raise
        except UnavailableError as error:
            self._warn_of_refusal(str(error))
            raise
        if is_duplicate:
            self.counts.duplicates += 1
            self._warn_of_duplicate(event, digest, reply_to)
        else:
            self._remember(event.id, digest)
        self.counts.accepted += 1
        self.counts.bytes += len(event.body)
        if reply_to is not None:
            self.counts.replies += 1

    def _warn_of_refusal(self, problem: str) -> None:
        # each problem periodically, not for every event
        now = time.monotonic()
        if now - self._said.get(problem, -REPEAT_SECONDS) >= REPEAT_SECONDS:
            self._said[problem] = now
            self._warnings.warning(f"Broker {self._key} answers 500: {problem}")

    def _waiting(self) -> str:
        if not self.unserved:
            return "its triggers are slower than its senders; /stats shows their lag"
        names = ", ".join(self.unserved)
        return (
            f"events wait for {names}, which no subscriber serves: start it or remove the Trigger"
        )

    def _ttl(self, event: Event) -> int:
        ttl = event.attributes.get(TTL)
        if ttl is None or not _INTEGER.fullmatch(ttl):
            return FIRST_TTL
        left = int(ttl) - 1
        if left <= 0:
            self._warnings.loss(
                f"Broker {self._key} drops event {event.id!r} of type "
                f"{event.attributes['type']!r}: its {TTL} is used up, so replies go in a circle"
            )
            raise TtlSpentError
        return left

    def _warn_of_duplicate(self, event: Event, digest: int, reply_to: str | None) -> None:
        if reply_to == event.id:
            self._warnings.loss(
                f"Broker {self._key}: a reply has the id of its input, {event.id!r}, and is lost: "
                "the channel takes it for a duplicate; give what a function emits an id of its own"
            )
            return
        previous = self._digests.get(event.id)
        if previous is not None and previous != digest:
            self._warnings.loss(
                f"Broker {self._key}: event {event.id!r} of source {event.attributes['source']!r} "
                "is lost: the channel takes it for a duplicate of an event of the same id with "
                "another source, type or body; ids must be unique over the whole broker"
            )

    def _remember(self, event_id: str, digest: int) -> None:
        digests = self._digests
        digests[event_id] = digest
        if len(digests) > REMEMBERED_IDS:
            digests.popitem(last=False)


def _digest(event: Event) -> int:
    """Return a digest equal exactly for repeated sendings of one event.

    A sender that retries under an idempotency key derives the id from the request, and may change
    the body (receive times, sequence numbers): then the body is not included.
    """
    attributes = event.attributes
    body = b"" if IDEMPOTENCY_KEY in attributes else event.body
    return hash((attributes["source"], attributes["type"], body))
