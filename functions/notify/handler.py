"""Event handler: send an alert to every target once, or a test with its results.

A service has PATIENCE_S to respond; a slower one counts as failed, and a later success is recorded
by the thread that waits for it.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from functions.notify.claims import Claims
from shared.adapter.app import Outcome
from shared.adapter.event import Event, OutgoingEvent
from shared.alerts.circuit_breaker import CircuitBreakers
from shared.alerts.event import AlertEvent, message_of
from shared.alerts.grammar import RuleError
from shared.alerts.notifications import (
    PATIENCE_S,
    TEST_BODY,
    TEST_TITLE,
    NotificationError,
    Target,
    at_once,
    chosen,
)
from shared.alerts.rule import Rule
from shared.errors import PermanentError, TransientError
from shared.runtime import metrics
from shared.wire import events

STAGE: Final = "notify"


@dataclass(frozen=True, slots=True)
class Notify:
    """The stage's handler. Without targets it accepts every alert and does nothing."""

    claims: Claims
    targets: Sequence[Target]
    patience_s: float = PATIENCE_S
    breakers: CircuitBreakers = field(default_factory=CircuitBreakers)
    _testing: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, event: Event) -> Outcome:
        """Notify the targets that lack this alert, or test them.

        Raises TransientError if one of them does not accept it now; the others are not called
        again. PermanentError: it has been away for long, or the rule names an unknown target; the
        others have the alert.
        """
        if event.type == events.ALERT_TEST:
            return self._test(event)
        if event.type != events.ALERTS:
            raise PermanentError("unexpected_type", f"{STAGE} takes {events.ALERTS} only")
        alert = AlertEvent.decode(event.data())
        title, body = message_of(alert)
        if alert.muted:
            return Outcome()
        targets, unknown = chosen(self.targets, alert.to)
        self._deliver(event.id, targets, title, body)
        if unknown:
            raise PermanentError("unknown_target", _listed(unknown))
        return Outcome()

    def _deliver(self, event_id: str, targets: Sequence[Target], title: str, body: str) -> None:
        """Send it to those that lack it. Raises TransientError or PermanentError: some still do."""
        if not targets:
            return
        claimed, busy = self.claims.claim(event_id, [each.digest for each in targets])

        def not_sent(target: Target) -> None:
            metrics.NOTIFICATIONS.labels("failed").inc()
            self.claims.release(event_id, target.digest, claimed[target.digest])

        def send(target: Target) -> None:
            try:
                with self.breakers.call(target.name):
                    target.send(title, body)
            except NotificationError:
                not_sent(target)
                raise
            metrics.NOTIFICATIONS.labels("sent").inc()
            self.claims.sent(event_id, target.digest)

        own_targets = [each for each in targets if each.digest in claimed]
        failed = at_once(own_targets, send, self.patience_s, not_sent)
        reasons = failed | {each.name: "is being sent" for each in targets if each.digest in busy}
        if failed and not busy:
            raise self.breakers.failed(failed, _listed(reasons))
        if reasons:
            raise TransientError(_listed(reasons))

    def _test(self, event: Event) -> Outcome:
        rule = _tested_rule(event)
        if not self._testing.acquire(blocking=False):
            raise TransientError("another test is running")
        try:
            title = TEST_TITLE if rule is None else f"{TEST_TITLE} of {rule.text()}"
            targets, unknown = chosen(self.targets, () if rule is None else rule.to)
            failed = at_once(targets, lambda each: each.send(title, TEST_BODY), self.patience_s)
        finally:
            self._testing.release()
        results: list[dict[str, Any]] = [
            {
                "target": name,
                "sent": name not in failed and name not in unknown,
                "reason": failed.get(name) or unknown.get(name),
            }
            for name in [*(each.name for each in targets), *unknown]
        ]
        body = orjson.dumps({"targets": results})
        return Outcome(
            reply=OutgoingEvent(f"{event.id}/{STAGE}", events.ALERT_TESTED, body, events.JSON)
        )


def _tested_rule(event: Event) -> Rule | None:
    """Return the rule of a test, if any. Raises PermanentError."""
    try:
        text = orjson.loads(event.data()).get("rule")
        return None if text is None else Rule.parse(text)
    except (ValueError, AttributeError, TypeError, RuleError) as error:
        raise PermanentError("bad_test", f"body is not a test: {error}") from error


def _listed(reasons: dict[str, str]) -> str:
    return "; ".join(f"{name}: {reason}" for name, reason in reasons.items())
