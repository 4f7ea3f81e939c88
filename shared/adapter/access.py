"""Access control: bearer tokens, CORS origins and rate limits, as ASGI middleware.

Everything is off until a setting turns it on, which suits a process on loopback. Probes and
`/metrics` stay open: a kubelet has no token. docs/security.md says what else closes them.
"""

from __future__ import annotations

import hmac
import math
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final, Self
from urllib.parse import unquote

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocketClose

from shared.runtime import metrics
from shared.runtime.problem import problem
from shared.runtime.settings import Environment, FromEnvironment, listed, parsed
from shared.runtime.token_bucket import Rates

OPEN_PATHS: Final = frozenset(
    ("/health", "/health/liveness", "/health/readiness", "/ready", "/startup", "/metrics")
)
SUBPROTOCOL: Final = "bearer."
"""A browser cannot set WebSocket headers: it offers `bearer.<token>` as a subprotocol.

Percent-encoded, since a subprotocol may hold neither `/` nor `=`, which base64 has.
"""
CLOSE_REFUSED: Final = 1008
_MIN_TOKEN: Final = 16
_METHODS: Final = "GET, HEAD, POST, PATCH, DELETE, OPTIONS"
_ALLOWED_HEADERS: Final = (
    "authorization, content-type, idempotency-key, last-event-id, if-none-match"
)
_EXPOSED: Final = "etag, retry-after, link"


def _digests(text: str) -> tuple[bytes, ...]:
    tokens = listed(text)
    if any(len(each) < _MIN_TOKEN for each in tokens):
        raise ValueError(f"each token must have {_MIN_TOKEN} characters or more")
    return tuple(sha256(each.encode()).digest() for each in tokens)


def _origins(text: str) -> frozenset[str]:
    origins = frozenset(listed(text))
    for each in origins:
        scheme, _, host = each.partition("://")
        if each != "*" and (scheme not in ("http", "https") or not host or "/" in host):
            raise ValueError(f"{each!r} is not an origin, such as https://charts.example.com")
    return origins


@dataclass(frozen=True)
class AccessRules(FromEnvironment):
    """Values of API_TOKENS, CORS_ORIGINS, RATE_LIMIT and RATE_BURST.

    `tokens` are SHA-256 digests, so that no token stays in memory. `origins`: allowed origins of
    pages; `*` is any. `rate`: requests per second and client, 0 for no limit.
    """

    tokens: tuple[bytes, ...] = parsed("API_TOKENS", "", _digests)
    origins: frozenset[str] = parsed("CORS_ORIGINS", "", _origins)
    rate: int = 0
    burst: int = 0

    @classmethod
    def read(cls, env: Environment, **others: Any) -> Self:
        """Read them; a burst is twice the rate by default."""
        rate = env.integer("RATE_LIMIT", 0, 0, 1_000_000)
        burst = env.integer("RATE_BURST", 2 * rate, 0, 10_000_000)
        return super().read(env, rate=rate, burst=burst, **others)

    @property
    def are_off(self) -> bool:
        """Whether no rule is configured."""
        return not (self.tokens or self.origins or self.rate)

    def knows(self, token: str) -> bool:
        """Whether the token is valid, in constant time."""
        digest = sha256(token.encode()).digest()
        return sum(hmac.compare_digest(digest, each) for each in self.tokens) > 0

    def admits(self, origin: str) -> bool:
        """Whether a page of this origin is allowed."""
        return "*" in self.origins or origin in self.origins


