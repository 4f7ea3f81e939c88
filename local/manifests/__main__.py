"""Write the generated manifests: `python -m local.manifests`; `--check` only compares."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import yaml

from local.manifests import chart
from local.manifests.service import service
from local.topology.repository import repository

_HEADER = (
    "# Made from {} by `make services`; do not edit. What it cannot say: kustomization.yaml.\n"
)
_IMAGE = "kandle"


def files(root: Path) -> dict[Path, str]:
    """Return the content of each generated file."""
    stages = sorted(root.glob("functions/*/func.yaml"))
    targets = {
        root / "knative" / "services" / "services.yaml": ("functions/*/func.yaml", stages),
        root / "knative" / "small" / "service.yaml": ("func.yaml", [root / "func.yaml"]),
    }
    return {
        target: _HEADER.format(source)
        + yaml.safe_dump_all(
            [service(yaml.safe_load(each.read_text()), _IMAGE) for each in manifests],
            sort_keys=False,
        )
        for target, (source, manifests) in targets.items()
    }


def main() -> None:
    """Command line."""
    root = repository()
    stale = _compare(files(root))
    if shutil.which("kubectl") is None:
        sys.stderr.write("kubectl is not installed: the Helm chart stays as it is\n")
    else:  # after the Services, its source
        stale += _compare(chart.files(root))
    if stale and "--check" in sys.argv:
        sys.exit(f"not what they are made from says: {', '.join(stale)}; run `make services`")


def _compare(expected: dict[Path, str]) -> list[str]:
    """Return the differing files; write them unless `--check` is given."""
    stale = []
    for target, text in expected.items():
        if target.exists() and target.read_text() == text:
            continue
        stale.append(str(target))
        if "--check" not in sys.argv:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text)
    return stale


if __name__ == "__main__":
    main()
