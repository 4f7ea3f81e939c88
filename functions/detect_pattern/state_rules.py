"""Alert rules about quotes, gaps and feeds, evaluated by the clock from Postgres.

A rule alerts when it holds and did not at its last evaluation. That state, and the alert until the
broker has it, is one row, changed in one transaction; so an alert is neither lost nor raised twice.
Without such rules a clock event costs one lookup in an empty index.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from psycopg import Connection

from functions.detect_pattern.storage import parsed_rule
from shared.alerts.event import Alert, as_event_json
from shared.alerts.present import Present
from shared.alerts.rule import Rule
from shared.stores.postgres import Postgres

_RULES: Final = """
SELECT r.id, r.rule, r.muted, s.holds, s.changed_us, s.body FROM alert_rules r
LEFT JOIN alert_states s ON s.rule_id = r.id
WHERE r.removed_at IS NULL AND r.timeframe = ''
  AND (s.body IS NOT NULL OR s.raised IS NOT TRUE OR NOT r.once)
ORDER BY r.id FOR UPDATE OF r SKIP LOCKED
"""
_UPSERT: Final = """
INSERT INTO alert_states (rule_id, holds, changed_us, raised, body)
VALUES (%(id)s, %(holds)s, %(now_us)s, %(body)s::text IS NOT NULL, %(body)s)
ON CONFLICT (rule_id) DO UPDATE SET
    holds = excluded.holds, changed_us = excluded.changed_us, body = excluded.body,
    raised = alert_states.raised OR excluded.raised
"""


def raise_state_alerts(postgres: Postgres, now_us: int) -> list[Alert]:
    """Evaluate the rules; return the alerts to emit, as of their check. Raises TransientError.

    Rules locked by another replica are skipped.
    """
    with postgres.connection() as connection:
        rows = connection.execute(_RULES).fetchall()
        if not rows:
            return []
        rules = {id_: rule for id_, text, *_ in rows if (rule := parsed_rule(text)) is not None}
        present = Present.read(connection, list(rules.values()), now_us)
        raised = []
        for id_, _, muted, held, changed_us, body in rows:
            if body is not None:
                raised.append(Alert(id_, changed_us, body))
            elif id_ in rules:
                raised += _evaluated(connection, id_, rules[id_], held, present, muted)
        return raised


def note_emitted(postgres: Postgres, raised: Sequence[Alert]) -> None:
    """Note that the broker has these alerts. Raises TransientError."""
    with postgres.connection() as connection:
        connection.cursor().executemany(
            "UPDATE alert_states SET body = NULL WHERE rule_id = %s AND changed_us = %s",
            [(each.rule_id, each.start_us) for each in raised],
        )


def _evaluated(
    connection: Connection,
    id_: str,
    rule: Rule,
    held: bool | None,
    present: Present,
    muted: bool,
) -> list[Alert]:
    state = present.holds(rule)
    if state is None or state[0] == held:
        return []
    holds, value = state
    body = None
    if holds and held is False:
        values: dict[str, Any] = {"muted": True} if muted else {}
        values |= {} if value is None else {"value": value}
        body = as_event_json(id_, rule, present.now_us, present.now_us, **values)
    connection.execute(_UPSERT, {"id": id_, "holds": holds, "now_us": present.now_us, "body": body})
    return [] if body is None else [Alert(id_, present.now_us, body)]