class Access:
    """ASGI middleware.

    `events_pass`: CloudEvents posted to `/` pass, since the broker has no token. `open_paths`:
    further public paths; those with a trailing slash include everything below.
    """

    def __init__(
        self,
        app: ASGIApp,
        rules: AccessRules,
        *,
        events_pass: bool = False,
        open_paths: Collection[str] = (),
    ) -> None:
        self._app = app
        self._rules = rules
        self._events_pass = events_pass
        self._open = OPEN_PATHS | {each for each in open_paths if each == "/" or each[-1] != "/"}
        self._open_below = tuple(each for each in open_paths if each != "/" and each[-1] == "/")
        self._rates = Rates(rules.rate, rules.burst) if rules.rate else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it with a reason."""
        if self._passes(scope):
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        origin = headers.get("origin", "")
        refused = self._refusal(scope, headers, origin)
        if scope["type"] == "websocket":
            if refused is None:
                await self._app(_without_token(scope), receive, send)
            else:
                await WebSocketClose(CLOSE_REFUSED, "refused")(scope, receive, send)
            return
        shared = _cors(send, origin) if origin and self._rules.admits(origin) else send
        if scope["method"] == "OPTIONS" and "access-control-request-method" in headers:
            await _preflight(origin, self._rules)(scope, receive, shared)
        elif refused is not None:
            await refused(scope, receive, shared)
        else:
            await self._app(scope, receive, shared)

    def _passes(self, scope: Scope) -> bool:
        if scope["type"] == "websocket":
            return False
        if scope["type"] != "http":
            return True
        if scope["method"] == "POST":
            return self._events_pass and scope["path"] == "/"
        if scope["method"] not in ("GET", "HEAD"):
            return False
        return scope["path"] in self._open or scope["path"].startswith(self._open_below)

    def _refusal(self, scope: Scope, headers: Headers, origin: str) -> Response | None:
        """Return the response to a forbidden request."""
        token = _token(scope, headers)
        is_known = bool(token) and bool(self._rules.tokens) and self._rules.knows(token)
        client = f"token {sha256(token.encode()).hexdigest()}" if is_known else _address(scope)
        if self._rates is not None and (wait_s := self._rates.wait_s(client, time.monotonic())) > 0:
            metrics.REQUESTS_REFUSED.labels("rate").inc()
            return problem(
                429, "too many requests", f"at most {self._rules.rate} a second", math.ceil(wait_s)
            )
        if scope["type"] == "websocket" and origin and not self._same_or_admitted(headers, origin):
            metrics.REQUESTS_REFUSED.labels("origin").inc()
            return problem(403, "origin refused", "CORS_ORIGINS does not name this page's origin")
        if self._rules.tokens and not is_known:
            metrics.REQUESTS_REFUSED.labels("token").inc()
            response = problem(401, "no valid token", "send Authorization: Bearer <token>")
            response.headers["www-authenticate"] = "Bearer"
            return response
        return None

    def _same_or_admitted(self, headers: Headers, origin: str) -> bool:
        """Whether a page may open a WebSocket, to which browsers apply no CORS."""
        return origin.partition("://")[2] == headers.get("host", "") or self._rules.admits(origin)


def guarded(
    app: ASGIApp,
    mapping: Mapping[str, str],
    *,
    events_pass: bool = False,
    open_paths: Collection[str] = (),
) -> ASGIApp:
    """Wrap an app with the environment's rules, if any. Raises SettingsError."""
    rules = AccessRules.from_env(mapping)
    if rules.are_off:
        return app
    return Access(app, rules, events_pass=events_pass, open_paths=open_paths)


def _token(scope: Scope, headers: Headers) -> str:
    scheme, _, token = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return token.strip()
    if scope["type"] == "websocket":
        for each in scope.get("subprotocols", ()):
            if each.startswith(SUBPROTOCOL):
                return unquote(each.removeprefix(SUBPROTOCOL))
    return ""


def _without_token(scope: Scope) -> Scope:
    """Hide the token from the app, which might select it as the subprotocol."""
    protocols = [each for each in scope.get("subprotocols", ()) if not each.startswith(SUBPROTOCOL)]
    return {**scope, "subprotocols": protocols}


def _address(scope: Scope) -> str:
    client = scope.get("client")
    return str(client[0]) if client else "unknown"


def _cors(send: Send, origin: str) -> Send:
    async def send_with_cors(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            headers["access-control-allow-origin"] = origin
            headers["access-control-expose-headers"] = _EXPOSED
            headers.add_vary_header("Origin")
        await send(message)

    return send_with_cors


def _preflight(origin: str, rules: AccessRules) -> Response:
    if not rules.admits(origin):
        return problem(403, "origin refused", "CORS_ORIGINS does not name this page's origin")
    return Response(
        status_code=204,
        headers={
            "access-control-allow-methods": _METHODS,
            "access-control-allow-headers": _ALLOWED_HEADERS,
            "access-control-max-age": "600",
        },
    )
