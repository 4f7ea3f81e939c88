"""`kandle up` from outside: start, operation and stop."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import httpx
import psycopg
import pytest

from local.servers.ports import free_port
from local.servers.server import Workspace
from local.servers.valkey import valkey
from tests import platform
from tests.local.broker.processes import eventually
from tests.local.cli.test_status import SAMPLE
from tests.local.feeds.receivers import http_receiver
from tests.local.servers.running import Running
from tests.local.supervisor.up_process import Up, as_json, tiny_topology

pytestmark = pytest.mark.processes

STOPS_WITHIN_S = 20.0
"""Ten seconds on a machine that has nothing else to do; here others may run beside it."""


def kandle(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return platform.kandle(*map(str, arguments), check=False)


def test_it_stops_without_leftovers_and_goes_on_where_it_stopped(
    tmp_path: Path, only_a_broker: tuple[str, ...]
) -> None:
    """SIGTERM ends every process and removes lock and instance file; a new start has the data.

    Files of others in the same directories stay.
    """
    data_dir = tmp_path / "data"
    other = data_dir / "run" / "results" / "mine"
    other.parent.mkdir(parents=True)
    other.touch()
    with Up(data_dir, *only_a_broker) as first:
        before = first.ready().instance()
        with psycopg.connect(before.env["DATABASE_URL"]) as connection:
            connection.execute("CREATE TABLE t AS SELECT 42 AS answer")
        run = data_dir / "run" / "instance.json"
        assert stat.S_IMODE(run.stat().st_mode) == 0o600
        assert len(first.children()) >= 5
        assert first.stop(signal.SIGTERM) < STOPS_WITHIN_S
        assert first.process.returncode == 0, first.output
        assert first.left() == [str(other.parent)]
    with Up(data_dir, *only_a_broker) as second:
        assert second.ready().instance().env == before.env
        with psycopg.connect(before.env["DATABASE_URL"]) as connection:
            assert connection.execute("SELECT answer FROM t").fetchone() == (42,)
        assert second.stop(signal.SIGINT) < STOPS_WITHIN_S
        assert second.process.returncode == 0, second.output
        assert second.left() == [str(other.parent)]
    assert other.exists()


@pytest.mark.parametrize(("how", "after_s"), [(signal.SIGINT, 0.1), (signal.SIGTERM, 0.6)])
def test_an_interrupted_start_leaves_nothing(
    tmp_path: Path,
    only_a_broker: tuple[str, ...],
    given_s3: Mapping[str, str],
    how: signal.Signals,
    after_s: float,
) -> None:
    """A stop during the start ends all that had started."""
    data_dir = tmp_path / "data"
    with Up(data_dir, *only_a_broker, environment=given_s3) as up:
        eventually((data_dir / "lock").exists)
        deadline = time.monotonic() + after_s
        while time.monotonic() < deadline:
            up.children()
            time.sleep(0.02)
        assert up.stop(how) < STOPS_WITHIN_S
        assert up.process.returncode == 0, up.output
        assert up.left() == []
        assert "ready " not in up.output


@pytest.fixture(scope="module")
def up(
    tmp_path_factory: pytest.TempPathFactory,
    only_a_broker: tuple[str, ...],
    given_stores: Mapping[str, str],
) -> Iterator[Up]:
    """One that several tests look at and disturb, each leaving it whole."""
    data_dir = tmp_path_factory.mktemp("up") / "data"
    with Up(data_dir, *only_a_broker, environment=given_stores) as started:
        yield started.ready()


def test_what_dies_is_brought_back(up: Up) -> None:
    """A killed server and broker are restarted at the same address, and shown."""
    before = {each.name: each for each in up.instance().components}
    for name in ("valkey", "broker"):
        os.kill(up.child(name), signal.SIGKILL)
    eventually(
        lambda: {up.child(name) for name in ("valkey", "broker")}.isdisjoint(
            {before["valkey"].pid, before["broker"].pid, 0}
        )
    )
    after = {each.name: each for each in up.instance().components}
    assert {each.url for each in after.values()} == {each.url for each in before.values()}
    eventually(lambda: "! broker is back" in up.output and "! valkey is back" in up.output)
    assert httpx.get(f"{after['broker'].url}/readyz").is_success
    assert "! valkey died (killed by SIGKILL)" in up.output
    eventually(lambda: "broker" in up.restarts())
    assert set(up.restarts()) == {"valkey", "broker"}


def test_a_disk_that_takes_no_file_ends_nothing(up: Up) -> None:
    """On a full disk a dead component is restarted, and reported once there is room."""
    run, returned = up.data_dir / "run", up.output.count("! broker is back")
    killed = up.child("broker")
    for name in ("status", "processes", "instance"):
        eventually(lambda file=run / f".{name}.json.new": obstructed(file))  # type: ignore[misc]
    eventually(lambda: "takes no file" in up.output)
    os.kill(killed, signal.SIGKILL)
    eventually(lambda: up.output.count("! broker is back") > returned)
    assert up.child("broker") == killed
    for obstacle in run.glob(".*.new"):
        obstacle.rmdir()
    eventually(lambda: up.child("broker") not in (killed, 0))


def obstructed(file: Path) -> bool:
    """Prevent writes there; False while something is being written."""
    with contextlib.suppress(FileExistsError):
        file.mkdir()
        return True
    return False


def test_a_killed_supervisor_leaves_no_orphans_and_no_obstacle(
    tmp_path: Path, only_a_broker: tuple[str, ...], given_s3: Mapping[str, str]
) -> None:
    """After kill -9 of the supervisor its processes end, and the next start works."""
    data_dir = tmp_path / "data"
    with Up(data_dir, *only_a_broker, environment=given_s3) as up:
        up.ready()
        os.kill(up.process.pid, signal.SIGKILL)
        up.process.wait()
        eventually(lambda: not up.living(), STOPS_WITHIN_S)
    assert "kandle up" in kandle("status", "--data-dir", data_dir).stderr
    with Up(data_dir, *only_a_broker, environment=given_s3) as again:
        again.ready()
        assert again.stop() < STOPS_WITHIN_S
        assert again.left() == []


def test_others_see_the_running_instance(up: Up, only_a_broker: tuple[str, ...]) -> None:
    """`status` and `env` describe the instance; a second start names its process."""
    data_dir = up.data_dir
    eventually(up.status)
    status = as_json(kandle("status", "--json", "--data-dir", data_dir).stdout)
    assert status["pid"] == up.process.pid
    assert status["dead_letters"] == 0
    assert {each["name"] for each in status["components"]} == {"nats", "valkey", "broker"}
    assert status.keys() >= SAMPLE.keys()
    assert status["components"][0].keys() >= SAMPLE["components"][0].keys()
    assert "broker" in kandle("status", "--data-dir", data_dir).stdout
    shell = f'eval "$({sys.executable} -m local.cli.main env --data-dir {data_dir})"; env'
    variables = subprocess.run(
        ["sh", "-c", shell], capture_output=True, text=True, check=True, timeout=60
    ).stdout
    for name, value in up.instance().env.items():
        assert f"{name}={value}\n" in variables
    assert "K_SINK=http://127.0.0.1:" in variables

    second = kandle("up", "--data-dir", data_dir, *only_a_broker)
    assert second.returncode == 1
    assert f"in use by process {up.process.pid} since" in second.stderr
    assert "--data-dir" in second.stderr
    assert (data_dir / "run" / "instance.json").exists()


_TRIGGER = """\
apiVersion: eventing.knative.dev/v1
kind: Trigger
metadata: {{name: {name}, namespace: test}}
spec:
  broker: events
  subscriber: {subscriber}
  delivery: {{retry: 1, backoffPolicy: linear, backoffDelay: PT0.1S{sink}}}
