"""Tokens, origins and rate limits in front of an app, over HTTP and WebSocket."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Iterator

import httpx
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.types import ASGIApp
from starlette.websockets import WebSocket
from websockets import Subprotocol
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from shared.adapter.access import AccessRules, guarded
from shared.adapter.health import health_routes
from shared.runtime.settings import SettingsError
from shared.runtime.token_bucket import MAX_CLIENTS, Rates
from tests.local.broker.processes import eventually

TOKEN, OTHER = "a-token-of-the-test", "another-token-of-it"
BEARER = {"authorization": f"Bearer {TOKEN}"}
PAGE = "https://charts.example.com"


def application() -> Starlette:
    async def answer(request: Request) -> Response:
        return PlainTextResponse(request.method)

    async def echo(socket: WebSocket) -> None:
        offered = socket.scope["subprotocols"]
        await socket.accept(offered[0] if offered else None)
        await socket.send_json(offered)
        await socket.close()

    return Starlette(
        routes=[
            Route("/", answer, methods=["GET", "POST"]),
            Route("/api/candles", answer, methods=["GET", "POST"]),
            Route("/assets/app.js", answer),
            WebSocketRoute("/ws", echo),
            *health_routes(None),
        ]
    )


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@contextlib.contextmanager
def serving(app: ASGIApp) -> Iterator[httpx.Client]:
    """Serve on loopback."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = _Server(uvicorn.Config(app, log_level="error", ws="websockets-sansio"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        try:
            eventually(lambda: server.started)
            with httpx.Client(base_url=url, timeout=30) as client:
                yield client
        finally:
            server.should_exit = True
            thread.join()


def served(**settings: str) -> contextlib.AbstractContextManager[httpx.Client]:
    return serving(guarded(application(), settings))


def test_without_settings_the_app_is_not_wrapped() -> None:
    """Without settings the app is returned as it is, open and at no cost."""
    app = application()
    assert guarded(app, {}) is app


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": "Bearer"},
        {"authorization": f"Bearer {TOKEN}x"},
        {"authorization": f"Bearer {TOKEN[:-1]}"},
        {"authorization": f"Basic {TOKEN}"},
        {"authorization": "Bearer \u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9"},
    ],
)
def test_a_request_without_a_valid_token_is_401(headers: dict[str, str]) -> None:
    """A request without a valid token is refused.

    The problem says how to send one, and the header names the scheme.
    """
    encoded = [(name.encode(), value.encode()) for name, value in headers.items()]
    with served(API_TOKENS=TOKEN) as reader:
        answer = reader.get("/api/candles", headers=encoded)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.headers["content-type"] == "application/problem+json"


def test_each_token_is_accepted() -> None:
    """Each of several tokens is accepted, so that one can be replaced without a pause."""
    with served(API_TOKENS=f"{TOKEN}, {OTHER}") as reader:
        for token in (TOKEN, OTHER):
            headers = {"authorization": f"bearer {token}"}
            assert reader.get("/api/candles", headers=headers).text == "GET"


def test_a_token_in_the_query_is_ignored() -> None:
    """A token in the query, which every proxy logs, is ignored."""
    with served(API_TOKENS=TOKEN) as reader:
        answer = reader.get(f"/api/candles?token={TOKEN}")
    assert answer.status_code == 401


@pytest.mark.parametrize("path", ["/health/liveness", "/health/readiness", "/metrics"])
def test_probes_and_scrapes_need_no_token(path: str) -> None:
    """Probes and scrapes need no token and count against no rate."""
    with served(API_TOKENS=TOKEN, RATE_LIMIT="1", RATE_BURST="1") as reader:
        assert [reader.get(path).status_code for _ in range(3)] == [200] * 3


def test_events_and_open_paths_need_no_token() -> None:
    """Events and open paths need no token where the app allows it.

    Posting to the page's files needs one.
    """
    rules = {"API_TOKENS": TOKEN}
    app = guarded(application(), rules, events_pass=True, open_paths=("/", "/assets/"))
    with serving(app) as reader:
        assert reader.post("/", headers={"ce-id": "1"}).text == "POST"
        assert reader.get("/").text == "GET"
        assert reader.get("/assets/app.js").text == "GET"
        assert reader.post("/assets/app.js").status_code == 401
        assert reader.post("/api/candles").status_code == 401
    with served(**rules) as reader:
        assert reader.post("/", headers={"ce-id": "1"}).status_code == 401


def test_short_tokens_and_bad_origins_are_refused_at_start() -> None:
    """Bad settings are reported together by name, without a token in the message or `repr`."""
    with pytest.raises(SettingsError, match=r"(?s)API_TOKENS.*CORS_ORIGINS") as refused:
        AccessRules.from_env({"API_TOKENS": "short-token", "CORS_ORIGINS": "charts"})
    assert "short-token" not in str(refused.value)
    assert TOKEN not in repr(AccessRules.from_env({"API_TOKENS": TOKEN}))


