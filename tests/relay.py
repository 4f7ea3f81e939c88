"""A TCP relay before a server, whose connections a test can cut or silence."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import Self
from urllib.parse import urlsplit


class Relay:
    """Forwards bytes in both directions, under the test's control.

    `cut` ends the open connections, `refuse` also refuses new ones. `hold` delays bytes, requests
    and responses or responses alone; `restore` undoes both, and delivers the delayed bytes.
    """

    def __init__(self, url: str) -> None:
        there = urlsplit(url)
        self._there = (there.hostname or "", there.port or 0)
        self._listener = socket.create_server(("127.0.0.1", 0))
        here = f"{there.netloc.rpartition(':')[0]}:{self._listener.getsockname()[1]}"
        self.url = there._replace(netloc=here).geturl()
        self._open: list[socket.socket] = []
        self._refuses = False
        self._requests, self._answers = threading.Event(), threading.Event()
        self._threads = [threading.Thread(target=self._accept)]
        self.restore()
        self._threads[0].start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self.restore()
        self.cut()
        for thread in self._threads:
            thread.join()
        for each in (self._listener, *self._open):
            each.close()

    def cut(self) -> None:
        """End every connection."""
        for each in self._open:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def refuse(self) -> None:
        """End every connection, and refuse new ones."""
        self._refuses = True
        self.cut()

    def hold(self, *, answers_alone: bool = False) -> None:
        """Forward nothing until `restore`."""
        self._answers.clear()
        if not answers_alone:
            self._requests.clear()

    def restore(self) -> None:
        """Forward the delayed bytes, and accept new connections."""
        self._refuses = False
        self._requests.set()
        self._answers.set()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                here, _ = self._listener.accept()
                if self._refuses:
                    here.close()
                    continue
                there = socket.create_connection(self._there)
                self._open += [here, there]
                for source, sink, goes in (
                    (here, there, self._requests),
                    (there, here, self._answers),
                ):
                    thread = threading.Thread(target=self._pass, args=(source, sink, goes))
                    self._threads.append(thread)
                    thread.start()

    def _pass(self, source: socket.socket, sink: socket.socket, goes: threading.Event) -> None:
        with contextlib.suppress(OSError):
            while some := source.recv(65_536):
                goes.wait()
                sink.sendall(some)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_RDWR)
