"""docs/guarantees.md names an existing test for each guarantee."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "docs" / "guarantees.md").read_text()


def test_the_test_that_proves_a_guarantee_exists() -> None:
    """Each named test exists in its file."""
    named = set(re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", TEXT))
    assert len(named) > 20
    for path in {path for path, _ in named}:
        body = ast.parse((ROOT / path).read_text()).body
        functions = {each.name for each in body if isinstance(each, ast.FunctionDef)}
        assert {name for file, name in named if file == path} <= functions, path


def test_every_guarantee_has_its_test() -> None:
    """Each row of the guarantees names a test."""
    rows = [line for line in TEXT.splitlines() if line.startswith("| ")]
    guarantees = [row for row in rows if not row.startswith("| guarantee")]
    assert len(guarantees) > 20
    assert all("`tests/" in row for row in guarantees)
