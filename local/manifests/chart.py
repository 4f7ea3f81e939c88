"""The Helm chart's templates, generated from the kustomizations."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import yaml

CHART: Final = Path("knative/chart")
_SOURCES: Final = {
    "eventing": ("eventing", ""),
    "base": ("knative/base", ""),
    "services": ("knative/services", ""),
    "bridges": ("knative/bridges", ".Values.bridges"),
    "secrets": ("knative/secrets", ".Values.passwords"),
    "infrastructure": ("knative/infrastructure", ".Values.infrastructure"),
    "external-stores": ("knative/external-stores", "not .Values.infrastructure"),
}
"""Templates, each with its source directory and the value that enables it."""
_NAMESPACE: Final = "{{ .Release.Namespace }}"
_SCALE: Final = "autoscaling.knative.dev/{}-scale"
_EXPOSED: Final = ("history-query", "live-feed", "live-grpc", "udp-bridge")
_WITH_STREAMS: Final = ("dead-letter", "live-feed", "live-grpc")
_REPLICAS: Final = {
    "name": "STREAM_REPLICAS",
    "value": "{{ dig `STREAM_REPLICAS` .Values.channel.replicas (default dict .Values.settings) }}",
}
_SETTINGS: Final = {"name": "SETTINGS"}
_SETTINGS_LINES: Final = """\
{{- range $name, $value := omit (default dict .Values.settings) "STREAM_REPLICAS" }}
INDENT- name: {{ $name }}
INDENT  value: {{ ternary (toJson $value) $value (kindIs "float64" $value) | quote }}
{{- end }}
"""
_TOKENS: Final = {
    "name": "API_TOKENS",
    "valueFrom": {"secretKeyRef": {"name": "kandle-access", "key": "API_TOKENS", "optional": True}},
}


class _Dumper(yaml.SafeDumper):
    """Keeps multi-line text readable."""


_Dumper.add_representer(
    str,
    lambda dumper, text: dumper.represent_scalar(
        "tag:yaml.org,2002:str", text, style="|" if "\n" in text else None
    ),
)


def files(root: Path) -> dict[Path, str]:
    """Return the content of each template. Needs kubectl, which builds the kustomizations."""
    return {
        root / CHART / "templates" / f"{name}.yaml": _template(root, directory, switch)
        for name, (directory, switch) in _SOURCES.items()
    }


def _template(root: Path, directory: str, switch: str) -> str:
    built = subprocess.run(
        ["kubectl", "kustomize", str(root / directory)], capture_output=True, text=True, check=True
    )
    assert "{{" not in built.stdout, f"{directory}: Helm would take it for a template"
    objects = [
        _placed(_adapted(each))
        for each in yaml.safe_load_all(built.stdout)
        if each["kind"] != "Namespace" and each["metadata"]["name"] != "default"  # Helm's own
    ]
    text = yaml.dump_all(objects, Dumper=_Dumper, sort_keys=False, width=4096)
    text = re.sub(
        r"^( *)- name: SETTINGS\n",
        lambda line: _SETTINGS_LINES.replace("INDENT", line[1]),
        text,
        flags=re.MULTILINE,
    )
    header = f"# Made from {directory} by `make services`; do not edit.\n"
    return header + (f"{{{{- if {switch} }}}}\n{text}{{{{- end }}}}\n" if switch else text)


def _adapted(manifest: dict[str, Any]) -> dict[str, Any]:
    """Insert the chart's values where the kustomizations have overlays."""
    kind, metadata = manifest["kind"], manifest["metadata"]
    name = metadata["name"]
    if "serving.knative.dev" in manifest["apiVersion"] or kind == "Deployment":
        env = manifest["spec"]["template"]["spec"]["containers"][0]["env"]
        env += [_REPLICAS, _SETTINGS] if name in _WITH_STREAMS else [_SETTINGS]
        if name in _EXPOSED:
            env.append(_TOKENS)
    if "serving.knative.dev" in manifest["apiVersion"]:
        template = manifest["spec"]["template"]
        for bound in ("min", "max"):
            value = f'{{{{ index .Values.scale "{name}" "{bound}" }}}}'
            template["metadata"]["annotations"][_SCALE.format(bound)] = value
    elif kind == "Job":  # a Job is immutable: each release has its own
        metadata["name"] = f"{name}-{{{{ .Release.Revision }}}}"
    elif (kind, name) == ("ConfigMap", "kandle-channel"):
        template_text = manifest["data"]["channel-template-spec"]
        indented = template_text.partition("storage: File")[0].rpartition("\n")[2]
        manifest["data"]["channel-template-spec"] = template_text.replace(
            "storage: File",
            f"storage: File\n{indented}replicas: {{{{ .Values.channel.replicas }}}}",
        )
    elif (kind, name) == ("ConfigMap", "kandle-feeds"):
        manifest["data"]["feeds"] = "{{- range .Values.feeds }}\n{{ . }}\n{{- end }}\n"
    elif (kind, name) == ("Deployment", "exchange-bridge"):
        for variable in manifest["spec"]["template"]["spec"]["containers"][0]["env"]:
            reference = variable.get("valueFrom", {}).get("secretKeyRef", {})
            if reference.get("name") == "kandle-feeds":
                reference["name"] = "{{ .Values.feedSecret }}"
    elif (kind, name) == ("Service", "udp-listener"):
        manifest["spec"]["type"] = "{{ .Values.udpServiceType }}"
    return manifest


def _placed(value: Any, key: str = "") -> Any:
    """Insert the release's namespace and image in place of `kandle`."""
    if isinstance(value, Mapping):
        if value.get("name") == "NAMESPACE":
            return {**value, "value": _NAMESPACE}
        return {inner: _placed(each, inner) for inner, each in value.items()}
    if isinstance(value, list):
        return [_placed(each) for each in value]
    if value == "kandle" and key in ("namespace", "image"):
        return _NAMESPACE if key == "namespace" else "{{ .Values.image }}"
    if isinstance(value, str):
        return value.replace(".kandle.svc", f".{_NAMESPACE}.svc")
    return value
