"""Every manifest against the schemas of its kind, strictly: an unknown field is an error."""

from __future__ import annotations

import jsonschema
import kubernetes_validate
import pytest

from tests.knative.manifests import BUILDS, Manifest, built, crd_schemas, name, unknown_fields

OPERATORS = ("postgresql.cnpg.io", "external-secrets.io", "monitoring.coreos.com", "keda.sh")
"""Kinds of operators whose schemas are not here."""
OURS = ("eventing.knative.dev", "serving.knative.dev", "sources.knative.dev")


def group(manifest: Manifest) -> str:
    return str(manifest["apiVersion"]).partition("/")[0]


@pytest.mark.parametrize("directory", BUILDS)
def test_kubernetes_kinds_are_valid(directory: str) -> None:
    """By the schemas of Kubernetes itself."""
    for each in built(directory):
        if group(each) not in (*OURS, *OPERATORS):
            kubernetes_validate.validate(each, "1.34", strict=True)


@pytest.mark.parametrize("directory", BUILDS)
def test_knative_kinds_are_valid(directory: str) -> None:
    """By Knative's own definitions; a kind that they lack is an error as well."""
    schemas = crd_schemas()
    if not schemas:
        pytest.skip("the official schemas are not here: ../shared/crds is absent")
    for each in built(directory):
        if group(each) in OURS:
            schema = schemas[each["apiVersion"], each["kind"]]
            jsonschema.validate(each, schema)
            body = {key: value for key, value in each.items() if key == "spec"}
            assert not list(unknown_fields(body, schema, name(each)))


def test_an_unknown_field_is_found() -> None:
    """The check can fail."""
    schema = {"properties": {"spec": {"type": "object", "properties": {"broker": {}}}}}
    assert list(unknown_fields({"spec": {"brokr": "x"}}, schema)) == [".spec.brokr"]
    with pytest.raises(Exception, match="Additional properties"):
        kubernetes_validate.validate(
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}, "dta": {}},
            "1.34",
            strict=True,
        )
