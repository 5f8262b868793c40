"""The bridge's client: looks like the MetaTrader5 module, asks the server.

What must not live here: retries. A call whose answer is lost returns None and leaves `last_error` at -10002; the next call reconnects.
"""

from __future__ import annotations

import secrets
import socket
import threading
from collections.abc import Callable
from typing import Any

from execution.adapters.mt5 import constants as mt5
from execution.adapters.mt5.bridge import protocol


class BridgedMetaTrader5:
    """The module surface over a `BridgeServer`; every allowed function is an attribute."""

    def __init__(self, host: str, port: int, key: bytes, timeout_s: float = 70.0) -> None:
        self._address, self._key, self._timeout_s = (host, port), key, timeout_s
        self._lock = threading.RLock()
        self._socket: socket.socket | None = None
        self._session: protocol.Session | None = None
        self._error: tuple[int, str] = (mt5.RES_S_OK, "Success")
        self._is_simulator = False

    @property
    def is_simulator(self) -> bool:
        """Tell whether a simulated terminal stands behind the server."""
        return self._is_simulator

    def last_error(self) -> tuple[int, str]:
        """Return the error pair of the last call."""
        return self._error

    def __getattr__(self, name: str) -> Any:
        if name in protocol.ALLOWED_FUNCTIONS or (name == "expect_draw_key" and self._is_simulator):
            return self._function(name)
        raise AttributeError(name)

    def _function(self, name: str) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            with self._lock:
                return self._call(name, args, kwargs)

        call.__name__ = name
        return call

    def _call(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        request = {"function": name, "args": protocol.encode(args), "kwargs": protocol.encode(kwargs)}
        try:
            session = self._connected()
        except (OSError, protocol.BridgeProtocolError) as error:
            return self._fail(mt5.RES_E_INTERNAL_FAIL_CONNECT, f"Bridge: {error}")
        try:
            session.send(request)
            answer = session.receive()
        except (OSError, protocol.BridgeProtocolError) as error:
            self.close()
            return self._fail(mt5.RES_E_INTERNAL_FAIL_RECEIVE, f"Bridge: {error}")
        if not answer.get("ok"):
            return self._fail(mt5.RES_E_INTERNAL_FAIL, f"Bridge: {answer.get('error')}")
        code, text = answer["last_error"]
        self._error = (int(code), str(text))
        return protocol.decode(answer["value"])

    def _fail(self, code: int, text: str) -> None:
        self._error = (code, text)

    def _connected(self) -> protocol.Session:
        if self._session is not None:
            return self._session
        connection = socket.create_connection(self._address, timeout=self._timeout_s)
        try:
            self._session = self._shake_hands(connection)
        except (OSError, protocol.BridgeProtocolError):
            connection.close()
            raise
        self._socket = connection
        return self._session

    def _shake_hands(self, connection: socket.socket) -> protocol.Session:
        greeting = protocol.parse_object(protocol.read_frame(connection, protocol.HANDSHAKE_LIMIT))
        nonce = secrets.token_hex(16)
        nonces = f"{greeting.get('nonce')}|{nonce}"
        mac = protocol.signature(self._key, "hello", nonces)
        protocol.write_frame(connection, f'{{"nonce":"{nonce}","mac":"{mac}"}}'.encode())
        session = protocol.Session(connection, self._key, nonces, "client", "server")
        self._is_simulator = bool(session.receive().get("is_simulator"))
        return session

    def close(self) -> None:
        """Close the connection; the next call opens another."""
        with self._lock:
            if self._socket is not None:
                self._socket.close()
            self._socket = self._session = None
