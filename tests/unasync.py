"""The synchronous client, generated from the asyncio one: `python -m tests.unasync`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Final

import unasync

ROOT: Final = Path(__file__).parents[1]
SOURCES: Final = ROOT / "kandle" / "_async"
_HEADER: Final = "# Written by `python -m tests.unasync` from `kandle/_async`."
_OURS: Final = "--config=lint.isort.known-first-party=['kandle']"
_NAMES: Final = {
    "AsyncClient": "Client",
    "AsyncKandle": "Kandle",
    "AsyncRows": "Rows",
    "aclose": "close",
    "aiter_text": "iter_text",
    "aread": "read",
    "asyncio": "time",
    "_async": "_sync",
}


def write(into: Path) -> list[Path]:
    """Write the modules to a folder, formatted as ruff does; return them."""
    rule = unasync.Rule(f"{SOURCES}/", f"{into}/", _NAMES)
    unasync.unasync_files([str(path) for path in SOURCES.glob("*.py")], [rule])
    written = sorted(into.glob("*.py"))
    for path in written:
        path.write_text(f"{_HEADER}\n{path.read_text()}")
    ruff = [sys.executable, "-m", "ruff"]
    settings = ["--isolated", "--quiet", "--line-length=100", str(into)]
    subprocess.run([*ruff, "check", "--fix", "--select=I", _OURS, *settings], check=True)
    subprocess.run([*ruff, "format", *settings], check=True)
    return written


if __name__ == "__main__":
    write(ROOT / "kandle" / "_sync")
