"""Selection of functions and Deployments for a start, with the environment from SinkBindings."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from urllib.parse import urlsplit

from local.errors import UsageError
from local.topology.addressable import Destination
from local.topology.eventing import Eventing, SinkBinding
from local.topology.workloads import Deployment, Function

ALL, NONE = "all", "none"


def select_functions(
    functions: Sequence[Function], choice: str, eventing: Eventing, *, everything: bool
) -> tuple[Function, ...]:
    """Select by `all`, `none` or names separated by commas.

    `all` means every function if `everything`, else those that the topology refers to: a custom
    topology needs only those. Raises UsageError: an unknown name, or none.
    """
    if choice == NONE:
        return ()
    if choice == ALL:
        if everything:
            return tuple(functions)
        hosts = {urlsplit(each.url).hostname for each in _destinations(eventing)}
        subjects = [each.subject for each in eventing.sink_bindings]
        bound = {each.name for each in subjects if each.kind == "Service"}
        return tuple(each for each in functions if each.host in hosts or each.name in bound)
    names = [name for part in choice.split(",") if (name := part.strip())]
    hosted = [each.name for each in functions]
    if not names:
        raise UsageError(
            f"--functions: {choice!r} names none; give {ALL}, {NONE} or any of: {', '.join(hosted)}"
        )
    if unknown := sorted(set(names) - set(hosted)):
        raise UsageError(
            f"--functions: there is no {', '.join(unknown)}; there are: {', '.join(hosted)} "
            f"(or {ALL}, {NONE})"
        )
    return tuple(each for each in functions if each.name in names)


def select_deployments(
    deployments: Sequence[Deployment], eventing: Eventing, functions: Sequence[Function]
) -> tuple[Deployment, ...]:
    """Select the Deployments named by a SinkBinding of the topology: its sources.

    Also those that run beside a selected function.
    """
    bound = {
        (each.subject.namespace, each.subject.name)
        for each in eventing.sink_bindings
        if each.subject.kind == "Deployment"
    }
    running = {(each.namespace, each.name) for each in functions}
    return tuple(
        each
        for each in deployments
        if (each.namespace, each.name) in bound or (each.namespace, each.beside) in running
    )


def sink_environment(
    workload: Function | Deployment, bindings: Collection[SinkBinding]
) -> dict[str, str]:
    """Return the variables injected by a SinkBinding; empty without one."""
    kind = "Deployment" if isinstance(workload, Deployment) else "Service"
    for each in bindings:
        subject = (each.subject.kind, each.subject.namespace, each.subject.name)
        if subject == (kind, workload.namespace, workload.name):
            overrides = {"extensions": dict(each.extensions)} if each.extensions else None
            return {
                "K_SINK": each.sink.url,
                "K_CE_OVERRIDES": json.dumps(overrides) if overrides else "",
            }
    return {}


def _destinations(eventing: Eventing) -> Iterator[Destination]:
    for trigger in eventing.triggers:
        yield trigger.subscriber
        if trigger.delivery.dead_letter_sink is not None:
            yield trigger.delivery.dead_letter_sink
    yield from (each.sink for each in eventing.ping_sources)
    yield from (each.sink for each in eventing.sink_bindings)
