"""The CSV tutorial, docs/tutorials/csv.md, typed line by line."""

from __future__ import annotations

import re
import shlex
import subprocess
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from local.cli.app import command_line
from tests.e2e.client import eventually

TUTORIAL = Path(__file__).parents[2] / "docs/tutorials/csv.md"
BLOCK = re.compile(r"^```(sh|text|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
VARIABLES = ("API_URL", "LIVE_URL", "INGEST_URL")


def test_every_line_of_the_tutorial_does_what_the_page_says(
    pipeline: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each command prints the lines of the page, and the notebook's code runs."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KANDLE_DATA_DIR", pipeline["DATA_DIR"])
    for name in VARIABLES:
        monkeypatch.setenv(name, pipeline[name])
    blocks = BLOCK.findall(TUTORIAL.read_text())
    assert [kind for kind, _ in blocks].count("text") > 6
    names: dict[str, Any] = {}
    for (kind, text), (following, expected) in zip(blocks, [*blocks[1:], ("", "")], strict=True):
        if kind == "python":
            exec(compile(text, str(TUTORIAL), "exec"), names)
        elif text.startswith("cat "):
            subprocess.run(["bash", "-ec", text], check=True)
        elif kind == "sh" and "kandle up" not in text:
            wanted = expected.splitlines() if following == "text" else []
            if re.search("kandle import (?!.*--dry-run)", text):
                printed = output_of(text)
            else:  # the data may still be in flight
                printed = eventually(partial(output_of, text), partial(all_are_in, wanted))
            assert all_are_in(wanted, printed), printed
    names["kandle"].close()
    assert names["frame"]["trades"].to_list() == [3, 2, 1]


def output_of(lines: str) -> str:
    """The output of `kandle` commands, one a line."""
    app = command_line()
    results = [CliRunner().invoke(app, shlex.split(line)[1:]) for line in lines.splitlines()]
    return "".join(f"{each.output}{each.exception or ''}" for each in results)


def all_are_in(wanted: list[str], printed: str) -> bool:
    """Whether the page's lines were printed, regardless of runs of spaces."""
    said = " ".join(printed.split())
    return all(" ".join(each.split()) in said for each in wanted)
