from __future__ import annotations

import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from local.broker.addresses import Addresses
from local.errors import UsageError
from local.servers.server import Workspace
from local.supervisor.component import STORE_VARIABLES, Kind, base_environment
from local.supervisor.feed_list import parse_feeds
from local.supervisor.options import Options, parse_replicas
from local.supervisor.plan import Plan
from local.supervisor.stopping import drain_s
from local.supervisor.topology import Topology
from local.topology.addressable import INGRESS_HOST
from tests.local.supervisor.up_process import tiny_topology

STORES = {name: f"the {name}" for name in (*STORE_VARIABLES, "NATS_BROWSER_URL")}


def plan(tmp_path: Path, options: Options) -> Plan:
    return Plan(Topology.load(options), options, Workspace.at(tmp_path), STORES)


def test_a_function_gets_what_its_manifest_says(tmp_path: Path) -> None:
    """A function has exactly its manifest's stores, its sink and local addresses."""
    processes = plan(tmp_path, Options(http_port=18080))
    functions = {each.name: each for each in processes.functions()}
    aggregate = functions["candle-aggregate"].environment
    assert aggregate["REDIS_URL"] == "the REDIS_URL"
    assert aggregate["K_SINK"] == f"{processes.broker_url}/kandle/market"
    assert aggregate["K_CE_OVERRIDES"] == ""
    assert aggregate["DEAD_LETTER_URL"] == functions["dead-letter"].url
    assert aggregate["K_SERVICE"] == "candle-aggregate"
    assert aggregate["FUNCTION_SIGNATURE_TYPE"] == "http"
    normalize = functions["normalize"].environment
    assert set(STORE_VARIABLES) & normalize.keys() == {"REDIS_URL"}
    for each in functions.values():
        assert each.environment["PORT"] == str(urlsplit(each.url).port)
    assert len({each.url for each in functions.values()}) == len(functions)


def test_other_machines_reach_the_page_with_a_token_and_nothing_else(tmp_path: Path) -> None:
    """Other machines reach only a replica of live-feed, with a token and without events."""
    processes = plan(tmp_path, Options(host="0.0.0.0", dashboard_port=18088))
    functions = {each.name: each for each in processes.functions()}
    watchers = functions.pop("live-feed-watchers")
    assert watchers.environment["HOST"] == "0.0.0.0"
    assert watchers.environment["PORT"] == "18088"
    assert watchers.environment["LIVE_EVENTS"] == "0"
    assert len(watchers.environment["API_TOKENS"]) == 48
    assert {each.environment["HOST"] for each in functions.values()} == {"127.0.0.1"}
    assert not any("API_TOKENS" in each.environment for each in functions.values())
    assert watchers.url not in processes.addresses.values()
    assert processes.replica_addresses == {}
    alone = plan(tmp_path, Options(dashboard_port=18089))
    assert alone.endpoints["LIVE_URL"] == "http://127.0.0.1:18089"
    assert "live-feed-watchers" not in {each.name for each in alone.functions()}


def test_one_function_for_everything_stays_on_loopback(tmp_path: Path) -> None:
    """The one-function form stays on loopback, as it takes events by host name."""
    trigger = """\
---
apiVersion: eventing.knative.dev/v1
kind: Trigger
metadata: {name: all, namespace: test}
spec:
  broker: events
  subscriber:
    ref: {apiVersion: serving.knative.dev/v1, kind: Service, name: kandle, namespace: kandle}
"""
    directory = tiny_topology(tmp_path / "eventing")
    (directory / "trigger.yaml").write_text(trigger)
    assert "kandle" in {each.name for each in Topology.load(Options(eventing=directory)).functions}
    with pytest.raises(UsageError, match=r"--host.*stays on loopback"):
        Topology.load(Options(eventing=directory, host="0.0.0.0"))


def test_a_function_runs_as_often_as_it_was_asked_for(tmp_path: Path) -> None:
    """Each replica is a process with its own address, and the broker has all of them."""
    processes = plan(tmp_path, Options(replicas=parse_replicas(["candle-aggregate=3"])))
    replicas = [each for each in processes.functions() if each.name.startswith("candle-aggregate")]
    host = "candle-aggregate.kandle.svc.cluster.local"
    assert processes.replica_addresses == {host: [each.url for each in replicas]}
    assert len({each.url for each in replicas}) == 3
    assert {each.environment["K_SERVICE"] for each in replicas} == {"candle-aggregate"}
    broker = Addresses(processes.replica_addresses, processes.broker_url)
    turns = [broker.resolve(f"http://{host}/x") for _ in range(6)]
    assert turns == [f"{each.url}/x" for each in replicas] * 2
    with pytest.raises(UsageError, match="no function persists"):
        Topology.load(Options(replicas={"persists": 2}))
    with pytest.raises(UsageError, match="FUNCTION=N"):
        parse_replicas(["persist=0"])


