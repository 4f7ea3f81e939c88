"""The structure: allowed imports, and the length of modules, tests and fixtures."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.rooms import ARROWS, DESIGN, ROOT, arrows, drawn, imports

HOUSE = ("functions", "shared", "local", "kandle")
MODULES = sorted(
    path
    for folder in HOUSE
    for path in (ROOT / folder).rglob("*.py")
    if not path.name.endswith("_pb2.py")
)
TESTS = sorted((ROOT / "tests").rglob("*.py"))


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_dependencies_point_inward() -> None:
    """shared imports no function; functions import shared, never each other; local runs them."""
    wrong = [
        f"{name(path)} imports {module}"
        for path in MODULES
        for module in imports(path)
        if not allowed(path.relative_to(ROOT).parts, module)
    ]
    assert not wrong


def allowed(parts: tuple[str, ...], module: str) -> bool:
    """Whether the file with these parts of a path may import the module."""
    top, *rest = module.split(".")
    if parts[0] == "shared":
        return top not in ("functions", "local")
    if parts[0] == "functions":
        if top == "functions" and rest and parts[1] != "pipeline":  # that runs all in one process
            return rest[0] == parts[1]
        return top != "local"
    if parts == ("kandle", "_command.py"):
        return top in ("kandle", "local") or top not in HOUSE
    if parts[0] == "kandle":
        return top == "kandle" or top not in HOUSE  # it is installed alone
    return top != "functions"


def definitions(node: ast.AST) -> Iterator[ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef]:
    """Each class and function of a module; expressions, the largest part, are skipped."""
    for each in ast.iter_child_nodes(node):
        if isinstance(each, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            yield each
        if isinstance(each, (ast.stmt, ast.excepthandler, ast.match_case)):
            yield from definitions(each)


def test_docstrings_say_what_a_thing_is() -> None:
    """A docstring begins with a noun or a verb, or with "Whether" of what is true or false."""
    clauses = ("What ", "Which ", "How ", "Who ", "Where ", "When ", "Since ")
    for path in (*MODULES, *TESTS):
        tree = ast.parse(path.read_text())
        for node in (tree, *definitions(tree)):
            docstring = ast.get_docstring(node) or ""
            assert not docstring.startswith(clauses), f"{name(path)}: {docstring.splitlines()[0]}"


@pytest.mark.parametrize("path", sorted((ROOT / "functions").glob("*/main.py")), ids=name)
def test_an_entry_only_wires(path: Path) -> None:
    """An entry's function has the name of its folder, and main.py is short."""
    tree = ast.parse(path.read_text())
    target = path.parent.name
    assert ast.unparse(tree.body[-1]).startswith(f"{target} = served('{target}', ")
    assert not any(isinstance(node, ast.AsyncFunctionDef) for node in tree.body)
    assert len(path.read_text().splitlines()) <= 100


def test_rooms_import_only_those_above_them() -> None:
    """The table has every package of shared/ and exactly its imports, none of them upward."""
    assert set(ARROWS) == {path.parent.name for path in (ROOT / "shared").glob("*/__init__.py")}
    above: set[str] = set()
    for room, others in ARROWS.items():
        assert set(others) <= above, room
        assert arrows(room) == set(others), room
        above.add(room)


def test_no_module_lies_loose() -> None:
    """`shared/` has only the errors beside its packages; no folder has more than 24 modules.

    A function's own folder has at most 15.
    """
    assert {path.name for path in (ROOT / "shared").glob("*.py")} == {"__init__.py", "errors.py"}
    for package in ("functions", "shared", "local", "kandle", "benchmarks"):
        for folder in {path.parent for path in (ROOT / package).rglob("*.py")}:
            assert len([*folder.glob("[!_]*.py")]) <= 24, folder
    for folder in (ROOT / "functions").iterdir():
        assert len([*folder.glob("[!_]*.py")]) <= 15, folder.name


def test_the_design_shows_the_rooms() -> None:
    """The design has the table that `python -m tests.rooms` writes."""
    assert DESIGN.read_text() == drawn(DESIGN.read_text())


def test_the_walks_of_the_design_pass_what_there_is() -> None:
    """Each `file:name` of the design exists, methods in their classes."""
    found = re.findall(r"`([\w/]+\.(?:py|ts))(?::([\w.]+))?`", DESIGN.read_text())
    walked = [(path, named) for path, named in found if named]
    assert len(walked) >= 20
    for path, named in found:
        if "/" not in path:
            continue  # a module of the package that the sentence names
        assert (ROOT / path).exists(), path
        body = ast.parse((ROOT / path).read_text()).body if named else []
        for part in filter(None, named.split(".")):
            inside = [each for each in body if getattr(each, "name", None) == part]
            assert inside, f"{path}:{named}"
            body = getattr(inside[0], "body", [])


def test_tests_open_with_a_sentence_and_fixtures_are_short() -> None:
    """Each test opens with a sentence; a fixture has at most 40 lines and a module 400."""
    fragments = ("Also ", "And ", "As ", "But ", "Its ", "Nor ", "Their ")
    for path in (*MODULES, *TESTS):
        assert path.read_text().count("\n") <= 400, name(path)
    for path in TESTS:
        for node in definitions(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef):
                continue
            if node.name.startswith("test_"):
                sentence, *_ = (ast.get_docstring(node) or "").split("\n\n")
                assert sentence.endswith("."), f"{name(path)}: {node.name}"
                assert not sentence.startswith(fragments), f"{name(path)}: {sentence}"
            elif any("fixture" in ast.unparse(each) for each in node.decorator_list):
                lines = (node.end_lineno or 0) - node.lineno
                assert lines <= 40, f"{name(path)}: {node.name}"
