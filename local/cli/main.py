"""The command `kandle`: run a command, turn errors and Ctrl-C into messages and exit codes."""

from __future__ import annotations

import gc
import os
import signal
import sys
from types import FrameType

from local.errors import PlatformError

DEBUG_VARIABLE = "KANDLE_DEBUG"
INTERRUPTED = 130
"""The shell's exit code for SIGINT."""


def main() -> None:
    """Run the command line; exit code 0, 1 (failure), 2 (usage error) or 130."""
    # Before the imports, which take a moment. An ignored SIGINT stays ignored.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _leave)
    from local.cli.app import command_line

    try:
        command_line(sys.argv[1:])()
    except PlatformError as error:
        if os.environ.get(DEBUG_VARIABLE):
            raise
        from rich.console import Console
        from rich.markup import escape

        console = Console(stderr=True, highlight=False, soft_wrap=True)
        console.print(f"[bold red]kandle:[/bold red] {escape(str(error))}", emoji=False)
        sys.exit(error.exit_code)
    finally:
        gc.freeze()  # the final garbage collection would take 0.2 s of CPU


def _leave(_number: int, _frame: FrameType | None) -> None:
    """Exit silently; a command with something to finish handles the signal itself."""
    sys.exit(INTERRUPTED)


if __name__ == "__main__":
    main()
