"""Shard leases of this replica, and the rebuild of shards whose state was lost."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from functions.candle_aggregate.steps.step import Steps
from functions.candle_aggregate.steps.store import LEASE_MS, Lease, Store
from shared.adapter.app import Outcome
from shared.errors import TransientError

log = logging.getLogger(__name__)

MAKERS: Final = 2


class Leases:
    """Shards held by one replica; a state that is not trusted is made beside, by MAKERS threads.

    `is_trusted`: whether a shard's state holds all that Postgres relies on. `make`: makes it anew;
    its outcome is added to `outcomes`, and `wake` notified. `held` and `since_s`, the time since
    when there are any, belong to the thread of the engine.
    """

    def __init__(
        self,
        store: Store,
        steps: Steps,
        is_trusted: Callable[[Lease], bool],
        make: Callable[[Lease], Outcome],
        wake: threading.Condition,
    ) -> None:
        self.held: dict[int, Lease] = {}
        self.since_s = 0.0
        self.making: set[int] = set()
        self.outcomes: list[Outcome] = []
        self._store, self._steps, self._wake = store, steps, wake
        self._is_trusted, self._make = is_trusted, make
        self._cached: dict[int, Lease] = {}
        self._missing: set[int] = set()
        self._makers = ThreadPoolExecutor(MAKERS, thread_name_prefix="make")

    def of(self, shards: Iterable[int]) -> dict[int, Lease]:
        """Return those of some shards that are held."""
        return {shard: self.held[shard] for shard in shards if shard in self.held}

    def acquire(self, requested: set[int]) -> None:
        """Ask for shards; begin to make the states that are not there. Raises TransientError."""
        requested = requested - (self.held.keys() | self.making | self._missing)
        if len(self.making) < MAKERS and self._missing:
            requested.add(self._missing.pop())
        if not requested:
            return
        for shard, lease in self._store.acquire(sorted(requested), self._cached).items():
            is_trusted = self._is_trusted(lease)  # a cached one too: its steps are noted
            if not is_trusted or self._cached.get(shard) is not lease:
                self._steps.forget(shard)
                self._cached.pop(shard, None)
            if not self.held:
                self.since_s = time.monotonic()
            if is_trusted:
                self.held[shard] = self._cached[shard] = lease
            elif len(self.making) < MAKERS:
                self.making.add(shard)
                self._makers.submit(self._made, lease)
            else:  # its lease would end before the others are written
                self._missing.add(shard)
                self._store.release([lease])

    def give_back(self) -> None:
        """Release all leases."""
        leases, self.held = list(self.held.values()), {}
        self.release(leases)

    def release(self, leases: list[Lease]) -> None:
        """Release leases."""
        if leases:
            try:
                self._store.release(leases)
            except TransientError as error:
                log.warning("leases end by themselves: %s", error)

    def return_after_job(self, shard: int, *, is_cache_true: bool) -> None:
        """Give a shard back as a job left it; `is_cache_true`: its records are as they were."""
        if not is_cache_true:
            self._steps.forget(shard)
        self.release([self.held.pop(shard)])

    def drop(self, shards: Iterable[int]) -> None:
        """Release shards, and drop their cached state."""
        dropped = []
        for shard in list(shards):
            self._steps.forget(shard)
            self._cached.pop(shard, None)
            if lease := self.held.pop(shard, None):
                dropped.append(lease)
        self.release(dropped)

    def close(self) -> None:
        """Wait for the states that are being made."""
        self._makers.shutdown()

    def _made(self, lease: Lease) -> None:
        ended = threading.Event()
        renewal = threading.Thread(target=self._renew, args=(lease.shard, ended), daemon=True)
        renewal.start()
        try:
            self.outcomes.append(self._make(lease))
        except TransientError as error:
            log.warning("the state of shard %d is not made yet: %s", lease.shard, error)
            time.sleep(0.2)
        except Exception:
            log.exception("the state of shard %d could not be made", lease.shard)
            time.sleep(1.0)
        ended.set()
        renewal.join()
        with self._wake:
            self.making.discard(lease.shard)
            self._wake.notify()

    def _renew(self, shard: int, ended: threading.Event) -> None:
        """Renew the lease of a shard during its rebuild."""
        while not ended.wait(LEASE_MS / 3_000):
            try:
                self._store.acquire([shard], {})
            except TransientError as error:
                log.warning("the lease of shard %d is not renewed: %s", shard, error)
