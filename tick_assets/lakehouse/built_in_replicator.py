"""The built-in replicator: a bounded queue, a few workers, retries with a pause, dead letters.

What belongs here: sending files and which errors can pass. What must not: which files (`replication`), S3's calls (`object_store`).

Back-pressure: whoever names files waits while too many of them, or of their bytes, are on their way. A worker holds one part of one file
in memory, whatever the file's size. A file's sha-256 is taken from the very bytes that are sent, and its object becomes visible only when
it is the expected one: a small file is hashed before it is put, a large one is sent in parts that are completed or aborted.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from types import TracebackType
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError, HTTPClientError, NoCredentialsError
from botocore.exceptions import ConnectionError as S3ConnectionError
from tenacity import RetryCallState, Retrying, retry_if_exception, sleep_using_event, stop_after_attempt, wait_exponential_jitter
from tenacity.stop import stop_any, stop_base, stop_when_event_set

from tick_assets.lakehouse.dead_letters import DeadLetters
from tick_assets.lakehouse.object_store import ObjectStore
from tick_assets.lakehouse.replicator import (
    DEAD_LETTER,
    EVENT_EVERY_S,
    RETRIED,
    SENT,
    SHA256,
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

if TYPE_CHECKING:
    from tick_assets.settings import Settings

SOURCE_MISSING, SOURCE_CHANGED, SOURCE_UNREADABLE = "SOURCE_MISSING", "SOURCE_CHANGED", "SOURCE_UNREADABLE"
TARGET_DENIED, TARGET_REFUSED, BUCKET_MISSING = "TARGET_DENIED", "TARGET_REFUSED", "BUCKET_MISSING"
TARGET_FAILED, TARGET_UNREACHABLE = "TARGET_FAILED", "TARGET_UNREACHABLE"
CURABLE = frozenset({TARGET_FAILED, TARGET_UNREACHABLE})
"""Reasons that may pass by themselves: the server is away, busy or has an error of its own."""
PASSING_CODES = frozenset({"SlowDown", "RequestTimeout", "InternalError", "ServiceUnavailable", "Throttling", "NoSuchUpload", "429"})
CONTENT_TYPES = {".csv": "text/csv", ".json": "application/json"}
TARGET_ERRORS = (ClientError, HTTPClientError, S3ConnectionError, NoCredentialsError)


@dataclass(frozen=True)
class Limits:
    """How much may be on its way, and how long a file is tried: with these pauses of 0.5 s doubling to 8 s, for 15 s at least."""

    workers: int = 8
    queued_files: int = 500
    queued_bytes: int = 256_000_000
    part_bytes: int = 8 * 1024 * 1024
    attempts: int = 6
    pause_s: float = 0.5
    longest_pause_s: float = 8.0
    patience_s: float = 60.0
    """Once the target has been silent for so long, each further file is tried once only."""


def limits_from(settings: Settings) -> Limits:
    """Return the configured limits."""
    return Limits(
        workers=settings.replication_workers,
        queued_files=settings.replication_queued_files,
        queued_bytes=round(settings.replication_queued_mb * 1e6),
        attempts=settings.replication_attempts,
    )


class SourceError(RuntimeError):
    """The file is not what it should be; trying again does not help."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class InterruptedSendError(RuntimeError):
    """The replication is being ended."""


class CheckedFile:
    """A file that can be read once, and whose end is refused unless all of its bytes are the expected ones."""

    def __init__(self, file: ReplicaFile, stop: threading.Event) -> None:
        self._file, self._stop = file, stop
        self._digest, self._count = hashlib.sha256(), 0
        try:
            self._stream = file.path.open("rb")
        except FileNotFoundError as error:
            message = f"Expected {file.path}, was missing. Run `tick raw verify`, and `tick raw restore` if it was sent."
            raise SourceError(SOURCE_MISSING, message) from error
        except OSError as error:
            raise self._unreadable(error) from error

    def __enter__(self) -> CheckedFile:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stream.close()

    def read(self, amount: int = -1) -> bytes:
        """Return the next bytes; the last ones only when size and sha-256 of the whole are right."""
        if self._stop.is_set():
            raise InterruptedSendError(f"Expected to send {self._file.key}, was interrupted. Run the same again.")
        try:
            content = self._stream.read(amount)
        except OSError as error:
            raise self._unreadable(error) from error
        self._digest.update(content)
        self._count += len(content)
        if amount < 0 or len(content) < amount or self._count >= self._file.bytes:
            self._check()
        return content

    def _check(self) -> None:
        found = self._digest.hexdigest()
        if self._count != self._file.bytes or found != self._file.sha256:
            message = (
                f"Expected {self._file.path} with {self._file.bytes} bytes and sha-256 {self._file.sha256}, was {self._count} bytes "
                f"and {found}. Run `tick raw verify` and restore the file."
            )
            raise SourceError(SOURCE_CHANGED, message)

    def _unreadable(self, error: OSError) -> SourceError:
        return SourceError(SOURCE_UNREADABLE, f"Expected to read {self._file.path}, was: {error.strerror}. Mend it and run again.")


