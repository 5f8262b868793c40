"""Frames of the bridge: length-prefixed JSON, signed with HMAC-SHA256 over session, direction and a number that only grows.

What belongs here: bytes <-> values. What must not: sockets' life cycle, which functions may be called.

Handshake: the server sends a nonce; the client answers with a nonce and an HMAC over both; the server proves itself the same way.
Every later frame is signed under both nonces, so a recorded frame is worth nothing in another session or a second time.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import struct
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Protocol

import numpy as np

from execution.adapters.mt5 import records

VERSION = "tick-bridge-1"
FRAME_LIMIT = 64 * 1024 * 1024
HANDSHAKE_LIMIT = 4096
KEY_BYTES_MIN = 16
_FUNCTION_NAMES = """
    initialize login shutdown version account_info terminal_info symbols_total symbols_get symbol_info symbol_info_tick symbol_select
    market_book_add market_book_release market_book_get copy_rates_from copy_rates_from_pos copy_rates_range copy_ticks_from
    copy_ticks_range orders_total orders_get positions_total positions_get order_calc_margin order_calc_profit order_check order_send
    history_orders_total history_orders_get history_deals_total history_deals_get
"""
ALLOWED_FUNCTIONS = frozenset(_FUNCTION_NAMES.split())
_DTYPES = {"rates": records.RATES_DTYPE, "ticks": records.TICKS_DTYPE}
_RECORDS = {
    name: getattr(records, name)
    for name in (
        "Tick", "AccountInfo", "TerminalInfo", "SymbolInfo", "TradeRequest", "OrderSendResult", "OrderCheckResult", "TradeOrder",
        "TradePosition", "TradeDeal", "BookInfo",
    )
}  # fmt: skip


class BridgeProtocolError(ConnectionError):
    """The peer is not who it should be, or sent what it must not."""


class Stream(Protocol):
    """The part of a socket that frames need."""

    def recv(self, size: int, /) -> bytes: ...
    def sendall(self, data: bytes, /) -> None: ...


def read_frame(stream: Stream, limit: int = FRAME_LIMIT) -> bytes:
    """Return the next frame's body; a closed or oversized one is a `BridgeProtocolError`."""
    (size,) = struct.unpack(">I", _read_exactly(stream, 4))
    if size > limit:
        raise BridgeProtocolError(f"Expected a frame of at most {limit} bytes, was {size}.")
    return _read_exactly(stream, size)


def _read_exactly(stream: Stream, size: int) -> bytes:
    parts: list[bytes] = []
    while size:
        part = stream.recv(min(size, 1 << 20))
        if not part:
            raise BridgeProtocolError("Expected more bytes, was the end of the connection.")
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def write_frame(stream: Stream, body: bytes) -> None:
    """Send one frame."""
    stream.sendall(struct.pack(">I", len(body)) + body)


def signature(key: bytes, *parts: str) -> str:
    """Return the HMAC of the parts; a length before each keeps them apart."""
    message = "".join(f"{len(part)}:{part}" for part in (VERSION, *parts))
    return hmac.new(key, message.encode(), hashlib.sha256).hexdigest()


def is_signed(expected: str, given: Any) -> bool:
    """Compare signatures in constant time."""
    return isinstance(given, str) and hmac.compare_digest(expected.encode(), given.encode())


class Session:
    """Signs what one side sends and checks what it receives. `me` and `peer` are `client` and `server`."""

    def __init__(self, stream: Stream, key: bytes, nonces: str, me: str, peer: str) -> None:
        self._stream, self._key, self._nonces, self._me, self._peer = stream, key, nonces, me, peer
        self._sent = self._received = 0

    def send(self, value: Mapping[str, Any]) -> None:
        """Sign and send one value."""
        body = json.dumps(value, separators=(",", ":"))
        self._sent += 1
        mac = signature(self._key, self._nonces, self._me, str(self._sent), body)
        write_frame(self._stream, json.dumps({"mac": mac, "body": body}).encode())

    def receive(self) -> dict[str, Any]:
        """Return the next value, or raise when its signature or number is wrong."""
        frame = parse_object(read_frame(self._stream))
        self._received += 1
        body = frame.get("body")
        if not isinstance(body, str):
            raise BridgeProtocolError("Expected a signed frame, was one without a body.")
        if not is_signed(signature(self._key, self._nonces, self._peer, str(self._received), body), frame.get("mac")):
            raise BridgeProtocolError("Expected a frame signed with our key in its turn, was another.")
        return parse_object(body.encode())


def parse_object(body: bytes) -> dict[str, Any]:
    """Parse one JSON object."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise BridgeProtocolError("Expected JSON, was something else.") from error
    if not isinstance(value, dict):
        raise BridgeProtocolError(f"Expected a JSON object, was {type(value).__name__}.")
    return value


def encode(value: Any) -> Any:
    """Return the JSON form of what the module takes or returns; times travel as integers alone."""
    if isinstance(value, datetime):
        raise BridgeProtocolError("Expected server seconds as an integer, was a datetime. Convert it before the call.")
    if isinstance(value, np.ndarray):
        return {"~": "array", "kind": "rates" if "open" in (value.dtype.names or ()) else "ticks", "data": _base64(value)}
    name = type(value).__name__
    if isinstance(value, tuple) and name in _RECORDS:
        values = value._asdict() if hasattr(value, "_asdict") else dict(zip(_RECORDS[name]._fields, value, strict=False))
        return {"~": "record", "name": name, "values": {field: encode(part) for field, part in values.items()}}
    if isinstance(value, tuple | list):
        return {"~": "tuple", "values": [encode(part) for part in value]}
    if isinstance(value, Mapping):
        return {"~": "map", "values": {str(field): encode(part) for field, part in value.items()}}
    return value.item() if isinstance(value, np.generic) else value


def _base64(array: np.ndarray[Any, Any]) -> str:
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()


def decode(value: Any) -> Any:
    """Return what `encode` was given, with our own named tuples."""
    if not isinstance(value, dict):
        return value
    kind = value.get("~")
    if kind == "array":
        return np.frombuffer(base64.b64decode(value["data"]), _DTYPES[value["kind"]]).copy()
    if kind == "record":
        record = _RECORDS[value["name"]]
        values = {field: decode(part) for field, part in value["values"].items()}
        return record(**{field: values.get(field) for field in record._fields})
    if kind == "tuple":
        return tuple(decode(part) for part in value["values"])
    if kind == "map":
        return {field: decode(part) for field, part in value["values"].items()}
    raise BridgeProtocolError(f"Expected a known kind of value, was {kind!r}.")
