"""Notifications by Apprise: Telegram, Discord, Slack, e-mail, ntfy and many more.

A target's URL contains credentials and is never shown or logged: only the service, its number in
the list and its names are.
"""

from __future__ import annotations

import hashlib
import logging
import re
import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import Future, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import unquote

MAX_TARGETS: Final = 8
PATIENCE_S: Final = 15.0
"""Timeout of a service, whatever its plugin's own."""
TEST_TITLE: Final = "Kandle: a test"
TEST_BODY: Final = "Alerts come this way."
_UNFINISHED: Final = 4
"""Concurrent notifications of one target, including abandoned ones."""
_NAMED: Final = re.compile(r"((?:[a-z][a-z0-9_]{0,31},)*[a-z][a-z0-9_]{0,31})=(.+)")
_MAX_URL: Final = 4_000
_SECRET: Final = re.compile(r"[^/?#&=:@,;\s]{4,}")


class NotificationError(Exception):
    """A service did not accept a notification; the message has no credentials."""


@dataclass(frozen=True, slots=True, eq=False)
class Target:
    """Target of notifications. `name`: for display; `digest`: identifies it without the URL.

    `names`: how rules select it.
    """

    name: str
    digest: str
    names: tuple[str, ...]
    plugin: Any = field(repr=False)
    secrets: tuple[str, ...] = field(repr=False)
    _places: threading.BoundedSemaphore = field(
        default_factory=lambda: threading.BoundedSemaphore(_UNFINISHED), repr=False
    )

    def begin(self, work: Callable[[Target], None]) -> Future[None]:
        """Run the work in its own thread, which the caller may abandon.

        Raises NotificationError, without starting, while too many are still running.
        """
        future: Future[None] = Future()
        if not self._places.acquire(blocking=False):
            raise NotificationError(f"{_UNFINISHED} notifications to it have not ended")

        def run() -> None:
            try:
                work(self)
            except BaseException as error:  # noqa: BLE001 - whoever waits raises it
                future.set_exception(error)
            else:
                future.set_result(None)
            finally:
                self._places.release()

        threading.Thread(target=run, name=f"notify {self.name}", daemon=True).start()
        return future

    def send(self, title: str, body: str) -> None:
        """Send one notification, without a timeout. Raises NotificationError."""
        with _CAPTURE.reasons() as reasons:
            try:
                delivered = self.plugin.notify(title=title, body=body)
            except Exception as error:  # noqa: BLE001 - a plugin's own fault is its answer
                raise NotificationError(self._without_secrets(repr(error))) from None
        if not delivered:
            message = "; ".join(reasons) or "it was not taken"
            raise NotificationError(self._without_secrets(message))

    def _without_secrets(self, text: str) -> str:
        for each in self.secrets:
            text = text.replace(each, "****")
        return " ".join(text.split())[:300]


def at_once(
    targets: Sequence[Target],
    work: Callable[[Target], None],
    patience_s: float = PATIENCE_S,
    not_begun: Callable[[Target], None] | None = None,
) -> dict[str, str]:
    """Run the work for all targets in parallel; return the failures, by target name.

    Work that takes longer than `patience_s` counts as failed and continues in the background;
    `not_begun` is called for a target with too much running work. Other exceptions of the work are
    raised.
    """
    futures, failed = {}, {}
    for target in targets:
        try:
            futures[target] = target.begin(work)
        except NotificationError as full:
            failed[target.name] = str(full)
            if not_begun is not None:
                not_begun(target)
    wait(futures.values(), timeout=patience_s)
    for target, future in futures.items():
        if not future.done():
            failed[target.name] = f"no answer within {patience_s:g} s"
        elif (error := future.exception()) is not None:
            if not isinstance(error, NotificationError):
                raise error
            failed[target.name] = str(error)
    return failed


def chosen(
    targets: Sequence[Target], names: Collection[str]
) -> tuple[list[Target], dict[str, str]]:
    """Return the targets with these names, by default all; and errors for unknown names."""
    selected = [each for each in targets if not names or not set(names).isdisjoint(each.names)]
    names_known = {name for each in targets for name in each.names}
    available = f"there are {', '.join(sorted(names_known))}" if names_known else "none has a name"
    return selected, {
        name: f"no URL of ALERT_URLS has this name: {available}"
        for name in names
        if name not in names_known
    }


def parse_targets(text: str) -> tuple[Target, ...]:
    """Parse URLs separated by blanks, each `URL` or `name,name=URL`. No ValueError shows a URL."""
    urls = text.split()
    if len(urls) > MAX_TARGETS:
        raise ValueError(f"{len(urls)} URLs; at most {MAX_TARGETS}")
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
    label = f"URL {number}"
    match = _NAMED.fullmatch(url)
    names = tuple(dict.fromkeys(match[1].split(","))) if match else ()
    url = match[2] if match else url
    scheme, _, rest = url.partition("://")
    if len(url) > _MAX_URL:
        raise ValueError(f"{label} is longer than {_MAX_URL} characters")
    asset = apprise.AppriseAsset(app_id="Kandle", app_desc="alerts", app_url="", service_timeout=10)
    with _CAPTURE.reasons():
        plugin = apprise.Apprise.instantiate(url, asset=asset, suppress_exceptions=True)
    if not isinstance(plugin, apprise.NotifyBase):
        raise ValueError(f"{label} is none that Apprise knows: see its list of services")
    digest = hashlib.sha256(url.encode()).hexdigest()[:32]
    parts = {*_SECRET.findall(rest), *_SECRET.findall(unquote(rest))}
    secrets = sorted({*parts, *map(unquote, parts)}, key=len, reverse=True)
    name = f"{scheme.lower()} #{number}" + (f" ({', '.join(names)})" if names else "")
    return Target(name, digest, names, plugin, tuple(secrets))


class _Capture(logging.Handler):
    """Captures Apprise's log for the thread of each notification."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._local = threading.local()

    def emit(self, record: logging.LogRecord) -> None:
        """Note a message."""
        messages: list[str] | None = getattr(self._local, "found", None)
        if messages is not None:
            messages.append(record.getMessage())

    @contextmanager
    def reasons(self) -> Iterator[list[str]]:
        """Yield the messages logged in this thread from now on."""
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
