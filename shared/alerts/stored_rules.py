"""The alert rules in Postgres: added, listed, removed."""

from __future__ import annotations

import secrets
from datetime import datetime
from typing import Final, NamedTuple

from psycopg import Connection

from shared.alerts.rule import Frequency, Rule

MAX_RULES: Final = 1_000
"""Maximum number of active rules; each costs a little with every candle of its symbol."""

_LOCK: Final = "SELECT pg_advisory_xact_lock(hashtext('kandle alert rules'))"
_SAME: Final = """
SELECT id FROM alert_rules
WHERE removed_at IS NULL AND rule = %(rule)s AND sink IS NOT DISTINCT FROM %(sink)s
  AND muted = %(muted)s AND NOT (once AND EXISTS (SELECT FROM alerts WHERE rule_id = id))
LIMIT 1
"""
_INSERT: Final = """
INSERT INTO alert_rules (id, rule, instrument, timeframe, once, sink, muted, after_us)
SELECT %(id)s, %(rule)s, %(instrument)s, %(timeframe)s, %(once)s, %(sink)s, %(muted)s, coalesce(
    (SELECT max(start_us) FROM candles
     WHERE instrument = %(instrument)s AND timeframe = %(timeframe)s), -1)
WHERE (SELECT count(*) FROM alert_rules WHERE removed_at IS NULL) < %(most)s
"""
_LIST: Final = """
SELECT id, rule, sink, (SELECT count(*) FROM alerts WHERE rule_id = id), created_at, muted
FROM alert_rules WHERE removed_at IS NULL ORDER BY created_at, id
"""
_REMOVE: Final = (
    "UPDATE alert_rules SET removed_at = now() WHERE id = %s AND removed_at IS NULL"
    " RETURNING rule, sink, muted"
)
_MUTE: Final = (
    "UPDATE alert_rules SET muted = coalesce(%s, muted) WHERE id = %s AND removed_at IS NULL"
    " RETURNING rule"
)


class StoredRule(NamedTuple):
    """An active rule. `sink`: where its alerts are posted, if anywhere; `alerts`: their number.

    `muted`: its alerts are stored but not sent.
    """

    id: str
    rule: str
    sink: str | None
    alerts: int
    created: datetime
    muted: bool = False


def add_rule(
    connection: Connection, rule: Rule, sink: str | None = None, *, muted: bool = False
) -> str | None:
    """Add a rule for candles newer than those known; return its id, or None: there are too many.

    The same rule that is active, and may still alert, is not added again: its id is returned.
    """
    row = {
        "id": secrets.token_hex(4),
        "rule": rule.text(),
        "instrument": rule.subject,
        "timeframe": rule.timeframe,
        "once": rule.frequency is Frequency.ONCE,
        "sink": sink,
        "muted": muted,
        "most": MAX_RULES,
    }
    connection.execute(_LOCK)
    if same := connection.execute(_SAME, row).fetchone():
        return str(same[0])
    return str(row["id"]) if connection.execute(_INSERT, row).rowcount else None


def active_rules(connection: Connection) -> list[StoredRule]:
    """Return the active rules, oldest first."""
    return [StoredRule(*row) for row in connection.execute(_LIST)]


def remove_rule(connection: Connection, rule_id: str) -> str | None:
    """Remove a rule; return its text, or None if there is none."""
    row = connection.execute(_REMOVE, (rule_id,)).fetchone()
    return None if row is None else str(row[0])


def replace_rule(connection: Connection, rule_id: str, rule: Rule) -> str | None:
    """Replace a rule, in the caller's transaction; return the new id.

    It keeps the sink and the mute of the old one, and applies to candles newer than those known
    now. None: the old one is not active.
    """
    row = connection.execute(_REMOVE, (rule_id,)).fetchone()
    if row is None:
        return None
    _, sink, muted = row
    return add_rule(connection, rule, sink, muted=muted)


def mute_rule(connection: Connection, rule_id: str, *, muted: bool | None) -> str | None:
    """Mute or unmute a rule; return its text, or None.

    `muted` None leaves it as it is.
    """
    row = connection.execute(_MUTE, (muted, rule_id)).fetchone()
    return None if row is None else str(row[0])
