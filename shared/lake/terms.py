"""By which terms the lake is kept: when stored ticks are copied, how long Postgres keeps them."""

from __future__ import annotations

from dataclasses import dataclass

from shared.settings import Environment


@dataclass(frozen=True, slots=True)
class Terms:
    """How long Postgres keeps what the lake has (0: for ever), and when ticks are copied."""

    tick_hours: int = 24
    candle_days: int = 30
    snapshot_s: int = 60
    snapshot_bytes: int = 5_000_000

    @classmethod
    def from_env(cls, env: Environment) -> Terms:
        """Read the settings; `env.check` tells what is wrong with them."""
        return cls(
            tick_hours=env.integer("KEEP_TICKS_H", 24, 0, 1_000_000),
            candle_days=env.integer("KEEP_CANDLES_D", 30, 0, 1_000_000),
            snapshot_s=env.integer("SNAPSHOT_S", 60, 1, 86_400),
            snapshot_bytes=env.integer("SNAPSHOT_BYTES", 5_000_000, 1, 1_000_000_000),
        )

    @property
    def tick_us(self) -> int:
        """The life of ticks in microseconds."""
        return self.tick_hours * 3_600_000_000
