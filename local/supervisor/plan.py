"""Plan: the topology as processes, with their environments and addresses."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

from local.feeds.simulator import GONE_LIVE
from local.servers.server import LOOPBACK, Workspace
from local.supervisor.component import Component, Kind
from local.supervisor.feed_list import HISTORY_S
from local.supervisor.options import Options
from local.supervisor.probe import answers, log_contains
from local.supervisor.stopping import drain_environment, drain_s
from local.supervisor.topology import (
    ALL,
    API,
    GRPC_PORT,
    INGEST,
    LIVE,
    UDP_PORT,
    Topology,
    is_feed_bridge,
)
from local.topology.addressable import INGRESS_HOST
from local.topology.environment import STORES_SECRET, Values, localised, resolve
from local.topology.selection import sink_environment
from local.topology.workloads import Deployment, Function
from shared.sources.feed_choice import FeedChoice

INGEST_PATH = "/ingest"
BROKER = "broker"
_TICKS = "kandle/ticks"
SIMULATOR = "simulator"
WATCHERS = "live-feed-watchers"
"""The replica of live-feed that other machines reach."""
ANY_HOST = "0.0.0.0"
_FIRST_MOMENT_S = 0.3
_METRICS_PORT = "METRICS_PORT"
_FUNCTION_SERVER = (
    *("--no-access-log", "--log-level", "warning"),
    *("--timeout-graceful-shutdown", str(drain_s(Kind.FUNCTION))),
    *("--loop", "uvloop", "--http", "shared.adapter.bounded_http:BoundedHttp"),
    *("--ws-max-size", "65536"),
    *("--ws-per-message-deflate", "false"),  # each client's own window: memory, and work a message
)
_FUNCTION_APP = "functions_framework.aio:app"
_START_S = 30.0
"""Start timeout of a function; three times that for the one with every stage."""
_PAST_S = 120.0
"""Start timeout of the simulator, which stores the history of its market first."""
_ASGI_APP = "ASGI_APP"
"""The variable of a function whose own app wraps functions-framework's."""


