"""The port of replicators: files in, a report out, whoever sends them.

What belongs here: the port and its values. What must not: sending (`built_in_replicator`, `nifi_replication`), keeping what happened
(`replication_evidence`, `dead_letters`), or which files there are and whether they arrived (`replication`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

SHA256 = "sha256"
"""The user metadata that every object of a replica carries."""
SENT, RETRIED, DEAD_LETTER = "sent", "retried", "dead_letter"
EVENT_EVERY_S = 5.0


@dataclass(frozen=True)
class ReplicaFile:
    """One raw file and its key."""

    path: Path
    key: str
    bytes: int
    sha256: str

    def lag_s(self, now: float) -> float:
        """Return the age of the file at a time in seconds since 1970; one that is gone has none."""
        try:
            return max(now - self.path.stat().st_mtime, 0.0)
        except FileNotFoundError:
            return 0.0


@dataclass(frozen=True)
class Attempt:
    """How a try of a file ended: `sent`, `retried` (it failed and is tried again) or `dead_letter`; `attempts` counts this one too.

    A replicator that does not tell how often it tried leaves `attempts` empty.
    """

    file: ReplicaFile
    replicator: str
    attempts: int | None
    started_at: datetime
    finished_at: datetime
    outcome: str
    reason: str = ""
    detail: str = ""


Record = Callable[[Attempt], None]


@dataclass(frozen=True)
class DeadLetter:
    """A file that could not be sent, and why: a reason code for programs, a detail for people."""

    key: str
    path: str
    bytes: int
    sha256: str
    replicator: str
    reason: str
    detail: str
    attempts: int | None
    failed_at: datetime


@dataclass(frozen=True)
class SendReport:
    """What one replication did; files that were there already are not sent.

    `lag_s` is the age of the oldest file that was not there yet, when its turn came.
    """

    replicator: str
    files: int
    sent_files: int
    sent_bytes: int
    retries: int
    seconds: float
    queued_files_max: int
    queued_bytes_max: int
    lag_s: float
    dead_letters: tuple[DeadLetter, ...] = ()

    @property
    def files_per_s(self) -> float:
        return round(self.sent_files / self.seconds, 2) if self.seconds else 0.0

    @property
    def mb_per_s(self) -> float:
        return round(self.sent_bytes / 1e6 / self.seconds, 3) if self.seconds else 0.0

    def plus(self, other: SendReport) -> SendReport:
        """Return this report and what followed as one."""
        return SendReport(
            replicator=self.replicator,
            files=self.files + other.files,
            sent_files=self.sent_files + other.sent_files,
            sent_bytes=self.sent_bytes + other.sent_bytes,
            retries=self.retries + other.retries,
            seconds=self.seconds + other.seconds,
            queued_files_max=max(self.queued_files_max, other.queued_files_max),
            queued_bytes_max=max(self.queued_bytes_max, other.queued_bytes_max),
            lag_s=max(self.lag_s, other.lag_s),
            dead_letters=self.dead_letters + other.dead_letters,
        )

    def figures(self) -> dict[str, Any]:
        """Return the metrics by name, the same for every replicator."""
        return {
            "replicator": self.replicator,
            "files": self.files,
            "sent_files": self.sent_files,
            "sent_bytes": self.sent_bytes,
            "files_per_s": self.files_per_s,
            "mb_per_s": self.mb_per_s,
            "queued_files_max": self.queued_files_max,
            "queued_bytes_max": self.queued_bytes_max,
            "lag_s": round(self.lag_s, 1),
            "retries": self.retries,
            "dead_letters": len(self.dead_letters),
            "seconds": round(self.seconds, 3),
        }

    def to_event(self, name: str) -> str:
        """Return the metrics as one line of key=value fields for a log."""
        return " ".join([f"event={name}", *(f"{key}={value}" for key, value in self.figures().items())])


class Replicator(ABC):
    """Sends files to their keys with their sha-256 as metadata; what was sent before changes nothing."""

    name: str

    @abstractmethod
    def send(self, files: Iterable[ReplicaFile]) -> SendReport:
        """Send what the replica lacks or has with other bytes; a file that can't be sent is a dead letter and the others go on."""


def dead_letter(attempt: Attempt) -> DeadLetter:
    """Return the dead letter of a last attempt."""
    file = attempt.file
    return DeadLetter(
        file.key,
        str(file.path),
        file.bytes,
        file.sha256,
        attempt.replicator,
        attempt.reason,
        attempt.detail,
        attempt.attempts,
        attempt.finished_at,
    )


def is_sent(stated: dict[str, str], size: int, file: ReplicaFile) -> bool:
    """Tell whether an object with this metadata and size is the file."""
    return size == file.bytes and stated.get(SHA256) == file.sha256


def utc_now() -> datetime:
    return datetime.now(UTC)


def ignore(_: Any) -> None:
    """Keep nothing: what a replicator does with attempts and events when nobody asks for them."""
