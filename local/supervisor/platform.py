"""The platform on one data directory: starts in order, stops without leftovers."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from local.errors import UsageError
from local.instance import Instance, RunningComponent, instance_path, status_path, write_json
from local.servers import external
from local.servers.nats import nats
from local.servers.postgres import postgres
from local.servers.seaweedfs import seaweedfs
from local.servers.server import Server, Workspace
from local.servers.valkey import valkey
from local.supervisor import stopping
from local.supervisor.component import Component
from local.supervisor.feed_list import feeds_path, write_feeds
from local.supervisor.feed_processes import FeedKeepers
from local.supervisor.fixed_ports import require_free
from local.supervisor.forks import Forks
from local.supervisor.leftovers import ProcessRecord
from local.supervisor.lock import DirectoryLock
from local.supervisor.options import Options
from local.supervisor.plan import Plan
from local.supervisor.restarts import Keeper
from local.supervisor.topology import Topology
from shared.runtime.tasks import end

if TYPE_CHECKING:
    from local.supervisor.observe import Observer

_SERVERS: Mapping[str, Callable[[Workspace], Server]] = {
    "NATS_URL": nats,
    "REDIS_URL": valkey,
    "DATABASE_URL": postgres,
    "S3_ENDPOINT_URL": seaweedfs,
}


class Platform:
    """One instance. `notice` gets a line when a component dies or comes back.

    Attributes:
        keepers: the components in the order of their start.
        variables: the URLs and keys of the stores.
        plan: the processes and addresses, once the servers are known.

    """

    def __init__(self, options: Options, notice: Callable[[str], None]) -> None:
        self.options = options
        self.keepers: list[Keeper] = []
        self.variables: dict[str, str] = {}
        self.plan: Plan | None = None
        self._external: list[RunningComponent] = []
        self._notice = notice
        self._data_dir = options.data_dir.absolute()
        self._lock: DirectoryLock | None = None
        self._record = ProcessRecord(self._data_dir / "run" / "processes.json")
        self._started_at = ""
        self._observer: Observer | None = None
        self._feeds: asyncio.Task[None] | None = None
        self._workspace: Workspace | None = None
        self._forks: Forks | None = None

    async def start(self, progress: Callable[[str], None]) -> Instance:
        """Start everything; return when all is ready. `progress` gets a line per step.

        Raises InUseError, StartError, ManifestError or UsageError. `stop` has to follow anyway.
        """
        topology = Topology.load(self.options)
        with _named_as_data_dir(self._data_dir):
            return await self._start_all(topology, progress)

    async def _start_all(self, topology: Topology, progress: Callable[[str], None]) -> Instance:
        self._data_dir.mkdir(parents=True, exist_ok=True)
        lock = DirectoryLock(self._data_dir)
        lock.acquire()
        self._lock = lock
        self._started_at = datetime.now(UTC).isoformat(timespec="seconds")
        for name in await asyncio.to_thread(self._record.end_leftovers):
            self._notice(f"ended {name}, which an earlier instance had left running")
        if topology.has_api:
            require_free(self.options.http_port, "--http-port")
        if self.options.dashboard_port is not None:
            require_free(self.options.dashboard_port, "--dashboard-port")
        if topology.takes_udp:
            require_free(self.options.udp_port, "--udp-port", socket.SOCK_DGRAM)
        workspace = self._workspace = Workspace.at(self._data_dir)
        fixed_ports = (self.options.http_port, self.options.udp_port, self.options.dashboard_port)
        workspace.ports.leave_out(*(port for port in fixed_ports if port is not None))

        if topology.functions:  # for a broker alone it would cost more than it saves
            self._forks = await Forks.start(topology.root, workspace.log("fork-server"))
        servers = await self._servers(workspace, progress)
        self.plan = Plan(topology, self.options, workspace, self.variables)
        addresses = self._data_dir / "run" / "addresses.json"
        write_json(addresses, {**self.plan.addresses, **self.plan.replica_addresses}, 0o644)
        # SeaweedFS may take seconds to find its volumes: do not wait for it unless it is used.
        needed = topology.stores | {"NATS_URL"}
        first = {name: each for name, each in servers.items() if name in needed}
        others = [each for name, each in servers.items() if name not in needed]
        await self._start([*first.values()], progress)
        await self._start([*others, *self.plan.functions()], progress)
        await self._start([self.plan.broker(addresses)], progress)
        await self._start(self.plan.sources(), progress)
        self._follow_feeds(self.plan)
        if self.options.observe:
            from local.supervisor.observe import Observer

            self._observer = Observer(self.keepers, workspace.ports.take("observe"))
            await self._observer.start()
        return self.describe()

    def _follow_feeds(self, plan: Plan) -> None:
        """From now on start and stop bridges as `kandle feed` changes the list."""
        write_feeds(self._data_dir, self.options.feeds)
        feeds = FeedKeepers(
            self._data_dir,
            {each.name: each for each in self.options.feeds},
            self.keepers,
            plan.bridges,
            lambda component: Keeper(component, self._record, self._notice, self._forks),
            self.describe,
            self._notice,
        )
        self._feeds = asyncio.create_task(feeds.follow())

    def describe(self) -> Instance:
        """Write the running components to the instance file, and return them."""
        assert self.plan is not None
        instance = Instance(
            pid=os.getpid(),
            started_at=self._started_at,
            data_dir=str(self._data_dir),
            env={
                **self.variables,
                **self.plan.endpoints,
                **({"OBSERVE_URL": self._observer.url} if self._observer else {}),
            },
            addresses=self.plan.addresses,
            components=[*self._external, *(each.described() for each in self.keepers)],
        )
        instance.write()
        return instance

    async def stop(self) -> list[str]:
        """Stop everything, sources first; return a warning for each killed process."""
        deadline = time.monotonic() + stopping.WITHIN_S
        if self._feeds is not None:
            await end(self._feeds)
        if self._observer is not None:
            await self._observer.stop()
        killed: list[str] = []
        for phase in stopping.PHASES:
            group = [each for each in self.keepers if each.component.kind is phase.kind]
            patience_s = stopping.patience_s(phase.kind, deadline - time.monotonic())
            stopped = await asyncio.gather(*(each.stop(patience_s) for each in group))
            killed += [
                stopping.kill_message(each.component, patience_s)
                for each, by_itself in zip(group, stopped, strict=True)
                if not by_itself
            ]
        if self._forks is not None:
            await self._forks.stop()
        if self._lock is not None:
            run = self._data_dir / "run"
            for file in (
                instance_path(self._data_dir),
                status_path(self._data_dir),
                feeds_path(self._data_dir),
                run / "feeds.lock",
                run / "addresses.json",
                run / "processes.json",
            ):
                file.unlink(missing_ok=True)
            with contextlib.suppress(OSError):  # with `--data-dir .` it may be the user's
                run.rmdir()
            self._lock.release()
        if self._workspace is not None:
            self._workspace.ports.release()
        return killed

    @property
    def watch_token(self) -> str:
        """Token with which other machines open the page."""
        assert self._workspace is not None
        return self._workspace.credentials.watch_token

    def kill(self) -> None:
        """Kill every process at once. `stop` still has to end."""
        for each in self.keepers:
            each.kill()

    async def _servers(
        self, workspace: Workspace, progress: Callable[[str], None]
    ) -> dict[str, Component]:
        """Check the servers configured in the environment; return the others to start."""
        components = {}
        others = [each for each in _SERVERS if external.is_of_an_instance(each, os.environ)]
        if others:
            self._notice(
                f"{', '.join(others)} of this shell are another instance's (`kandle env`): "
                "this one starts servers of its own"
            )
        for variable, server in _SERVERS.items():
            configured = external.configured(variable, os.environ)
            if configured:
                address = external.address(configured[variable])
                progress(f"checking {address} ({variable})")
                await external.check(variable, configured)
                self.variables.update(configured)
                self._external.append(RunningComponent(variable, "external", None, address, ""))
            else:
                local = server(workspace)
                self.variables.update(local.variables)
                components[variable] = local.component
        return components

    async def _start(
        self, components: Sequence[Component], progress: Callable[[str], None]
    ) -> None:
        """Start these concurrently. The first failure cancels the others."""
        keepers = [Keeper(each, self._record, self._notice, self._forks) for each in components]
        self.keepers += keepers

        async def start(keeper: Keeper) -> None:
            progress(f"starting {keeper.component.name}")
            await keeper.start()
            progress(f"{keeper.component.name} is ready")

        tasks = [asyncio.create_task(start(each)) for each in keepers]
        try:
            await asyncio.gather(*tasks)
        finally:
            await end(*tasks)


@contextlib.contextmanager
def _named_as_data_dir(data_dir: Path) -> Iterator[None]:
    """Turn an error about a file in `data_dir` or its parents into a UsageError."""
    try:
        yield
    except OSError as error:
        if not isinstance(error.filename, str | bytes):
            raise
        file = Path(os.fsdecode(error.filename))
        if not (file.is_relative_to(data_dir) or data_dir.is_relative_to(file)):
            raise
        reason = f"{file}: {error.strerror}"
        raise UsageError(f"--data-dir {data_dir} cannot be used: {reason}") from error
