"""Append-only evidence: what the service said and what execution did, one JSON document a line.

`evidence/<kind>/<date>.jsonl`; a signal's date is that of its `ts_event`, an execution's that of its `ts_event` or else of its arrival.
The pipeline ingests the files; nothing here reads them but the restart.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import orjson


@dataclass
class EvidenceFiles:
    """The files of one kind (`signals`, `executions`)."""

    folder: Path
    _handles: dict[str, IO[bytes]] = field(default_factory=dict)

    def append(self, date_iso: str, documents: Iterable[dict[str, Any]]) -> None:
        """Append documents to a date's file and hand them to the operating system."""
        handle = self._handle(date_iso)
        handle.write(b"".join(orjson.dumps(document) + b"\n" for document in documents))
        handle.flush()

    def read(self, date_iso: str) -> Iterator[dict[str, Any]]:
        """Yield a date's documents; a last line that a crash cut short is left out."""
        path = self._path(date_iso)
        if not path.is_file():
            return
        for line in path.read_bytes().splitlines(keepends=True):
            if line.endswith(b"\n") and line.strip():
                yield orjson.loads(line)

    def dates(self) -> list[str]:
        """Return the dates that have a file, in order."""
        return sorted(path.stem for path in self.folder.glob("*.jsonl"))

    def close(self) -> None:
        """Close all files."""
        for handle in self._handles.values():
            os.fsync(handle.fileno())
            handle.close()
        self._handles.clear()

    def _handle(self, date_iso: str) -> IO[bytes]:
        if date_iso not in self._handles:
            if len(self._handles) >= 16:
                self.close()
            path = self._path(date_iso)
            path.parent.mkdir(parents=True, exist_ok=True)
            _end_last_line(path)
            self._handles[date_iso] = path.open("ab")
        return self._handles[date_iso]

    def _path(self, date_iso: str) -> Path:
        return self.folder / f"{date_iso}.jsonl"


def _end_last_line(path: Path) -> None:
    """Cut off a last line that a crash left without its end, so that the next one stays whole."""
    if not path.is_file():
        return
    content = path.read_bytes()
    whole = content.rfind(b"\n") + 1
    if whole != len(content):
        with path.open("r+b") as handle:
            handle.truncate(whole)
