"""Wiring of the broker process, and its run from start to stop."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import uvicorn
from nats.aio.msg import Msg
from nats.errors import Error as NatsError

from local.broker.addresses import Addresses
from local.broker.channel import Channel, consumer_name
from local.broker.dispatcher import Dispatcher
from local.broker.http_client import HttpClient
from local.broker.ingress import Ingress
from local.broker.intake import Intake
from local.broker.jetstream import JetStream
from local.broker.ping import run_ping_source
from local.broker.stats import BrokerCounts, LoudWarnings
from local.topology.eventing import Eventing
from shared.adapter.bounded_http import BoundedHttp
from shared.runtime.tasks import end

DRAIN_SECONDS = 5
RETRY_SECONDS = 0.5
DELETION_SECONDS = 0.5
"""Wait after an advisory: a stream is deleted with its consumers, and theirs come first."""
_DELETED = "$JS.EVENT.ADVISORY.*.DELETED.>"
"""JetStream publishes what it deletes: kind, stream and, of a consumer, its name."""


class BrokerProcess:
    """Every Broker, Trigger and PingSource of one topology."""

    def __init__(
        self,
        eventing: Eventing,
        services: Mapping[str, str | Sequence[str]],
        nats_url: str,
        port: int,
        drain_seconds: int = DRAIN_SECONDS,
    ) -> None:
        self._eventing = eventing
        self._drain_seconds = drain_seconds
        self._port = port
        self._warnings = LoudWarnings()
        self._addresses = Addresses(services, f"http://127.0.0.1:{port}")
        self._jetstream = JetStream(nats_url, self._lost, self._back)
        self._channels: dict[str, Channel] = {}
        self._intakes: dict[str, Intake] = {}
        self._dispatchers: list[Dispatcher] = []
        self._lags: dict[str, int] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._subscribed = False
        self._times_lost = 0
        self._is_back = asyncio.Event()
        self._asked_to_stop = asyncio.Event()
        self._fault: BaseException | None = None

    async def run(self) -> None:
        """Serve until SIGTERM or SIGINT; then drain and return.

        A fault of the broker itself ends it the same way and is raised: events are durable, and the
        supervisor restarts the process.
        """
        for text in self._eventing.warnings:
            self._warnings.warning(text)
        http = HttpClient()
        self._wire(http)
        intakes = {f"/{key}": intake for key, intake in self._intakes.items()}
        app = Ingress(intakes, self._why_unready, self._read_stats, self._warnings)
        server = _Server(
            uvicorn.Config(
                app,
                host="127.0.0.1",
                port=self._port,
                http=BoundedHttp,
                ws="none",
                lifespan="off",
                log_level="error",
                access_log=False,
                proxy_headers=False,
                server_header=False,
                date_header=False,
                timeout_keep_alive=75,
                timeout_graceful_shutdown=2,
            )
        )
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._asked_to_stop.set)
        self._run(self._start(http))
        stopping = asyncio.create_task(self._stop(server))
        try:
            await server.serve()
        finally:
            self._asked_to_stop.set()
            await stopping
            await http.close()
            await self._jetstream.close()
        if self._fault is not None:
            raise self._fault

    async def _stop(self, server: _Server) -> None:
        """Stop the deliveries, then the ingress, which must still accept what they emit."""
        await self._asked_to_stop.wait()
        await end(*self._tasks)
        await asyncio.gather(*(each.stop(self._drain_seconds) for each in self._dispatchers))
        server.should_exit = True

    def _wire(self, http: HttpClient) -> None:
        brokers = {broker.key: broker for broker in self._eventing.brokers}
        for key, broker in brokers.items():
            channel = Channel(self._jetstream, broker, self._warnings)
            self._channels[key] = channel
            self._intakes[key] = Intake(key, channel, BrokerCounts(), self._warnings)
        self._dispatchers = [
            Dispatcher(
                trigger,
                brokers[trigger.broker],
                self._channels[trigger.broker],
                self._intakes[trigger.broker],
                self._jetstream,
                http,
                self._addresses,
                self._warnings,
            )
            for trigger in self._eventing.triggers
        ]

    async def _start(self, http: HttpClient) -> None:
        await self._jetstream.connect()
        unserved = [each for each in self._dispatchers if not each.resolve()]
        # if a stream allows one consumer, it is that of a served trigger
        self._dispatchers.sort(key=unserved.__contains__)
        for key, intake in self._intakes.items():
            names = [each.trigger.key for each in unserved if each.trigger.broker == key]
            intake.unserved = tuple(names)
        await self._jetstream.client.subscribe(_DELETED, cb=self._deleted)
        await self._ensure()
        for source in self._eventing.ping_sources:
            self._run(run_ping_source(source, http, self._addresses, self._warnings))
        while True:
            # deleted by hand, or by a restart of a server that lost its data or has it in memory
            await self._is_back.wait()
            self._is_back.clear()
            await self._ensure()

    async def _ensure(self) -> None:
        """Create or update streams and consumers by the YAML; retry while NATS is unavailable."""
        while True:
            times_lost = self._times_lost
            try:
                for key, channel in self._channels.items():
                    await channel.ensure_stream()
                    of_broker = [t for t in self._eventing.triggers if t.broker == key]
                    await channel.remove_orphans(of_broker)
                    for each in self._dispatchers:
                        if each.trigger.broker == key:
                            await each.start()
                    # if it disconnects, it is ensured again before it opens
                    self._intakes[key].open = times_lost == self._times_lost
            except (NatsError, TimeoutError) as error:
                for each in self._dispatchers:
                    each.not_yet(f"JetStream: {error}")
                await asyncio.sleep(RETRY_SECONDS)
            else:
                self._subscribed = times_lost == self._times_lost
                return

    async def _deleted(self, advisory: Msg) -> None:
        """Make a stream or consumer again that somebody deleted; refuse events until then."""
        kind, _, stream, *names = advisory.subject.split(".")[3:]
        for key, channel in self._channels.items():
            if channel.stream != stream:
                continue
            what = f"stream {stream}"
            if kind == "CONSUMER":
                triggers = [t for t in self._eventing.triggers if t.broker == key]
                of = [t.key for t in triggers if consumer_name(t) in names]
                if not of:
                    return  # an orphan
                what = f"consumer {names[0]} of Trigger {of[0]}"
            self._warnings.loss(
                f"Broker {key}: somebody deleted {what}: what waited in it is not delivered; "
                "it is made again"
            )
            self._intakes[key].open = self._subscribed = False
            self._times_lost += 1
            # NATS 2.15 never acknowledges again what a stream takes that was updated while deleted
            asyncio.get_running_loop().call_later(DELETION_SECONDS, self._is_back.set)

    def _why_unready(self) -> str:
        if self._subscribed:
            return ""
        failure = self._jetstream.failure
        return f"not every trigger is subscribed yet{failure and f'; NATS_URL: {failure}'}"

    async def _lost(self) -> None:
        self._times_lost += 1
        self._subscribed = False
        for each in self._intakes.values():
            each.open = False

    async def _back(self) -> None:
        self._is_back.set()

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self._fault = task.exception()
            self._warnings.warning(f"a fault of the broker ends it: {self._fault!r}")
            self._asked_to_stop.set()

    async def _read_stats(self) -> dict[str, Any]:
        await asyncio.gather(*(self._read_lag(each) for each in self._dispatchers))
        return {
            "brokers": {key: asdict(each.counts) for key, each in self._intakes.items()},
            "triggers": {
                each.trigger.key: {
                    "broker": each.trigger.broker,
                    "subscriber": each.trigger.subscriber.url,
                    "ready": each.ready,
                    "reason": each.reason,
                    **asdict(each.counts),
                    "lag": self._lags.get(each.trigger.key),
                }
                for each in self._dispatchers
            },
            "warnings": self._warnings.recent(),
        }

    async def _read_lag(self, dispatcher: Dispatcher) -> None:
        if not self._jetstream.connected:
            return  # keep the last known lag
        with contextlib.suppress(NatsError, TimeoutError):
            info = await dispatcher.channel.consumer_info(dispatcher.trigger)
            if info is not None:
                lag = (info.num_pending or 0) + (info.num_ack_pending or 0)
                self._lags[dispatcher.trigger.key] = lag


class _Server(uvicorn.Server):
    """A uvicorn server without signal handlers: the process stops in its own order."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
