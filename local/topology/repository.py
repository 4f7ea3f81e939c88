"""Lookup of the repository to run: functions, topology and bridges."""

from __future__ import annotations

from pathlib import Path

import local
from local.errors import UsageError


def repository() -> Path:
    """Return the checkout: of the installed package (editable), or the working directory.

    Raises UsageError when neither has `functions/` and `eventing/`.
    """
    for root in (Path(local.__file__).resolve().parents[1], Path.cwd()):
        if (root / "functions").is_dir() and (root / "eventing").is_dir():
            return root
    raise UsageError(
        "there is no functions/ and eventing/ here: run kandle in a clone of the repository"
    )
