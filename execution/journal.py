"""The order journal: an append-only record that is on disk before an order leaves.

What belongs here: events, uniqueness and the state of each order. What must not: decisions.

An order's key is the signal id for an entry, `<signal id>/close/<n>` for a close; a key can be taken once, ever.
States: NEW -> DENIED | SENDING; SENDING -> ACKED | REJECTED | UNKNOWN; a curable rejection goes REJECTED -> SENDING again;
UNKNOWN -> ACKED | REJECTED by reconciliation; an entry's position ends with CLOSED. The state is the last event: nothing is updated.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

_SCHEMA = """
CREATE TABLE IF NOT EXISTS orders (
    order_key TEXT PRIMARY KEY, signal_id TEXT NOT NULL, symbol TEXT NOT NULL, intent TEXT NOT NULL, created_us INTEGER NOT NULL,
    payload TEXT NOT NULL
) WITHOUT ROWID;
CREATE UNIQUE INDEX IF NOT EXISTS one_entry_per_signal ON orders (signal_id) WHERE intent = 'OPEN';
CREATE TABLE IF NOT EXISTS events (
    event_seq INTEGER PRIMARY KEY AUTOINCREMENT, order_key TEXT NOT NULL, state TEXT NOT NULL, at_us INTEGER NOT NULL,
    payload TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS events_of_order ON events (order_key, event_seq);
CREATE TABLE IF NOT EXISTS notes (
    note_seq INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, at_us INTEGER NOT NULL, payload TEXT NOT NULL
);
"""
_APPEND_ONLY = "CREATE TRIGGER IF NOT EXISTS {table}_no_{verb} BEFORE {verb} ON {table} BEGIN SELECT RAISE(ABORT, 'append-only'); END;"


class OrderState(StrEnum):
    """Where an order stands; see the module."""

    NEW = "NEW"
    DENIED = "DENIED"
    SENDING = "SENDING"
    ACKED = "ACKED"
    REJECTED = "REJECTED"
    UNKNOWN = "UNKNOWN"
    CLOSED = "CLOSED"


_AFTER: Mapping[OrderState, frozenset[OrderState]] = {
    OrderState.NEW: frozenset({OrderState.DENIED, OrderState.SENDING}),
    OrderState.SENDING: frozenset({OrderState.ACKED, OrderState.REJECTED, OrderState.UNKNOWN}),
    OrderState.REJECTED: frozenset({OrderState.SENDING}),
    OrderState.UNKNOWN: frozenset({OrderState.ACKED, OrderState.REJECTED}),
    OrderState.ACKED: frozenset({OrderState.CLOSED}),
    OrderState.DENIED: frozenset(),
    OrderState.CLOSED: frozenset(),
}


@dataclass(frozen=True)
class JournalOrder:
    """One order with its state and the payloads of its creation and last event merged."""

    order_key: str
    signal_id: str
    symbol: str
    intent: str
    created_us: int
    state: OrderState
    payload: Mapping[str, Any]


class JournalError(RuntimeError):
    """The journal can't record; no order may be sent."""


class Journal:
    """SQLite journal; thread-safe. Every method that records has committed to disk when it returns."""

    def __init__(self, path: Path | None = None) -> None:
        self._lock = threading.RLock()
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
        self._db = sqlite3.connect(str(path) if path else ":memory:", check_same_thread=False, isolation_level=None)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=FULL")
        self._db.executescript(_SCHEMA)
        for table in ("orders", "events", "notes"):
            for verb in ("UPDATE", "DELETE"):
                self._db.execute(_APPEND_ONLY.format(table=table, verb=verb))
        self._states: dict[str, OrderState] = {}
        self._keys: dict[OrderState, dict[str, None]] = {state: {} for state in OrderState}
        for order_key, state in self._db.execute("SELECT order_key, state FROM events ORDER BY event_seq").fetchall():
            self._move(order_key, OrderState(state))

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def reserve(self, order_key: str, signal_id: str, symbol: str, intent: str, at_us: int, payload: Mapping[str, Any]) -> bool:
        """Take a key for an order in state NEW; False when it was taken before. `intent` is OPEN or CLOSE."""
        with self._lock:
            return self._reserve(order_key, signal_id, symbol, intent, at_us, payload)

    def _reserve(self, order_key: str, signal_id: str, symbol: str, intent: str, at_us: int, payload: Mapping[str, Any]) -> bool:
        with self._transaction():
            row = (order_key, signal_id, symbol, intent, at_us, _dump(payload))
            try:
                self._db.execute("INSERT INTO orders VALUES (?, ?, ?, ?, ?, ?)", row)
            except sqlite3.IntegrityError:
                return False
            self._insert(order_key, OrderState.NEW, at_us, {})
        self._move(order_key, OrderState.NEW)
        return True

    def record(self, order_key: str, state: OrderState, at_us: int, payload: Mapping[str, Any] | None = None) -> None:
        """Append the next state of an order; one that can't follow the present state is a `JournalError`."""
        with self._lock:
            present = self._states.get(order_key)
            if present is None or state not in _AFTER[present]:
                raise JournalError(f"Expected {order_key} in a state before {state}, was {present}. Reconcile before going on.")
            with self._transaction():
                self._insert(order_key, state, at_us, payload or {})
            self._move(order_key, state)

    def order(self, order_key: str) -> JournalOrder | None:
        """Return an order, or None."""
        with self._lock:
            rows = self._db.execute("SELECT * FROM orders WHERE order_key = ?", (order_key,)).fetchall()
            return self._load(rows[0]) if rows else None

    def orders_in(self, *states: OrderState) -> list[JournalOrder]:
        """Return the orders whose state is one of these, in the order in which they came to it."""
        with self._lock:
            orders = (self.order(order_key) for state in states for order_key in self._keys[state])
            return [order for order in orders if order is not None]

    def close_attempts(self, signal_id: str) -> list[JournalOrder]:
        """Return the closes that were tried for an entry, oldest first."""
        query = "SELECT * FROM orders WHERE signal_id = ? AND intent = 'CLOSE' ORDER BY created_us, order_key"
        with self._lock:
            return [self._load(row) for row in self._db.execute(query, (signal_id,)).fetchall()]

    def events(self, order_key: str) -> list[tuple[OrderState, int]]:
        """Return the history of an order as (state, at_us)."""
        query = "SELECT state, at_us FROM events WHERE order_key = ? ORDER BY event_seq"
        with self._lock:
            return [(OrderState(state), at_us) for state, at_us in self._db.execute(query, (order_key,)).fetchall()]

    def sent_since(self, at_us: int) -> int:
        """Return how many entries were sent at or after a moment."""
        query = (
            "SELECT COUNT(*) FROM events e JOIN orders o USING (order_key) WHERE o.intent = 'OPEN' AND e.state = 'SENDING' AND at_us >= ?"
        )
        with self._lock:
            return int(self._db.execute(query, (at_us,)).fetchone()[0])

    def note(self, kind: str, at_us: int, payload: Mapping[str, Any]) -> None:
        """Append a note that belongs to no order, such as a kill switch."""
        with self._lock, self._transaction():
            self._db.execute("INSERT INTO notes (kind, at_us, payload) VALUES (?, ?, ?)", (kind, at_us, _dump(payload)))

    def last_note(self, kind: str) -> Mapping[str, Any] | None:
        """Return the latest note of a kind."""
        query = "SELECT payload FROM notes WHERE kind = ? ORDER BY note_seq DESC LIMIT 1"
        with self._lock:
            row = self._db.execute(query, (kind,)).fetchone()
        return json.loads(row[0]) if row else None

    def _transaction(self) -> _Transaction:
        return _Transaction(self._db)

    def _insert(self, order_key: str, state: OrderState, at_us: int, payload: Mapping[str, Any]) -> None:
        row = (order_key, str(state), at_us, _dump(payload))
        self._db.execute("INSERT INTO events (order_key, state, at_us, payload) VALUES (?, ?, ?, ?)", row)

    def _move(self, order_key: str, state: OrderState) -> None:
        """Remember a committed state, so that the few live orders are found without a scan."""
        present = self._states.get(order_key)
        if present is not None:
            self._keys[present].pop(order_key, None)
        self._states[order_key] = state
        self._keys[state][order_key] = None

    def _load(self, row: tuple[Any, ...]) -> JournalOrder:
        merged: dict[str, Any] = json.loads(row[5])
        query = "SELECT state, payload FROM events WHERE order_key = ? ORDER BY event_seq"
        state = OrderState.NEW
        for name, payload in self._db.execute(query, (row[0],)).fetchall():
            state = OrderState(name)
            merged.update(json.loads(payload))
        return JournalOrder(row[0], row[1], row[2], row[3], int(row[4]), state, merged)


class _Transaction:
    """BEGIN IMMEDIATE ... COMMIT, or ROLLBACK when the block raises; a failing disk becomes a `JournalError`."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def __enter__(self) -> None:
        try:
            self._db.execute("BEGIN IMMEDIATE")
        except sqlite3.Error as error:
            raise JournalError(f"Expected the journal to take a record, was {error}. Send nothing; check the disk.") from error

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is not None:
            self._db.execute("ROLLBACK")
            if isinstance(error, sqlite3.Error):
                raise JournalError(f"Expected the journal to take a record, was {error}. Send nothing; check the disk.") from error
            return
        try:
            self._db.execute("COMMIT")
        except sqlite3.Error as failure:
            raise JournalError(f"Expected the journal to commit, was {failure}. Send nothing; check the disk.") from failure


def _dump(payload: Mapping[str, Any]) -> str:
    return json.dumps(payload, sort_keys=True, separators=(",", ":"))
