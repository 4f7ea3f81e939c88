"""Clients that send ticks and record the responses."""

from __future__ import annotations

import random
import socket
import threading
from dataclasses import dataclass, field
from typing import Final

import httpx

from tests.chaos.market import Market, Tick

HURRIED: Final = 0.1
"""The share of batches whose sender does not try again: nobody promised it anything."""
REPEATED: Final = 0.05
"""The share of batches that are sent again after they were taken."""
BAD: Final = 0.05
"""The share of batches with a line in them that is not a tick."""
LAST_TRIES_S: Final = 120.0


@dataclass
class Batch:
    """A body that was POSTed under its own key. `bad`: its lines that are not ticks."""

    key: str
    ticks: list[Tick]
    bad: list[str] = field(default_factory=list)
    taken: bool = False

    @property
    def body(self) -> str:
        """The lines."""
        return "".join(f"{line}\n" for line in (*(t.line for t in self.ticks), *self.bad))


class HttpSender(threading.Thread):
    """POSTs batches, each again under its key until it is answered 202.

    `refused`: responses that good lines should never get; `unavailable`: the number of 5xx.
    """

    def __init__(self, url: str, name: str, seed: int, now_ms: int, every_s: float) -> None:
        super().__init__(name=name, daemon=True)
        self.market = Market(name, seed, now_ms)
        self.batches: list[Batch] = []
        self.refused: list[str] = []
        self.unavailable = 0
        self._url = url
        self._every_s = every_s
        self._random = random.Random(f"{name} {seed}")
        self._stopping = threading.Event()
        self._giving_up = threading.Event()

    def run(self) -> None:
        """Send until `stop`."""
        with httpx.Client(trust_env=False, timeout=15) as client:
            while not self._stopping.wait(self._random.uniform(0.5, 1.5) * self._every_s):
                self._send(client)

    def stop(self) -> None:
        """Send no further batch, and wait for the response to the last one."""
        self._stopping.set()
        self.join(LAST_TRIES_S)
        self._giving_up.set()
        self.join()

    def _send(self, client: httpx.Client) -> None:
        number = len(self.batches)
        bad = []
        if self._random.random() < BAD:
            bad = [f"{self.name},price of {number},1"]
        batch = Batch(
            f"{self.name}-{number}", self.market.ticks(self._random.randrange(1, 60)), bad
        )
        self.batches.append(batch)
        hurried = self._random.random() < HURRIED
        while not batch.taken and not self._giving_up.is_set():
            batch.taken = self._post(client, batch)
            if hurried:
                break
            if not batch.taken:
                self._giving_up.wait(self._random.uniform(0.1, 1.0))
        if self._random.random() < REPEATED:
            again = self._random.choice(self.batches)
            again.taken = self._post(client, again) or again.taken

    def _post(self, client: httpx.Client, batch: Batch) -> bool:
        headers = {"Idempotency-Key": batch.key, "Content-Type": "text/csv"}
        try:
            answer = client.post(self._url, content=batch.body, headers=headers)
        except httpx.TransportError:
            return False
        if answer.status_code >= 500:
            self.unavailable += 1
        elif answer.status_code != 202:
            self.refused.append(f"{batch.key}: {answer.status_code} {answer.text[:200]}")
        return answer.status_code == 202


class UdpSender(threading.Thread):
    """Sends datagrams of a few lines. Without responses, losses can only be counted."""

    def __init__(self, address: str, name: str, seed: int, now_ms: int, every_s: float) -> None:
        super().__init__(name=name, daemon=True)
        self.market = Market(name, seed, now_ms)
        self.sent: list[Tick] = []
        host, port = address.removeprefix("udp://").rsplit(":", 1)
        self._address = (host, int(port))
        self._every_s = every_s
        self._stopping = threading.Event()

    def run(self) -> None:
        """Send until `stop`."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            while not self._stopping.wait(self._every_s):
                ticks = self.market.ticks(10)
                sock.sendto("\n".join(tick.line for tick in ticks).encode(), self._address)
                self.sent += ticks

    def stop(self) -> None:
        """Send no further batch, and wait for the response to the last one."""
        self._stopping.set()
        self.join()
