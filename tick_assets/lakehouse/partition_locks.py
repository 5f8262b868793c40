"""One writer per partition of a table at a time: the lock that Dagster lacks.

What belongs here: which locks a write takes, waiting for them, naming who has them. What must not: tables, branches, Dagster.

The locks are advisory locks of the catalog's Postgres, held by a connection of the write's own: they end with it, so a killed run holds
nothing. A write of few partitions takes each (table, symbol, date), and shares (table, symbol); a write of many takes (table, symbol) for
itself, so that a range of years does not fill the server's lock table. Every write shares its tables as a whole too: who holds a table
alone (`hold_alone`) knows that nobody writes it. Keys are taken in one order everywhere: no two writes wait for each other. Who comes
second waits, then writes what is there by then; after `patience_s` it fails and names the holder.

Each write also shares a lock on its run's name: a branch of a run that nobody holds was left by a killed one.
"""

from __future__ import annotations

import hashlib
import os
import socket
import threading
import time
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date

from sqlalchemy import Connection, create_engine, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool

PATIENCE_S = 900.0
MANY_PARTITIONS = 256
"""More of them in one write lock whole symbols; Postgres has room for 6,400 locks of all sessions by default."""

_POLL_S = 0.1
_REPORT_EVERY_S = 10.0
_NAME_BYTES = 63
"""Postgres cuts an application's name there."""
_KEEPALIVE = "-c tcp_keepalives_idle=30 -c tcp_keepalives_interval=10 -c tcp_keepalives_count=3"
"""A holder whose host vanished is noticed within a minute, not after two hours."""


class PartitionBusyError(RuntimeError):
    """Another run holds a partition longer than this one was willing to wait."""


class LockLostError(RuntimeError):
    """The connection that held the locks is gone, so another run may write by now."""


@dataclass(frozen=True, order=True)
class LockKey:
    """What a lock stands for, in words. A shared one excludes only those who want it for themselves."""

    name: str
    is_shared: bool = False

    @property
    def number(self) -> int:
        """The 64 bits that Postgres knows it by."""
        return int.from_bytes(hashlib.sha256(self.name.encode()).digest()[:8], "big", signed=True)


def partition_keys(tables: Sequence[str], symbols: Sequence[str], dates: Sequence[date]) -> list[LockKey]:
    """Return the locks that a write of these partitions takes, in the order of taking."""
    is_many = len(symbols) * len(dates) > MANY_PARTITIONS
    whole = {LockKey(f"{table}|{symbol}", not is_many) for table in tables for symbol in symbols}
    days = {LockKey(f"{table}|{symbol}|{day.isoformat()}") for table in tables for symbol in symbols for day in dates}
    return sorted(whole if is_many else whole | days)


def table_keys(tables: Sequence[str]) -> list[LockKey]:
    """Return the locks that say that a table is written at all."""
    return [LockKey(table, is_shared=True) for table in sorted(set(tables))]


class LockSession(ABC):
    """One holder's connection to whoever keeps the locks. A session never excludes itself."""

    @abstractmethod
    def try_lock(self, key: LockKey) -> bool:
        """Take a lock if it is free now, once more if this session has it already."""

    @abstractmethod
    def unlock(self, key: LockKey) -> None:
        """Give back one taking of a lock."""

    @abstractmethod
    def holder(self, key: LockKey) -> str:
        """Say who has a lock."""

    @abstractmethod
    def is_open(self) -> bool:
        """Tell whether the session still holds what it took."""

    @abstractmethod
    def close(self) -> None:
        """Give back everything."""


class PostgresSession(LockSession):
    """A connection of its own to the catalog's database."""

    def __init__(self, url: str, name: str) -> None:
        options = {"application_name": name, "options": _KEEPALIVE}
        engine = create_engine(url, poolclass=NullPool, isolation_level="AUTOCOMMIT", connect_args=options)
        self._connection: Connection = engine.connect()

    def try_lock(self, key: LockKey) -> bool:
        return bool(self._connection.execute(text(f"select pg_try_advisory_lock{_mode(key)}(:number)"), {"number": key.number}).scalar())

    def unlock(self, key: LockKey) -> None:
        self._connection.execute(text(f"select pg_advisory_unlock{_mode(key)}(:number)"), {"number": key.number})

    def holder(self, key: LockKey) -> str:
        unsigned = key.number % 2**64
        query = text(
            "select string_agg(distinct format('%s (since %s, Postgres process %s)', a.application_name, a.backend_start, a.pid), '; ') "
            "from pg_locks l join pg_stat_activity a using (pid) where l.locktype = 'advisory' and l.granted and l.objsubid = 1 "
            "and l.database = (select oid from pg_database where datname = current_database()) "
            "and l.classid::bigint = :high and l.objid::bigint = :low and l.pid <> pg_backend_pid()"
        )
        return str(self._connection.execute(query, {"high": unsigned >> 32, "low": unsigned & 0xFFFFFFFF}).scalar() or "nobody any more")

    def is_open(self) -> bool:
        try:
            self._connection.execute(text("select 1"))
        except SQLAlchemyError:
            return False
        return True

    def close(self) -> None:
        self._connection.invalidate()


