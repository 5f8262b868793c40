"""A TCP proxy on loopback that cuts a connection to Postgres around its COMMIT.

What belongs here: bytes and threads. What must not: what a client makes of a cut.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

COMMIT = b"COMMIT\x00"
CHUNK = 65536


class CutProxy:
    """Forwards bytes; once armed, the next COMMIT of any is cut `before` it reaches the server or `after` the server's answer."""

    def __init__(self, server_port: int) -> None:
        self._server_port = server_port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._armed = ""
        self.cuts = 0

    def arm(self, when: str) -> None:
        """Cut the next COMMIT `before` or `after` the server took it."""
        self._armed = when

    def serve(self) -> None:
        """Accept until closed."""
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._connect, args=(client,), daemon=True).start()

    def close(self) -> None:
        """Stop accepting."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _connect(self, client: socket.socket) -> None:
        try:
            server = socket.create_connection(("127.0.0.1", self._server_port))
        except OSError:
            client.close()
            return
        cutting = threading.Event()
        threading.Thread(target=self._answers, args=(server, client, cutting), daemon=True).start()
        with suppress(OSError):
            while content := client.recv(CHUNK):
                if self._armed and COMMIT in content:
                    when, self._armed = self._armed, ""
                    self.cuts += 1
                    if when == "before":
                        break
                    cutting.set()
                server.sendall(content)
        _shut(server, client)

    def _answers(self, server: socket.socket, client: socket.socket, cutting: threading.Event) -> None:
        with suppress(OSError):
            while content := server.recv(CHUNK):
                if cutting.is_set():  # the server has answered, so it has committed; the client never hears it
                    break
                client.sendall(content)
        _shut(server, client)


def _shut(*sockets: socket.socket) -> None:
    for each in sockets:
        with suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)
        each.close()


@contextmanager
def cut_proxy(server_port: int) -> Iterator[CutProxy]:
    """Run a proxy in front of a server on loopback."""
    proxy = CutProxy(server_port)
    thread = threading.Thread(target=proxy.serve, daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        proxy.close()
        thread.join(timeout=5)