def reason_of(error: BaseException) -> str:
    """Return the reason code of a failed attempt; empty where the error is none of the source's or the target's."""
    if isinstance(error, SourceError):
        return error.reason
    if isinstance(error, ClientError):
        return _refusal(
            str(error.response["Error"].get("Code", "")), int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
        )
    if isinstance(error, NoCredentialsError):
        return TARGET_DENIED
    return TARGET_UNREACHABLE if isinstance(error, TARGET_ERRORS) else ""


def _refusal(code: str, status: int) -> str:
    if code == "NoSuchBucket":
        return BUCKET_MISSING
    if code in PASSING_CODES or status >= 500 or code.startswith("5"):
        return TARGET_FAILED
    if status in (401, 403) or code in ("401", "403", "AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch"):
        return TARGET_DENIED
    return TARGET_REFUSED


@dataclass
class InFlight:
    """The bounded queue: files that were named and have not ended, and their bytes. The most that there ever were is kept."""

    limits: Limits
    files: dict[str, ReplicaFile] = field(default_factory=dict)
    bytes: int = 0
    most_files: int = 0
    most_bytes: int = 0
    changed: threading.Condition = field(default_factory=threading.Condition)

    def enter(self, file: ReplicaFile, waiting: Callable[[], None]) -> None:
        """Take a file, after waiting until there is room; one that is larger than the bound goes alone."""
        with self.changed:
            while self.files and (len(self.files) >= self.limits.queued_files or self.bytes + file.bytes > self.limits.queued_bytes):
                self._wait(waiting)
            self.files[file.key] = file
            self.bytes += file.bytes
            self.most_files, self.most_bytes = max(self.most_files, len(self.files)), max(self.most_bytes, self.bytes)

    def leave(self, file: ReplicaFile) -> None:
        with self.changed:
            self.bytes -= self.files.pop(file.key).bytes
            self.changed.notify_all()

    def drain(self, waiting: Callable[[], None]) -> None:
        """Wait until nothing is on its way."""
        with self.changed:
            while self.files:
                self._wait(waiting)

    def _wait(self, waiting: Callable[[], None]) -> None:
        waiting()
        self.changed.wait(timeout=1.0)

    def lag_s(self) -> float:
        """Return the age of the oldest file on its way."""
        with self.changed:
            files = list(self.files.values())
        now = time.time()
        return max((file.lag_s(now) for file in files), default=0.0)


class BuiltInReplicator(Replicator):
    """Sends files from this process; `objects` should not repeat calls by itself, or attempts are more than are counted."""

    name = "built_in"

    def __init__(
        self,
        objects: ObjectStore,
        dead_letters: DeadLetters,
        *,
        limits: Limits = Limits(),
        record: Record = ignore,
        progress: Callable[[str], None] = ignore,
    ) -> None:
        self.objects, self.letters, self.limits, self.record, self.progress = objects, dead_letters, limits, record, progress

    def send(self, files: Iterable[ReplicaFile]) -> SendReport:
        """Send files as they are named; an interruption ends running transfers, reports what was sent and rises."""
        sending = _Sending(self)
        with ThreadPoolExecutor(max_workers=self.limits.workers, thread_name_prefix="replica") as pool:
            try:
                for file in files:
                    sending.queue.enter(file, sending.look)
                    sending.files += 1
                    pool.submit(sending.work, file)
                    sending.look()
                sending.queue.drain(sending.look)
                sending.look()
            except BaseException:
                sending.stop.set()
                pool.shutdown(wait=True, cancel_futures=True)
                self.progress(sending.report().to_event("replication_interrupted"))
                raise
        return sending.report()


class _StopOnceSilent(stop_base):
    """Ends the tries of a file once the target of its replication is silent."""

    def __init__(self, sending: _Sending) -> None:
        self._sending = sending

    def __call__(self, retry_state: RetryCallState) -> bool:
        return self._sending.is_silent()


