"""A local exchange: WebSocket and REST play trades back, with faults on demand."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from collections import defaultdict
from collections.abc import Coroutine, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from local.servers.ports import free_port
from tests.exchanges.dialects import Dialect, Trade

HEARTBEAT_S = 0.2


class Playback:
    """A server in a thread, controlled by the test.

    Attributes:     released: the trades so far, by symbol, which REST lists.     connections: the
    number of connections ever made.     requests: the received REST requests; `headers` of each.
    answers: statuses and headers of the next REST responses, before normal ones again.     repeats:
    the number of next REST responses that repeat the one before.     later_ms: the delay of the
    next list of candles' first start.
    """

    def __init__(self, dialect: Dialect) -> None:
        self.dialect = dialect
        self.released: dict[str, list[Trade]] = defaultdict(list)
        self.connections = 0
        self.requests: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.answers: list[tuple[int, dict[str, str]]] = []
        self.repeats = 0
        self.later_ms = 0
        self.is_silent = False
        self._clients: set[ServerConnection] = set()
        self._server: Server | None = None
        self._port = free_port()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self._rest = _rest_server(self)
        self._rest_thread = threading.Thread(target=self._rest.serve_forever, args=(0.05,))
        self._rest_thread.start()
        self._beat = asyncio.run_coroutine_threadsafe(self._beats(), self._loop)
        self.open()

    @property
    def websocket_url(self) -> str:
        return f"ws://127.0.0.1:{self._port}"

    @property
    def rest_url(self) -> str:
        return f"http://127.0.0.1:{self._rest.server_address[1]}"

    @property
    def clients(self) -> int:
        """The number of current subscribers."""
        return len(self._clients)

    def open(self) -> None:
        """Accept connections."""
        self._do(self._open())

    def shut(self) -> None:
        """Cut every connection without a close frame, and refuse new ones."""
        self._do(self._shut())

    def cut(self) -> None:
        """Cut every connection, and accept new ones."""
        self._do(self._cut())

    def play(self, trades: Sequence[Trade], *, times: int = 1) -> None:
        """Publish trades, each so many times to each client."""
        self.lose(trades)
        self.say(*(self.dialect.message(trade) for trade in trades for _ in range(times)))

    def lose(self, trades: Sequence[Trade]) -> None:
        """Publish trades over REST only, at once: a heartbeat may name the last one meanwhile."""
        for symbol in {trade.symbol for trade in trades}:
            self.released[symbol].extend([each for each in trades if each.symbol == symbol])

    def say(self, *texts: str) -> None:
        """Send these texts to each client."""
        if not self.is_silent:
            self._do(self._say(texts))

    def close(self) -> None:
        self._beat.cancel()
        self.shut()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._rest.shutdown()
        self._rest_thread.join()
        self._rest.server_close()

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    async def _open(self) -> None:
        if self._server is None:
            self._server = await serve(self._serve, "127.0.0.1", self._port, ping_interval=None)

    async def _shut(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            server.close(close_connections=False)
            await self._cut()
            closed = asyncio.ensure_future(server.wait_closed())
            while not closed.done():  # a handshake that was under way is a connection only now
                for connection in list(server.connections):
                    connection.transport.abort()
                await asyncio.wait((closed,), timeout=0.05)

    async def _cut(self) -> None:
        for client in list(self._clients):
            client.transport.abort()
        self._clients.clear()

    async def _say(self, texts: Sequence[str]) -> None:
        for client in list(self._clients):
            for text in texts:
                with contextlib.suppress(ConnectionClosed):
                    await client.send(text)

    async def _beats(self) -> None:
        while True:
            await asyncio.sleep(HEARTBEAT_S)
            if not self.is_silent:
                await self._say(self.dialect.heartbeats(self.released))

    async def _serve(self, client: ServerConnection) -> None:
        self.connections += 1
        if self.dialect.pushes:
            self._clients.add(client)
        try:
            if self.dialect.greeting:
                await client.send(self.dialect.greeting)
            async for text in client:
                if text == "ping":  # OKX
                    await client.send("pong")
                    continue
                request = json.loads(text)
                for answer in self.dialect.answers(request, self.released):
                    await client.send(answer)
                if request.get("action") != "auth":  # no subscription
                    self._clients.add(client)
        except ConnectionClosed:
            pass
        finally:
            self._clients.discard(client)


def _rest_server(playback: Playback) -> ThreadingHTTPServer:
    latest: dict[str, bytes] = {}

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            playback.headers.append({k.lower(): v for k, v in self.headers.items()})
            playback.requests.append(self.path)
            status, headers = playback.answers.pop(0) if playback.answers else (200, {})
            body = b"{}"
            if status == 200:
                query = dict(parse_qsl(parts.query))
                if playback.later_ms and (start := query.keys() & {"startTime", "start"}):
                    (name,) = start
                    query[name] = str(int(query[name]) + playback.later_ms)
                    playback.later_ms = 0
                known = {name: list(trades) for name, trades in playback.released.items()}
                answer = playback.dialect.rest(unquote(parts.path), query, known)
                if isinstance(answer, tuple):  # an error: its status and body
                    status, answer = answer
                body = json.dumps(answer).encode()
                if playback.repeats and (former := latest.get(parts.path)):
                    playback.repeats -= 1
                    body = former
                latest[parts.path] = body
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: Any) -> None:
            pass

    return ThreadingHTTPServer(("127.0.0.1", 0), Handler)
