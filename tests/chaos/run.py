"""One run: ticks stream in, faults are injected, and at the end everything is compared."""

from __future__ import annotations

import contextlib
import json
import random
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import httpx
import psycopg

from tests.chaos.faults import TARGETS, Faults
from tests.chaos.market import Tick
from tests.chaos.outages import Outage, outage, waiting
from tests.chaos.processes import Up, up
from tests.chaos.report import Report
from tests.chaos.senders import Batch, HttpSender, UdpSender
from tests.chaos.truth import Comparison, compare
from tests.e2e.client import rows, web
from tests.platform import kandle

PATIENCE_S: Final = 180.0
"""How long nothing may come closer to its end. A kill of the broker costs a minute (`ackWait`), and
what was stored and not applied is found by the clock after half a minute."""
_UNCOMPARED: Final = 1_000_000


@dataclass(frozen=True)
class Options:
    """Options of a run. `outage_s`: how long each of `stores` is away, in each of the ways `how`.

    `targets`: the components to kill, in a seeded order. `until_acknowledged`: wait until the
    channels are empty, which takes a minute (`ackWait`) after a kill of the broker. `rolling`: the
    components to replace, a group at a time, each group when the one before is ready again.
    `replicas`: of candle-aggregate.
    """

    kills: int = 50
    seconds: float = 900
    seed: int = 0
    gap_s: float = 3.0
    outage_s: float = 0
    stores: Sequence[str] = ()
    how: Sequence[str] = ("silent", "gone")
    targets: Sequence[str] = TARGETS
    until_acknowledged: bool = True
    rolling: Sequence[Sequence[str]] = ()
    replicas: int = 1
    senders: int = 2
    every_s: float = 0.25


class Load:
    """The clients of a run."""

    def __init__(self, platform: Up, options: Options) -> None:
        now_ms = time.time_ns() // 1_000_000
        env = platform.env
        self.http = [
            HttpSender(env["INGEST_URL"], f"HTTP{n}", options.seed, now_ms, options.every_s)
            for n in range(options.senders)
        ]
        self.udp = UdpSender(env["UDP_ADDR"], "UDP", options.seed, now_ms, options.every_s / 2)
        self._senders: list[HttpSender | UdpSender] = [*self.http, self.udp]
        for each in self._senders:
            each.start()

    @property
    def batches(self) -> list[Batch]:
        """All batches so far."""
        return [batch for each in self.http for batch in each.batches]

    @property
    def symbols(self) -> list[str]:
        """All symbols."""
        return [symbol for each in self._senders for symbol in each.market.symbols]

    @property
    def datagram_ticks(self) -> list[Tick]:
        """The ticks sent by UDP."""
        return self.udp.sent

    def stop(self) -> None:
        """Send nothing more, and wait for the last responses."""
        for each in self._senders:
            each.stop()


