"""Shard leases of this replica, and the rebuild of shards whose state was lost."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection, Iterable, Set
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from functions.candle_aggregate.steps.step import Steps
from functions.candle_aggregate.steps.store import LEASE_MS, Lease, Store
from shared.adapter.app import Outcome
from shared.errors import TransientError

log = logging.getLogger(__name__)

MAKERS: Final = 2
IDLE_S: Final = 0.02
"""So long leases are kept without work."""
ALONE_S: Final = 1.0
"""Leases that no other replica asked for in SHARED_S are kept that long, with or without work."""
SHARED_S: Final = 60.0
TENURE_S: Final = 0.1
"""So long a replica that has more to do keeps leases for which another waits."""
WAIT_S: Final = 0.05
"""After that a waiting replica looks for new work, which may want shards that it can have."""
ASK_AGAIN_S: Final = 0.5
"""After that a shard that another replica has is asked for again: its lease may have ended."""
WARN_EACH_S: Final = 10.0
"""So often the log says that states cannot be made, of all shards together."""


class Leases:
    """Shards held by one replica; a state that is not trusted is made beside, by MAKERS threads.

    `is_trusted`: whether a shard's state holds all that Postgres relies on. `make`: makes it anew;
    its outcome is added to `outcomes`, and `wake` notified. `held` belongs to the thread of the
    engine.
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
        self.making: set[int] = set()
        self.made: set[int] = set()
        self.outcomes: list[Outcome] = []
        self._store, self._steps, self._wake = store, steps, wake
        self._is_trusted, self._make = is_trusted, make
        self._cached: dict[int, Lease] = {}
        self._missing: set[int] = set()
        self._refused: set[int] = set()
        self._ask_at_s = self._until_s = self._shared_until_s = self._warn_at_s = 0.0
        self._makers = ThreadPoolExecutor(MAKERS, thread_name_prefix="make")

    def of(self, shards: Iterable[int]) -> dict[int, Lease]:
        """Return those of some shards that are held."""
        return {shard: self.held[shard] for shard in shards if shard in self.held}

    def acquire(self, requested: set[int]) -> None:
        """Ask for shards; begin to make the states that are not there. Raises TransientError.

        Those that another replica has are not asked for again before `wait` tells so.
        """
        now_s = time.monotonic()
        if is_due := now_s >= self._ask_at_s:
            self._ask_at_s = now_s + ASK_AGAIN_S
        requested = requested | self._refused if is_due else requested - self._refused
        requested -= self.held.keys() | self.making | self._missing
        if len(self.making) < MAKERS and self._missing:
            requested.add(self._missing.pop())
        if not requested:
            return
        granted = self._store.acquire(sorted(requested), self._cached)
        self._refused = (self._refused | requested) - granted.keys()
        self.made -= granted.keys()
        if self._refused:
            self._share()
        for shard, lease in granted.items():
            is_trusted = self._is_trusted(lease)  # a cached one too: its steps are noted
            cached = self._cached.pop(shard, None)
            if not is_trusted or cached is not lease:
                only_appended = is_trusted and cached is not None and cached.life == lease.life
                self._steps.forget(shard, only_appended=only_appended)
            if not self.held:
                self._until_s = time.monotonic() + TENURE_S
            if is_trusted:
                self.held[shard] = self._cached[shard] = lease
            elif len(self.making) < MAKERS:
                self.making.add(shard)
                self._makers.submit(self._make_one, lease)
            else:  # its lease would end before the others are written
                self._missing.add(shard)
                self._store.release([shard])

    def reason(self, shards: set[int]) -> str:
        """Say what shards wait for."""
        rebuilt = shards & (self.making | self._missing)
        texts = {"another replica has shards": shards - rebuilt, "being rebuilt: shards": rebuilt}
        return "; ".join(
            f"{text} {', '.join(map(str, sorted(some)))}" for text, some in texts.items() if some
        )

    @property
    def idle_s(self) -> float:
        """Time for which leases are kept without work."""
        now_s = time.monotonic()
        if now_s < self._shared_until_s:
            return IDLE_S
        return max(IDLE_S, self._until_s - TENURE_S + ALONE_S - now_s)

    def _share(self) -> None:
        self._shared_until_s = time.monotonic() + SHARED_S

    def hand_over(self, shard: int) -> None:
        """Note that a write handed the lease of a shard to a replica that waited."""
        del self.held[shard]
        self._share()

    @property
    def tenure_left_s(self) -> float:
        """Time for which the leases may be kept from others; negative once that is over."""
        return self._until_s - time.monotonic()

    def gather(self, requested: set[int]) -> None:
        """Acquire shards; wait for the rest while another ends its step, so that one step does all.

        Only the replica that holds the first of them waits, so no two wait for each other.
        """
        self.acquire(requested)
        while requested & self._refused and min(requested) in self.held and self.tenure_left_s > 0:
            self._wait(self.tenure_left_s)
            self.acquire(requested)

    def wait(self) -> None:
        """Give all leases back, since others may wait for them; wait for what was refused."""
        self._release(self.held)
        self.held = {}
        self._wait(WAIT_S)

    def _wait(self, seconds: float) -> None:
        if self._store.wait(seconds):
            self._ask_at_s = 0.0

    def leave(self) -> None:
        """Give all leases back, and wait for none."""
        self._release(self.held.keys() | self._refused)
        self.held, self._refused = {}, set()
        self.return_made(set())

    def return_made(self, wanted: Set[int]) -> None:
        """Give back the leases of states that were made, and that nothing waits for any more."""
        unwanted = self.made - wanted
        self._release(unwanted)
        self.made -= unwanted

    def _release(self, shards: Collection[int]) -> None:
        if shards:
            try:
                if self._store.release(shards):
                    self._share()
            except TransientError as error:
                log.warning("leases end by themselves: %s", error)

    def return_after_job(self, shard: int, *, is_cache_true: bool) -> None:
        """Give a shard back as a job left it; `is_cache_true`: its records are as they were."""
        if not is_cache_true:
            self._steps.forget(shard)
        del self.held[shard]
        self._release([shard])

    def drop(self, shards: Iterable[int]) -> None:
        """Release shards, and drop their cached state."""
        shards = list(shards)
        for shard in shards:
            self._steps.forget(shard)
            self._cached.pop(shard, None)
            self.held.pop(shard, None)
        self._release(shards)

    def close(self) -> None:
        """Wait for the states that are being made, and give their leases back."""
        self._makers.shutdown()
        self._release(self.made)

    def _make_one(self, lease: Lease) -> None:
        """Make a state. Its lease is kept for what waits for it here, as others wait too."""
        ended = threading.Event()
        renewal = threading.Thread(target=self._renew, args=(lease.shard, ended), daemon=True)
        renewal.start()
        is_made = False
        try:
            self.outcomes.append(self._make(lease))
            is_made = True
        except TransientError as error:
            if (now_s := time.monotonic()) >= self._warn_at_s:
                self._warn_at_s = now_s + WARN_EACH_S
                log.warning("the state of shard %d is not made yet: %s", lease.shard, error)
            time.sleep(0.2)
        except Exception:
            log.exception("the state of shard %d could not be made", lease.shard)
            time.sleep(1.0)
        ended.set()
        renewal.join()
        if is_made:
            self.made.add(lease.shard)
        else:
            self._release([lease.shard])
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
