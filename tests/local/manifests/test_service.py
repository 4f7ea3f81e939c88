"""Each field of a func.yaml in its Knative Service."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from local.manifests.__main__ import files
from local.manifests.kn_func import sent
from local.manifests.service import service

ROOT = Path(__file__).parents[3]


def test_references_stay_references() -> None:
    """A reference to a secret stays one, and volumes are mounted as func.yaml says."""
    manifest = yaml.safe_load((ROOT / "functions" / "persist" / "func.yaml").read_text())
    spec = service(manifest, "registry/kandle:1")["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    env = {each["name"]: each for each in container["env"]}
    assert env["DATABASE_URL"]["valueFrom"] == {
        "secretKeyRef": {"name": "kandle-stores", "key": "DATABASE_URL"}
    }
    assert env["NAMESPACE"] == {"name": "NAMESPACE", "value": "kandle"}
    assert container["image"] == "registry/kandle:1"
    assert container["volumeMounts"] == [{"name": "tmp", "mountPath": "/tmp"}]
    assert [each["name"] for each in spec["volumes"]] == ["tmp"]
    assert "concurrency" not in container["resources"]["limits"]
    assert (
        spec["containerConcurrency"]
        == manifest["deploy"]["options"]["resources"]["limits"]["concurrency"]
    )


def test_a_variable_that_func_would_add_keeps_its_named_value() -> None:
    """Only variables that func.yaml does not name are added by func and left out again."""
    manifest = yaml.safe_load((ROOT / "functions" / "persist" / "func.yaml").read_text())
    manifest["run"]["envs"].append({"name": "ADDRESS", "value": "::"})
    for made, added in ((service(manifest, "i"), 0), (sent(manifest, "i"), 1)):
        (container,) = made["spec"]["template"]["spec"]["containers"]
        env = [(each["name"], each.get("value")) for each in container["env"]]
        assert [value for name, value in env if name == "ADDRESS"] == ["::"]
        assert sum(name == "BUILT" for name, _ in env) == added


@pytest.mark.parametrize("path", files(ROOT), ids=lambda path: path.parent.name)
def test_the_committed_services_are_up_to_date(path: Path) -> None:
    """The committed Services are those that `make services` writes."""
    assert path.read_text() == files(ROOT)[path]
