"""Delivery rules: the action after a subscriber's response; pure, no I/O.

They are those of the real channel dispatcher behind the broker's filter, as observed on a cluster;
tests/local/broker/test_answers.py spells them out.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from enum import Enum, auto

from local.broker import event as cloudevent
from local.broker.event import Event, NotAnEventError
from local.topology.delivery_spec import Delivery

RETRIED_STATUSES = frozenset({408, 429})
REFUSED_CODE = 500
"""The knativeerrorcode of a subscriber that could not be reached."""
ERROR_DATA_BYTES = 1024
"""Maximum response bytes in knativeerrordata, before base64."""


class Failure(Enum):
    """Reason for a missing response."""

    UNREACHABLE = auto()
    TIMEOUT = auto()


@dataclass(frozen=True, slots=True)
class Answer:
    """A subscriber's response, or the reason it is missing; lower-case header names."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...] = ()
    body: bytes = b""
    failure: Failure | None = None


class Verdict(Enum):
    """Result of one attempt."""

    DONE = auto()
    RETRY = auto()
    REFUSED = auto()


@dataclass(frozen=True, slots=True)
class Outcome:
    """Outcome of an attempt.

    Attributes:
        reply: the event to send back into the broker.
        error_code: for knativeerrorcode; None when a dead letter carries no error extensions.
        error_data: the response body, for knativeerrordata.
        reason: for messages.

    """

    verdict: Verdict
    reply: Event | None = None
    error_code: int | None = None
    error_data: bytes = b""
    reason: str = ""


class Action(Enum):
    """Action after an attempt."""

    ACKNOWLEDGE = auto()
    RETRY = auto()
    DEAD_LETTER = auto()
    LOSE = auto()


_DONE = Outcome(Verdict.DONE)


def classify(answer: Answer) -> Outcome:
    """Classify a response. Retry-After is ignored, as by the real dispatcher."""
    if answer.failure is Failure.TIMEOUT:
        return Outcome(Verdict.RETRY, reason="no answer within the timeout")
    if answer.failure is Failure.UNREACHABLE:
        return Outcome(Verdict.RETRY, error_code=REFUSED_CODE, reason="it cannot be reached")
    status = answer.status
    if 200 <= status < 300:
        return _classify_success(answer)
    verdict = Verdict.REFUSED
    if status >= 500 or status in RETRIED_STATUSES:
        verdict = Verdict.RETRY
    return Outcome(verdict, None, status, answer.body, f"it answered {status}")


def _classify_success(answer: Answer) -> Outcome:
    if cloudevent.is_event(answer.headers):
        try:
            return Outcome(Verdict.DONE, cloudevent.parse(answer.headers, answer.body))
        except NotAnEventError as error:
            problem = f"its reply is not a CloudEvent ({error})"
            return Outcome(Verdict.RETRY, reason=f"{problem}, which the filter turns into 502")
    if not answer.body:
        return _DONE
    return Outcome(
        Verdict.RETRY,
        reason=f"it answered {answer.status} with a body that is not a CloudEvent, which the "
        "broker's filter turns into 502: answer 204 with an empty body",
    )


def decide(outcome: Outcome, attempt: int, delivery: Delivery) -> Action:
    """Return the action after attempt number `attempt`, starting at 1."""
    if outcome.verdict is Verdict.DONE:
        return Action.ACKNOWLEDGE
    if attempt <= delivery.retry:
        # a refusal with retries left does not reach the dead letter sink
        return Action.RETRY if outcome.verdict is Verdict.RETRY else Action.LOSE
    return Action.DEAD_LETTER if delivery.dead_letter_sink else Action.LOSE


def backoff_seconds(delivery: Delivery, attempt: int) -> float | None:
    """Seconds to wait after attempt `attempt`; None if the manifest has no backoff."""
    if delivery.backoff_policy is None or delivery.backoff_delay is None:
        return None
    if delivery.backoff_policy == "linear":
        return delivery.backoff_delay * attempt
    return delivery.backoff_delay * 2.0 ** min(attempt, 40)


def dead_letter(event: Event, outcome: Outcome, subscriber_url: str) -> Event:
    """Return the event for the dead letter sink, with the error if there is one.

    `subscriber_url` is the subscriber's cluster URL, for a later replay.
    """
    attributes = dict(event.attributes)
    if outcome.error_code is not None:
        attributes["knativeerrordest"] = subscriber_url
        attributes["knativeerrorcode"] = str(outcome.error_code)
        if outcome.error_data:
            data = outcome.error_data[:ERROR_DATA_BYTES]
            attributes["knativeerrordata"] = base64.b64encode(data).decode()
    return Event(attributes, event.body)
