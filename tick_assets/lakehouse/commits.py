"""Commits to the catalog that lose a race, or the catalog's answer.

What belongs here: repeating a commit, and finding out whether one happened. What must not: what is committed (`catalog`).

Every commit of rows carries a mark of its own in its snapshots (`COMMIT_MARK`). When Postgres's answer to a commit is lost, the outcome is
unknown: no file is deleted, the table's row is locked once so that the old transaction has ended, and the mark tells whether the commit
happened or must be repeated.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, TypeVar

from pyiceberg.catalog.sql import IcebergTables
from pyiceberg.exceptions import CommitFailedException, CommitStateUnknownException, ValidationException
from sqlalchemy import select, text
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.orm import Session
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, stop_after_delay, wait_fixed, wait_random_exponential

if TYPE_CHECKING:
    from pyiceberg.catalog.sql import SqlCatalog

_T = TypeVar("_T")
COMMIT_MARK = "tick.commit-id"
"""The snapshot property that names the commit it came with; the snapshots of one commit share it."""
PATIENCE_S = 15.0
"""How long a commit waits for a catalog that went away; a restart of Postgres takes two or three seconds."""
ATTEMPTS = 20
"""How often a commit is tried that others overtake; each waits a random time below two seconds."""
LOST = (OperationalError, InterfaceError, CommitStateUnknownException)
"""What a connection that was cut looks like: a commit may have happened or not."""


class CommitUnknownError(RuntimeError):
    """The catalog did not come back after a commit whose answer was lost: it may have happened or not. No file was deleted."""


def new_mark() -> dict[str, str]:
    """Return the snapshot properties of one commit."""
    return {COMMIT_MARK: uuid.uuid4().hex}


def commit(catalog: SqlCatalog, name: str, attempt: Callable[[], _T], mark: Mapping[str, str] | None = None) -> _T | None:
    """Repeat a commit to a table that lost the race against another one, or whose answer was lost and that did not happen.

    Each attempt loads the table anew. Without a mark the attempt must be one that a repeat does not change. None is returned where
    a commit with a lost answer turns out to have happened.
    """

    def once() -> _T | None:
        try:
            return attempt()
        except LOST as error:
            if _has_landed(catalog, name, mark or {}):
                return None
            raise CommitFailedException(f"The connection to the catalog was lost before {name} was committed: {error}") from error

    retrying = Retrying(
        # A validation fails where another commit changed a file of the same partition, though other rows of it: the ledgers' dates.
        retry=retry_if_exception_type((CommitFailedException, ValidationException)),
        stop=stop_after_attempt(ATTEMPTS),
        wait=wait_random_exponential(0.05, 2),
        reraise=True,
    )
    return retrying(once)


def _has_landed(catalog: SqlCatalog, name: str, mark: Mapping[str, str]) -> bool:
    """Tell whether a commit whose answer was lost happened, once its transaction has ended either way."""
    retrying = Retrying(retry=retry_if_exception_type(LOST), stop=stop_after_delay(PATIENCE_S), wait=wait_fixed(0.5), reraise=True)
    try:
        retrying(_await_transactions, catalog, name)
        snapshots = retrying(catalog.load_table, name).snapshots()
    except LOST as error:
        raise CommitUnknownError(
            f"Expected the catalog's answer to a commit to {name} ({dict(mark)}), was a cut connection and none in {PATIENCE_S:.0f} s. "
            "It may have happened or not; no file was deleted. Start Postgres (`tick up`), run the same again: it replaces its rows."
        ) from error
    properties = (snapshot.summary.additional_properties for snapshot in snapshots if snapshot.summary)
    return bool(mark) and any(mark.items() <= found.items() for found in properties)


def _await_transactions(catalog: SqlCatalog, name: str) -> None:
    """Lock the table's row in the catalog and let it go: a transaction that changed it has ended when the lock is granted."""
    namespace, _, table = name.rpartition(".")
    row = select(IcebergTables.metadata_location).where(
        IcebergTables.catalog_name == catalog.name,
        IcebergTables.table_namespace == namespace,
        IcebergTables.table_name == table,
    )
    with Session(catalog.engine) as session:
        if catalog.engine.dialect.name == "postgresql":
            session.execute(text(f"set local lock_timeout = '{PATIENCE_S:.0f}s'"))
        session.execute(row.with_for_update()).all()
