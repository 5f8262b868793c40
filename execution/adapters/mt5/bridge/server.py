"""The bridge's server: runs beside the terminal and calls its module for authenticated clients.

What belongs here: handshake, allow-list, one call at a time. What must not: trading rules.
"""

from __future__ import annotations

import argparse
import contextlib
import secrets
import socket
import threading
import time
from pathlib import Path
from typing import Any

from execution.adapters.mt5.bridge import protocol

HANDSHAKE_TIMEOUT_S = 5.0


class BridgeServer:
    """Serves one module on one address; `start` returns at once, `stop` ends it."""

    def __init__(self, module: Any, key: bytes, host: str = "127.0.0.1", port: int = 0) -> None:
        if len(key) < protocol.KEY_BYTES_MIN:
            raise ValueError(f"Expected a key of at least {protocol.KEY_BYTES_MIN} bytes, was {len(key)}. Generate a longer one.")
        self._module, self._key = module, key
        self._lock = threading.RLock()
        self._listener = socket.create_server((host, port))
        self._stopped = threading.Event()

    @property
    def address(self) -> tuple[str, int]:
        """Return host and port."""
        host, port = self._listener.getsockname()[:2]
        return str(host), int(port)

    def start(self) -> None:
        """Accept connections on a thread."""
        threading.Thread(target=self.serve, name="bridge", daemon=True).start()

    def stop(self) -> None:
        """Stop accepting."""
        self._stopped.set()
        self._listener.close()

    def serve(self) -> None:
        """Accept connections until stopped."""
        while not self._stopped.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve_one, args=(connection,), daemon=True).start()

    def _serve_one(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:
            connection.settimeout(HANDSHAKE_TIMEOUT_S)
            session = self._shake_hands(connection)
            connection.settimeout(None)
            while True:
                session.send(self._answer(session.receive()))

    def _shake_hands(self, connection: socket.socket) -> protocol.Session:
        nonce = secrets.token_hex(16)
        protocol.write_frame(connection, f'{{"nonce":"{nonce}"}}'.encode())
        hello = protocol.parse_object(protocol.read_frame(connection, protocol.HANDSHAKE_LIMIT))
        nonces = f"{nonce}|{hello.get('nonce')}"
        if not protocol.is_signed(protocol.signature(self._key, "hello", nonces), hello.get("mac")):
            raise protocol.BridgeProtocolError("Expected a client with our key, was another.")
        session = protocol.Session(connection, self._key, nonces, "server", "client")
        session.send({"is_simulator": bool(getattr(self._module, "is_simulator", False))})
        return session

    def _answer(self, request: dict[str, Any]) -> dict[str, Any]:
        name = request.get("function")
        is_draw_key = name == "expect_draw_key" and getattr(self._module, "is_simulator", False)
        if name not in protocol.ALLOWED_FUNCTIONS and not is_draw_key:
            return {"ok": False, "error": f"Expected an allowed function, was {name!r}."}
        try:
            args, kwargs = protocol.decode(request["args"]), protocol.decode(request["kwargs"])
            with self._lock:
                function = getattr(self._module, str(name))
                value = function(*args) if not kwargs else function(*args, **kwargs)
                last_error = self._module.last_error()
            return {"ok": True, "value": protocol.encode(value), "last_error": list(last_error), "monotonic": time.monotonic()}
        except Exception as error:
            return {"ok": False, "error": repr(error)}


def main() -> None:
    """Serve the MetaTrader5 package of this host."""
    parser = argparse.ArgumentParser(description="Serve this host's MetaTrader 5 terminal to a trader that holds the key.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=18813)
    parser.add_argument("--key-file", type=Path, required=True)
    given = parser.parse_args()
    from execution.adapters.mt5.native import load_module

    server = BridgeServer(load_module(), given.key_file.read_bytes().strip(), given.host, given.port)
    print(f"bridge on {server.address[0]}:{server.address[1]}", flush=True)
    server.serve()


if __name__ == "__main__":
    main()
