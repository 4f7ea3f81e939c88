"""Notifications to people, by Apprise: Telegram, Discord, Slack, e-mail, ntfy and many more.

A target's URL holds its credentials: it is shown and logged nowhere, only the service's name and
its number in the list.
"""

from __future__ import annotations

import hashlib
import logging
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import unquote

import orjson

from shared.alerts.event import AlertEvent
from shared.errors import PermanentError

MOST_TARGETS: Final = 8
"""They are asked one after another, within the time that a delivery may take."""
_MAX_URL: Final = 4_000
_MAX_TITLE: Final = 400
_SECRET: Final = re.compile(r"[^/?#&=:@,;\s]{4,}")


class NotificationError(Exception):
    """A service did not take a notification; the message says why, without credentials."""


@dataclass(frozen=True, slots=True, eq=False)
class Target:
    """Where notifications go. `name`: for people; `digest`: names it where the URL must not be."""

    name: str
    digest: str
    plugin: Any = field(repr=False)
    secrets: tuple[str, ...] = field(repr=False)

    def send(self, title: str, body: str) -> None:
        """Send one notification; a service has seconds to take it. Raises NotificationError."""
        with _CAPTURE.reasons() as reasons:
            try:
                taken = self.plugin.notify(title=title, body=body)
            except Exception as error:  # noqa: BLE001 - a plugin's own fault is its answer
                raise NotificationError(self._without_secrets(repr(error))) from None
        if not taken:
            said = "; ".join(reasons) or "it was not taken"
            raise NotificationError(self._without_secrets(said))

    def _without_secrets(self, text: str) -> str:
        for each in self.secrets:
            text = text.replace(each, "****")
        return " ".join(text.split())[:300]


def parse_targets(text: str) -> tuple[Target, ...]:
    """Read URLs with blanks or line ends between. Raises ValueError that shows no URL."""
    urls = text.split()
    if len(urls) > MOST_TARGETS:
        raise ValueError(f"{len(urls)} URLs; at most {MOST_TARGETS}")
    targets = [_target(number, url) for number, url in enumerate(urls, 1)]
    digests = [each.digest for each in targets]
    for number, digest in enumerate(digests, 1):
        first = digests.index(digest) + 1
        if first < number:
            raise ValueError(f"URL {number} is the same as URL {first}")
    return tuple(targets)


def _target(number: int, url: str) -> Target:
    try:
        import apprise
    except ImportError:
        raise ValueError("notifications need Apprise: install kandle[alerts]") from None
    scheme, _, rest = url.partition("://")
    what = f"URL {number}"
    if len(url) > _MAX_URL:
        raise ValueError(f"{what} is longer than {_MAX_URL} characters")
    asset = apprise.AppriseAsset(app_id="Kandle", app_desc="alerts", app_url="", service_timeout=10)
    with _CAPTURE.reasons():
        plugin = apprise.Apprise.instantiate(url, asset=asset, suppress_exceptions=True)
    if not isinstance(plugin, apprise.NotifyBase):
        raise ValueError(f"{what} is none that Apprise knows: see its list of services")
    digest = hashlib.sha256(url.encode()).hexdigest()[:32]
    parts = {*_SECRET.findall(rest), *_SECRET.findall(unquote(rest))}
    secrets = sorted({*parts, *map(unquote, parts)}, key=len, reverse=True)
    return Target(f"{scheme.lower()} #{number}", digest, plugin, tuple(secrets))


def message_of(alert: AlertEvent) -> tuple[str, str]:
    """Return title and text of an alert: the rule; what made it true, and when (UTC).

    Raises PermanentError where it does not say them.
    """
    data = orjson.loads(alert.body)["data"]
    try:
        title = str(data["rule"])[:_MAX_TITLE]
        time = datetime.fromtimestamp(int(data["timestamp"]) / 1000, UTC)
    except (KeyError, TypeError, ValueError, OverflowError, OSError) as error:
        raise PermanentError("bad_alert", f"an alert has a rule and a time: {error!r}") from error
    said = []
    if "pattern_type" in data:
        direction = {"1": "up", "-1": "down"}.get(str(data.get("direction")), "neither way")
        said.append(f"{direction} at {data.get('trigger_price')}"[:_MAX_TITLE])
    elif "value" in data:
        said.append(f"at {data['value']}"[:_MAX_TITLE])
    return title, ", ".join([*said, f"{time:%Y-%m-%d %H:%M:%S} UTC"])


class _Capture(logging.Handler):
    """Takes what Apprise logs, for the thread whose notification it is; nobody else gets it."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._local = threading.local()

    def emit(self, record: logging.LogRecord) -> None:
        """Note a message."""
        found: list[str] | None = getattr(self._local, "found", None)
        if found is not None:
            found.append(record.getMessage())

    @contextmanager
    def reasons(self) -> Iterator[list[str]]:
        """Yield what is logged in this thread from now on."""
        logger = logging.getLogger("apprise")
        if self not in logger.handlers:
            logger.handlers[:], logger.propagate = [self], False
            logger.setLevel(logging.WARNING)
            logging.getLogger("urllib3").setLevel(logging.INFO)  # DEBUG shows paths
        self._local.found = []
        try:
            yield self._local.found
        finally:
            self._local.found = None


_CAPTURE: Final = _Capture()