"""


def test_what_other_sinks_got_and_what_is_lost_is_counted(
    tmp_path: Path, given_stores: Mapping[str, str]
) -> None:
    """Dead letters of other sinks and losses are counted, and readiness has its reason."""
    directory = tiny_topology(tmp_path / "eventing")
    away = f"{{uri: http://127.0.0.1:{free_port()}}}"
    absent = "{ref: {apiVersion: serving.knative.dev/v1, kind: Service, name: absent}}"
    with http_receiver() as sink:
        triggers = [
            _TRIGGER.format(name=name, subscriber=subscriber, sink=kept)
            for name, subscriber, kept in [
                ("kept", away, f", deadLetterSink: {{uri: {sink.url}}}"),
                ("lost", away, ""),
                ("absent", absent, ""),
            ]
        ]
        (directory / "triggers.yaml").write_text("---\n".join(triggers))
        arguments = ("--functions", "none", "--eventing", str(directory))
        with Up(tmp_path / "data", *arguments, environment=given_stores) as up:
            broker = up.ready().instance().env["K_SINK"]
            for number in range(2):
                event = {"specversion": "1.0", "id": str(number), "type": "t", "source": "/t"}
                headers = {f"ce-{name}": value for name, value in event.items()}
                assert httpx.post(broker, headers=headers, content=b"x").status_code == 202
            eventually(lambda: up.status().get("lost") == 2)
            eventually(lambda: up.status()["dead_letters"] == 2)
            status = up.status()
    assert (status["dead_letters"], status["dead_lettered"], status["lost"]) == (2, 2, 2)
    assert status["unready"].keys() == {"test/absent"}
    assert "absent.test.svc.cluster.local" in status["unready"]["test/absent"]


def test_what_does_not_stop_is_killed_in_time_and_told(
    tmp_path: Path, only_a_broker: tuple[str, ...], given_stores: Mapping[str, str]
) -> None:
    """A component that does not stop is killed in time, with a line that names its log.

    It has the time that others did not need.
    """
    with Up(tmp_path / "data", *only_a_broker, environment=given_stores) as up:
        up.ready()
        os.kill(up.child("valkey"), signal.SIGSTOP)
        assert 5 < up.stop() < STOPS_WITHIN_S
        assert up.left() == []
        assert "! valkey did not stop within" in up.output
        assert "logs/valkey.log" in up.output


def test_a_port_in_use_is_named(tmp_path: Path) -> None:
    """The error of a port in use names the port, its option and its process."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        found = kandle(
            "up", "--data-dir", tmp_path / "udp", "--functions", "none", "--udp-port", str(port)
        )
    assert found.returncode == 1
    assert f"UDP port {port} is in use by process {os.getpid()}" in found.stderr
    assert "--udp-port" in found.stderr
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        found = kandle("up", "--data-dir", tmp_path / "tcp", "--http-port", str(port))
    assert found.returncode == 1
    assert f"TCP port {port} is in use by process {os.getpid()}" in found.stderr
    assert "--http-port" in found.stderr
    assert not (tmp_path / "tcp" / "lock").exists()
    assert "Traceback" not in found.stderr


