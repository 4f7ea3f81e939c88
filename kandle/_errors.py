"""Errors of the client.

KandleError
├── ApiError             the server refused: status, title, and a detail with the fix
├── UnreachableError     nothing answers at the address
├── AddressError         no address of HTTP was given, by an argument or the environment
└── MissingPackageError  a conversion needs a package that is not installed
"""

from __future__ import annotations


class KandleError(Exception):
    """Any error of the client."""


class ApiError(KandleError):
    """The server refused: `status`, and a `detail` that names the parameter and the fix."""

    def __init__(self, status: int, title: str, detail: str) -> None:
        super().__init__(f"{status} {title}: {detail}")
        self.status, self.title, self.detail = status, title, detail


class UnreachableError(KandleError):
    """Nothing answers at the address."""


class AddressError(KandleError):
    """No address of HTTP was given."""


class MissingPackageError(KandleError, ImportError):
    """A conversion needs a package that is not installed."""
