"""Executes a command that dies with its supervisor: `tether.py PARENT SIGNAL UID COMMAND...`.

Run as a script by the supervisor, one for each child; it sets what only the child itself can set
and then becomes the command, under the same process id. A `kill -9` of the supervisor thus leaves
no orphan on Linux (elsewhere the next start cleans up). UID `-` keeps the user; the signal is set
after the change of user, which would clear it. It runs without site-packages, and COMMAND is an
absolute path, so that nothing has to be imported or looked up as the other user.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1
EXIT_CANNOT_RUN = 126


def main(arguments: list[str]) -> None:
    """Tie this process to its parent, then become the command. Returns only by an exception."""
    parent, death_signal, user, *command = arguments
    if user != "-":
        os.setgroups([])
        os.setgid(int(user))
        os.setuid(int(user))
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, int(death_signal), 0, 0, 0)
        if os.getppid() != int(parent):  # it died before it could be tied to
            sys.exit(EXIT_CANNOT_RUN)
    # Python ignores these; a command must start with the defaults.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    try:
        os.execv(command[0], command)  # noqa: S606 - becoming the command is the purpose
    except OSError as error:
        print(f"cannot run {command[0]}: {error.strerror}", file=sys.stderr)  # noqa: T201
        sys.exit(EXIT_CANNOT_RUN)


if __name__ == "__main__":
    main(sys.argv[1:])
