"""docs/guarantees.md names a test for each guarantee, and each test is there."""

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
    """By its path and its name."""
    path, _, function = name.partition("::")
    tree = ast.parse((ROOT / path).read_text())
    assert function in {each.name for each in tree.body if isinstance(each, ast.FunctionDef)}


def test_every_guarantee_has_its_test() -> None:
    """No row of a table stands without one."""
    rows = [line for line in TEXT.splitlines() if line.startswith("| ")]
    guarantees = [row for row in rows if not row.startswith("| guarantee")]
    assert len(guarantees) > 20
    assert all("`tests/" in row for row in guarantees)
