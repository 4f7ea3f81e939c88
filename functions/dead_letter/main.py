"""dead-letter: keep events that ran out of deliveries in their own JetStream stream."""

from __future__ import annotations

import os
from dataclasses import dataclass

from functions.dead_letter.handler import STAGE, DeadLetterHandler
from shared.adapter.delegated import served
from shared.adapter.wiring import event_app
from shared.runtime.settings import FromEnvironment, integer, text


@dataclass(frozen=True)
class Settings(FromEnvironment):
    """Settings of dead-letter, from its environment."""

    nats_url: str = text("NATS_URL")
    max_age_s: int = integer("KEEP_LETTERS_D", 7, 0, 100_000, times=86_400)
    replicas: int = integer("STREAM_REPLICAS", 1, 1, 5)


settings = Settings.from_env(os.environ)
handler = DeadLetterHandler(settings.nats_url, settings.max_age_s, settings.replicas)
app = event_app(STAGE, handler, os.environ, concurrency=16, ready=handler.check)
dead_letter = served("dead_letter", app)
