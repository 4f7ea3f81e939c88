"""The metrics of every process on one page, and at one address for Prometheus: `--observe`."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import orjson
from aiohttp import web
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.parser import text_string_to_metric_families

from local.servers.server import LOOPBACK
from local.supervisor.counters import samples_of
from local.supervisor.restarts import Keeper

_PAGE = Path(__file__).with_name("observe.html")
_TIMEOUT_S = 2.0
_SECURE = {
    "content-security-policy": "default-src 'none'; connect-src 'self'; script-src 'unsafe-inline';"
    " style-src 'unsafe-inline'; frame-ancestors 'none'",
    "cache-control": "no-store",
}


class Observer:
    """Serves `/`, `/samples` and `/metrics` on a loopback port; scrapes on request."""

    def __init__(self, keepers: Sequence[Keeper], port: int) -> None:
        self.url = f"http://{LOOPBACK}:{port}"
        self._keepers = keepers
        self._client = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(_TIMEOUT_S))
        app = web.Application()
        handlers = {"/": self._page, "/samples": self._samples, "/metrics": self._metrics}
        app.add_routes([web.get(path, handler) for path, handler in handlers.items()])
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)

    async def start(self) -> None:
        """Serve; return when the port is bound."""
        await self._runner.setup()
        await web.TCPSite(self._runner, LOOPBACK, urlsplit(self.url).port).start()

    async def stop(self) -> None:
        """Stop serving."""
        await self._runner.cleanup()
        await self._client.close()

    async def _page(self, _: web.Request) -> web.Response:
        return web.Response(text=_PAGE.read_text(), content_type="text/html", headers=_SECURE)

    async def _samples(self, _: web.Request) -> web.Response:
        """Return each component's state, and its series with labels in Prometheus form."""
        texts = await self._texts()
        components: list[dict[str, Any]] = [
            {
                "name": keeper.component.name,
                "kind": keeper.component.kind,
                "state": keeper.state,
                "restarts": keeper.restarts,
                "samples": values(texts.get(keeper.component.name, "")),
            }
            for keeper in self._keepers
        ]
        return web.Response(body=orjson.dumps(components), content_type="application/json")

    async def _metrics(self, _: web.Request) -> web.Response:
        """Return all series as text, with the label `component`."""
        headers = {"content-type": CONTENT_TYPE_LATEST}
        return web.Response(body=together(await self._texts()), headers=headers)

    async def _texts(self) -> dict[str, str]:
        """Return the metrics text of each process; empty if it does not answer."""
        components = [each.component for each in self._keepers if each.component.metrics_url]
        texts = await asyncio.gather(*(self._text(each.metrics_url or "") for each in components))
        return {each.name: text for each, text in zip(components, texts, strict=True)}

    async def _text(self, url: str) -> str:
        try:
            async with self._client.get(url) as response:
                return await response.text()
        except (aiohttp.ClientError, TimeoutError):
            return ""


@dataclass(frozen=True, eq=False)
class _Together:
    texts: Mapping[str, str]

    def collect(self) -> Iterator[Metric]:
        """Yield each family once, since Prometheus requires its lines to be contiguous."""
        together: dict[str, Metric] = {}
        for component, text in self.texts.items():
            for family in text_string_to_metric_families(text):
                if family.name.endswith("_created"):
                    continue  # the start of a counter is meaningless over several processes
                into = together.setdefault(
                    family.name, Metric(family.name, family.documentation, family.type)
                )
                for sample in family.samples:
                    labels = {**sample.labels, "component": component}
                    into.add_sample(sample.name, labels, sample.value)
        yield from together.values()


def together(texts: Mapping[str, str]) -> bytes:
    """Return the series of all components, with the label `component`.

    `texts`: the response of `/metrics`, by component.
    """
    registry = CollectorRegistry()
    registry.register(_Together(texts))
    return generate_latest(registry)


def values(text: str) -> dict[str, float]:
    """Return values by series, `name{label="value"}`, without buckets and starts of counters."""
    left_out = ("_bucket", "_created")
    samples = samples_of(text, "")
    return {k: v for k, v in samples.items() if not k.partition("{")[0].endswith(left_out)}
