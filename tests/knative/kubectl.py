"""A scripted command `kubectl` for tests without a cluster."""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

_PLAYER = """#!{python} -IS
import json, re, sys
from pathlib import Path
place = Path(__file__).parent
said = " ".join(sys.argv[1:])
with (place / "calls").open("a") as calls:
    calls.write(json.dumps([said, "" if sys.stdin.isatty() else sys.stdin.read()]) + "\\n")
for n, (pattern, answers) in enumerate(json.loads((place / "answers.json").read_text())):
    if re.search(pattern, said):
        count = place / f"count-{{n}}"
        seen = int(count.read_text()) if count.exists() else 0
        count.write_text(str(seen + 1))
        text, code = answers[min(seen, len(answers) - 1)]
        (sys.stderr if code else sys.stdout).write(text)
        sys.exit(code)
sys.stderr.write(f"kubectl {{said}}: no answer is recorded\\n")
sys.exit(1)
"""

Answer = str | tuple[str, int]
"""What it prints; with an exit code other than 0 to stderr."""


class Kubectl:
    """Put first on PATH; each call gets the answer of the first pattern in its arguments."""

    def __init__(self, directory: Path, answers: Mapping[str, Sequence[Answer]]) -> None:
        self._directory = directory
        directory.mkdir()
        program = directory / "kubectl"
        program.write_text(_PLAYER.format(python=sys.executable))
        program.chmod(0o755)
        played = [
            (pattern, [each if isinstance(each, tuple) else (each, 0) for each in several])
            for pattern, several in answers.items()
        ]
        (directory / "answers.json").write_text(json.dumps(played))

    @property
    def path(self) -> str:
        """PATH with it in front."""
        return f"{self._directory}{os.pathsep}{os.environ['PATH']}"

    @property
    def calls(self) -> list[list[str]]:
        """Its calls, each as words."""
        return [shlex.split(said) for said, _ in self._lines()]

    @property
    def inputs(self) -> list[str]:
        """The text given to its standard input, by call."""
        return [given for _, given in self._lines() if given]

    def _lines(self) -> list[tuple[str, str]]:
        file = self._directory / "calls"
        return [json.loads(line) for line in file.read_text().splitlines()]
