"""The token for a broker is read from its file, and again when it may have changed."""

from __future__ import annotations

import asyncio
from contextlib import closing
from pathlib import Path

from shared.adapter.identity import Identity
from shared.adapter.sink import Sink
from tests.local.broker.subscriber import Subscriber


def test_a_renewed_token_is_used(tmp_path: Path) -> None:
    """A renewed token is used, and the old one while the file cannot be read."""
    file = tmp_path / "token"
    file.write_text("first\n")
    identity = Identity(file, fresh_s=0)
    assert identity.headers() == {"Authorization": "Bearer first"}
    file.write_text("second")
    assert identity.headers() == {"Authorization": "Bearer second"}
    file.unlink()
    assert identity.headers() == {"Authorization": "Bearer second"}


def test_without_the_file_no_token_is_sent(tmp_path: Path) -> None:
    """Without the file, as without authentication or on a laptop, no token is sent."""
    assert Identity.from_env({"OIDC_TOKEN_FILE": str(tmp_path / "none")}).headers() == {}


def test_a_sink_sends_the_token(tmp_path: Path) -> None:
    """A sink sends the token with every event."""
    file = tmp_path / "token"
    file.write_text("mine")
    with closing(Subscriber()) as subscriber:
        environment = {"K_SINK": f"{subscriber.url}/sink", "OIDC_TOKEN_FILE": str(file)}
        sink = Sink.from_env(environment, "/test")
        assert sink is not None

        async def post() -> None:
            await sink.post({"ce-id": "1"}, b"x")
            await sink.close()

        asyncio.run(post())
        (received,) = subscriber.received
        assert received.headers["authorization"] == "Bearer mine"
