"""Delivers the events of one Trigger: filter, attempt, then acknowledge, retry or dead-letter."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import nats.errors
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.js.errors import BadRequestError

from local.broker.addresses import Addresses, UnknownAddressError
from local.broker.channel import Channel, ack_wait_seconds, attempt_seconds
from local.broker.dead_letters import DeadLetterSink, delivery_headers
from local.broker.delivery import (
    Action,
    Outcome,
    Verdict,
    backoff_seconds,
    classify,
    decide,
)
from local.broker.event import Event
from local.broker.filters import compile_filters
from local.broker.http_client import HttpClient
from local.broker.intake import TTL, Intake, TooLargeError, TtlSpentError
from local.broker.jetstream import JetStream, UnavailableError
from local.broker.stats import LoudWarnings, TriggerCounts
from local.topology.eventing import Broker, Trigger
from shared.runtime.tasks import end

WITHOUT_BACKOFF_SECONDS = 1.0


class Dispatcher:
    """Dispatcher of one Trigger. `reason`: why it is not ready."""

    def __init__(
        self,
        trigger: Trigger,
        broker: Broker,
        channel: Channel,
        intake: Intake,
        jetstream: JetStream,
        http: HttpClient,
        addresses: Addresses,
        warnings: LoudWarnings,
    ) -> None:
        self.trigger = trigger
        self.channel = channel
        self.counts = TriggerCounts()
        self.ready = False
        self.reason: str | None = "starting"
        self._intake = intake
        self._jetstream = jetstream
        self._http = http
        self._addresses = addresses
        self._warnings = warnings
        self._wanted = compile_filters(trigger.filters)
        self._timeout = attempt_seconds(trigger, broker.channel)
        self._ack_wait = ack_wait_seconds(trigger, broker.channel)
        self._sink: DeadLetterSink | None = None
        if trigger.delivery.dead_letter_sink is not None:
            self._sink = DeadLetterSink(trigger, self._timeout, http, addresses, warnings)
        self._has_subscriber = False
        self._subscription: Subscription | None = None
        self._tasks: dict[asyncio.Task[None], Msg] = {}
        self._stopping = False

    def resolve(self) -> bool:
        """Resolve the subscriber; without one the Trigger stays unready, with a `reason`.

        Its events then wait in the stream until a start with a subscriber.
        """
        try:
            self._addresses.resolve(self.trigger.subscriber.url)
        except UnknownAddressError as error:
            self.reason = f"subscriber: {error}"
            self._warnings.warning(
                f"Trigger {self.trigger.key} is not ready: {self.reason} Its events wait in "
                f"{self.channel.stream} until it is served ({self.channel.limits()})"
            )
            return False
        self._has_subscriber = True
        if self._sink is not None:
            self._sink.check()
        return True

    async def start(self) -> None:
        """Create the consumer, which retains the Trigger's events from now on, and subscribe."""
        try:
            config = await self.channel.ensure_consumer(self.trigger)
        except BadRequestError as error:
            if self._has_subscriber:
                raise
            # retention Work allows one consumer, that of the served Trigger
            self._drop_events(str(error.description))
            return
        if not self._has_subscriber:
            return
        if self._subscription is None:
            assert config.deliver_subject is not None
            assert config.deliver_group is not None
            self._subscription = await self._jetstream.client.subscribe(
                config.deliver_subject,
                queue=config.deliver_group,
                cb=self._receive,
                # memory is bounded by maxAckPending, not here, where messages would be dropped
                pending_msgs_limit=0,
                pending_bytes_limit=0,
            )
        self.ready, self.reason = True, None

    def _drop_events(self, cause: str) -> None:
        reason = f"it has no subscriber here, and no consumer ({cause}): its events do not wait"
        if reason != self.reason:
            self.reason = reason
            self._warnings.loss(f"Trigger {self.trigger.key}: {reason}")

    def not_yet(self, reason: str) -> None:
        """Set the reason why it is not subscribed yet, unless it never will be."""
        if self._has_subscriber and not self.ready:
            self.reason = reason

    async def stop(self, seconds: float) -> None:
        """Stop taking events and finish those in flight; the rest follows at the next start.

        Right away, not after ackWait: until then it would occupy slots of maxAckPending.
        """
        self._stopping = True
        if self._subscription is not None:
            with contextlib.suppress(nats.errors.Error):
                await self._subscription.unsubscribe()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=seconds)
            late = dict(self._tasks)
            await end(*late)
            for message in late.values():
                await self._give_back(message)

    async def _receive(self, message: Msg) -> None:
        if self._stopping:
            await self._give_back(message)
            return
        task = asyncio.create_task(self._handle(message))
        self._tasks[task] = message
        task.add_done_callback(self._ended)

    async def _give_back(self, message: Msg) -> None:
        with contextlib.suppress(nats.errors.Error):  # ackWait redelivers it anyway
            await self._jetstream.send(message.reply, b"-NAK")

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.pop(task, None)
        if not task.cancelled() and task.exception() is not None:
            self._warnings.warning(
                f"Trigger {self.trigger.key}: a fault of the broker, not of the event, which comes "
                f"again: {task.exception()!r}"
            )

    async def _handle(self, message: Msg) -> None:
        try:
            event = Event.from_stored_form(message.data)
            ttl = event.attributes.pop(TTL)
        except (ValueError, KeyError):
            self._warnings.loss(
                f"Trigger {self.trigger.key}: a message in {self.channel.stream} did not come "
                "through the ingress and is dropped: POST to the ingress, not into the stream"
            )
            await self._jetstream.send(message.reply, b"+TERM")
            return
        self.counts.offered_bytes += len(event.body)
        if not self._wanted(event.attributes):
            self.counts.filtered += 1
            await self._acknowledge(message)
            return
        self.counts.in_flight += 1
        try:
            attempt = message.metadata.num_delivered
            if attempt > self.trigger.delivery.retry + 1:
                await self._after_unfinished_attempt(message, event, ttl)
            else:
                await self._attempt(message, event, ttl, attempt)
        finally:
            self.counts.in_flight -= 1

    async def _attempt(self, message: Msg, event: Event, ttl: str, attempt: int) -> None:
        headers = delivery_headers(event, self.trigger.namespace)
        self.counts.sent_bytes += len(event.body)
        url = self._addresses.resolve(self.trigger.subscriber.url)
        headers["Host"] = urlsplit(self.trigger.subscriber.url).netloc  # as in the cluster
        response = await self._http.post(url, headers, event.body, self._timeout)
        outcome = classify(response)
        match decide(outcome, attempt, self.trigger.delivery):
            case Action.ACKNOWLEDGE:
                # like the real dispatcher, acknowledge before forwarding the reply
                await self._acknowledge(message)
                self.counts.delivered += 1
                if outcome.reply is not None:
                    await self._forward(outcome.reply, event, ttl)
            case Action.RETRY:
                await self._retry(message, event, outcome, attempt)
            case Action.DEAD_LETTER:
                await self._dead_letter(message, event, ttl, outcome)
            case Action.LOSE:
                await self._lose(message, event, outcome, attempt)

    async def _acknowledge(self, message: Msg) -> None:
        await self._jetstream.send(message.reply, b"+ACK")

    async def _retry(self, message: Msg, event: Event, outcome: Outcome, attempt: int) -> None:
        wait = backoff_seconds(self.trigger.delivery, attempt)
        if wait is None:
            wait = WITHOUT_BACKOFF_SECONDS
            self._warnings.warning(
                f"Trigger {self.trigger.key}: {outcome.reason} to event {event.id!r} and there is "
                "no backoffPolicy with backoffDelay: the real dispatcher crashes here, for all "
                "channels; set both"
            )
        self.counts.retried += 1
        nak = json.dumps({"delay": round(wait * 1e9)})
        await self._jetstream.send(message.reply, f"-NAK {nak}".encode())

    async def _lose(self, message: Msg, event: Event, outcome: Outcome, attempt: int) -> None:
        self.counts.lost += 1
        delivery = self.trigger.delivery
        if outcome.verdict is Verdict.REFUSED and attempt <= delivery.retry:
            note = "with retries left this response does not even reach the dead letter sink"
        else:
            note = f"attempt {attempt} was the last and there is no dead letter sink"
        self._warnings.loss(
            f"Trigger {self.trigger.key}: event {event.id!r} is lost: {outcome.reason}; {note}"
        )
        await self._jetstream.send(message.reply, b"+TERM")

    async def _after_unfinished_attempt(self, message: Msg, event: Event, ttl: str) -> None:
        # reached only if the broker or NATS died during the last attempt
        retry = self.trigger.delivery.retry
        self._warnings.loss(
            f"Trigger {self.trigger.key}: the last of {retry + 1} attempts to deliver event "
            f"{event.id!r} had no end: the real channel would have lost it; it goes to the dead "
            "letter sink, if there is one"
        )
        if self._sink is None:
            self.counts.lost += 1
            await self._jetstream.send(message.reply, b"+TERM")
            return
        outcome = Outcome(Verdict.RETRY, reason="the broker died")
        await self._dead_letter(message, event, ttl, outcome)

    async def _dead_letter(self, message: Msg, event: Event, ttl: str, outcome: Outcome) -> None:
        assert self._sink is not None
        async with self._kept_alive(message):
            await self._sink.post(event, ttl, outcome)
        self.counts.dead_lettered += 1
        await self._acknowledge(message)

    @contextlib.asynccontextmanager
    async def _kept_alive(self, message: Msg) -> AsyncIterator[None]:
        """Extend the ackWait so that JetStream does not redeliver the event."""

        async def tell() -> None:
            while True:
                await self._jetstream.send(message.reply, b"+WPI")
                await asyncio.sleep(self._ack_wait / 3)

        task = asyncio.create_task(tell())
        try:
            yield
        finally:
            await end(task)

    async def _forward(self, reply: Event, event: Event, ttl: str) -> None:
        """Send a reply into the same Broker; if that finally fails, dead-letter the input."""
        try:
            await self._forward_or_dead_letter(reply, event, ttl)
        except asyncio.CancelledError:
            self._warnings.loss(
                f"Trigger {self.trigger.key}: the broker stopped before the reply to event "
                f"{event.id!r}, which was acknowledged already, could be stored"
            )
            raise

    async def _forward_or_dead_letter(self, reply: Event, event: Event, ttl: str) -> None:
        delivery = self.trigger.delivery
        reply.attributes[TTL] = ttl
        problem = ""
        for attempt in range(1, delivery.retry + 2):
            try:
                await self._intake.accept(reply, reply_to=event.id)
            except TtlSpentError:
                return
            except TooLargeError:
                problem = "it is too large"
            except UnavailableError as error:
                problem = str(error)
            else:
                return
            reply.attributes[TTL] = ttl
            if attempt <= delivery.retry:
                wait = backoff_seconds(delivery, attempt)
                await asyncio.sleep(WITHOUT_BACKOFF_SECONDS if wait is None else wait)
        failed = f"Trigger {self.trigger.key}: the reply to event {event.id!r} is lost: {problem}"
        if self._sink is None:
            self.counts.lost += 1
            self._warnings.loss(f"{failed}, and there is no dead letter sink")
            return
        self._warnings.loss(f"{failed}; the dead letter sink gets the input")
        outcome = Outcome(Verdict.RETRY, error_code=500, reason=problem)
        await self._sink.post(event, ttl, outcome)
        self.counts.dead_lettered += 1
