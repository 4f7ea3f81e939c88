"""A messenger on loopback: the HTTP endpoint of Apprise's `json://` notifications."""

from __future__ import annotations

import http.server
import json
import threading
import time
from typing import Any

SECRET = "s3cret-t0ken"


class Messenger:
    """An endpoint for Apprise's `json://`, which answers with `status`.

    While `holds` is set it sends a byte of its response now and then, and never the end.
    """

    def __init__(self) -> None:
        self.taken: list[dict[str, Any]] = []
        self.status = 200
        self.holds = threading.Event()
        messenger = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                while messenger.holds.is_set():
                    self.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")
                    time.sleep(0.05)
                if messenger.status == 200:
                    messenger.taken.append(json.loads(body))
                self.send_response(messenger.status)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def url(self, path: str = "") -> str:
        return f"json://user:{SECRET}@127.0.0.1:{self._server.server_address[1]}/{SECRET}{path}"

    def close(self) -> None:
        self.holds.clear()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
