"""Topology of one start: read from YAML and selected before anything runs."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from local.errors import UsageError
from local.servers.server import LOOPBACK
from local.supervisor.component import STORE_VARIABLES
from local.supervisor.options import Options
from local.topology.environment import STORES_SECRET
from local.topology.eventing import Eventing, load_eventing
from local.topology.repository import repository
from local.topology.selection import ALL as EVERY
from local.topology.selection import select_deployments, select_functions
from local.topology.workloads import (
    Deployment,
    Function,
    load_config_maps,
    load_deployments,
    load_functions,
    load_pipeline,
)
from shared.sources.feed_choice import FEED

API, INGEST, LIVE, ALL = "api", "ingest", "live", "all"
"""Values of the label `kandle.dev/endpoint`."""

UDP_PORT = "UDP_PORT"
"""The variable of a Deployment that listens for datagrams."""

GRPC_PORT = "GRPC_PORT"
"""The variable of a Deployment that serves gRPC."""


@dataclass(frozen=True)
class Topology:
    """Topology read and selected for one start.

    `feed_bridges`: Deployments that run once per feed, even if there is no feed yet. `idle`: hosts
    of functions without work, since a variable is not set; they and their Triggers are left out.
    """

    root: Path
    directory: Path
    eventing: Eventing
    functions: tuple[Function, ...]
    deployments: tuple[Deployment, ...]
    feed_bridges: tuple[Deployment, ...]
    config_maps: Mapping[str, Mapping[str, str]]
    idle: frozenset[str]

    @classmethod
    def load(cls, options: Options) -> Topology:
        """Read it. Raises ManifestError or UsageError, before anything was started."""
        root = repository()
        own = options.eventing is None
        directory = (options.eventing or root / "eventing").absolute()
        if not directory.is_dir():
            raise UsageError(f"--eventing: {directory} is not a directory")
        eventing = load_eventing(directory)
        available = load_functions(root / "functions")
        if not own:  # another topology may send everything to the pipeline as one function
            available += load_pipeline(root)
        functions = select_functions(available, options.functions, eventing, everything=own)
        idle = frozenset(
            each.host
            for each in available
            if options.functions == EVERY and each.needs and not os.environ.get(each.needs)
        )
        functions = tuple(each for each in functions if each.host not in idle)
        eventing = eventing.without(idle)
        deployments = root / "knative" / "bridges"
        bridges = select_deployments(load_deployments(deployments), eventing, functions)
        topology = cls(
            root,
            directory,
            eventing,
            functions,
            _selected(bridges, options),
            tuple(each for each in bridges if is_feed_bridge(each)),
            load_config_maps(directory, deployments),
            idle,
        )
        if options.simulate and not topology.takes_udp:
            raise UsageError(
                "--simulate sends over UDP, and this topology has nothing that listens"
            )
        if unknown := sorted(options.replicas.keys() - {each.name for each in functions}):
            raise UsageError(f"--replicas: no function {', '.join(unknown)} runs here")
        if options.host != LOOPBACK and any(each.endpoint == ALL for each in functions):
            raise UsageError(
                "--host: this topology's page, ingestion and events are one process on one port;"
                " it stays on loopback"
            )
        if options.feeds and not topology.feed_bridges:
            raise UsageError("--feed: this topology has nothing that bridges a feed")
        return topology

    @property
    def takes_udp(self) -> bool:
        """Whether a source listens for datagrams."""
        return any(entry.name == UDP_PORT for each in self.deployments for entry in each.env)

    @property
    def has_api(self) -> bool:
        """Whether a function serves the API, on the user-chosen port."""
        return any(each.endpoint in (API, ALL) for each in self.functions)

    @property
    def stores(self) -> frozenset[str]:
        """Variables of the stores that the workloads use; only these are waited for."""
        entries = [entry for each in self.functions for entry in each.env]
        entries += [entry for each in self.deployments for entry in each.env]
        named = [each for each in entries if each.source == STORES_SECRET]
        if any(each.key is None for each in named):
            return frozenset(STORE_VARIABLES)
        return frozenset(each.key for each in named if each.key)


def is_feed_bridge(deployment: Deployment) -> bool:
    """Tell whether the Deployment runs once per requested feed."""
    return any(entry.name == FEED for entry in deployment.env)


def _selected(deployments: tuple[Deployment, ...], options: Options) -> tuple[Deployment, ...]:
    return tuple(each for each in deployments if options.feeds or not is_feed_bridge(each))
