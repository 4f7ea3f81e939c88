"""The error that a command raises for people: one line on standard error, exit code 1."""

from __future__ import annotations

from local.errors import PlatformError


class CliError(PlatformError):
    """A command cannot go on; the message says why and what to do about it."""
