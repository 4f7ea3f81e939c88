"""Live status of the instance: throughput, lag, rejects, dead letters, and processes."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any, Final

import aiohttp
import nats
import nats.errors
import orjson
from nats.aio.client import Client

from local.supervisor.component import Kind
from local.supervisor.counters import Counters, samples_of
from local.supervisor.platform import Platform
from shared.errors import TransientError
from shared.runtime.dead_letters import DeadLetters
from shared.runtime.jetstream import credentials
from shared.runtime.tasks import end

REJECTED_SHARE: Final = 0.01
"""A larger share of rejects gets a note."""
_MOST: Final = 3


def input_notes(counters: Counters) -> list[str]:
    """Return notes for senders, none if all input is read."""
    notes = []
    rejects = counters.total("kandle_rejects_total")
    taken = counters.total("kandle_ticks_total") + counters.total("kandle_quotes_total")
    if rejects > REJECTED_SHARE * (rejects + taken):
        by_reason = list(counters.by_labels("kandle_rejects_total").items())[:_MOST]
        reasons = ", ".join(f"{' from '.join(labels)} {count:,}" for labels, count in by_reason)
        share = rejects / (rejects + taken)
        notes.append(
            f"{share:.1%} of the input is rejects ({reasons}): kandle rejects list --by reason"
        )
    for (field, source), count in list(counters.by_labels("kandle_fields_unread_total").items())[
        :_MOST
    ]:
        notes.append(
            f"field {field!r} of {source} is not read ({count:,} times): docs/formats.md names"
            " those that are"
        )
    return notes


_RATE_OVER_S = 5.0
_TIMEOUT_S = 0.8
_CHECK_EVERY_S = 5.0
_ACCEPTED = "accepted"
_DEAD_LETTERED, _LOST, _ELSEWHERE = "dead_lettered", "lost", "elsewhere"
_COUNTED: Final = {
    "candles": "candles_published",
    **{each: each for each in ("rejects", "udp_datagrams", "ticks_stored", "candles_stored")},
}
"""Counters by their names in the sample."""
_OF_INPUT: Final = ("ticks", "quotes", "fields_unread")
METRICS: Final = [
    "kandle_live_age_seconds",
    *(f"kandle_{each}_total" for each in (*_OF_INPUT, *_COUNTED.values())),
]
"""All that is asked for: a process needs a millisecond for the text of all its metrics."""


class Sampler:
    """Samples a running platform. `warn` gets each new warning once."""

    def __init__(self, platform: Platform, warn: Callable[[str], None]) -> None:
        self._platform = platform
        self._warn = warn
        # A quarter of the CPU of httpx: this is most of what an idle supervisor does.
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(_TIMEOUT_S))
        self._nats: Client | None = None
        self._counters = Counters()
        self._started = time.monotonic()
        self._history: deque[tuple[float, int, int]] = deque([(self._started, 0, 0)])
        self._ages: dict[str, dict[str, float]] = {}
        self._lag: dict[str, int] = {}
        self._unready: dict[str, str] = {}
        self._warnings: list[dict[str, str]] = []
        self._warned: set[tuple[str, str]] = set()
        self._dead_letters = 0
        self._checks = asyncio.create_task(self._check_readiness())

    async def close(self) -> None:
        """End its checks and close its connections."""
        await end(self._checks)
        await self._session.close()
        if self._nats is not None:
            await self._nats.close()

    async def sample(self) -> dict[str, Any]:
        """Query every component. One that does not answer keeps its last values.

        Counts are since the instance started, rates over the last five seconds. `dead_letters` is
        how many the stream holds, and how many went to sinks that do not write to it.
        `dead_lettered` and `lost` is what the triggers gave up, with and without a dead letter sink
        that took it. `lag` is, by trigger, what waits or is unanswered; `unready` is, only for
        triggers that deliver nothing, why. `input_notes`: what senders should know of their input.
        `trades_age_s`, `candles_age_s`: from receipt to the watchers; None where nothing is shown.
        """
        await asyncio.gather(
            self._ask_broker(),
            self._ask_dead_letters(),
            *(
                self._ask_metrics(each.component.name, each.component.metrics_url)
                for each in self._platform.keepers
                # The broker's numbers come from its /stats; each reads the lag of all consumers.
                if each.component.metrics_url and each.component.kind is not Kind.BROKER
            ),
        )
        return self._status()

    async def _check_readiness(self) -> None:
        """Poll the components with our code; a hung server shows in those that use it."""
        while True:
            await asyncio.sleep(_CHECK_EVERY_S)
            keepers = self._platform.keepers
            checked = (each for each in keepers if each.component.kind is not Kind.SERVER)
            await asyncio.gather(
                *(each.check() for each in checked), *(each.mend() for each in keepers)
            )

    async def _ask_metrics(self, name: str, url: str) -> None:
        text = await self._get(url, {"name[]": METRICS})
        samples = {} if text is None else samples_of(text, "kandle_")
        self._ages[name] = {
            kind: samples.get(f'kandle_live_age_seconds{{kind="{kind}"}}', 0.0)
            for kind in ("trades", "candles")
        }
        if text is not None:
            self._counters.observe(name, samples)

    async def _ask_broker(self) -> None:
        assert self._platform.plan is not None
        text = await self._get(f"{self._platform.plan.broker_url}/stats")
        if text is None:
            return
        stats: dict[str, Any] = orjson.loads(text)
        for name, broker in stats["brokers"].items():
            self._counters.observe(name, {_ACCEPTED: broker["accepted"]})
        elsewhere = self._platform.plan.letters_elsewhere
        for name, trigger in stats["triggers"].items():
            counts = {_DEAD_LETTERED: trigger["dead_lettered"], _LOST: trigger["lost"]}
            if name in elsewhere:
                counts[_ELSEWHERE] = trigger["dead_lettered"]
            self._counters.observe(name, counts)
        lags = {name: trigger["lag"] for name, trigger in stats["triggers"].items()}
        self._lag = {name: lag for name, lag in lags.items() if lag is not None}
        self._unready = {
            name: trigger["reason"] or "it does not say why"
            for name, trigger in stats["triggers"].items()
            if not trigger["ready"]
        }
        self._warnings = stats["warnings"]
        warned, self._warned = self._warned, {(w["time"], w["text"]) for w in self._warnings}
        for _, text in sorted(self._warned - warned):
            self._warn(text)

    async def _ask_dead_letters(self) -> None:
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                if self._nats is None:
                    url = self._platform.variables["NATS_URL"]
                    self._nats = await nats.connect(
                        url, **credentials(url), max_reconnect_attempts=-1, error_cb=_ignore
                    )
                self._dead_letters = await DeadLetters(self._nats.jetstream()).count()
        except (TransientError, nats.errors.Error, OSError, TimeoutError):
            return

    async def _get(self, url: str, query: Mapping[str, list[str]] | None = None) -> str | None:
        try:
            async with self._session.get(url, params=query) as response:
                return await response.text() if response.ok else None
        except (aiohttp.ClientError, TimeoutError):
            return None

    def _age_s(self, kind: str) -> float | None:
        return max((each[kind] for each in self._ages.values()), default=0.0) or None

    def _status(self) -> dict[str, Any]:
        total = self._counters.total
        now = time.monotonic()
        ticks, events = total("kandle_ticks_total"), total(_ACCEPTED)
        self._history.append((now, ticks, events))
        while len(self._history) > 2 and now - self._history[0][0] > _RATE_OVER_S:
            self._history.popleft()
        since, old_ticks, old_events = self._history[0]
        span_s = max(now - since, 1e-3)
        return {
            "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "uptime_s": round(now - self._started, 1),
            "ticks_per_s": round((ticks - old_ticks) / span_s, 1),
            "events_per_s": round((events - old_events) / span_s, 1),
            "ticks": ticks,
            "events": events,
            **{name: total(f"kandle_{counter}_total") for name, counter in _COUNTED.items()},
            "dead_letters": self._dead_letters + total(_ELSEWHERE),
            "dead_lettered": total(_DEAD_LETTERED),
            "lost": total(_LOST),
            "trades_age_s": self._age_s("trades"),
            "candles_age_s": self._age_s("candles"),
            "lag": self._lag,
            "unready": self._unready,
            "warnings": self._warnings,
            "input_notes": input_notes(self._counters),
            "components": [
                {
                    **asdict(each.described()),
                    "state": each.state,
                    "reason": each.reason,
                    "restarts": each.restarts,
                }
                for each in self._platform.keepers
            ],
        }


async def _ignore(_: Exception) -> None:
    """Ignore it; the next sample retries."""