class _Sending:
    """One call of `send`: its queue, its counts, and the work on one file."""

    def __init__(self, replicator: BuiltInReplicator) -> None:
        self._replicator, self._limits = replicator, replicator.limits
        self.queue, self.stop = InFlight(replicator.limits), threading.Event()
        self.files = self.sent_files = self.sent_bytes = self.retries = 0
        self.lag_s = 0.0
        self.letters: list[DeadLetter] = []
        self._begun = self._told = self._answered = time.monotonic()
        self._failure: BaseException | None = None
        self._guard = threading.Lock()

    def look(self) -> None:
        """Raise what a worker did not expect; say every few seconds how it stands."""
        if self._failure is not None:
            raise self._failure
        if time.monotonic() - self._told > EVENT_EVERY_S:
            self._told = time.monotonic()
            queue = self.queue
            standing = f"queued_files={len(queue.files)} queued_bytes={queue.bytes} oldest_s={queue.lag_s():.1f}"
            self._replicator.progress(f"{self.report().to_event('replicating')} {standing}")

    def report(self) -> SendReport:
        """Return what was done so far."""
        with self._guard:
            return SendReport(
                replicator=self._replicator.name,
                files=self.files,
                sent_files=self.sent_files,
                sent_bytes=self.sent_bytes,
                retries=self.retries,
                seconds=time.monotonic() - self._begun,
                queued_files_max=self.queue.most_files,
                queued_bytes_max=self.queue.most_bytes,
                lag_s=self.lag_s,
                dead_letters=tuple(sorted(self.letters, key=lambda letter: letter.key)),
            )

    def work(self, file: ReplicaFile) -> None:
        """Send one file, with what may pass tried again; runs in a worker."""
        try:
            self._send(file)
        except BaseException as error:  # raised where `send` was called, by `look`
            self._failure = self._failure or error
        finally:
            self.queue.leave(file)

    def _send(self, file: ReplicaFile) -> None:
        started, retrying = utc_now(), self._retrying(file)
        try:
            is_new = retrying(self._attempt, file)
        except InterruptedSendError:
            return
        except Exception as error:
            if not reason_of(error):
                raise
            if not self.stop.is_set():
                self._give_up(file, retrying.statistics["attempt_number"], started, error)
            return
        self._replicator.letters.clear(file.key)
        if is_new:
            self._count_sent(file)
            self._replicator.record(Attempt(file, "built_in", retrying.statistics["attempt_number"], started, utc_now(), SENT))

    def _retrying(self, file: ReplicaFile) -> Retrying:
        limits = self._limits
        return Retrying(
            retry=retry_if_exception(lambda error: reason_of(error) in CURABLE),
            stop=stop_any(stop_after_attempt(limits.attempts), stop_when_event_set(self.stop), _StopOnceSilent(self)),
            wait=wait_exponential_jitter(multiplier=limits.pause_s, max=limits.longest_pause_s, jitter=limits.pause_s),
            sleep=sleep_using_event(self.stop),
            before_sleep=lambda state: self._note_retry(file, state),
            reraise=True,
        )

    def _attempt(self, file: ReplicaFile) -> bool:
        """Send a file unless it is there, and tell whether it was new."""
        objects, age_s = self._replicator.objects, file.lag_s(time.time())
        if self.stop.is_set():
            raise InterruptedSendError(f"Expected to send {file.key}, was interrupted. Run the same again.")
        head = objects.head(file.key)
        self._answered = time.monotonic()
        if head is not None and is_sent(head.metadata, head.bytes, file):
            return False
        self.lag_s = max(self.lag_s, age_s)
        with CheckedFile(file, self.stop) as stream:
            objects.put_stream(
                file.key,
                stream,
                file.bytes,
                metadata={SHA256: file.sha256},
                content_type=CONTENT_TYPES.get(file.path.suffix, "application/octet-stream"),
                part_bytes=self._limits.part_bytes,
            )
        self._answered = time.monotonic()
        return True

    def is_silent(self) -> bool:
        """Tell whether the target has answered nobody for so long that each further file is tried once only."""
        return time.monotonic() - self._answered > self._limits.patience_s

    def _note_retry(self, file: ReplicaFile, state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        with self._guard:
            self.retries += 1
        self._replicator.record(self._failed(file, state.attempt_number, utc_now(), RETRIED, error))

    def _give_up(self, file: ReplicaFile, attempts: int, started: datetime, error: BaseException) -> None:
        attempt = self._failed(file, attempts, started, DEAD_LETTER, error)
        letter = dead_letter(attempt)
        self._replicator.letters.put(letter)
        self._replicator.record(attempt)
        with self._guard:
            self.letters.append(letter)

    def _failed(self, file: ReplicaFile, attempts: int, started: datetime, outcome: str, error: BaseException | None) -> Attempt:
        reason = reason_of(error) if error else ""
        return Attempt(file, self._replicator.name, attempts, started, utc_now(), outcome, reason, str(error)[:500])

    def _count_sent(self, file: ReplicaFile) -> None:
        with self._guard:
            self.sent_files += 1
            self.sent_bytes += file.bytes
