"""Workloads: functions of `functions/*/func.yaml`, Deployments of `knative/bridges/*.yaml`.

Values of environment variables stay unresolved here (a secret, a key of a ConfigMap): `environment`
resolves them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from local.errors import ManifestError
from local.topology.addressable import CLUSTER_DOMAIN
from local.topology.environment import Entry, read_container_entry, read_function_entry
from local.topology.fields import LOADER, Fields, collected

ENDPOINT_LABEL = "kandle.dev/endpoint"
BESIDE_LABEL = "kandle.dev/beside"
NEEDS_LABEL = "kandle.dev/needs"
_DEFAULT_NAMESPACE = "default"
_READINESS = "/health/readiness"


@dataclass(frozen=True)
class Function:
    """A function; `concurrency`: requests at a time per process."""

    name: str
    namespace: str
    file: Path
    env: tuple[Entry, ...]
    labels: Mapping[str, str]
    readiness: str
    concurrency: int | None

    @property
    def host(self) -> str:
        """Its host name in the cluster."""
        return f"{self.name}.{self.namespace}{CLUSTER_DOMAIN}"

    @property
    def endpoint(self) -> str | None:
        """Its description, from its label `kandle.dev/endpoint`."""
        return self.labels.get(ENDPOINT_LABEL)

    @property
    def needs(self) -> str | None:
        """The variable it requires, from its label `kandle.dev/needs`."""
        return self.labels.get(NEEDS_LABEL)


@dataclass(frozen=True)
class Deployment:
    """A bridge: its container's command, environment and named ports.

    `beside`: the function that it runs beside, if it is not a source: label `kandle.dev/beside`.
    """

    name: str
    namespace: str
    file: Path
    command: tuple[str, ...]
    env: tuple[Entry, ...]
    ports: Mapping[str, int]
    beside: str | None = None


def load_functions(directory: Path) -> tuple[Function, ...]:
    """Read `<directory>/*/func.yaml`, by name. Raises ManifestError, one line for each problem."""
    return _load(sorted(directory.glob("*/func.yaml")))


def load_pipeline(root: Path) -> tuple[Function, ...]:
    """Read the top-level func.yaml, the whole pipeline as one function, if there is one."""
    return _load(sorted(root.glob("func.yaml")))


def _load(files: Iterable[Path]) -> tuple[Function, ...]:
    functions: dict[str, Function] = {}

    def read(file: Path) -> None:
        function = _read_function(file)
        if (other := functions.setdefault(function.host, function)) is not function:
            raise ManifestError(f"{file}: name: {function.name!r} is also in {other.file}")

    collected(read, files)
    return tuple(functions.values())


def load_deployments(directory: Path) -> tuple[Deployment, ...]:
    """Read the Deployments of `<directory>/*.yaml`. Raises ManifestError, a line a problem."""

    def read(file: Path) -> list[Deployment]:
        of_kind = (each for each in documents(file) if each.get("kind") == "Deployment")
        return [_read_deployment(file, each) for each in of_kind]

    files = sorted(directory.glob("*.yaml"))
    return tuple(each for some in collected(read, files) for each in some)


def load_config_maps(*directories: Path) -> dict[str, dict[str, str]]:
    """Read the data of every ConfigMap in the YAML files of `directories`, by its name."""
    maps: dict[str, dict[str, str]] = {}
    for file in (file for each in directories for file in sorted(each.glob("*.yaml"))):
        for each in documents(file):
            if each.get("kind") == "ConfigMap":
                fields = Fields(f"{file}: ConfigMap", "", each, [])
                name = fields.needed_inner("metadata").needed_text("name")
                data = fields.inner("data")
                fields.check()
                maps[name] = {key: str(value) for key, value in data.items()} if data else {}
    return maps


def documents(file: Path) -> Iterator[Mapping[str, Any]]:
    """Yield the mappings of a YAML file. Raises ManifestError with line and column."""
    try:
        for each in yaml.load_all(file.read_text(), LOADER):
            if isinstance(each, Mapping):
                yield each
            elif each is not None:
                raise ManifestError(f"{file}: must hold mappings, not {type(each).__name__}")
    except yaml.YAMLError as error:
        raise ManifestError(f"{file}: is not YAML: {' '.join(str(error).split())}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ManifestError(f"{file}: cannot be read: {error}") from None


def _read_function(file: Path) -> Function:
    content = next(documents(file), None)
    fields = Fields(str(file), "", content if content is not None else {}, [])
    if not fields.raw("created"):
        fields.wrong("created", "is required: without it `kn func` takes it for unfinished")
    deploy = fields.inner("deploy")
    health = deploy.inner("healthEndpoints") if deploy else None
    run = fields.inner("run")
    function = Function(
        name=fields.needed_text("name"),
        namespace=(deploy.text("namespace") if deploy else None)
        or fields.text("namespace")
        or _DEFAULT_NAMESPACE,
        file=file,
        env=tuple(map(read_function_entry, run.inners("envs"))) if run else (),
        labels={
            each.needed_text("key"): each.text("value") or ""
            for each in (deploy.inners("labels") if deploy else [])
        },
        readiness=(health.text("readiness") if health else None) or _READINESS,
        concurrency=_concurrency(deploy),
    )
    fields.check()
    return function


def _concurrency(deploy: Fields | None) -> int | None:
    inner = deploy
    for name in ("options", "resources", "limits"):
        inner = inner.inner(name) if inner else None
    return inner.whole("concurrency") if inner else None


def _read_deployment(file: Path, content: Mapping[str, Any]) -> Deployment:
    unnamed = Fields(f"{file}: Deployment", "", content, [])
    name = unnamed.needed_inner("metadata").needed_text("name")
    unnamed.check()
    fields = Fields(f"{file}: Deployment/{name}", "", content, [])
    metadata = fields.needed_inner("metadata")
    labels = metadata.inner("labels")
    spec = fields.needed_inner("spec").needed_inner("template").needed_inner("spec")
    containers = spec.inners("containers")
    if len(containers) != 1:
        spec.wrong("containers", f"must be one container here, not {len(containers)}")
    fields.check()
    container = containers[0]
    command = [*_texts(container, "command"), *_texts(container, "args")]
    if not command:
        container.wrong("command", "is required: the image has no entry point of its own")
    deployment = Deployment(
        name=name,
        namespace=metadata.text("namespace") or _DEFAULT_NAMESPACE,
        file=file,
        command=tuple(command),
        env=tuple(map(read_container_entry, container.inners("env"))),
        ports={
            each.text("name") or "": each.whole("containerPort", least=1) or 0
            for each in container.inners("ports")
        },
        beside=labels.text(BESIDE_LABEL) if labels else None,
    )
    fields.check()
    return deployment


def _texts(fields: Fields, name: str) -> list[str]:
    value = fields.raw(name) or []
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        fields.wrong(name, "must be a list of strings")
        return []
    return value