class Plan:
    """The processes of a topology, on the ports of a workspace. Starts none itself.

    `broker_url`: of the broker process, for its ingresses and statistics.
    """

    def __init__(
        self,
        topology: Topology,
        options: Options,
        workspace: Workspace,
        variables: Mapping[str, str],
    ) -> None:
        self._topology = topology
        self._options = options
        self._workspace = workspace
        self._values = Values({STORES_SECRET: variables}, topology.config_maps, os.environ)
        self._variables = variables
        self.broker_url = f"http://{LOOPBACK}:{workspace.ports.take(BROKER)}"
        self._function_urls = {each.host: self._function_url(each) for each in topology.functions}
        self._grpc_ports = {
            each.name: workspace.ports.take(each.name)
            for each in topology.deployments
            if any(entry.name == GRPC_PORT for entry in each.env)
        }

    @property
    def addresses(self) -> dict[str, str]:
        """Cluster host names with their loopback URL, the first one if replicated."""
        return {**self._function_urls, INGRESS_HOST: self.broker_url}

    @property
    def replica_addresses(self) -> dict[str, list[str]]:
        """Host names of replicated functions, with the URLs of their replicas."""
        return {
            each.host: [self._function_urls[each.host], *(url for _, url in self._others(each))]
            for each in self._topology.functions
            if self._others(each)
        }

    @property
    def endpoints(self) -> dict[str, str]:
        """Public endpoints that exist: API_URL, LIVE_URL, GRPC_ADDR ..."""
        endpoints = {}
        for each in self._topology.functions:
            if each.endpoint in (API, ALL):
                endpoints["API_URL"] = self._function_urls[each.host]
            if each.endpoint in (INGEST, ALL):
                endpoints["INGEST_URL"] = self._function_urls[each.host] + INGEST_PATH
            if each.endpoint in (LIVE, ALL):
                endpoints["LIVE_URL"] = self._function_urls[each.host]
        if self._topology.takes_udp:
            endpoints["UDP_ADDR"] = f"{LOOPBACK}:{self._options.udp_port}"
        for port in self._grpc_ports.values():
            endpoints["GRPC_ADDR"] = f"{LOOPBACK}:{port}"
        sink = self._entry_sink()
        return {**endpoints, "K_SINK": sink} if sink else endpoints

    @property
    def letters_elsewhere(self) -> frozenset[str]:
        """Triggers whose dead letter sink is not a function that runs here."""
        sinks = {
            each.key: each.delivery.dead_letter_sink for each in self._topology.eventing.triggers
        }
        return frozenset(
            key
            for key, sink in sinks.items()
            if sink is not None and urlsplit(sink.url).hostname not in self._function_urls
        )

    def functions(self) -> list[Component]:
        """Return each function as its own process under functions-framework."""
        components = []
        for each in self._topology.functions:
            components.append(self._function(each, each.name, self._function_urls[each.host]))
            components += [self._function(each, name, url) for name, url in self._others(each)]
            if each.endpoint == LIVE and self._options.host != LOOPBACK:
                components.append(self._for_watchers(each))
        return components

    def _for_watchers(self, function: Function) -> Component:
        """Return an extra replica for other machines: it requires a token, takes no events."""
        port = self._options.dashboard_port or self._workspace.ports.take(WATCHERS)
        host = self._options.host
        url = f"http://{LOOPBACK if host == ANY_HOST else host}:{port}"
        replica = self._function(function, WATCHERS, url, host)
        variables = {"API_TOKENS": self._workspace.credentials.watch_token, "LIVE_EVENTS": "0"}
        return replace(replica, environment={**replica.environment, **variables})

    def broker(self, addresses: Path) -> Component:
        """Return the broker process; it resolves cluster names with the file `addresses`."""
        return Component(
            name=BROKER,
            kind=Kind.BROKER,
            command=(
                *(sys.executable, "-m", "local.broker"),
                *("--eventing", str(self._topology.directory)),
                *("--port", str(urlsplit(self.broker_url).port)),
                *("--addresses", str(addresses)),
                *(part for host in sorted(self._topology.idle) for part in ("--idle", host)),
            ),
            environment={
                "NATS_URL": self._variables["NATS_URL"],
                "PYTHONUNBUFFERED": "1",
                **drain_environment(Kind.BROKER),
            },
            directory=self._topology.root,
            url=self.broker_url,
            log=self._workspace.log(BROKER),
            ready=answers(f"{self.broker_url}/readyz"),
            start_timeout_s=60.0,
            metrics_url=f"{self.broker_url}/metrics",
        )

    def sources(self) -> list[Component]:
        """Return the Deployments that SinkBindings name, then the simulator if requested.

        Each feed has its own bridge process.
        """
        others = (each for each in self._topology.deployments if not is_feed_bridge(each))
        sources = [self._deployment(each, each.name, {}) for each in others]
        sources += [bridge for feed in self._options.feeds for bridge in self.bridges(feed)]
        return [*sources, self._simulator()] if self._options.simulate else sources

    def bridges(self, feed: FeedChoice) -> list[Component]:
        """Return the processes of a feed: one."""
        variables = {**feed.environment, HISTORY_S: str(self._options.history_s)}
        return [
            self._deployment(each, f"{each.name}-{feed.process}", variables)
            for each in self._topology.feed_bridges
        ]

    def _function_url(self, function: Function) -> str:
        if function.endpoint in (API, ALL):
            return f"http://{LOOPBACK}:{self._options.http_port}"
        port = self._options.dashboard_port
        if function.endpoint == LIVE and port and self._options.host == LOOPBACK:
            return f"http://{LOOPBACK}:{port}"
        return f"http://{LOOPBACK}:{self._workspace.ports.take(function.name)}"

    def _others(self, function: Function) -> list[tuple[str, str]]:
        """Return the name and the URL of each further replica."""
        names = [
            f"{function.name}-{n}"
            for n in range(2, self._options.replicas.get(function.name, 1) + 1)
        ]
        return [(name, f"http://{LOOPBACK}:{self._workspace.ports.take(name)}") for name in names]

    def _function(self, function: Function, name: str, url: str, host: str = LOOPBACK) -> Component:
        port = str(urlsplit(url).port)
        environment = {
            "FUNCTION_SIGNATURE_TYPE": "http",
            **resolve(function.env, self._values),
            **sink_environment(function, self._topology.eventing.sink_bindings),
        }
        app = environment.get(_ASGI_APP, _FUNCTION_APP)
        return Component(
            name=name,
            kind=Kind.FUNCTION,
            command=(
                *(sys.executable, "-m", "uvicorn", app, *_FUNCTION_SERVER),
                *("--host", host, "--port", port),
            ),
            environment={
                **{name: self._local(each) for name, each in environment.items()},
                "HOST": host,
                "PORT": port,
                "K_SERVICE": function.name,
                "PYTHONUNBUFFERED": "1",
                **drain_environment(Kind.FUNCTION),
            },
            directory=self._topology.root,
            url=url,
            log=self._workspace.log(name),
            ready=answers(url + function.readiness),
            start_timeout_s=_START_S * (3 if function.endpoint == ALL else 1),
            metrics_url=f"{url}/metrics",
        )

    def _local(self, value: str) -> str:
        """Return a value with loopback URLs; empty for the URL of an idle function."""
        url = urlsplit(value)
        return "" if url.hostname in self._topology.idle else localised(value, self.addresses)

    def _deployment(
        self, deployment: Deployment, name: str, variables: Mapping[str, str]
    ) -> Component:
        environment = {
            **resolve(deployment.env, self._values),
            **sink_environment(deployment, self._topology.eventing.sink_bindings),
            **variables,
        }
        configured = {
            "UDP_HOST": LOOPBACK,
            "GRPC_HOST": LOOPBACK,
            "METRICS_HOST": LOOPBACK,
            UDP_PORT: str(self._options.udp_port),
        }
        if name in self._grpc_ports:
            configured[GRPC_PORT] = str(self._grpc_ports[name])
        metrics_url = None
        if _METRICS_PORT in environment:
            configured[_METRICS_PORT] = str(self._workspace.ports.take(f"{name}-metrics"))
            metrics_url = f"http://{LOOPBACK}:{configured[_METRICS_PORT]}/metrics"
        environment.update({key: each for key, each in configured.items() if key in environment})
        program, *arguments = deployment.command
        python = program in ("python", "python3")
        url = ""
        if UDP_PORT in environment:
            url = f"udp://{LOOPBACK}:{self._options.udp_port}"
        elif GRPC_PORT in configured:
            url = f"grpc://{LOOPBACK}:{configured[GRPC_PORT]}"
        return Component(
            name=name,
            kind=Kind.SOURCE,
            command=(sys.executable if python else program, *arguments),
            environment={
                **{key: localised(each, self.addresses) for key, each in environment.items()},
                "PYTHONUNBUFFERED": "1",
                **drain_environment(Kind.SOURCE),
            },
            directory=self._topology.root,
            url=url,
            log=self._workspace.log(name),
            ready=answers(metrics_url) if metrics_url else _once_it_runs,
            metrics_url=metrics_url,
        )

    def _simulator(self) -> Component:
        address = f"{LOOPBACK}:{self._options.udp_port}"
        rate = self._options.simulate_rate
        api_url = self.endpoints.get("API_URL")
        broker = next((b.key for b in self._topology.eventing.brokers if b.key == _TICKS), None)
        past: tuple[str, ...] = ()
        if api_url and broker and self._options.history_s:
            past = (
                *("--history", f"{self._options.history_s}s"),
                *("--broker-url", f"{self.broker_url}/{broker}", "--api-url", api_url),
            )
        return Component(
            name=SIMULATOR,
            kind=Kind.SOURCE,
            command=(
                *(sys.executable, "-m", "local.cli.main", "simulate", "--quiet"),
                *("--to", "udp", "--udp-addr", address),
                *(("--rate", f"{rate:g}") if rate is not None else ()),
                *past,
            ),
            directory=self._topology.root,
            url=f"to udp://{address}",
            log=self._workspace.log(SIMULATOR),
            ready=log_contains(self._workspace.log(SIMULATOR), GONE_LIVE)
            if past
            else _once_it_runs,
            start_timeout_s=_PAST_S if past else _START_S,
        )

    def _entry_sink(self) -> str | None:
        """Find where raw events enter: the sink of the sources, else the first Broker."""
        bindings = self._topology.eventing.sink_bindings
        workloads: list[Deployment | Function] = [*self._topology.deployments]
        workloads += self._topology.functions
        for each in workloads:
            bound = sink_environment(each, bindings)
            if bound and (isinstance(each, Deployment) or each.endpoint in (INGEST, ALL)):
                return localised(bound["K_SINK"], self.addresses)
        brokers = self._topology.eventing.brokers
        return f"{self.broker_url}/{brokers[0].key}" if brokers else None


async def _once_it_runs() -> bool:
    """Readiness of a process without an address: it has survived its first moment."""
    await asyncio.sleep(_FIRST_MOMENT_S)
    return True
