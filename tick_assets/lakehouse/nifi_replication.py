"""NiFi as the sender of raw files: wait until it has sent what the raw store lists, and say how it stands.

What belongs here: waiting, and what NiFi reports of itself. What must not: starting it (`tick up --with nifi`) or judging the replica:
`replication.reconcile` does that from the bytes in S3, never from NiFi's own status.

NiFi lists a file by its modification time, so one that came into the folder with an older time, or that an emptied bucket lacks again,
would never be sent. Such a file gets a fresh time, which changes no byte; a second sending goes to the same key.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import httpx

from tick_assets.lakehouse.object_store import ObjectStore
from tick_assets.lakehouse.raw_store import RawStore
from tick_assets.lakehouse.replication import SHA256, ReplicaFile, SendReport, replica_files

FLOW_NAME = "raw replica"
PATIENCE_S = 120.0
"""Without any new file in S3 for so long, waiting ends with an error."""
TOUCH_AFTER_S = 6.0
POLL_S = 1.0


class NifiError(RuntimeError):
    """NiFi does not send what it should."""


@dataclass(frozen=True)
class NifiStatus:
    """What NiFi says of its flow now; counts of files sent are of the last five minutes."""

    queued_files: int
    queued_bytes: int
    sent_files: int
    dead_letters: int
    is_running: bool
    bulletins: tuple[str, ...]

    def to_event(self) -> str:
        """Return one line of key=value fields for a log."""
        return (
            f"event=nifi_status queued_files={self.queued_files} queued_bytes={self.queued_bytes} "
            f"sent_5m={self.sent_files} dead_letters_5m={self.dead_letters}"
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
            sent_files=_input_of(processors, "Log what was sent"),
            dead_letters=_input_of(processors, "Dead letter"),
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


def _input_of(processors: Sequence[dict[str, Any]], name: str) -> int:
    return sum(int(processor["flowFilesIn"]) for processor in processors if processor["name"] == name)


def replicate(
    nifi: Nifi,
    store: RawStore,
    objects: ObjectStore,
    symbols: Sequence[str],
    dates: Sequence[date],
    progress: Callable[[str], None],
    patience_s: float = PATIENCE_S,
) -> SendReport:
    """Wait until every listed file is in S3; a file that NiFi does not see is given a fresh modification time once.

    `NifiError` names what is missing and what NiFi complains of when nothing arrives for `patience_s` seconds.
    """
    files = list(replica_files(store, symbols, dates))
    missing = first = [file for file in files if not _has_arrived(objects, file)]
    newest, touched = time.monotonic(), False
    while missing:
        time.sleep(POLL_S)
        still = [file for file in missing if not _has_arrived(objects, file)]
        if len(still) < len(missing):
            newest = time.monotonic()
            progress(f"{nifi.status().to_event()} missing={len(still)}")
        missing, waited = still, time.monotonic() - newest
        if missing and not touched and waited > TOUCH_AFTER_S:
            _touch(missing)
            touched = True
        if missing and waited > patience_s:
            raise NifiError(_complaint(nifi, missing, patience_s))
    return SendReport(len(files), len(first), sum(file.bytes for file in first))


def _has_arrived(objects: ObjectStore, file: ReplicaFile) -> bool:
    head = objects.head(file.key)
    return head is not None and head.bytes == file.bytes and head.metadata.get(SHA256) == file.sha256


def _touch(files: Sequence[ReplicaFile]) -> None:
    for file in files:
        os.utime(file.path)


def _complaint(nifi: Nifi, missing: Sequence[ReplicaFile], patience_s: float) -> str:
    status = nifi.status()
    said = "; ".join(status.bulletins) or "it reports nothing"
    return (
        f"Expected NiFi to send {len(missing)} more files, was silent for {patience_s:.0f} s; the first is {missing[0].key}. "
        f"Queued there: {status.queued_files}, dead-lettered: {status.dead_letters}; {said}. Look at {nifi.address}/nifi."
    )
