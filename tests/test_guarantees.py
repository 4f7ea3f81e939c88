"""docs/guarantees.md names an existing test for each guarantee."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "docs" / "guarantees.md").read_text()
NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py::\w+)`", TEXT)))


@pytest.mark.parametrize("name", NAMED)
def test_the_test_that_proves_a_guarantee_exists(name: str) -> None:
    """Each named test exists in its file."""
    path, _, function = name.partition("::")
    tree = ast.parse((ROOT / path).read_text())
    assert function in {each.name for each in tree.body if isinstance(each, ast.FunctionDef)}


def test_every_guarantee_has_its_test() -> None:
    """Each row of the guarantees names a test."""
    rows = [line for line in TEXT.splitlines() if line.startswith("| ")]
    guarantees = [row for row in rows if not row.startswith("| guarantee")]
    assert len(guarantees) > 20
    assert all("`tests/" in row for row in guarantees)
