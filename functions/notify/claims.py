"""Delivery claims: alerts sent, or being sent, to each target, as rows of Postgres.

No transaction is open while a service is called. The sender of an alert claims the target for
CLAIM_S; nobody else sends it meanwhile, and a crashed or hung sender loses the claim.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from shared.stores.postgres import Postgres

CLAIM_S: Final = 45
"""Longer than the timeout of a service."""

_CLAIM: Final = """
INSERT INTO alert_deliveries (event_id, target, claimed_until)
SELECT %(event)s, target, now() + %(claim)s * interval '1 second'
FROM unnest(%(targets)s::text[]) AS target
ON CONFLICT (event_id, target) DO UPDATE SET claimed_until = excluded.claimed_until
WHERE alert_deliveries.claimed_until < now()
RETURNING target, claimed_until
"""
_CLAIMED: Final = """
SELECT target FROM alert_deliveries
WHERE event_id = %(event)s AND target = ANY(%(targets)s) AND claimed_until IS NOT NULL
"""
_SENT: Final = """
INSERT INTO alert_deliveries (event_id, target) VALUES (%s, %s)
ON CONFLICT (event_id, target) DO UPDATE SET claimed_until = NULL, delivered_at = now()
"""
_RELEASE: Final = (
    "DELETE FROM alert_deliveries WHERE event_id = %s AND target = %s AND claimed_until = %s"
)


@dataclass(frozen=True, slots=True)
class Claims:
    """Deliveries of alerts by event and target. Every method raises TransientError."""

    postgres: Postgres

    def claim(
        self, event_id: str, targets: Sequence[str]
    ) -> tuple[dict[str, datetime], frozenset[str]]:
        """Claim targets that lack the alert; return their expiries, and those claimed by others."""
        parameters = {"event": event_id, "targets": sorted(targets), "claim": CLAIM_S}
        with self.postgres.connection() as connection:
            claimed: dict[str, datetime] = dict(connection.execute(_CLAIM, parameters).fetchall())
            busy = frozenset(row[0] for row in connection.execute(_CLAIMED, parameters))
        return claimed, busy - claimed.keys()

    def sent(self, event_id: str, target: str) -> None:
        """Record that a target has the alert."""
        with self.postgres.connection() as connection:
            connection.execute(_SENT, (event_id, target))

    def release(self, event_id: str, target: str, until: datetime) -> None:
        """Release a claim of this process, so that the next delivery sends at once."""
        with self.postgres.connection() as connection:
            connection.execute(_RELEASE, (event_id, target, until))
