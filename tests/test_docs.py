"""The documentation site builds, links work, and generated pages are complete."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
import typer.main
from typer.core import TyperGroup

from local.cli.app import command_line
from local.feeds.files.symbols import of_binance
from local.reference import pages

ROOT = Path(__file__).parents[1]


@pytest.mark.processes
def test_the_site_builds_strictly_and_loads_nothing_from_elsewhere(tmp_path: Path) -> None:
    """The site builds without broken links or orphaned pages, and loads nothing external.

    No list, table or code block has become a paragraph.
    """
    if find_spec("mkdocs") is None:
        pytest.skip("mkdocs is not installed: uv sync --group docs")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--quiet", "--site-dir", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    built = [each.read_text() for each in tmp_path.rglob("*.html")]
    assert len(built) > 30
    for text in built:
        loaded = re.findall(r"<(?:script|img|iframe|link)\b[^>]*(?:src|href)=\"([^\"]+)\"", text)
        assert not [each for each in loaded if each.startswith(("http:", "https:", "//"))]
        article = text[text.find("<article") : text.find("</article>")]
        for paragraph in re.findall(r"<p>(.*?)</p>", article, re.DOTALL):
            assert not re.search(r"^\s*(?:[-*] |\d+\. |\||```)", paragraph, re.MULTILINE), paragraph


def test_the_reference_has_every_command_event_and_metric() -> None:
    """The reference has every command, event type and metric of the code."""
    made = pages()
    group = typer.main.get_command(command_line())
    assert isinstance(group, TyperGroup)
    for name in _commands(group):
        assert f"`kandle {name}`\n" in made["reference/commands.md"]
    declared = (ROOT / "shared/runtime/metrics.py").read_text()
    names = set(re.findall(r'"(kandle_\w+)"', declared))
    listed = set(re.findall(r"^\| `(kandle_\w+)`", made["reference/metrics.md"], re.MULTILINE))
    assert {each.removesuffix("_total") for each in listed} == names
    types = re.findall(r'"(dev\.kandle\.\w+\.v1)"', (ROOT / "shared/wire/events.py").read_text())
    assert set(re.findall(r"dev\.kandle\.\w+\.v1", made["reference/events.md"])) == set(types)
    rows = [each for each in made["reference/events.md"].splitlines() if each.startswith("| `")]
    assert not [each for each in rows if re.search(r"\|\s*\|", each)]


def test_every_link_of_the_readme_leads_somewhere() -> None:
    """Each link of the pages outside of the site leads to a file."""
    for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md"):
        for link in re.findall(r"\]\((?!https?:|#)([^)#]+)", (ROOT / name).read_text()):
            assert (ROOT / link).exists(), (name, link)


def _commands(group: TyperGroup, before: str = "") -> Iterator[str]:
    for name, command in group.commands.items():
        yield f"{before}{name}"
        if isinstance(command, TyperGroup):
            yield from _commands(command, f"{before}{name} ")


_PLAIN_TEXT = (
    *("Makefile", "*.toml", "*.yaml", "*.yml", ".github/**/*.yml", "benchmarks/*.toml"),
    *("dashboard/*.html", "dashboard/src/**/*.ts", "local/**/*.html", "shared/schema/*.proto"),
    *("eventing/**/*.yaml", "functions/*/*.yaml", "knative/**/*.yaml", "knative/**/*.sh"),
)


def test_what_has_a_name_in_the_glossary_has_no_other() -> None:
    """No banned word of the glossary is in docs, docstrings, page, schemas or manifests."""
    glossary = ROOT / "docs" / "glossary.md"
    table = glossary.read_text().partition("## Words that are not used")[2].partition("|---|")[2]
    rows = re.findall(r"^\| ([a-z][^|]+) \| [^|]+ \|$", table, re.MULTILINE)
    banned = [each.strip() for row in rows for each in row.split(",") if "(" not in each]
    assert len(banned) > 5
    pattern = re.compile(rf"\b({'|'.join(map(re.escape, banned))})\b", re.IGNORECASE)
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]
    texts = {path: path.read_text() for path in pages if path != glossary}
    for folder in ("functions", "shared", "local", "kandle", "tests"):
        for path in (ROOT / folder).rglob("*.py"):
            texts[path] = "\n".join(_docstrings(ast.parse(path.read_text())))
    for each in _PLAIN_TEXT:
        texts |= {path: path.read_text() for path in ROOT.glob(each)}
    found = [
        f"{path.relative_to(ROOT)}: {match.group()}"
        for path, text in texts.items()
        for match in pattern.finditer(text)
    ]
    assert not found


def _docstrings(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        yield ast.get_docstring(node) or ""
    for field in ("body", "handlers", "orelse", "finalbody", "cases"):  # no expressions
        for each in getattr(node, field, ()):
            yield from _docstrings(each)


def test_the_tutorial_of_duckdb_asks_for_what_its_file_holds() -> None:
    """The DuckDB tutorial's instrument is that of its Binance file."""
    page = (ROOT / "docs/tutorials/duckdb.md").read_text()
    (name,) = re.findall(r"kandle import (\S+)", page)
    asked = re.findall(r"(?:symbol = '|candles\(\")([^'\"]+)", page)
    assert asked
    assert {of_binance(name)} == set(asked)