def test_secrets_stand_on_no_command_line(tmp_path: Path) -> None:
    """No command line has a secret or a store's address."""
    processes = plan(tmp_path, Options())
    components = [
        *processes.functions(),
        processes.broker(tmp_path / "addresses.json"),
        *processes.sources(),
    ]
    assert not [each for each in components if "the " in " ".join(each.command)]
    assert not [each for each in components if "the " in repr(each)]


def test_people_find_the_platform_where_they_asked(tmp_path: Path) -> None:
    """API, UDP and ingest are on the given ports, with ingest at its path."""
    processes = plan(tmp_path, Options(http_port=18080, udp_port=15005))
    ingest = processes.addresses["udp-bridge.kandle.svc.cluster.local"]
    assert processes.endpoints == {
        "GRPC_ADDR": processes.endpoints["GRPC_ADDR"],
        "API_URL": "http://127.0.0.1:18080",
        "LIVE_URL": processes.addresses["live-feed.kandle.svc.cluster.local"],
        "INGEST_URL": f"{ingest}/ingest",
        "UDP_ADDR": "127.0.0.1:15005",
        "K_SINK": f"{processes.broker_url}/kandle/ingest",
    }
    assert processes.addresses[INGRESS_HOST] == processes.broker_url


def test_the_listener_runs_as_its_deployment_says(tmp_path: Path) -> None:
    """The listener runs its Deployment's command with this machine's interpreter and ports."""
    (_, listener) = plan(tmp_path, Options(udp_port=15005)).sources()
    assert listener.command == (sys.executable, "-m", "functions.udp_bridge.listener")
    assert listener.environment["UDP_HOST"] == "127.0.0.1"
    assert listener.environment["UDP_PORT"] == "15005"
    metrics = listener.environment["METRICS_PORT"]
    assert listener.metrics_url == f"http://127.0.0.1:{metrics}/metrics"


def test_grpc_is_served_where_people_are_told(tmp_path: Path) -> None:
    """gRPC is on loopback at a free port beside live-feed, and absent without it."""
    processes = plan(tmp_path, Options())
    server = processes.sources()[0]
    address = f"{server.environment['GRPC_HOST']}:{server.environment['GRPC_PORT']}"
    assert address == processes.endpoints["GRPC_ADDR"]
    assert server.url == f"grpc://{address}"
    assert server.environment["NATS_URL"] == "the NATS_URL"
    without = plan(tmp_path, Options(functions="normalize"))
    assert "GRPC_ADDR" not in without.endpoints
    assert "live-grpc" not in [each.name for each in without.sources()]


def test_each_is_told_how_long_it_may_drain(tmp_path: Path) -> None:
    """DRAIN_S is whole seconds below the time until the kill."""
    processes = plan(tmp_path, Options())
    for each in [
        *processes.functions(),
        processes.broker(tmp_path / "addresses.json"),
        *processes.sources(),
    ]:
        assert int(each.environment["DRAIN_S"]) == drain_s(each.kind)
    function = processes.functions()[0].command
    graceful = function[function.index("--timeout-graceful-shutdown") + 1]
    assert int(graceful) == drain_s(Kind.FUNCTION)


def test_the_simulator_is_a_source_when_asked_for(tmp_path: Path) -> None:
    """The simulator sends to this instance's UDP port at the given rate."""
    processes = plan(tmp_path, Options(udp_port=15005, simulate=True, simulate_rate=1500))
    simulator = processes.sources()[-1]
    assert simulator.name == "simulator"
    line = " ".join(simulator.command)
    assert line.endswith("simulate --quiet --to udp --udp-addr 127.0.0.1:15005 --rate 1500")


def test_a_simulator_with_a_past_knows_where_to_store_it(tmp_path: Path) -> None:
    """A simulator with a past has this instance's broker and API; without an API it has none."""
    processes = plan(tmp_path, Options(simulate=True, history_s=7200))
    simulator = processes.sources()[-1]
    broker, api = f"{processes.broker_url}/kandle/ticks", processes.endpoints["API_URL"]
    where = ("--broker-url", broker, "--api-url", api)
    assert simulator.command[-6:] == ("--history", "7200s", *where)
    bare = plan(tmp_path, Options(simulate=True, history_s=7200, functions="udp-bridge"))
    assert "--history" not in bare.sources()[-1].command


