"""Sender identity: the OIDC token that a SinkBinding mounts where Knative's brokers require one."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

TOKEN_FILE: Final = "/oidc/token"  # noqa: S105 - where SinkBinding mounts it
DISPLAY_TOKEN_FILE: Final = "/oidc-display/token"  # noqa: S105 - where our own patch mounts it
FRESH_S: Final = 30.0
"""How long a token is kept before the file is read again: Knative renews it well before its end."""


class Identity:
    """The token of a file, as a header; nothing where there is no such file."""

    def __init__(self, file: Path | None, fresh_s: float = FRESH_S) -> None:
        self._file = file
        self._fresh_s = fresh_s
        self._headers: dict[str, str] = {}
        self._read_at = -fresh_s

    @classmethod
    def from_env(cls, mapping: Mapping[str, str]) -> Identity:
        """Return the identity of OIDC_TOKEN_FILE, if that is there when the process starts."""
        return cls._of(Path(mapping.get("OIDC_TOKEN_FILE", TOKEN_FILE)))

    @classmethod
    def for_display(cls, mapping: Mapping[str, str]) -> Identity:
        """Return that of DISPLAY_TOKEN_FILE: each Broker asks for a token that names it."""
        return cls._of(Path(mapping.get("DISPLAY_TOKEN_FILE", DISPLAY_TOKEN_FILE)))

    @classmethod
    def _of(cls, file: Path) -> Identity:
        return cls(file if file.exists() else None)

    def headers(self) -> Mapping[str, str]:
        """Return `Authorization`, or nothing. A token that cannot be read is the last one read."""
        now = time.monotonic()
        if self._file is not None and now - self._read_at >= self._fresh_s:
            try:
                self._headers = {"Authorization": f"Bearer {self._file.read_text().strip()}"}
            except OSError:
                return self._headers
            self._read_at = now
        return self._headers