@pytest.mark.parametrize("place", ["/proc/kandle", "file/below"])
def test_a_data_directory_that_cannot_be_used_is_named(tmp_path: Path, place: str) -> None:
    """An unusable data directory is one line with option and reason; readers see no instance."""
    (tmp_path / "file").touch()
    data_dir = tmp_path / place
    found = kandle("up", "--functions", "none", "--data-dir", data_dir)
    assert found.returncode == 2
    assert f"--data-dir {data_dir} cannot be used: " in found.stderr
    assert len(found.stderr.splitlines()) == 1
    read = kandle("status", "--data-dir", data_dir)
    assert read.returncode == 1
    assert len(read.stderr.splitlines()) == 1


def test_servers_from_the_environment_are_used(
    tmp_path: Path, only_a_broker: tuple[str, ...], given_stores: Mapping[str, str]
) -> None:
    """Servers whose URLs are given are not started, and run on after the stop."""
    with Running(valkey(Workspace.at(tmp_path / "elsewhere")), tmp_path) as external:
        given = {**given_stores, **external.variables}
        with Up(tmp_path / "data", *only_a_broker, environment=given) as up:
            instance = up.ready().instance()
            assert instance.env.items() >= given.items()
            kinds = {each.name: each.kind for each in instance.components}
            assert {kinds[each] for each in ("REDIS_URL", "DATABASE_URL", "S3_ENDPOINT_URL")} == {
                "external"
            }
            assert kinds.keys().isdisjoint({"valkey", "postgres", "seaweedfs"})
            assert not (tmp_path / "data" / "valkey").exists()
            up.stop()
            assert up.left() == []
        assert external.ask(external.keeper.component.ready())


def test_a_start_in_the_shell_of_another_instance_joins_none_of_its_servers(
    tmp_path: Path, only_a_broker: tuple[str, ...], given_s3: Mapping[str, str]
) -> None:
    """After `eval "$(kandle env)"` another directory has its own servers, and reports it."""
    with Up(tmp_path / "first", *only_a_broker, environment=given_s3) as first:
        first.ready()
        printed = kandle("env", "--data-dir", tmp_path / "first").stdout.splitlines()
        words = [shlex.split(line)[1].partition("=") for line in printed]
        shell = {name: value for name, _, value in words}
        with Up(tmp_path / "second", *only_a_broker, environment=shell) as second:
            other = second.ready().instance().env
            said = "NATS_URL, REDIS_URL, DATABASE_URL of this shell are another instance's"
            assert said in " ".join(second.output.split())
    for name in ("NATS_URL", "REDIS_URL", "DATABASE_URL"):
        assert shell[name] != other[name]
    assert other["S3_ENDPOINT_URL"] == given_s3["S3_ENDPOINT_URL"]


def test_the_second_interrupt_kills_at_once(
    tmp_path: Path, only_a_broker: tuple[str, ...], given_stores: Mapping[str, str]
) -> None:
    """The second Ctrl-C kills at once."""
    with Up(tmp_path / "data", *only_a_broker, environment=given_stores) as up:
        up.ready()
        stopped = up.child("valkey")
        os.kill(stopped, signal.SIGSTOP)  # it does not react to the first
        up.process.send_signal(signal.SIGINT)
        eventually(lambda: "stopping" in up.output)
        up.stop(signal.SIGINT)
        assert "did not stop within" not in up.output
        assert up.left() == []
