"""The printed report of a run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from tests.chaos.outages import Outage
from tests.chaos.truth import Comparison

SHOWN_DIFFERENCES = 20


@dataclass
class Report:
    """The result of a run. `faults` counts by (kind, component); memory in bytes."""

    seed: int
    seconds: float
    faults: Counter[tuple[str, str]]
    batches: int
    taken: int
    refused: int
    comparison: Comparison
    dead_letters: list[str]
    poison: int
    outages: list[Outage]
    memory: dict[str, int]

    @property
    def is_clean(self) -> bool:
        """Whether nothing was lost, doubled, wrong, or dead-lettered without a reason."""
        return not self.comparison.differences and not self.dead_letters

    @property
    def kills(self) -> int:
        """The number of processes killed with -9."""
        return sum(count for (kind, _), count in self.faults.items() if kind == "kill -9")

    def lines(self) -> Iterator[str]:
        """Yield the table."""
        found = self.comparison
        yield f"seed {self.seed}, {self.seconds:.0f} s"
        yield ""
        for kind in sorted({kind for kind, _ in self.faults}):
            each = {name: n for (of, name), n in self.faults.items() if of == kind}
            names = ", ".join(f"{name} {n}" for name, n in sorted(each.items()))
            yield f"{kind:<24}{sum(each.values()):>9,}  {names}"
        lost = found.udp_sent - found.udp_stored
        rows = [
            ("batches answered 202", self.taken, f"of {self.batches:,}; the others: no promise"),
            ("answers of 5xx", self.refused, "sent again"),
            ("ticks promised", found.ticks_taken, ""),
            ("ticks stored", found.ticks_stored, "with those of unanswered batches"),
            ("ticks by UDP", found.udp_sent, f"lost with a killed listener: {lost:,}"),
            ("lines rejected", found.rejects, ""),
            ("candles in Postgres", found.candles_closed, "compared"),
            ("candles by the API", found.candles_shown, "compared"),
            ("dead letters", len(self.dead_letters), f"and {self.poison:,} that deserved it"),
            ("differences", len(found.differences), ""),
        ]
        for name, count, remark in rows:
            yield f"{name:<24}{count:>9,}  {remark}".rstrip()
        for outage in self.outages:
            most = ", ".join(f"{name.rpartition('/')[2]} {n:,}" for name, n in outage.lag.items())
            yield f"{outage.store} {outage.how} for {outage.seconds:.0f} s: lag at most {most}"
            yield f"  memory at most {_megabytes(outage.memory)}"
        yield f"memory at most {_megabytes(self.memory)}"
        problems = [*found.differences, *self.dead_letters]
        yield from problems[:SHOWN_DIFFERENCES]
        if len(problems) > SHOWN_DIFFERENCES:
            yield f"and {len(problems) - SHOWN_DIFFERENCES:,} more"


def _megabytes(memory: dict[str, int]) -> str:
    return ", ".join(f"{name} {size / 1e6:.0f} MB" for name, size in sorted(memory.items()))