def test_a_simulator_without_a_listener_is_refused(tmp_path: Path) -> None:
    """A simulator without a listener is refused."""
    with pytest.raises(UsageError, match="--simulate"):
        Topology.load(Options(eventing=tiny_topology(tmp_path / "eventing"), simulate=True))


def test_a_directory_that_is_not_there_is_refused(tmp_path: Path) -> None:
    """The error of a missing directory names the option."""
    with pytest.raises(UsageError, match=r"--eventing: .*nowhere is not a directory"):
        Topology.load(Options(eventing=tmp_path / "nowhere"))


@pytest.mark.parametrize("choice", ["", " , "])
def test_functions_without_a_name_are_refused(choice: str) -> None:
    """An empty list of functions is refused; `none` selects none."""
    with pytest.raises(UsageError, match=f"--functions: '{choice}' names none; give all, none or"):
        Topology.load(Options(functions=choice))


def test_what_a_shell_exports_reaches_no_component(monkeypatch: pytest.MonkeyPatch) -> None:
    """A component has only its manifest's variables, and no proxy for loopback."""
    monkeypatch.setenv("DATABASE_URL", "postgresql://elsewhere")
    monkeypatch.setenv("K_SINK", "http://elsewhere")
    monkeypatch.setenv("NO_PROXY", "example.org")
    environment = base_environment()
    assert "DATABASE_URL" not in environment
    assert "K_SINK" not in environment
    assert environment["NO_PROXY"] == "example.org,127.0.0.1,localhost"


def test_a_feed_is_a_process_of_its_own(tmp_path: Path) -> None:
    """Each given feed is a process with its name, symbols and port."""
    assert not [each for each in plan(tmp_path, Options()).sources() if "exchange" in each.name]
    feeds = parse_feeds(["binance:BTCUSDT, ETHUSDT", "scanner"])
    bridges = {each.name: each for each in plan(tmp_path, Options(feeds=feeds)).sources()}
    binance = bridges["exchange-bridge-binance"].environment
    assert (binance["FEED"], binance["BINANCE_SYMBOLS"]) == ("binance", "BTCUSDT,ETHUSDT")
    assert binance["DATABASE_URL"] == "the DATABASE_URL"
    assert binance["METRICS_HOST"] == "127.0.0.1"
    scanner = bridges["exchange-bridge-scanner"].environment
    assert scanner["FEED"] == "scanner"
    assert scanner["METRICS_PORT"] != binance["METRICS_PORT"]


def test_a_venue_of_ccxt_is_a_feed(tmp_path: Path) -> None:
    """A ccxt venue is a feed whose symbols may have colons."""
    (feed,) = parse_feeds(["ccxt:bybit:BTC/USDT,BTC/USDT:USDT"])
    assert str(feed) == "ccxt:bybit:BTC/USDT,BTC/USDT:USDT"
    bridges = {each.name: each for each in plan(tmp_path, Options(feeds=(feed,))).sources()}
    found = bridges["exchange-bridge-ccxt-bybit"].environment
    assert (found["FEED"], found["CCXT_VENUE"]) == ("ccxt", "bybit")
    assert found["CCXT_SYMBOLS"] == "BTC/USDT,BTC/USDT:USDT"


@pytest.mark.parametrize(
    ("texts", "reason"),
    [
        ([""], "such as binance:BTCUSDT"),
        (["nonsense"], "the names are binance, coinbase, kraken, alpaca, scanner, ccxt"),
        (["Binance"], "such as binance:BTCUSDT"),
        (["a b:X"], "such as binance:BTCUSDT"),
        ([":X"], "such as binance:BTCUSDT"),
        (["binance:"], "names no symbol"),
        (["ccxt:bybit:"], "names no symbol"),
        (["ccxt"], "a venue of .*bybit"),
        (["ccxt:nonsense:BTC/USDT"], "a venue of .*bybit"),
        (["ccxt:__init__:BTC/USDT"], "a venue of .*bybit"),
        (["binance:A", "binance:B"], "binance is asked for twice"),
        (["binance:A", "ccxt:binance:A/B"], "binance is asked for twice"),
    ],
)
def test_what_is_no_feed_is_refused(texts: list[str], reason: str) -> None:
    """An unknown or repeated feed is refused before the start, with the known ones."""
    with pytest.raises(UsageError, match=reason):
        parse_feeds(texts)
