"""The rules of delivery as pure functions."""

from __future__ import annotations

import base64

import pytest

from local.broker.delivery import (
    ERROR_DATA_BYTES,
    Action,
    Answer,
    Failure,
    Verdict,
    backoff_seconds,
    classify,
    dead_letter,
    decide,
)
from local.broker.event import Event
from local.topology.addressable import Destination
from local.topology.delivery_spec import Delivery

SINK = Destination(None, "http://sink")
EVENT = Event({"specversion": "1.0", "id": "1", "source": "/s", "type": "t"}, b"data")
TEXT = ((b"content-type", b"text/plain"),)
REPLY = (
    (b"ce-specversion", b"1.0"),
    (b"ce-id", b"2"),
    (b"ce-source", b"/s"),
    (b"ce-type", b"u"),
)


@pytest.mark.parametrize(
    ("answer", "verdict", "code"),
    [
        (Answer(200), Verdict.DONE, None),
        (Answer(204), Verdict.DONE, None),
        (Answer(200, TEXT, b"OK"), Verdict.RETRY, None),
        (Answer(200, REPLY, b"x"), Verdict.DONE, None),
        (Answer(200, REPLY[:2], b"x"), Verdict.RETRY, None),
        (Answer(302), Verdict.REFUSED, 302),
        (Answer(400), Verdict.REFUSED, 400),
        (Answer(408), Verdict.RETRY, 408),
        (Answer(429), Verdict.RETRY, 429),
        (Answer(500), Verdict.RETRY, 500),
        (Answer(599), Verdict.RETRY, 599),
        (Answer(0, failure=Failure.UNREACHABLE), Verdict.RETRY, 500),
        (Answer(0, failure=Failure.TIMEOUT), Verdict.RETRY, None),
    ],
)
def test_responses_are_classified(answer: Answer, verdict: Verdict, code: int | None) -> None:
    """Each response is a success, a retry or a refusal, with the error data of its dead letter."""
    outcome = classify(answer)
    assert (outcome.verdict, outcome.error_code) == (verdict, code)


@pytest.mark.parametrize(
    ("status", "attempt", "sink", "action"),
    [
        (204, 1, True, Action.ACKNOWLEDGE),
        (503, 1, True, Action.RETRY),
        (503, 2, True, Action.RETRY),
        (503, 3, True, Action.DEAD_LETTER),
        (503, 3, False, Action.LOSE),
        (400, 1, True, Action.LOSE),
        (400, 3, True, Action.DEAD_LETTER),
        (400, 3, False, Action.LOSE),
    ],
)
def test_the_last_attempt_is_dead_lettered(
    status: int, attempt: int, sink: bool, action: Action
) -> None:
    """With retry 2 the third attempt is the last, and any failure of it is dead-lettered."""
    delivery = Delivery(retry=2, dead_letter_sink=SINK if sink else None)
    assert decide(classify(Answer(status)), attempt, delivery) is action


def test_backoff_delays() -> None:
    """Backoff is d*n if linear, d*2^n if exponential, and none where the manifest has none."""
    linear = Delivery(retry=9, backoff_policy="linear", backoff_delay=0.5)
    exponential = Delivery(retry=9, backoff_policy="exponential", backoff_delay=0.5)
    assert [backoff_seconds(linear, n) for n in (1, 2, 3)] == [0.5, 1.0, 1.5]
    assert [backoff_seconds(exponential, n) for n in (1, 2, 3)] == [1.0, 2.0, 4.0]
    assert backoff_seconds(Delivery(retry=9, backoff_policy="linear"), 1) is None
    assert backoff_seconds(Delivery(retry=9, backoff_delay=1.0), 1) is None


def test_error_data_is_bounded() -> None:
    """A long error page is truncated in the header."""
    letter = dead_letter(EVENT, classify(Answer(500, TEXT, b"x" * 5000)), "http://a.b")
    assert base64.b64decode(letter.attributes["knativeerrordata"]) == b"x" * ERROR_DATA_BYTES


def test_an_empty_response_has_no_error_data() -> None:
    """The dead letter of an empty response has code and destination and no data."""
    letter = dead_letter(EVENT, classify(Answer(503)), "http://a.b")
    assert letter.attributes["knativeerrorcode"] == "503"
    assert letter.attributes["knativeerrordest"] == "http://a.b"
    assert "knativeerrordata" not in letter.attributes
    assert "knativeerrorcode" not in EVENT.attributes
