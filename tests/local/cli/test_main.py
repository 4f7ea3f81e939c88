from __future__ import annotations

import subprocess
import sys

from tests.local.cli.running import REPOSITORY

INTERRUPTED_LOADING = """
import os, signal, sys
from local.cli.main import main

class Interrupts:
    def find_spec(self, name, *_):
        if name == "local.cli.app":
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Interrupts())
main()
"""
LOADED = "import sys, local.cli.app; print(*sys.modules, sep='\\n')"


def python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, "--help"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_an_interrupt_while_it_loads_is_quiet() -> None:
    """Exit code 130, as a shell expects, and no traceback."""
    done = python(INTERRUPTED_LOADING)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


def test_no_command_loads_what_another_needs() -> None:
    """Clients of the stores and of HTTP take longer to load than all the rest."""
    loaded = set(python(LOADED).stdout.split())
    assert "local.cli.candles" in loaded
    assert not loaded & {"httpx", "nats", "psycopg", "aiohttp", "stamina", "rich.progress"}


def test_text_that_looks_like_an_emoji_stays_as_it_is() -> None:
    """An error may quote anything."""
    code = (
        "import local.cli.app as a; from local.cli.main import main; "
        "from local.errors import UsageError\n"
        "def fail(): raise UsageError('[a] :warning: :100:')\n"
        "a.app = fail; main()"
    )
    done = python(code)
    assert (done.returncode, done.stderr) == (2, "kandle: [a] :warning: :100:\n")
