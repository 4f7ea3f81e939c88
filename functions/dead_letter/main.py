"""dead-letter: keep events that ran out of deliveries in their own JetStream stream."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field

import functions_framework.aio
from starlette.requests import Request
from starlette.responses import Response

from functions.dead_letter.handler import STAGE, Keep
from shared.adapter.delegated import Delegated
from shared.adapter.wiring import event_app
from shared.runtime.settings import Environment


@dataclass(frozen=True)
class Settings:
    """Settings of dead-letter, from its environment."""

    nats_url: str = field(repr=False)
    max_age_s: int

    @classmethod
    def from_env(cls, mapping: Mapping[str, str]) -> Settings:
        """Read and check. Raises SettingsError."""
        env = Environment(mapping)
        settings = cls(
            nats_url=env.text("NATS_URL"),
            max_age_s=env.integer("KEEP_LETTERS_D", 7, 0, 100_000) * 86_400,
        )
        env.check()
        return settings


settings = Settings.from_env(os.environ)
keep = Keep(settings.nats_url, settings.max_age_s)
app = event_app(STAGE, keep, os.environ, concurrency=16, ready=keep.check)


@functions_framework.aio.http
async def dead_letter(request: Request) -> Response:
    """Answer one request: an event, a probe or a scrape."""
    return Delegated(app)
