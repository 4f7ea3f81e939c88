"""Generated pages of the documentation: commands, events, metrics.

`docs/hooks.py` puts them into the documentation site (`make docs`).
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from inspect import getsource
from itertools import pairwise
from types import ModuleType
from typing import Final

from local.topology.repository import repository

_MARKUP: Final = re.compile(r"\[/?bold\]")
_LIST: Final = re.compile(r"\*\*Commands\*\*:\n\n(?:\* .*\n)+\n")
"""Commands with the first lines of their help: each has its own section."""
_EXAMPLE: Final = re.compile(r"^  (?=\S)", re.MULTILINE)


def pages() -> dict[str, str]:
    """Return each page as Markdown, by its path in the site."""
    return {
        "reference/commands.md": commands(),
        "reference/events.md": events(),
        "reference/metrics.md": metrics(),
    }


def commands() -> str:
    """Return every command of `kandle` with its options, from typer."""
    import typer.main
    from typer.cli import get_docs_for_click

    from local.cli.app import command_line

    command = typer.main.get_command(command_line())
    context = typer.Context(command, info_name="kandle")
    text = get_docs_for_click(obj=command, ctx=context, name="kandle", title="Commands")
    text = _LIST.sub("", _MARKUP.sub("**", text))
    return _EXAMPLE.sub("    ", text)


def events() -> str:
    """Return the event types, their receivers, and the extension attributes."""
    import yaml

    from shared.wire import events as declared

    folder = repository() / "eventing"
    documents = [
        each
        for name in ("event-types.yaml", "triggers.yaml")
        for each in yaml.safe_load_all((folder / name).read_text())
        if each
    ]
    receivers: dict[tuple[str, str], set[str]] = {}
    for trigger in (each for each in documents if each["kind"] == "Trigger"):
        spec = trigger["spec"]
        for kind in _types(spec.get("filters", [])):
            name = spec["subscriber"]["ref"]["name"]
            receivers.setdefault((spec["broker"], kind), set()).add(name)
    lines = [
        "# Events",
        "",
        "CloudEvents 1.0 in binary mode. The payloads are the messages of `shared/schema/*.proto`.",
        "",
        "| type | what it says | Broker | received by |",
        "|---|---|---|---|",
    ]
    for each in (each for each in documents if each["kind"] == "EventType"):
        spec = each["spec"]
        kind, broker = spec["type"], spec["reference"]["name"]
        consumers = ", ".join(sorted(receivers.get((broker, kind), ())))
        lines.append(
            f"| `{kind}` | {_cell(spec.get('description', ''))} | {broker} | {consumers} |"
        )
    lines += ["", "## Extension attributes", "", "| name | what it says |", "|---|---|"]
    lines += [f"| `{value}` | {_cell(text)} |" for value, text in _described(declared)]
    return "\n".join(lines) + "\n"


def metrics() -> str:
    """Return every metric: its name in Prometheus, type, labels and meaning."""
    from prometheus_client.metrics import MetricWrapperBase

    from shared.runtime import metrics as declared

    lines = [
        "# Metrics",
        "",
        "All of `shared/runtime/metrics.py`; each process serves its own at `/metrics`. What to "
        "look at first: [observability](../observability.md).",
        "",
        "| metric | type | labels | what it counts |",
        "|---|---|---|---|",
    ]
    for each in vars(declared).values():
        if isinstance(each, MetricWrapperBase):
            (family,) = each.describe()
            name = f"{family.name}_total" if family.type == "counter" else family.name
            labels = ", ".join(f"`{label}`" for label in each._labelnames)
            lines.append(f"| `{name}` | {family.type} | {labels} | {_cell(family.documentation)} |")
    lines += [f"| `{name}` | | | {_cell(text)} |" for name, text in _described(declared)]
    return "\n".join(lines) + "\n"


def _types(filters: object) -> Iterator[str]:
    """Yield the event types that filters of a Trigger name, at any depth."""
    if isinstance(filters, list):
        for each in filters:
            yield from _types(each)
    elif isinstance(filters, dict):
        for name, value in filters.items():
            if name == "type" and isinstance(value, str):
                yield value
            else:
                yield from _types(value)


def _described(module: ModuleType) -> Iterator[tuple[str, str]]:
    """Yield the text constants of a module that have a docstring, and the docstring."""
    body = ast.parse(getsource(module)).body
    for node, after in pairwise(body):
        match node, after:
            case (
                ast.AnnAssign(target=ast.Name(id=name)),
                ast.Expr(value=ast.Constant(value=str(said))),
            ) if isinstance(value := getattr(module, name), str):
                yield value, said


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
