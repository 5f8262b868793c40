"""NiFi as the sender of raw files: wait until it has sent what the raw store lists, and say how it stands.

What belongs here: waiting, and what NiFi reports of itself. What must not: starting it (`tick up --with nifi`) or judging the replica:
`replication.reconcile` does that from the bytes in S3, never from NiFi's own status.

NiFi lists a file by its modification time, so one that came into the folder with an older time, or that an emptied bucket lacks again,
would never be sent. Such a file gets a fresh time, which changes no byte; a second sending goes to the same key.

What NiFi gives up it copies to `dead_letter/<REASON>/<source>/<SYMBOL>/<file>`, and that copy makes the file a dead letter here too.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tick_assets.lakehouse.built_in_replicator import TARGET_ERRORS
from tick_assets.lakehouse.dead_letters import DeadLetters
from tick_assets.lakehouse.object_store import ObjectStore
from tick_assets.lakehouse.replicator import (
    DEAD_LETTER,
    EVENT_EVERY_S,
    SENT,
    Attempt,
    DeadLetter,
    Record,
    ReplicaFile,
    Replicator,
    SendReport,
    dead_letter,
    ignore,
    is_sent,
    utc_now,
)

FLOW_NAME = "raw replica"
NIFI_SILENT = "NIFI_SILENT"
PATIENCE_S = 150.0
"""Without any new file in S3 for so long, what is missing is a dead letter; NiFi itself tries a file for about two minutes."""
TOUCH_AFTER_S = 6.0
POLL_S = 1.0
_PREFIX = "raw/"


class NifiError(RuntimeError):
    """There is no NiFi that sends."""


@dataclass(frozen=True)
class NifiStatus:
    """What NiFi says of its flow now; counts of files sent, tried again and given up are of the last five minutes."""

    queued_files: int
    queued_bytes: int
    sent_files: int
    retries: int
    dead_letters: int
    is_running: bool
    bulletins: tuple[str, ...]

    def to_event(self) -> str:
        """Return one line of key=value fields for a log."""
        return (
            f"event=nifi_status queued_files={self.queued_files} queued_bytes={self.queued_bytes} "
            f"sent_5m={self.sent_files} retries_5m={self.retries} dead_letters_5m={self.dead_letters}"
        )


class Nifi:
    """A NiFi server that runs the flow of `deploy/nifi/`."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._client = httpx.Client(base_url=f"{address}/nifi-api", timeout=10.0, trust_env=False)

    def close(self) -> None:
        self._client.close()

    def is_there(self) -> bool:
        """Tell whether a NiFi with the flow answers at the address."""
        try:
            return self._group() is not None
        except (httpx.HTTPError, KeyError, ValueError):
            return False

    def status(self) -> NifiStatus:
        """Return queue, rate and complaints of the flow."""
        group = self._group()
        if group is None:
            raise NifiError(f"Expected the flow {FLOW_NAME!r} in NiFi at {self.address}, found none. Run `tick up --with nifi`.")
        snapshot = self._get(f"/flow/process-groups/{group}/status?recursive=true")["processGroupStatus"]["aggregateSnapshot"]
        processors = [each["processorStatusSnapshot"] for each in snapshot["processorStatusSnapshots"]]
        bulletins = self._get(f"/flow/bulletin-board?groupId={group}&limit=10")["bulletinBoard"]["bulletins"]
        return NifiStatus(
            queued_files=int(snapshot["flowFilesQueued"]),
            queued_bytes=int(snapshot["bytesQueued"]),
            sent_files=_sum_of(processors, "Log what was sent", "flowFilesIn"),
            retries=_retries(processors),
            dead_letters=_sum_of(processors, "Dead letter", "flowFilesIn"),
            is_running=all(processor["runStatus"] == "Running" for processor in processors),
            bulletins=tuple(str(each["bulletin"]["message"])[:300] for each in bulletins if each.get("bulletin")),
        )

    def _group(self) -> str | None:
        groups = self._get("/flow/process-groups/root")["processGroupFlow"]["flow"]["processGroups"]
        return next((str(group["id"]) for group in groups if group["component"]["name"] == FLOW_NAME), None)

    def _get(self, path: str) -> dict[str, Any]:
        answer = self._client.get(path)
        answer.raise_for_status()
        return dict(answer.json())


def _sum_of(processors: Sequence[dict[str, Any]], name: str, figure: str) -> int:
    return sum(int(processor[figure]) for processor in processors if processor["name"].startswith(name))


def _retries(processors: Sequence[dict[str, Any]]) -> int:
    """Return how often a file went back to be put again: a task puts one file, and one that goes back does not count as having come in."""
    return max(_sum_of(processors, "Put object", "taskCount") - _sum_of(processors, "Put object", "flowFilesIn"), 0)


class NifiReplicator(Replicator):
    """Waits for a NiFi that lists the raw folder by itself; NiFi does not tell how often it tried a file."""

    name = "nifi"

    def __init__(
        self,
        nifi: Nifi,
        objects: ObjectStore,
        dead_letters: DeadLetters,
        folder: Path,
        *,
        record: Record = ignore,
        progress: Callable[[str], None] = ignore,
        patience_s: float = PATIENCE_S,
        poll_s: float = POLL_S,
    ) -> None:
        self.nifi, self.objects, self.letters, self.folder = nifi, objects, dead_letters, folder
        self.record, self.progress, self.patience_s, self.poll_s = record, progress, patience_s, poll_s

    def send(self, files: Iterable[ReplicaFile]) -> SendReport:
        """Wait until every file is in S3 or given up; one that NiFi does not see is given a fresh modification time once."""
        waiting = _Waiting(self, list(files))
        if waiting.missing and not self.nifi.is_there():
            raise NifiError(f"Expected a NiFi with the flow {FLOW_NAME!r} at {self.nifi.address}, was none. Run `tick up --with nifi`.")
        while waiting.missing:
            time.sleep(self.poll_s)
            waiting.look()
        return waiting.report()


