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
    """Result of a check, with the fix where something is wrong."""

    level: Level
    what: str
    detail: str = ""


def ok(subject: str, detail: str = "") -> Finding:
    """Return a finding that needs nothing."""
    return Finding(Level.OK, subject, detail)


def warning(subject: str, detail: str) -> Finding:
    """Return a finding that will matter some day."""
    return Finding(Level.WARNING, subject, detail)


def error(subject: str, detail: str) -> Finding:
    """Return a finding that keeps Kandle from working."""
    return Finding(Level.ERROR, subject, detail)
