"""What happened to each file that was sent, tried again or given up: lines of the state folder, and `evidence.replications`.

What belongs here: writing a line when an attempt ends, bringing the lines into the table. What must not: sending.

    replications/<run>.jsonl    one line an attempt, written when it ends; gone once the table has it

A run that was killed leaves its file, and the next run brings it into the table too: nothing that was sent is without a row.
"""

from __future__ import annotations

import fcntl
import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from tick_assets.lakehouse.durable_files import locked, make_folder
from tick_assets.lakehouse.evidence import parse_time, read_lines
from tick_assets.lakehouse.replicator import Attempt, Record
from tick_assets.lakehouse.row_filters import one_of

if TYPE_CHECKING:
    from tick_assets.lakehouse.catalog import Lakehouse

TABLE = "evidence.replications"
_KEY = ("run_id", "key", "started_at", "outcome", "attempts")


@contextmanager
def recording(folder: Path, run_id: str) -> Iterator[Record]:
    """Give what appends attempts to the run's file, from any thread; while it is open no other run takes the file away."""
    make_folder(folder)
    guard = threading.Lock()
    with (folder / f"{run_id}.jsonl").open("ab") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)

        def record(attempt: Attempt) -> None:
            with guard:
                stream.write(json.dumps(_line(run_id, attempt)).encode() + b"\n")
                stream.flush()

        yield record


def _line(run_id: str, attempt: Attempt) -> dict[str, Any]:
    file = attempt.file
    return {
        "run_id": run_id,
        "key": file.key,
        "bytes": file.bytes,
        "sha256": file.sha256,
        "replicator": attempt.replicator,
        "attempts": attempt.attempts,
        "started_at": attempt.started_at.isoformat(),
        "finished_at": attempt.finished_at.isoformat(),
        "outcome": attempt.outcome,
        "reason": attempt.reason or None,
        "detail": attempt.detail or None,
    }


def ingest(lakehouse: Lakehouse, folder: Path) -> int:
    """Bring the lines of all runs that have ended into the table, in one commit, and return how many; a repeat changes nothing."""
    make_folder(folder)
    with locked(folder / ".lock"):
        runs = {path: lines for path in sorted(folder.glob("*.jsonl")) if (lines := _ended_lines(path)) is not None}
        rows = [_row(line) for lines in runs.values() for line in lines]
        added = lakehouse.append(TABLE, _unknown(lakehouse, rows)) if rows else 0
        for path in runs:
            path.unlink()
    return added


def _ended_lines(path: Path) -> list[dict[str, Any]] | None:
    """Return a run's lines, or none while it still writes."""
    with path.open("rb") as stream:
        return read_lines(stream.read()) if _is_free(stream) else None


def _is_free(stream: BinaryIO) -> bool:
    try:
        fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _unknown(lakehouse: Lakehouse, rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Leave out rows that the table has: a crash between the commit and the removal of a file leaves both."""
    runs = one_of("run_id", sorted({row["run_id"] for row in rows}))
    known = set(lakehouse.frame(TABLE, runs, columns=_KEY).select(_KEY).rows())
    return [row for row in rows if tuple(row[name] for name in _KEY) not in known]


def _row(line: Mapping[str, Any]) -> dict[str, Any]:
    _, source, symbol, name = line["key"].split("/", 3)
    return {
        **line,
        "started_at": parse_time(line["started_at"]),
        "finished_at": parse_time(line["finished_at"]),
        "source": source,
        "symbol": symbol,
        "date": _date(name),
    }


def _date(name: str) -> date | None:
    """Return the date that a revision or manifest is of; a delivery may be of many."""
    try:
        return date.fromisoformat(name.partition(".")[0])
    except ValueError:
        return None
