"""Reasons of rejects."""

from __future__ import annotations

from typing import NamedTuple


class Rejected(NamedTuple):
    """A rejected line or message, and its position."""

    payload: int
    line: int
    original: bytes
    code: str
    detail: str
