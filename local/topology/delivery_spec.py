"""The `delivery` of a Broker or Trigger: retries, backoff, timeout and the dead letter sink."""

from __future__ import annotations

from dataclasses import dataclass

from local.topology.addressable import Destination, read_destination
from local.topology.durations import iso8601_seconds
from local.topology.fields import Fields


@dataclass(frozen=True)
class Delivery:
    """Delivery of a Trigger; times in seconds, None if not set."""

    retry: int = 0
    backoff_policy: str | None = None
    backoff_delay: float | None = None
    timeout: float | None = None
    dead_letter_sink: Destination | None = None

    def problems(self) -> list[str]:
        """List settings that lose events, or worse, on the real channel without an error there."""
        problems = []
        backoff = {"backoffPolicy": self.backoff_policy, "backoffDelay": self.backoff_delay}
        if missing := [name for name, value in backoff.items() if value is None]:
            problems.append(
                f"delivery without {' and '.join(missing)}: a 5xx answer crashes the real "
                "dispatcher for all channels; set retry, backoffPolicy and backoffDelay"
            )
        if self.retry == 0:
            problems.append("delivery without retry: the first failure is the last")
        if self.dead_letter_sink is None:
            problems.append("delivery without deadLetterSink: events are lost after the last retry")
        return problems


WITHOUT_ANY = Delivery(retry=10, backoff_policy="exponential", backoff_delay=0.2)
"""Delivery of a Trigger without settings of its own or its Broker's."""


def read_delivery(fields: Fields | None, namespace: str) -> Delivery | None:
    """Read a delivery; None without one, so that the Broker's or the default applies."""
    if fields is None or fields.empty:
        return None
    sink = fields.inner("deadLetterSink")
    delivery = Delivery(
        retry=fields.whole("retry") or 0,
        backoff_policy=fields.text("backoffPolicy", choices=("linear", "exponential")),
        backoff_delay=fields.read("backoffDelay", iso8601_seconds),
        timeout=fields.read("timeout", iso8601_seconds),
        dead_letter_sink=read_destination(sink, namespace) if sink else None,
    )
    for name in ("format", "retryAfterMax"):
        if fields.raw(name) is not None:
            fields.wrong(name, "has no effect on this channel: remove it")
    fields.done()
    if delivery.timeout == 0:
        fields.wrong("timeout", "must be more than zero")
    return delivery