class Run:
    """A run on a platform that has started."""

    def __init__(self, platform: Up, options: Options, say: Callable[[str], None]) -> None:
        self._up = platform
        self._options = options
        self._began_s = time.monotonic()
        self._print = say
        self._load = Load(platform, options)
        self._faults = Faults(platform, options.seed, options.targets)
        self._poison: list[str] = []
        self._memory: dict[str, int] = {}
        self._outages: list[Outage] = []
        self._rolled_out: list[Tick] = []

    def report(self) -> Report:
        """Run all of it."""
        try:
            for group in self._options.rolling:
                self._say(self._faults.replace(group))
                self._rolled_out = [*self._load.datagram_ticks]
            self._strike()
            for store in self._options.stores if self._options.outage_s else ():
                for how in self._options.how:
                    found = outage(self._up, store, how, self._options.outage_s, self._say)
                    self._outages.append(found)
                    self._say(f"{store} was {how} for {found.seconds:.0f} s, {waiting(self._up)}")
                    self._until_taken()
        finally:
            self._faults.settle()
            self._say("no more faults: waiting for the last answers")
            self._load.stop()
        comparison = self._settled()
        letters = self._letters()
        http = self._load.http
        comparison.differences += [f"refused: {text}" for each in http for text in each.refused]
        return Report(
            seed=self._options.seed,
            seconds=time.monotonic() - self._began_s,
            faults=self._faults.done,
            batches=len(self._load.batches),
            taken=sum(batch.taken for batch in self._load.batches),
            refused=sum(each.unavailable for each in http),
            comparison=comparison,
            dead_letters=letters,
            poison=len(self._poison),
            outages=self._outages,
            memory=self._memory,
        )

    def _strike(self) -> None:
        options, source = self._options, random.Random(self._options.seed)
        until = self._began_s + options.seconds
        while self._faults.kills < options.kills and time.monotonic() < until:
            time.sleep(source.uniform(0.1, 1.9) * options.gap_s)
            if source.random() < 0.1:
                self._send_poison()
            done = self._faults.strike()
            self._see_memory()
            self._say(f"{self._faults.kills:>3}/{options.kills} {done}")

    def _send_poison(self) -> None:
        """Send an event that no function can ever process."""
        name = f"poison-{len(self._poison)}"
        headers = {
            "ce-specversion": "1.0",
            "ce-type": "dev.kandle.raw.v1",
            "ce-source": "/chaos",
            "ce-id": name,
            "content-type": "application/protobuf",
        }
        with contextlib.suppress(httpx.TransportError):
            answer = web.post(self._up.env["K_SINK"], content=b"\xff" * 9, headers=headers)
            if answer.status_code == 202:
                self._poison.append(name)

    def _see_memory(self) -> None:
        for name, size in self._up.memory().items():
            self._memory[name] = max(size, self._memory.get(name, 0))

    def _until_taken(self) -> None:
        """Wait until a batch is accepted, so that the next outage meets a working pipeline."""
        before = sum(batch.taken for batch in self._load.batches)
        deadline = time.monotonic() + 60
        while sum(batch.taken for batch in self._load.batches) == before:
            assert time.monotonic() < deadline, "no batch is taken any more"
            time.sleep(0.5)

    def _settled(self) -> Comparison:
        """Wait until all is stored, applied and repaired; return the differences then.

        A comparison reads every candle: there is none while something is known to be on its way.
        """
        progress_s, best = time.monotonic(), float("inf")
        while True:
            on_their_way = self._on_their_way()
            is_late = time.monotonic() - progress_s > PATIENCE_S
            found = self._comparison() if is_late or on_their_way == 0 else None
            assert not is_late or found, "Postgres or the API did not come back"
            if found and (is_late or not found.differences):
                if on_their_way:
                    found.differences.append(f"{on_their_way} never came to their end")
                return found
            left = len(found.differences) if found else _UNCOMPARED + (on_their_way or _UNCOMPARED)
            if left < best:
                progress_s, best = time.monotonic(), left
            self._say(f"{left:,} differences" if found else f"{on_their_way} on their way")
            time.sleep(2)

    def _on_their_way(self) -> int | None:
        """The number of unfinished events and repairs; None while Postgres is away.

        Events in the channels, candles to be repaired, events that Postgres does not know to be in
        the candles.
        """
        status = self._up.status()
        lag: dict[str, int] = status["lag"]
        waits = [n for name, n in lag.items() if not name.endswith("aggregate-clock")]
        with contextlib.suppress(psycopg.OperationalError):
            ((repairs, unsure),) = rows(
                self._up.env["DATABASE_URL"],
                "SELECT (SELECT count(*) FROM repairs), (SELECT count(*) FROM unaggregated)",
            )
            if not self._options.until_acknowledged:
                return int(repairs)
            # clock events also pass the broker's other triggers
            in_channels = max(0, sum(waits) - 1) + len(status["unready"])
            return int(repairs) + int(unsure) + in_channels
        return None

    def _comparison(self) -> Comparison | None:
        """Compare; None while Postgres or the API is coming back."""
        load = self._load
        try:
            return compare(
                *(self._up.env, load.symbols, load.batches),
                *(load.datagram_ticks, self._rolled_out),
            )
        except (psycopg.OperationalError, httpx.HTTPError) as error:
            self._say(f"cannot compare yet: {error}")
            return None

    def _letters(self) -> list[str]:
        """The dead letters without a reason, and the poison that is missing among them."""
        output = kandle("dlq", "list", "--json", "--data-dir", str(self._up.data_dir)).stdout
        letters = [json.loads(line) for line in output.splitlines()]
        named = {each["attributes"]["id"]: each["error"] for each in letters}
        missing = [
            f"{name} is not in the dead letters" for name in self._poison if name not in named
        ]
        # poison with a lost response may be there too
        return missing + [
            f"dead letter {name}: {error}"
            for name, error in named.items()
            if not name.startswith("poison-")
        ]

    def _say(self, what: str) -> None:
        load = self._load
        batches = load.batches
        taken = sum(batch.taken for batch in batches)
        ticks = sum(len(batch.ticks) for batch in batches if batch.taken)
        self._print(
            f"{time.monotonic() - self._began_s:7.1f} s  {what:<46}"
            f" taken {taken:,}/{len(batches):,} batches, {ticks:,} ticks;"
            f" udp {len(load.datagram_ticks):,}; {waiting(self._up)}"
        )


def run(options: Options, say: Callable[[str], None]) -> Report:
    """Start a platform, do a run, stop it. Data of a run with differences are kept."""
    keep = threading.Event()
    with up(keep, ["--replicas", f"candle-aggregate={options.replicas}"]) as platform:
        keep.set()
        report = Run(platform, options, say).report()
        if report.is_clean:
            keep.clear()
        else:
            say(f"its data are kept: {platform.data_dir}")
    return report
