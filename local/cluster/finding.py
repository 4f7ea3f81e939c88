"""One result of a check."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

Object = dict[str, Any]
"""An object of Kubernetes, as JSON."""


class Level(StrEnum):
    """Severity."""

    OK = "ok"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Finding:
    """Result of a check, with the fix if something is wrong."""

    level: Level
    what: str
    detail: str = ""


def ok(subject: str, detail: str = "") -> Finding:
    """Return a finding without a problem."""
    return Finding(Level.OK, subject, detail)


def warning(subject: str, detail: str) -> Finding:
    """Return a finding that may become a problem."""
    return Finding(Level.WARNING, subject, detail)


def error(subject: str, detail: str) -> Finding:
    """Return a finding that prevents Kandle from working."""
    return Finding(Level.ERROR, subject, detail)
