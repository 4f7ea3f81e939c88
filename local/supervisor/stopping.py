"""Shutdown of the platform: order, time limits, and warnings about a kill."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from local.supervisor.component import Component, Kind

WITHIN_S = 9.5
"""Time limit of a stop, kills included."""

DRAIN_VARIABLE = "DRAIN_S"
"""The variable with a component's time to drain, in whole seconds."""


@dataclass(frozen=True)
class Phase:
    """The stop of one kind of components, all at once.

    `patience_s`: least time before they are killed; time unused by earlier phases is added.
    `drain_s`: the time that they get to drain.
    """

    kind: Kind
    patience_s: float
    drain_s: int
    kill_costs: str


# Functions finish the broker's deliveries in flight, so they stop after it; the stores serve them
# to the end. Only a source holds data that nobody else has, so it gets more time.
PHASES: Sequence[Phase] = (
    Phase(Kind.SOURCE, 3.5, 3, "what it had received and not yet handed to the broker is lost"),
    Phase(Kind.BROKER, 2.5, 1, "nothing is lost, and what was in flight is delivered again"),
    Phase(Kind.FUNCTION, 1.5, 1, "its events are delivered again, its HTTP requests are cut off"),
    Phase(Kind.SERVER, 2.0, 1, "its next start takes longer, since it has to recover"),
)
_BY_KIND: Mapping[Kind, Phase] = {each.kind: each for each in PHASES}


def drain_s(kind: Kind) -> int:
    """Return a component's time to drain, in seconds."""
    return _BY_KIND[kind].drain_s


def drain_environment(kind: Kind) -> dict[str, str]:
    """Return the environment variable with that time."""
    return {DRAIN_VARIABLE: str(drain_s(kind))}


def patience_s(kind: Kind, left_s: float) -> float:
    """Return how long a kind may take with `left_s` left: all but what later phases need."""
    after = PHASES[[each.kind for each in PHASES].index(kind) + 1 :]
    return max(0.1, left_s - sum(each.patience_s for each in after))


def kill_message(component: Component, after_s: float) -> str:
    """Return the warning about a kill: its cost and the log."""
    return (
        f"{component.name} did not stop within {after_s:.1f} s and was killed: "
        f"{_BY_KIND[component.kind].kill_costs}; log: {component.log}"
    )