def _mode(key: LockKey) -> str:
    return "_shared" if key.is_shared else ""


class ProcessLocks:
    """Locks among the threads of this process, for a catalog that no other process writes (a SQLite file of a test)."""

    def __init__(self) -> None:
        self.guard = threading.Lock()
        self.taken: dict[str, list[tuple[LockSession, str, bool]]] = defaultdict(list)

    def session(self, name: str) -> LockSession:
        """Return a new holder."""
        return ProcessSession(self, name)


class ProcessSession(LockSession):
    """One holder among the threads of this process."""

    def __init__(self, locks: ProcessLocks, name: str) -> None:
        self._locks, self._name = locks, name

    def try_lock(self, key: LockKey) -> bool:
        with self._locks.guard:
            taken = self._locks.taken[key.name]
            if any(session is not self and not (key.is_shared and is_shared) for session, _, is_shared in taken):
                return False
            taken.append((self, self._name, key.is_shared))
            return True

    def unlock(self, key: LockKey) -> None:
        with self._locks.guard:
            self._locks.taken[key.name].remove((self, self._name, key.is_shared))

    def holder(self, key: LockKey) -> str:
        with self._locks.guard:
            names = sorted({name for session, name, _ in self._locks.taken[key.name] if session is not self})
        return "; ".join(names) or "nobody any more"

    def is_open(self) -> bool:
        return True

    def close(self) -> None:
        with self._locks.guard:
            for name, taken in self._locks.taken.items():
                self._locks.taken[name] = [entry for entry in taken if entry[0] is not self]


@dataclass(frozen=True)
class Held:
    """The locks of one write, while it lasts."""

    session: LockSession
    run: str

    def require(self) -> None:
        """Raise `LockLostError` unless the locks are still held: call it before anything becomes visible."""
        if not self.session.is_open():
            raise LockLostError(
                f"Expected run {self.run} to hold its partition locks, was disconnected from Postgres. Nothing was published; run again."
            )

    def is_alive(self, run: str) -> bool:
        """Tell whether another write of this run is under way."""
        key = LockKey(_run_name(run))
        if self.session.try_lock(key):
            self.session.unlock(key)
            return False
        return True


@dataclass(frozen=True)
class PartitionLocks:
    """Where the locks of a catalog are kept, and how long a write waits for them."""

    open_session: Callable[[str], LockSession] = field(default_factory=lambda: ProcessLocks().session)
    patience_s: float = PATIENCE_S

    @classmethod
    def of_postgres(cls, url: str) -> PartitionLocks:
        """Return the locks of the catalog in this database (a SQLAlchemy URL)."""
        return cls(lambda name: PostgresSession(url, name))

    @contextmanager
    def hold(
        self, tables: Sequence[str], symbols: Sequence[str], dates: Sequence[date], run: str, progress: Callable[[str], None]
    ) -> Iterator[Held]:
        """Hold whole partitions for a write; wait for other writers of them, then raise `PartitionBusyError` naming one."""
        session = self.open_session(holder_name(run))
        try:
            session.try_lock(LockKey(_run_name(run), is_shared=True))
            deadline = time.monotonic() + self.patience_s
            for key in (*table_keys(tables), *partition_keys(tables, symbols, dates)):
                self._wait(session, key, deadline, progress)
            yield Held(session, run)
        finally:
            session.close()

    @contextmanager
    def hold_alone(self, name: str, run: str) -> Iterator[None]:
        """Hold a whole table (or another name) alone; `PartitionBusyError` names who writes it, at once."""
        session = self.open_session(holder_name(run))
        try:
            if not session.try_lock(LockKey(name)):
                holder = session.holder(LockKey(name))
                raise PartitionBusyError(f"Expected nobody to write {name}, was held by {holder}. Wait for that run, then run again.")
            yield
        finally:
            session.close()

    def _wait(self, session: LockSession, key: LockKey, deadline: float, progress: Callable[[str], None]) -> None:
        report_at = 0.0
        while not session.try_lock(key):
            now = time.monotonic()
            if now > deadline:
                raise PartitionBusyError(
                    f"Expected {key.name} to be free within {self.patience_s:.0f} s, was held by {session.holder(key)}. "
                    "Wait for that run or end it, then run again."
                )
            if now >= report_at:
                progress(f"event=partition_lock_waiting partition={key.name} holder={session.holder(key)!r}")
                report_at = now + _REPORT_EVERY_S
            time.sleep(_POLL_S)


def holder_name(run: str) -> str:
    """Return what others are told of this holder, cut to what Postgres keeps."""
    return f"tick run {run} pid {os.getpid()} on {socket.gethostname()}"[:_NAME_BYTES]


def _run_name(run: str) -> str:
    return f"run|{run}"
