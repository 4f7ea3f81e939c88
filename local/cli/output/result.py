"""Results of commands, as text or JSON."""

from __future__ import annotations

import json
from typing import Any

import typer


def show(text: str, *, as_json: bool, **values: Any) -> None:
    """Print the text, or the values as a JSON object on one line."""
    typer.echo(json.dumps(values, default=str) if as_json else text)
