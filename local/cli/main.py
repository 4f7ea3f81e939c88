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
"""The exit code after SIGINT that shells know."""


def main() -> None:
    """Run the command line; exit code 0, 1 (it failed), 2 (it was called wrongly) or 130."""
    # Before anything is loaded, which takes the first moments. A SIGINT that is ignored stays so.
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
        gc.freeze()  # the interpreter's last search for garbage would take 0.2 s of CPU


def _leave(_number: int, _frame: FrameType | None) -> None:
    """Leave without a word; a command that has something to finish takes the signal itself."""
    sys.exit(INTERRUPTED)


if __name__ == "__main__":
    main()
