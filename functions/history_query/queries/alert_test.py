"""Test notifications through the function notify, which alone holds the credentials."""

from __future__ import annotations

import uuid
from typing import Any, Final

import orjson

from shared.adapter.event import OutgoingEvent
from shared.errors import TransientError
from shared.wire import events

_TIMEOUT_S: Final = 28.0
"""Longer than notify's timeout, shorter than live-feed's for this API."""
_SOURCE: Final = "/kandle/history-query"


class AlertTests:
    """Requests test notifications. `url`: address of notify; empty: no notifications."""

    def __init__(self, url: str) -> None:
        self._url = url

    async def send(self, rule: str | None) -> list[dict[str, Any]]:
        """Notify the targets of a rule, or all; return the name and result of each.

        Raises TransientError while notify is away.
        """
        if not self._url:
            return []
        import httpx  # 5 MiB, for a test now and then

        body = orjson.dumps({} if rule is None else {"rule": rule})
        event = OutgoingEvent(uuid.uuid4().hex, events.ALERT_TEST, body, events.JSON)
        try:
            async with httpx.AsyncClient(timeout=_TIMEOUT_S, trust_env=False) as client:
                response = await client.post(
                    self._url, headers=event.headers(_SOURCE, {}), content=body
                )
        except httpx.HTTPError as error:
            raise TransientError(f"notify is away: {error!r}") from error
        if response.headers.get("ce-type") != events.ALERT_TESTED:
            raise TransientError(f"notify answered {response.status_code}: {response.text[:200]}")
        targets: list[dict[str, Any]] = response.json()["targets"]
        return targets
