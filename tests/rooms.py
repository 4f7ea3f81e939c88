"""The packages of `shared/` and their allowed imports; `python -m tests.rooms` writes the table."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
DESIGN: Final = ROOT / "docs" / "design.md"

ARROWS: Final = {
    "market": (),
    "schema": (),
    "wire": ("market", "schema"),
    "runtime": ("wire",),
    "adapter": ("runtime", "wire"),
    "analysis": ("runtime",),
    "candles": ("market", "wire"),
    "inputs": ("adapter", "market", "runtime", "schema", "wire"),
    "sources": ("adapter", "market", "runtime", "wire"),
    "alerts": ("analysis", "market", "wire"),
    "stores": ("candles", "market", "runtime", "wire"),
    "realtime": ("analysis", "market", "stores", "wire"),
    "lake": ("adapter", "candles", "market", "realtime", "runtime", "schema", "stores", "wire"),
    "reading": ("candles", "lake", "market", "stores", "wire"),
}
"""Each room and those it imports, which stand above it: nothing runs in circles."""


def imports(path: Path) -> Iterator[str]:
    """Yield the absolute modules that a file imports, `from shared import x` as `shared.x`."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            if node.module == "shared":
                yield from (f"shared.{alias.name}" for alias in node.names)
            else:
                yield node.module


def arrows(room: str) -> set[str]:
    """Return the other rooms that a room's modules import; `errors` is everybody's."""
    paths = (path for path in (ROOT / "shared" / room).rglob("*.py"))
    named = (each.split(".") for path in paths for each in imports(path))
    return {parts[1] for parts in named if parts[0] == "shared"} - {room, "errors"}


def picture() -> str:
    """Return the packages as a Markdown table: purpose and imports of each."""
    lines = ["| `shared/` | what lives there | imports |", "|---|---|---|"]
    for room, others in ARROWS.items():
        document = ast.get_docstring(
            ast.parse((ROOT / "shared" / room / "__init__.py").read_text())
        )
        first = re.sub(r"\s+", " ", (document or "").split("\n\n", maxsplit=1)[0]).rstrip(".")
        lines.append(f"| `{room}` | {first} | {', '.join(others) or 'nothing'} |")
    return "\n".join(lines)


def drawn(text: str) -> str:
    """Return the text of the design with a new table of packages."""
    return re.sub(r"\| `shared/` \|.*?(?=\n\n|\n?\Z)", lambda _: picture(), text, flags=re.DOTALL)


if __name__ == "__main__":
    DESIGN.write_text(drawn(DESIGN.read_text()))
