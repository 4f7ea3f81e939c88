"""A replica loses Redis while it holds shards: another takes over, and all candles are right."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest
import redis

from functions.candle_aggregate.engine import Engine
from functions.candle_aggregate.leases import Leases
from functions.candle_aggregate.steps import store as leases_of
from functions.candle_aggregate.steps.step import TickEvent
from functions.candle_aggregate.steps.store import Changes, Lease, Store, Written
from functions.candle_aggregate.storage import Storage
from shared.stores.redis import connect
from tests.functions.candle_aggregate.trades import trades
from tests.functions.candle_aggregate.truth import Row, as_ticks
from tests.functions.candle_aggregate.world import World, finish
from tests.relay import Relay

LEASE_MS = 500
TIMEOUT_S = 0.5
"""Both 5 s in operation: a command is given up when the lease has ended, or after it."""

CUTS: dict[str, Callable[[Relay], None]] = {
    "connections end": Relay.refuse,
    "nothing passes, and arrives later": Relay.hold,
    "Redis writes, and its answers are lost": lambda relay: relay.hold(answers_alone=True),
}


def market(first: int) -> list[Row]:
    """Six trades each of instruments of every shard."""
    return [row for name in "ABD" for row in trades(first, 6, name=name)]


class CutStore(Store):
    """A store whose connection is cut just before a write."""

    def __init__(self, client: redis.Redis) -> None:
        super().__init__(client)
        self.is_cut = threading.Event()
        self._writes_left = -1

    def cut_at(self, writes: int, cut: Callable[[], None]) -> None:
        """Cut after so many more writes."""
        self._writes_left, self._cut = writes, cut

    def write(
        self, steps: Sequence[tuple[Lease, Changes]], now_us: int, *, release: bool = True
    ) -> list[Written]:
        if self._writes_left == 0:
            self._cut()
            self.is_cut.set()
        self._writes_left -= 1
        return super().write(steps, now_us, release=release)


class Replica:
    """A second replica of candle-aggregate in a world, connected to Redis by a relay."""

    def __init__(self, world: World, url: str) -> None:
        self.world = world
        self.store = CutStore(connect(url, TIMEOUT_S))
        storage = Storage(self.store, world.postgres, world.rules, world._clock)
        self.engine = Engine(self.store, world.rules, storage, world._clock)

    def apply(self, event_id: str) -> bool:
        """Deliver a batch; return whether it was answered 204."""
        event = TickEvent(event_id, as_ticks(self.world.sent[event_id]))
        return self.world.deliver(
            lambda: [each for one in self.engine.apply([event]) for each in one.emissions]
        )


@pytest.fixture
def relay(servers: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Relay]:
    monkeypatch.setattr(leases_of, "LEASE_MS", LEASE_MS)
    monkeypatch.setitem(Leases._renew.__globals__, "LEASE_MS", LEASE_MS)
    with Relay(servers["REDIS_URL"].rsplit("/", 1)[0] + "/1") as relay:
        yield relay


@pytest.fixture
def cut_off(world: World, relay: Relay) -> Iterator[Replica]:
    replica = Replica(world, relay.url)
    yield replica
    relay.restore()
    replica.engine.close()


@pytest.mark.parametrize("cut", CUTS)
def test_another_replica_goes_on(world: World, relay: Relay, cut_off: Replica, cut: str) -> None:
    """Events of a cut-off replica are applied by another, and both work once Redis is back."""
    some = [world.send(market(n)) for n in range(0, 60, 6)]
    assert cut_off.apply(some[0])
    cut_off.store.cut_at(0, lambda: CUTS[cut](relay))
    assert not all([cut_off.apply(each) for each in some[1:4]])  # noqa: C419 (each is delivered)
    assert all(world.apply(each) for each in some[1:7])
    relay.restore()
    assert all(cut_off.apply(each) for each in some)
    finish(world)


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("writes", [1, 3])
def test_another_replica_makes_the_state(
    world: World, relay: Relay, cut_off: Replica, cut: str, writes: int
) -> None:
    """If the replica that rebuilds a lost state is cut off, another rebuilds it."""
    some = [world.ship(market(n)) for n in range(0, 24, 6)]
    world.client.flushdb()
    cut_off.store.cut_at(writes, lambda: CUTS[cut](relay))
    some.append(world.send(market(24)))
    with ThreadPoolExecutor(1) as beside:
        here = beside.submit(cut_off.apply, some[-1])
        assert cut_off.store.is_cut.wait(10)
        assert world.apply(some[-1])
        relay.restore()
        here.result()
    assert all(cut_off.apply(each) for each in some)
    finish(world)
