"""Every manifest against the schema of its kind, where an unknown field is an error."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

import kubernetes_validate
import pytest
import yaml
from jsonschema.protocols import Validator
from jsonschema.validators import validator_for

from tests.knative.manifests import BUILDS, Manifest, built, crd_schemas, name, of, unknown_fields

pytestmark = pytest.mark.processes

OPERATORS = ("postgresql.cnpg.io", "external-secrets.io", "monitoring.coreos.com", "keda.sh")
"""Kinds of operators whose schemas are not here."""
OURS = ("eventing.knative.dev", "serving.knative.dev", "sources.knative.dev")


def group(manifest: Manifest) -> str:
    return str(manifest["apiVersion"]).partition("/")[0]


@cache
def validator(version: str, kind: str) -> Validator:
    """The validator of one of Knative's kinds; its own schema is checked once."""
    schema = crd_schemas()[version, kind]
    made = validator_for(schema)
    made.check_schema(schema)
    return made(schema)


@pytest.mark.parametrize("directory", BUILDS)
def test_kubernetes_kinds_are_valid(directory: str) -> None:
    """Objects of Kubernetes' kinds are valid by its schemas."""
    for each in built(directory):
        if group(each) not in (*OURS, *OPERATORS):
            kubernetes_validate.validate(each, "1.34", strict=True)


@pytest.mark.parametrize("directory", BUILDS)
def test_knative_kinds_are_valid(directory: str) -> None:
    """Objects of Knative's kinds are valid by its definitions, and of no other kind."""
    schemas = crd_schemas()
    if not schemas:
        pytest.skip("the official schemas are not here: ../shared/crds is absent")
    for each in built(directory):
        if group(each) in OURS:
            kind = each["apiVersion"], each["kind"]
            validator(*kind).validate(each)
            body = {key: value for key, value in each.items() if key == "spec"}
            assert not list(unknown_fields(body, schemas[kind], name(each)))


@pytest.mark.parametrize("directory", ["eventing", "knative/eventing/replicated"])
def test_the_channel_template_is_valid(directory: str) -> None:
    """The channel template, which admission does not check, is valid."""
    schemas = crd_schemas()
    if not schemas:
        pytest.skip("the official schemas are not here: ../shared/crds is absent")
    for config in of(directory, "ConfigMap"):
        template_is_valid(yaml.safe_load(config["data"]["channel-template-spec"]), schemas)


def template_is_valid(template: dict[str, Any], schemas: dict[Any, Any]) -> None:
    schema = schemas[template["apiVersion"], template["kind"]]
    validator(template["apiVersion"], template["kind"]).validate(template)
    assert not list(unknown_fields(template["spec"], schema["properties"]["spec"]))
    stream = template["spec"]["stream"]["config"]
    consumer = template["spec"]["consumerConfigTemplate"]
    assert stream["retention"] in ("Limits", "Interest", "Workqueue")
    assert stream["storage"] in ("File", "Memory")
    assert stream["discard"] in ("Old", "New")
    assert consumer["deliverPolicy"] in ("All", "Last", "New", "ByStartSequence", "ByStartTime")
    assert re.fullmatch(r"\d+(ms|s|m|h)", consumer["ackWait"])


def test_an_unknown_field_is_found() -> None:
    """An unknown field is found, so the check can fail."""
    schema = {"properties": {"spec": {"type": "object", "properties": {"broker": {}}}}}
    assert list(unknown_fields({"spec": {"brokr": "x"}}, schema)) == [".spec.brokr"]
    with pytest.raises(Exception, match="Additional properties"):
        kubernetes_validate.validate(
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}, "dta": {}},
            "1.34",
            strict=True,
        )
