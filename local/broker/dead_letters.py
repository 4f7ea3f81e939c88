"""Posts undeliverable events to a Trigger's dead letter sink, until it accepts them.

The real dispatcher posts once, and loses what the sink does not accept. Here it is retried, with a
warning.
"""

from __future__ import annotations

import asyncio

from local.broker.addresses import Addresses, UnknownAddressError
from local.broker.delivery import Outcome, classify, dead_letter
from local.broker.event import Event
from local.broker.http_client import HttpClient
from local.broker.intake import TTL
from local.broker.stats import LoudWarnings
from local.topology.eventing import Trigger

FIRST_WAIT = 0.2
LONGEST_WAIT = 10.0


def delivery_headers(event: Event, namespace: str) -> dict[str, str]:
    """Return the headers of a dispatcher's post, to subscriber and sink alike."""
    headers = event.headers()
    headers["Prefer"] = "reply"
    headers["Kn-Namespace"] = namespace
    headers.setdefault("ce-traceparent", "")
    headers.setdefault("ce-tracestate", "")
    return headers


class DeadLetterSink:
    """The dead letter sink of one Trigger; `seconds`: timeout of an attempt."""

    def __init__(
        self,
        trigger: Trigger,
        seconds: float,
        http: HttpClient,
        addresses: Addresses,
        warnings: LoudWarnings,
    ) -> None:
        sink = trigger.delivery.dead_letter_sink
        assert sink is not None
        self._url = sink.url
        self._trigger = trigger
        self._seconds = seconds
        self._http = http
        self._addresses = addresses
        self._warnings = warnings

    def check(self) -> None:
        """Warn if the sink has no local process."""
        try:
            self._addresses.resolve(self._url)
        except UnknownAddressError as error:
            self._warnings.warning(
                f"Trigger {self._trigger.key}: dead letter sink: {error} (the real Trigger would "
                "not become ready); its dead letters wait"
            )

    async def post(self, event: Event, ttl: str, outcome: Outcome) -> None:
        """Post until the sink accepts it; with the broker's TTL, as on the real channel."""
        letter = dead_letter(event, outcome, self._trigger.subscriber.url)
        letter.attributes[TTL] = ttl
        headers = delivery_headers(letter, self._trigger.namespace)
        tries = 0
        while problem := await self._attempt(headers, letter.body):
            if tries == 0:
                self._warnings.loss(
                    f"Trigger {self._trigger.key}: the dead letter sink failed for event "
                    f"{event.id!r} ({problem}): the real channel would have lost it; trying on"
                )
            await asyncio.sleep(min(FIRST_WAIT * 2.0 ** min(tries, 20), LONGEST_WAIT))
            tries += 1

    async def _attempt(self, headers: dict[str, str], body: bytes) -> str:
        """Return the reason of the failure; empty on success."""
        try:
            url = self._addresses.resolve(self._url)
        except UnknownAddressError as error:
            return str(error)
        response = await self._http.post(url, headers, body, self._seconds)
        return "" if 200 <= response.status < 300 else classify(response).reason
