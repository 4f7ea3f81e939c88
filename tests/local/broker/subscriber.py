"""A subscriber that records requests and gives scripted responses."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.local.broker.processes import eventually


@dataclass(frozen=True)
class Reply:
    """One response, given after `delay` seconds."""

    status: int = 204
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    delay: float = 0.0


@dataclass(frozen=True)
class Received:
    """One request; header names are in lower case."""

    path: str
    headers: Mapping[str, str]
    body: bytes
    at: float
    http_version: str

    @property
    def id(self) -> str:
        return self.headers["ce-id"]


class Subscriber:
    """An HTTP server in a thread.

    `script[event id]` is the list of responses to its attempts, the last of which repeats; without
    one the response is 204. While `is_away` every response is 503, and nothing is recorded.
    Requests to `/sink` are dead letters and have a script of their own.
    """

    def __init__(self) -> None:
        self.script: dict[str, list[Reply]] = {}
        self.sink_script: dict[str, list[Reply]] = {}
        self.received: list[Received] = []
        self.is_away = False
        self.in_flight: dict[str, int] = defaultdict(int)
        self.most_in_flight: dict[str, int] = defaultdict(int)
        self._lock = threading.Lock()
        subscriber = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_POST(self) -> None:
                subscriber._serve(self)

            def log_message(self, *args: Any) -> None:
                pass

        self._server = _Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def of(self, event_id: str, path: str | None = None) -> list[Received]:
        """The requests of one event without dead letters; only to `path` if it is given."""
        with self._lock:
            return [
                each
                for each in self.received
                if each.headers.get("ce-id") == event_id
                and (each.path == path if path else each.path != "/sink")
            ]

    def wait_for(self, event_id: str, count: int = 1, path: str | None = None) -> list[Received]:
        """The first `count` requests of an event."""
        return eventually(lambda: self._at_least(count, event_id, path))

    def dead_letter(self, event_id: str) -> Received:
        """The one dead letter of an event."""
        (letter,) = self.wait_for(event_id, path="/sink")
        return letter

    def _at_least(self, count: int, event_id: str, path: str | None) -> list[Received]:
        found = self.of(event_id, path)
        return found if len(found) >= count else []

    def _serve(self, handler: BaseHTTPRequestHandler) -> None:
        body = handler.rfile.read(int(handler.headers["Content-Length"]))
        if self.is_away:
            handler.send_response(503)
            handler.send_header("Content-Length", "0")
            handler.end_headers()
            return
        headers = {name.lower(): value for name, value in handler.headers.items()}
        received = Received(handler.path, headers, body, time.monotonic(), handler.request_version)
        script = self.sink_script if handler.path == "/sink" else self.script
        with self._lock:
            tries = sum(
                each.path == received.path and each.headers.get("ce-id") == headers.get("ce-id")
                for each in self.received
            )
            self.received.append(received)
            self.in_flight[handler.path] += 1
            most = max(self.most_in_flight[handler.path], self.in_flight[handler.path])
            self.most_in_flight[handler.path] = most
        answers = script.get(headers.get("ce-id", ""), [Reply()])
        reply = answers[min(tries, len(answers) - 1)]
        time.sleep(reply.delay)
        with self._lock:
            self.in_flight[handler.path] -= 1
        handler.send_response_only(reply.status)
        for name, value in reply.headers.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(reply.body)))
        handler.end_headers()
        handler.wfile.write(reply.body)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def handle_error(self, request: object, client_address: object) -> None:
        """Ignore it: brokers that hang up or are killed are part of the tests."""
