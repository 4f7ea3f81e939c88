"""The command `kandle`: finds the platform's code and runs its command line."""

from __future__ import annotations

import os
import sys
from importlib import metadata
from pathlib import Path
from typing import Final

_PLATFORM: Final = Path(__file__).parent / "_platform"
"""Where a wheel has functions/, shared/, local/ and eventing/; a checkout has them beside kandle/.

Only the command and the processes it starts can import them.
"""


def main() -> None:
    """Run the command line. Exit code 1: the extra `local` is not installed."""
    if _PLATFORM.is_dir():
        sys.path.insert(0, str(_PLATFORM))
        paths = (str(_PLATFORM), os.environ.get("PYTHONPATH", ""))
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
    if sys.argv[1:] == ["--version"]:
        print(f"kandle {metadata.version('kandle')}")  # noqa: T201 - what was asked for
        return
    try:
        import lark  # noqa: F401
        import typer  # noqa: F401
        import uvicorn  # noqa: F401
    except ModuleNotFoundError as error:
        sys.exit(
            f"kandle: the command needs the extra `local`, and {error.name} is missing: "
            "pip install 'kandle[local]' (or uvx --from 'kandle[local]' kandle demo)"
        )
    from local.cli.main import main as command

    command()


if __name__ == "__main__":
    main()
