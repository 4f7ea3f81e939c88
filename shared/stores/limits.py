"""Server-side limits of Postgres connections, by role."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from shared.runtime.settings import Environment

_LONGEST_MS: Final = 86_400_000
_CONNECTION_CHECK_MS: Final = 5_000


@dataclass(frozen=True, slots=True)
class Limits:
    """Server-side bounds of a connection, in milliseconds; 0: none.

    `statement_ms`: of one statement. `lock_ms`: of one wait for a lock. `idle_ms`: of a transaction
    that sends nothing; the server then ends the connection. A statement whose client is gone ends
    within seconds, whatever these say.
    """

    statement_ms: int
    lock_ms: int
    idle_ms: int

    def read(self, env: Environment) -> Limits:
        """Return the limits with overrides from the environment."""
        return Limits(
            env.integer("DB_STATEMENT_MS", self.statement_ms, 0, _LONGEST_MS),
            env.integer("DB_LOCK_MS", self.lock_ms, 0, _LONGEST_MS),
            env.integer("DB_IDLE_MS", self.idle_ms, 0, _LONGEST_MS),
        )

    @property
    def options(self) -> str:
        """Return them as the `options` of a connection."""
        return " ".join(
            f"-c {name}={value}"
            for name, value in {
                "statement_timeout": self.statement_ms,
                "lock_timeout": self.lock_ms,
                "idle_in_transaction_session_timeout": self.idle_ms,
                "client_connection_check_interval": _CONNECTION_CHECK_MS,
            }.items()
        )


INGEST: Final = Limits(statement_ms=20_000, lock_ms=10_000, idle_ms=30_000)
"""Of what stores events: shorter than the trigger's timeout, so that an event is not stored by two
deliveries at once."""
REPAIR: Final = Limits(statement_ms=25_000, lock_ms=10_000, idle_ms=120_000)
"""Of what recomputes candles: it computes between two statements of a transaction."""
QUERY: Final = Limits(statement_ms=20_000, lock_ms=5_000, idle_ms=60_000)
"""Of what only reads."""
MAINTENANCE: Final = Limits(statement_ms=900_000, lock_ms=1_000, idle_ms=300_000)
"""Of what makes and drops partitions: it works for long, and gives way to all others at once."""
