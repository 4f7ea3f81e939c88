"""The directions in which the parts of the house may depend on each other."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HOUSE = ("functions", "shared", "local", "kandle")
MODULES = sorted(
    path
    for folder in HOUSE
    for path in (ROOT / folder).rglob("*.py")
    if not path.name.endswith("_pb2.py")
)


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            yield node.module


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_dependencies_point_inward(path: Path) -> None:
    """shared imports no function; functions import shared, never each other; local runs them."""
    parts = path.relative_to(ROOT).parts
    for module in imports(path):
        top, *rest = module.split(".")
        if parts[0] == "shared":
            assert top not in ("functions", "local"), module
        elif parts[0] == "functions":
            assert top != "local", module
            if top == "functions" and rest and parts[1] != "pipeline":  # all stages in one process
                assert rest[0] == parts[1], module
        elif parts == ("kandle", "_command.py"):
            assert top in ("kandle", "local") or top not in HOUSE, module
        elif parts[0] == "kandle":
            assert top == "kandle" or top not in HOUSE, module  # it is installed without them
        else:
            assert top != "functions", module


@pytest.mark.parametrize("path", sorted((ROOT / "functions").glob("*/main.py")), ids=name)
def test_an_entry_only_wires(path: Path) -> None:
    """The function has the name of its folder, its FUNCTION_TARGET, and main.py is short."""
    tree = ast.parse(path.read_text())
    functions = [node.name for node in tree.body if isinstance(node, ast.AsyncFunctionDef)]
    assert functions == [path.parent.name]
    assert len(path.read_text().splitlines()) <= 100
