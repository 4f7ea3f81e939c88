"""Sender identity: the OIDC token that a SinkBinding mounts where Knative's brokers require one."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

TOKEN_FILE: Final = "/oidc/token"  # noqa: S105 - where SinkBinding mounts it
DISPLAY_TOKEN_FILE: Final = "/oidc-display/token"  # noqa: S105 - where our own patch mounts it
FRESH_S: Final = 30.0
"""How long a token is cached: Knative renews it well before it expires."""


class Identity:
    """The token in a file, as a header; none if the file is missing."""

    def __init__(self, file: Path | None, fresh_s: float = FRESH_S) -> None:
        self._file = file
        self._fresh_s = fresh_s
        self._headers: dict[str, str] = {}
        self._read_at = -fresh_s

    @classmethod
    def from_env(cls, mapping: Mapping[str, str]) -> Identity:
        """Return the identity of OIDC_TOKEN_FILE, if it exists at start."""
        return cls._of(Path(mapping.get("OIDC_TOKEN_FILE", TOKEN_FILE)))

    @classmethod
    def for_display(cls, mapping: Mapping[str, str]) -> Identity:
        """Return the identity of DISPLAY_TOKEN_FILE: each Broker has its own audience."""
        return cls._of(Path(mapping.get("DISPLAY_TOKEN_FILE", DISPLAY_TOKEN_FILE)))

    @classmethod
    def _of(cls, file: Path) -> Identity:
        return cls(file if file.exists() else None)

    def headers(self) -> Mapping[str, str]:
        """Return `Authorization`, or nothing. If the file is unreadable, the last token is used."""
        now = time.monotonic()
        if self._file is not None and now - self._read_at >= self._fresh_s:
            try:
                self._headers = {"Authorization": f"Bearer {self._file.read_text().strip()}"}
            except OSError:
                return self._headers
            self._read_at = now
        return self._headers
