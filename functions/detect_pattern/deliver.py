"""Alerts to the sinks of their rules: one CloudEvent each, retried by the channel's redelivery.

In a long outage of a sink its alerts become dead letters at once.

The address is read on delivery and is in no event, since it may contain a token.
A sink may get an alert twice, under the same id and source.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Collection, Mapping
from typing import Final

import httpx

from functions.detect_pattern.storage import Storage
from shared.adapter.event import Event
from shared.alerts.circuit_breaker import CircuitBreakers
from shared.alerts.event import AlertEvent, checked_sink
from shared.alerts.notifications import NotificationError
from shared.errors import PermanentError, TransientError
from shared.runtime import metrics
from shared.wire import events

TIMEOUT_S: Final = 5.0
AT_ONCE: Final = 8
SOURCE: Final = "/kandle/detect-pattern"


class Delivery:
    """Posts alerts. `hosts`: allowed hosts of sinks; empty: any."""

    def __init__(
        self, storage: Storage, hosts: Collection[str], breakers: CircuitBreakers | None = None
    ) -> None:
        self._storage = storage
        self._hosts = hosts
        self._slots = threading.BoundedSemaphore(AT_ONCE)
        self._breakers = breakers or CircuitBreakers()
        # No redirects, so that only checked addresses are requested.
        self._client = httpx.AsyncClient(timeout=TIMEOUT_S, follow_redirects=False, trust_env=False)
        # A loop, so that a call has a deadline: httpx's timeouts are of single reads.
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, name="deliver", daemon=True).start()

    def deliver(self, event: Event) -> None:
        """Post an alert. Raises TransientError while its sink does not accept it.

        PermanentError: its sink has been away for long.
        """
        alert = AlertEvent.decode(event.data())
        url = None if alert.muted else self._storage.sink_of(alert.rule_id)
        if url is None:
            return
        self._check(url)
        headers = {
            "ce-specversion": "1.0",
            "ce-id": event.id,
            "ce-type": events.ALERTS,
            "ce-source": SOURCE,
            f"ce-{events.RULE}": alert.rule_id,
            "content-type": events.JSON,
        }
        if not self._slots.acquire(blocking=False):
            raise TransientError(f"{AT_ONCE} alerts are being delivered")
        try:
            with self._breakers.call(url):
                call = self._post(url, headers, event.body)
                asyncio.run_coroutine_threadsafe(call, self._loop).result()
        except (httpx.HTTPError, NotificationError) as error:
            text = str(error) if isinstance(error, NotificationError) else repr(error)
            reason = f"the sink of rule {alert.rule_id}: {text}"
            raise self._breakers.failed([url], reason) from error
        finally:
            self._slots.release()
        metrics.ALERTS_DELIVERED.inc()

    async def _post(self, url: str, headers: Mapping[str, str], body: bytes) -> None:
        try:
            async with (
                asyncio.timeout(TIMEOUT_S),
                # Streamed, so that the size of a response does not matter.
                self._client.stream("POST", url, headers=headers, content=body) as response,
            ):
                if not response.is_success:
                    raise NotificationError(f"answered {response.status_code}")
        except TimeoutError:
            raise NotificationError(f"no whole answer within {TIMEOUT_S:g} s") from None

    def _check(self, url: str) -> None:
        try:
            host = httpx.URL(checked_sink(url)).host
        except (ValueError, httpx.InvalidURL) as error:
            raise PermanentError("bad_sink", str(error)) from error
        if self._hosts and host not in self._hosts:
            raise PermanentError("sink_not_allowed", f"{host} is not in ALERT_HOSTS")
