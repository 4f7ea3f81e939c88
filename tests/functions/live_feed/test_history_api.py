"""The client of the history API: whatever it cannot use is an outage."""

from __future__ import annotations

import asyncio
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest

from functions.live_feed.derived.history_api import HistoryApi
from functions.live_feed.settings import LiveSettings
from shared.errors import TransientError


class _Page(BaseHTTPRequestHandler):
    """A gateway's page in place of an answer."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"<html>welcome</html>")


def test_the_first_token_of_a_list_is_sent() -> None:
    """Access control leaves out empty names, and so does its client."""
    given = {"NATS_URL": "nats://a", "REDIS_URL": "redis://a", "API_TOKENS": ", secret-1,secret-2"}
    assert LiveSettings.from_env(given).api_token == "secret-1"
    assert LiveSettings.from_env({**given, "API_TOKENS": ""}).api_token == ""


def test_an_answer_that_is_no_json_is_an_outage() -> None:
    """A page in place of JSON is a TransientError, which followers of channels survive."""
    server = HTTPServer(("127.0.0.1", 0), _Page)
    Thread(target=server.serve_forever, daemon=True).start()

    async def newest() -> None:
        history = HistoryApi(f"http://127.0.0.1:{server.server_port}")
        try:
            await history.newest("A", "1m")
        finally:
            await history.close()

    try:
        with pytest.raises(TransientError):
            asyncio.run(newest())
    finally:
        server.shutdown()
        server.server_close()
