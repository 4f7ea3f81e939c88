"""Lookup of the repository to run: functions, topology and bridges."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import local
from local.errors import UsageError


@dataclass(frozen=True)
class Repository:
    """A checkout: `functions/`, `eventing/` and `knative/bridges/` under `root`."""

    root: Path

    @classmethod
    def find(cls) -> Repository:
        """Find it from the installed package (an editable installation), or the working directory.

        Raises UsageError when neither holds one.
        """
        for root in (Path(local.__file__).resolve().parents[1], Path.cwd()):
            if (root / "functions").is_dir() and (root / "eventing").is_dir():
                return cls(root)
        raise UsageError(
            "there is no functions/ and eventing/ here: run kandle in a clone of the repository"
        )

    @property
    def functions(self) -> Path:
        """Folder with one subfolder per function and its func.yaml."""
        return self.root / "functions"

    @property
    def eventing(self) -> Path:
        """The default topology."""
        return self.root / "eventing"

    @property
    def bridges(self) -> Path:
        """The Deployments of processes that cannot be functions."""
        return self.root / "knative" / "bridges"
