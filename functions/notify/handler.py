"""Event handler: an alert to every target, each once; those that fail are tried again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from shared.adapter.app import Outcome
from shared.adapter.event import Event
from shared.alerts.event import AlertEvent
from shared.alerts.notifications import NotificationError, Target, message_of
from shared.errors import PermanentError, TransientError
from shared.runtime import metrics
from shared.stores.postgres import Postgres
from shared.wire import events

STAGE: Final = "notify"
_MARK: Final = (
    "INSERT INTO alert_deliveries (event_id, target) VALUES (%s, %s) ON CONFLICT DO NOTHING"
)


@dataclass(frozen=True, slots=True)
class Notify:
    """The stage's handler. Without targets it takes every alert and does nothing."""

    postgres: Postgres
    targets: Sequence[Target]

    def __call__(self, event: Event) -> Outcome:
        """Notify the targets that have not taken this alert.

        Raises TransientError when one of them does not take it now; the others are not asked again.
        """
        if event.type != events.ALERTS:
            raise PermanentError("unexpected_type", f"{STAGE} takes {events.ALERTS} only")
        title, body = message_of(AlertEvent.decode(event.data()))
        failed = []
        for target in self.targets:
            try:
                self._deliver(event.id, target, title, body)
            except NotificationError as error:
                metrics.NOTIFICATIONS.labels("failed").inc()
                failed.append(f"{target.name}: {error}")
        if failed:
            raise TransientError("; ".join(failed))
        return Outcome()

    def _deliver(self, event_id: str, target: Target, title: str, body: str) -> None:
        """Send it in the transaction that marks it as sent.

        A second delivery of the event waits for the first, and finds the mark or sends itself. Only
        what ends the process between the service's answer and the commit lets it be sent twice.
        """
        with self.postgres.connection() as connection:
            if connection.execute(_MARK, (event_id, target.digest)).rowcount == 0:
                return
            target.send(title, body)
        metrics.NOTIFICATIONS.labels("sent").inc()