class _Waiting:
    """One call of `send`: what is missing, since when, and what was seen."""

    def __init__(self, replicator: NifiReplicator, files: Sequence[ReplicaFile]) -> None:
        self._replicator, self._files = replicator, files
        self.missing = {file.key: file for file in files}
        self._started, self._begun = utc_now(), time.monotonic()
        self._newest = self._told = self._begun
        self._is_touched = False
        self._sent: list[ReplicaFile] = []
        self._letters: list[DeadLetter] = []
        self._queued_files = self._queued_bytes = self._retries = 0
        status = self._status() if files else None
        self._retries_before = status.retries if status else 0
        for file in self._arrived():
            del self.missing[file.key]
            replicator.letters.clear(file.key)
        now = time.time()
        self._lag_s = max((file.lag_s(now) for file in self.missing.values()), default=0.0)
        _touch(file for file in self.missing.values() if self._copies(file))

    def look(self) -> None:
        """See what arrived and what NiFi gave up; end the waiting for files that nothing happens to."""
        for file in self._arrived():
            self._take(file)
        for file in list(self.missing.values()):
            if copy := next((path for path in self._copies(file) if path.stat().st_mtime > self._started.timestamp()), None):
                self._give_up(file, copy.relative_to(self._replicator.folder).parts[0])
        waited = time.monotonic() - self._newest
        if waited > TOUCH_AFTER_S and not self._is_touched:
            _touch(self.missing.values())
            self._is_touched = True
        if waited > self._replicator.patience_s:
            for file in list(self.missing.values()):
                self._give_up(file, NIFI_SILENT)
        self._tell()

    def _arrived(self) -> list[ReplicaFile]:
        """Return the missing files whose objects are there; a server that is away has none."""
        try:
            folders = sorted({key.rpartition("/")[0] + "/" for key in self.missing})
            sizes = {head.key: head.bytes for folder in folders for head in self._replicator.objects.list(folder)}
            likely = [file for file in self.missing.values() if sizes.get(file.key) == file.bytes]
            heads = ((file, self._replicator.objects.head(file.key)) for file in likely)
            return [file for file, head in heads if head is not None and is_sent(head.metadata, head.bytes, file)]
        except TARGET_ERRORS:
            return []

    def _take(self, file: ReplicaFile) -> None:
        self._end(file)
        self._sent.append(file)
        self._replicator.letters.clear(file.key)
        for path in self._copies(file):
            path.unlink(missing_ok=True)
        self._replicator.record(self._attempt(file, SENT))

    def _give_up(self, file: ReplicaFile, reason: str) -> None:
        self._end(file)
        attempt = self._attempt(file, DEAD_LETTER, reason, self._complaint(file))
        letter = dead_letter(attempt)
        self._letters.append(letter)
        self._replicator.letters.put(letter)
        self._replicator.record(attempt)

    def _end(self, file: ReplicaFile) -> None:
        del self.missing[file.key]
        self._newest = time.monotonic()

    def _attempt(self, file: ReplicaFile, outcome: str, reason: str = "", detail: str = "") -> Attempt:
        return Attempt(file, self._replicator.name, None, self._started, utc_now(), outcome, reason, detail)

    def _copies(self, file: ReplicaFile) -> list[Path]:
        """Return NiFi's copies of a file that it gave up."""
        return sorted(self._replicator.folder.glob(f"*/{file.key.removeprefix(_PREFIX)}"))

    def _complaint(self, file: ReplicaFile) -> str:
        """Return what NiFi said of the file, or else said last."""
        status = self._status()
        said = status.bulletins if status else ()
        own = [line for line in said if file.path.name in line]
        return (own or list(said) or [f"NiFi reports nothing; look at {self._replicator.nifi.address}/nifi."])[-1]

    def _status(self) -> NifiStatus | None:
        """Return NiFi's status, or none while it does not answer."""
        try:
            return self._replicator.nifi.status()
        except (httpx.HTTPError, NifiError):
            return None

    def _tell(self) -> None:
        """Say every few seconds how NiFi stands, and remember the most that it had."""
        status = self._status()
        if status is None:
            return
        self._queued_files, self._queued_bytes = max(self._queued_files, status.queued_files), max(self._queued_bytes, status.queued_bytes)
        # NiFi counts over five minutes: what it counted before this call is not this call's.
        self._retries = max(self._retries, status.retries - self._retries_before)
        if time.monotonic() - self._told > EVENT_EVERY_S:
            self._told = time.monotonic()
            self._replicator.progress(f"{status.to_event()} missing={len(self.missing)} {self.report().to_event('replicating')}")

    def report(self) -> SendReport:
        """Return what was seen so far."""
        return SendReport(
            replicator=self._replicator.name,
            files=len(self._files),
            sent_files=len(self._sent),
            sent_bytes=sum(file.bytes for file in self._sent),
            retries=self._retries,
            seconds=time.monotonic() - self._begun,
            queued_files_max=self._queued_files,
            queued_bytes_max=self._queued_bytes,
            lag_s=self._lag_s,
            dead_letters=tuple(self._letters),
        )


def _touch(files: Iterable[ReplicaFile]) -> None:
    for file in files:
        if file.path.is_file():
            os.utime(file.path)
