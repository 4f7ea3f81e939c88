"""Readiness of every object of Kandle, with its reason."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Final

from local.cluster.finding import Finding, Object, error, ok

KINDS: Final = (
    "brokers.eventing.knative.dev",
    "triggers.eventing.knative.dev",
    "sinkbindings.sources.knative.dev",
    "pingsources.sources.knative.dev",
    "natsjetstreamchannels.messaging.knative.dev",
    "services.serving.knative.dev",
    "deployments.apps",
    "statefulsets.apps",
    "jobs.batch",
    "persistentvolumeclaims",
)
_REVISION: Final = "serving.knative.dev/revision"
"""Label of a revision's Deployments and pods; readiness is reported by their Service."""
_IMAGE: Final = ("ImagePullBackOff", "ErrImagePull", "InvalidImageName", "ErrImageNeverPull")
_BAD: Final = (*_IMAGE, "CrashLoopBackOff", "CreateContainerConfigError", "RunContainerError")
_CONDITIONS: Final = {"Deployment": "Available", "Job": "Complete"}


def readiness(objects: Sequence[Object]) -> Iterator[Finding]:
    """Yield a finding for each object that is not Ready, and one that counts the others by kind."""
    ready: dict[str, int] = {}
    for each in objects:
        kind, name = each["kind"], each["metadata"]["name"]
        if kind == "Deployment" and _REVISION in each["metadata"].get("labels", {}):
            continue
        reason = _reason(each)
        if reason is None:
            ready[kind] = ready.get(kind, 0) + 1
        else:
            yield error(f"{kind} {name}", reason)
    for kind, count in ready.items():
        yield ok(f"{kind}s", f"{count} are ready")


def _reason(each: Object) -> str | None:
    """Return the object's own reason for not being Ready; None if it is."""
    kind, status = each["kind"], each.get("status", {})
    if kind == "StatefulSet":
        desired, ready = each["spec"].get("replicas", 1), status.get("readyReplicas", 0)
        return None if ready >= desired else f"{ready} of {desired} pods are ready"
    if kind == "PersistentVolumeClaim":
        phase = status.get("phase", "unknown")
        return None if phase == "Bound" else f"{phase}: no volume for its storage class"
    conditions = {c["type"]: c for c in status.get("conditions", ())}
    if kind == "Job" and conditions.get("Failed", {}).get("status") == "True":
        return _condition_text(conditions["Failed"])
    condition = conditions.get(_CONDITIONS.get(kind, "Ready"))
    if condition is None:
        return "has not said anything yet"
    if condition["status"] == "True":
        return None
    unmet = [c for c in (condition, *conditions.values()) if c["status"] != "True"]
    return next(
        (text for c in unmet if (text := _condition_text(c))), f"{condition['type']} is not True"
    )


def _condition_text(condition: Object) -> str:
    return ": ".join(filter(None, (condition.get("reason"), condition.get("message"))))


def pods(found: Sequence[Object]) -> Iterator[Finding]:
    """Yield containers that cannot start: an image, a Secret, or a crash."""
    pulled = True
    for each in found:
        status = each.get("status", {})
        for part in ("initContainerStatuses", "containerStatuses"):
            for container in status.get(part, ()):
                waiting = container.get("state", {}).get("waiting") or {}
                if waiting.get("reason") not in _BAD:
                    continue
                pulled &= waiting["reason"] not in _IMAGE
                ended = container.get("lastState", {}).get("terminated") or {}
                code = f" (exit code {ended['exitCode']})" if "exitCode" in ended else ""
                yield error(
                    f"Pod {each['metadata']['name']}",
                    f"{container['name']}: {_condition_text(waiting)}{code}",
                )
    if found and pulled:
        yield ok("images", "every one could be pulled")


def missing(objects: Sequence[Object], triggers: Collection[str]) -> Iterator[Finding]:
    """Yield Triggers that are in the manifests but not in the cluster."""
    existing = {each["metadata"]["name"] for each in objects if each["kind"] == "Trigger"}
    for name in sorted(set(triggers) - existing):
        yield error(f"Trigger {name}", "is not there: apply an overlay")
