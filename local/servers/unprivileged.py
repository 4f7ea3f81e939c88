"""Unprivileged user for PostgreSQL, which refuses to run as root.

First choice is a user namespace that maps root to another id: files stay root's. If namespaces are
forbidden it switches to a real user, who must be able to enter the data directory and to read the
programs; those are copied there if needed.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from local.errors import StartError
from local.supervisor.component import tethered

NOBODY = 65534
_PATIENCE_S = 20


@dataclass(frozen=True)
class Identity:
    """Identity for the programs in the directory `programs`: see `Component.prefix` and `.user`."""

    programs: Path
    prefix: tuple[str, ...] = ()
    user: int | None = None

    def command(self, program: str, *arguments: str) -> list[str]:
        """Return the command line of a program under this identity, tied to this process."""
        return tethered(
            [str(self.programs / program), *arguments],
            prefix=self.prefix,
            user=self.user,
            death_signal=signal.SIGKILL,
        )

    def own(self, directory: Path) -> None:
        """Give `directory` and what is in it to this identity, if it belongs to another."""
        if os.geteuid() != 0:
            return
        owner = 0 if self.user is None else self.user
        if directory.stat().st_uid == owner:
            return
        os.chown(directory, owner, owner)
        for path in directory.rglob("*"):
            os.chown(path, owner, owner, follow_symlinks=False)


def choose(installed: Path, directory: Path) -> Identity:
    """Choose whom to run PostgreSQL as, on data in `directory`; `installed` is its package.

    Raises StartError: this process is root and neither way works.
    """
    programs = installed / "pginstall" / "bin"
    if os.geteuid() != 0:
        return Identity(programs)
    return namespaced(programs) or other_user(installed, directory)


def namespaced(programs: Path) -> Identity | None:
    """Root in a user namespace that maps it to another user, if the system allows that."""
    unshare = shutil.which("unshare")
    if unshare is None:
        return None
    prefix = (unshare, "--user", f"--map-user={NOBODY}", f"--map-group={NOBODY}")
    identity = Identity(programs, prefix=prefix)
    return identity if _runs(identity.command("postgres", "--version")) else None


def other_user(installed: Path, directory: Path) -> Identity:
    """Return a real unprivileged user, with a copy of the programs in `directory` if needed.

    Raises StartError: that user cannot enter the data directory.
    """
    identity = Identity(installed / "pginstall" / "bin", user=NOBODY)
    can_list = tethered(["ls", "-d", f"{directory}/."], user=NOBODY)
    if not _runs(can_list):
        raise StartError(
            f"PostgreSQL refuses to run as root, and the user it would become ({NOBODY}) cannot "
            f"enter {directory}: run as an ordinary user, or choose another --data-dir, "
            "for example under /var/tmp"
        )
    if _runs(identity.command("postgres", "--version")):
        return identity
    copy = directory / "programs"
    if not copy.exists():
        unfinished = directory / "programs.new"
        shutil.rmtree(unfinished, ignore_errors=True)
        # The programs load libraries from the sibling directory: copy both.
        for part in (installed, installed.with_name(installed.name + ".libs")):
            if part.exists():
                shutil.copytree(part, unfinished / part.name)
        for path in [unfinished, *unfinished.rglob("*")]:
            path.chmod(path.stat().st_mode | (0o755 if path.is_dir() else 0o444))
        unfinished.rename(copy)
    identity = Identity(copy / installed.name / "pginstall" / "bin", user=NOBODY)
    if not _runs(identity.command("postgres", "--version")):
        raise StartError(
            f"PostgreSQL refuses to run as root, and as user {NOBODY} its programs do not run from "
            f"{copy} (is it on a file system mounted noexec?): run as an ordinary user"
        )
    return identity


def _runs(command: Sequence[str]) -> bool:
    try:
        done = subprocess.run(command, capture_output=True, timeout=_PATIENCE_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0
