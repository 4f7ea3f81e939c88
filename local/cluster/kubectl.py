"""kubectl as a subprocess: objects as JSON."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from local.cluster.finding import Object
from local.errors import PlatformError

_PATIENCE_S: Final = 60


class KubectlError(PlatformError):
    """kubectl is missing or failed; the message is its own."""


@dataclass(frozen=True, slots=True)
class Kubectl:
    """Reads from the cluster of a context, by default the current one."""

    context: str | None = None

    def version(self) -> Object:
        """Return the API server's version. Raises KubectlError."""
        versions: Object = json.loads(self._run("version", "-o", "json"))
        if "serverVersion" not in versions:
            raise KubectlError("the API server does not answer: look at `kubectl cluster-info`")
        server: Object = versions["serverVersion"]
        return server

    def get(self, kinds: str, *names: str, namespace: str | None = None) -> Sequence[Object]:
        """Return the existing objects, if any. Raises KubectlError."""
        scope = ("-n", namespace) if namespace else ()
        text = self._run("get", kinds, *names, *scope, "--ignore-not-found", "-o", "json")
        if not text.strip():
            return ()
        result: Object = json.loads(text)
        items: Sequence[Object] = result["items"] if result["kind"].endswith("List") else [result]
        return items

    def one(self, kind: str, name: str, namespace: str) -> Object | None:
        """Return one object, or None. Raises KubectlError."""
        objects = self.get(kind, name, namespace=namespace)
        return objects[0] if objects else None

    def _run(self, *arguments: str) -> str:
        program = shutil.which("kubectl")
        if program is None:
            raise KubectlError("kubectl is not installed: https://kubernetes.io/docs/tasks/tools")
        context = ("--context", self.context) if self.context else ()
        try:
            done = subprocess.run(
                [program, *context, *arguments],
                capture_output=True,
                text=True,
                check=False,
                timeout=_PATIENCE_S,
            )
        except subprocess.TimeoutExpired:
            raise KubectlError(f"kubectl {arguments[0]} did not end in {_PATIENCE_S} s") from None
        if done.returncode != 0:
            raise KubectlError(f"kubectl {arguments[0]}: {done.stderr.strip()[:500]}")
        return done.stdout