@pytest.mark.parametrize("blank", [" ", ",", "\n"])
def test_a_blank_secret_does_not_turn_access_control_off(blank: str) -> None:
    """API_TOKENS that is set without a token is refused at start: the API would be open."""
    with pytest.raises(SettingsError, match="API_TOKENS: it is not empty, and names nothing"):
        AccessRules.from_env({"API_TOKENS": blank})


def test_an_allowed_origin_gets_cors_headers() -> None:
    """A page of an allowed origin gets CORS headers, also with a refusal; no other page does."""
    with served(CORS_ORIGINS=PAGE, API_TOKENS=TOKEN) as reader:
        answer = reader.get("/api/candles", headers={**BEARER, "origin": PAGE})
        assert answer.headers["access-control-allow-origin"] == PAGE
        assert "Origin" in answer.headers["vary"]
        assert "access-control-allow-credentials" not in answer.headers
        refused = reader.get("/api/candles", headers={"origin": PAGE})
        assert refused.status_code == 401
        assert refused.headers["access-control-allow-origin"] == PAGE
        other = reader.get("/api/candles", headers={**BEARER, "origin": "https://evil.example"})
        assert "access-control-allow-origin" not in other.headers


def test_a_preflight_is_answered_without_a_token() -> None:
    """A preflight, with which browsers send no token, is answered without one."""
    with served(CORS_ORIGINS=PAGE, API_TOKENS=TOKEN) as reader:
        asked = {"origin": PAGE, "access-control-request-method": "GET"}
        answer = reader.options("/api/candles", headers=asked)
        assert answer.status_code == 204
        assert answer.headers["access-control-allow-origin"] == PAGE
        assert "authorization" in answer.headers["access-control-allow-headers"]
        asked["origin"] = "https://evil.example"
        assert reader.options("/api/candles", headers=asked).status_code == 403


def test_the_rate_limit_is_per_client() -> None:
    """A client over its rate gets 429 with `Retry-After`.

    A token is a client of its own; wrong tokens share one.
    """
    with served(API_TOKENS=TOKEN, RATE_LIMIT="1", RATE_BURST="2") as reader:
        answers = [reader.get("/api/candles", headers=BEARER) for _ in range(3)]
        assert [each.status_code for each in answers] == [200, 200, 429]
        assert int(answers[-1].headers["retry-after"]) >= 1
        guesses = [
            reader.get("/api/candles", headers={"authorization": f"Bearer guess-number-{n:08d}"})
            for n in range(3)
        ]
        assert [each.status_code for each in guesses] == [401, 401, 429]


def test_least_recently_seen_clients_are_dropped() -> None:
    """The table of clients is bounded: the least recently seen one is dropped."""
    rates = Rates(1.0, 1.0)
    assert rates.wait_s("first", 0.0) == 0
    assert rates.wait_s("first", 0.0) > 0
    for n in range(MAX_CLIENTS):
        rates.wait_s(str(n), 0.0)
    assert rates.wait_s("first", 0.0) == 0


def opened(
    reader: httpx.Client, headers: dict[str, str] | None = None, *protocols: str
) -> tuple[str | None, list[str]]:
    """Open the WebSocket; return the chosen subprotocol and those that the app saw."""
    url = f"ws://{reader.base_url.netloc.decode()}/ws"
    with connect(
        url,
        additional_headers=headers,
        subprotocols=[Subprotocol(each) for each in protocols] or None,
        proxy=None,
    ) as client:
        return client.subprotocol, json.loads(client.recv())


def test_a_websocket_needs_a_token_too() -> None:
    """A WebSocket needs a token in a header or in a subprotocol, which the app does not see."""
    chosen = "kandle.v1.json"
    with served(API_TOKENS=TOKEN) as reader:
        with pytest.raises(InvalidStatus, match="403"):
            opened(reader)
        with pytest.raises(InvalidStatus, match="403"):
            opened(reader, None, chosen, "bearer.wrong-wrong-wrong")
        assert opened(reader, BEARER) == (None, [])
        assert opened(reader, None, chosen, f"bearer.{TOKEN}") == (chosen, [chosen])


def test_a_token_of_base64_opens_a_websocket() -> None:
    """No subprotocol may hold its `/` and `=`: it is percent-encoded, as the page does it."""
    with served(API_TOKENS="k3/Zp+0aTq8/9w==") as reader:
        assert opened(reader, None, "json", "bearer.k3%2FZp%2B0aTq8%2F9w%3D%3D")[0] == "json"


def test_another_sites_page_opens_no_websocket() -> None:
    """A WebSocket from another origin is refused, because browsers do not check it."""
    with served(CORS_ORIGINS=PAGE) as reader:
        assert opened(reader) == (None, [])
        for origin in (PAGE, f"http://{reader.base_url.netloc.decode()}"):
            assert opened(reader, {"origin": origin}) == (None, [])
        with pytest.raises(InvalidStatus, match="403"):
            opened(reader, {"origin": "https://evil.example"})
