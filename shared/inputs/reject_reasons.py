"""Reasons of rejects."""

from __future__ import annotations

from typing import NamedTuple


class Rejected(NamedTuple):
    """A line or message that is no tick, and where it stood."""

    payload: int
    line: int
    original: bytes
    code: str
    detail: str
