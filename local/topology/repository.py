"""Finds the repository whose functions, topology and bridges are to run."""

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
        """Folder in which each function has one with its func.yaml."""
        return self.root / "functions"

    @property
    def eventing(self) -> Path:
        """The topology that runs unless another is named."""
        return self.root / "eventing"

    @property
    def bridges(self) -> Path:
        """The Deployments of what cannot be a function."""
        return self.root / "knative" / "bridges"
