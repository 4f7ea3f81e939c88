"""Shutdown of the platform: order, time limits, and warnings about a kill."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from local.supervisor.component import Component, Kind

WITHIN_S = 9.5
"""All of a stop, killing included, fits into this."""

DRAIN_VARIABLE = "DRAIN_S"
"""By it a component learns how long it may take to hand over what it holds, in whole seconds."""


@dataclass(frozen=True)
class Phase:
    """The stop of one kind of components, all at once.

    `patience_s` is what they have at least before they are killed: what those before them did not
    need is theirs as well. `drain_s` is the time that they are given.
    """

    kind: Kind
    patience_s: float
    drain_s: int
    kill_costs: str


# Functions finish what the broker had in flight, so they go after it; the stores serve them to the
# end. A source is the only one that holds what nobody else has, so it alone is waited for longer.
PHASES: Sequence[Phase] = (
    Phase(Kind.SOURCE, 3.5, 3, "what it had received and not yet handed to the broker is lost"),
    Phase(Kind.BROKER, 2.5, 1, "nothing is lost, and what was in flight is delivered again"),
    Phase(Kind.FUNCTION, 1.5, 1, "its events are delivered again, its HTTP requests are cut off"),
    Phase(Kind.SERVER, 2.0, 1, "its next start takes longer, since it has to recover"),
)
_BY_KIND: Mapping[Kind, Phase] = {each.kind: each for each in PHASES}


def drain_s(kind: Kind) -> int:
    """Return how long a component may take to hand over what it holds."""
    return _BY_KIND[kind].drain_s


def drain_environment(kind: Kind) -> dict[str, str]:
    """Return the variable that tells a component so."""
    return {DRAIN_VARIABLE: str(drain_s(kind))}


def patience_s(kind: Kind, left_s: float) -> float:
    """Return how long a kind may take, `left_s` before the end: what those after it do not need."""
    after = PHASES[[each.kind for each in PHASES].index(kind) + 1 :]
    return max(0.1, left_s - sum(each.patience_s for each in after))


def kill_message(component: Component, after_s: float) -> str:
    """Say that it was killed, what that may have cost, and where it says more."""
    return (
        f"{component.name} did not stop within {after_s:.1f} s and was killed: "
        f"{_BY_KIND[component.kind].kill_costs}; log: {component.log}"
    )
