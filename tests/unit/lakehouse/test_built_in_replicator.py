"""The built-in replicator over a fake S3 client: bounds, retries, dead letters, interruption, and what a killed one leaves."""

from __future__ import annotations

import hashlib
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from botocore.exceptions import EndpointConnectionError

from tests.unit.lakehouse.fake_s3 import FakeS3Client, error
from tick_assets.lakehouse.built_in_replicator import BuiltInReplicator, Limits
from tick_assets.lakehouse.dead_letters import DeadLetters
from tick_assets.lakehouse.object_store import ObjectStore
from tick_assets.lakehouse.replicator import Attempt, ReplicaFile

PART = 5 * 1024 * 1024
"""S3 takes no smaller part, and the library makes none."""
QUICK = Limits(workers=3, attempts=3, pause_s=0.001, longest_pause_s=0.002, part_bytes=PART)
AWAY = EndpointConnectionError(endpoint_url="http://127.0.0.1:1")


@pytest.fixture
def client() -> FakeS3Client:
    return FakeS3Client()


@pytest.fixture
def letters(tmp_path: Path) -> DeadLetters:
    return DeadLetters(tmp_path / "dead letters")


@pytest.fixture
def attempts() -> list[Attempt]:
    return []


@pytest.fixture
def make(client: FakeS3Client, letters: DeadLetters, attempts: list[Attempt]) -> Callable[[Limits], BuiltInReplicator]:
    return lambda limits: BuiltInReplicator(ObjectStore(client, "tick"), letters, limits=limits, record=attempts.append)


def raw_files(folder: Path, count: int, size: int = 100) -> list[ReplicaFile]:
    """Return files of one symbol, all of the same size and different bytes."""
    made = []
    for number in range(count):
        content = (f"{number}," * (size // 2 + 1))[:size].encode()
        path = folder / f"{number:04d}.csv"
        path.write_bytes(content)
        made.append(ReplicaFile(path, f"raw/s/EURUSD/{path.name}", size, hashlib.sha256(content).hexdigest()))
    return made


def test_sent_object_has_the_bytes_sha256_and_type_of_its_file(
    make: Callable[[Limits], BuiltInReplicator], client: FakeS3Client, tmp_path: Path
) -> None:
    for size in (999, 2 * PART + 7):  # one put, and three parts
        (file,) = raw_files(tmp_path, 1, size)
        assert make(QUICK).send([file]).sent_files == 1
        assert client.objects[file.key] == (file.path.read_bytes(), {"sha256": file.sha256})
        assert client.content_types[file.key] == "text/csv"
    assert (client.calls["upload_part"], client.largest_body, client.uploads) == (3, PART, {})


@pytest.mark.parametrize(("bounds", "most"), [({"queued_files": 4}, (4, 400)), ({"queued_bytes": 350}, (3, 300))])
def test_queue_is_never_fuller_than_its_bound_and_the_producer_waits(
    make: Callable[[Limits], BuiltInReplicator], client: FakeS3Client, tmp_path: Path, bounds: dict[str, int], most: tuple[int, int]
) -> None:
    gate, named = threading.Event(), []

    def name_files() -> Iterator[ReplicaFile]:
        for file in raw_files(tmp_path, 30):
            named.append(file)
            yield file

    def wait_for_gate(call: str, key: str) -> None:
        gate.wait(10)

    client.before = wait_for_gate
    opened_after: list[int] = []

    def open_gate() -> None:
        time.sleep(0.3)
        opened_after.append(len(named))
        gate.set()

    threading.Thread(target=open_gate).start()
    report = make(Limits(workers=2, **bounds)).send(name_files())
    assert opened_after == [most[0] + 1]  # the next is named and waits at the door
    assert (report.queued_files_max, report.queued_bytes_max, report.sent_files) == (*most, 30)


def test_file_larger_than_the_bound_goes_alone(make: Callable[[Limits], BuiltInReplicator], client: FakeS3Client, tmp_path: Path) -> None:
    report = make(Limits(queued_bytes=50)).send(raw_files(tmp_path, 5))
    assert (report.sent_files, report.queued_files_max) == (5, 1)


@pytest.mark.parametrize("failure", [AWAY, error("SlowDown", 503), error("InternalError", 500)])
def test_error_that_passes_is_tried_again(
    make: Callable[[Limits], BuiltInReplicator], client: FakeS3Client, attempts: list[Attempt], tmp_path: Path, failure: Exception
) -> None:
    failures = [failure, failure]

    def fail_twice(call: str, key: str) -> None:
        if call == "put_object" and failures:
            raise failures.pop()

    client.before = fail_twice
    report = make(QUICK).send(raw_files(tmp_path, 1))
    assert (report.sent_files, report.retries, report.dead_letters) == (1, 2, ())
    assert [(each.outcome, each.attempts) for each in attempts] == [("retried", 1), ("retried", 2), ("sent", 3)]


@pytest.mark.parametrize(
    ("failure", "reason", "tries"),
    [
        (error("AccessDenied", 403), "TARGET_DENIED", 1),
        (error("NoSuchBucket", 404), "BUCKET_MISSING", 1),
        (error("InvalidArgument", 400), "TARGET_REFUSED", 1),
        (error("InternalError", 500), "TARGET_FAILED", 3),
        (AWAY, "TARGET_UNREACHABLE", 3),
    ],
)
def test_file_that_cannot_be_sent_is_a_dead_letter_and_the_others_go_on(
    make: Callable[[Limits], BuiltInReplicator],
    client: FakeS3Client,
    letters: DeadLetters,
    attempts: list[Attempt],
    tmp_path: Path,
    failure: Exception,
    reason: str,
    tries: int,
) -> None:
    files = raw_files(tmp_path, 10)

    def fail(call: str, key: str) -> None:
        if call == "put_object" and key == files[4].key:
            raise failure

    client.before = fail
    report = make(QUICK).send(files)
    assert (report.sent_files, set(client.objects)) == (9, {file.key for file in files} - {files[4].key})
    assert [(letter.key, letter.reason, letter.attempts) for letter in report.dead_letters] == [(files[4].key, reason, tries)]
    assert letters.all() == list(report.dead_letters)
    assert Counter(each.outcome for each in attempts) == Counter(sent=9, dead_letter=1, retried=tries - 1)


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda path: path.unlink(), "SOURCE_MISSING"),
        (lambda path: path.write_bytes(b"x" + path.read_bytes()[1:]), "SOURCE_CHANGED"),
        (lambda path: path.write_bytes(path.read_bytes() + b"x"), "SOURCE_CHANGED"),
        (lambda path: path.write_bytes(path.read_bytes()[:-1]), "SOURCE_CHANGED"),
        (lambda path: (path.unlink(), path.mkdir()), "SOURCE_UNREADABLE"),
    ],
)
@pytest.mark.parametrize("size", [100, PART, PART + 7])
def test_source_that_changed_is_refused_and_no_object_appears(
    make: Callable[[Limits], BuiltInReplicator],
    client: FakeS3Client,
    tmp_path: Path,
    damage: Callable[[Path], object],
    reason: str,
    size: int,
) -> None:
    (file,) = raw_files(tmp_path, 1, size)
    damage(file.path)
    report = make(QUICK).send([file])
    assert ([letter.reason for letter in report.dead_letters], report.retries) == ([reason], 0)
    assert (client.objects, client.uploads) == ({}, {})


def test_dead_letters_of_equal_names_are_apart_survive_and_are_cleared_when_sent(
    make: Callable[[Limits], BuiltInReplicator], client: FakeS3Client, tmp_path: Path
) -> None:
    (file,) = raw_files(tmp_path, 1)
    twins = [file, ReplicaFile(file.path, file.key.replace("EURUSD", "GBPUSD"), file.bytes, file.sha256)]

    def refuse(call: str, key: str) -> None:
        raise error("AccessDenied", 403)

    client.before = refuse
    make(QUICK).send(twins)
    again = DeadLetters(tmp_path / "dead letters")
    assert [letter.key for letter in again.all()] == [twin.key for twin in twins]
    client.before = lambda call, key: None
    make(QUICK).send(twins[:1])
    assert [letter.key for letter in again.all()] == [twins[1].key]


def test_target_that_stays_silent_costs_each_further_file_one_try(
    make: Callable[[Limits], BuiltInReplicator], client: FakeS3Client, tmp_path: Path
) -> None:
    def away(call: str, key: str) -> None:
        raise AWAY

    client.before = away
    report = make(Limits(workers=1, attempts=3, pause_s=0.001, longest_pause_s=0.002, patience_s=0.0)).send(raw_files(tmp_path, 20))
    assert (len(report.dead_letters), report.retries) == (20, 0)


def test_interrupt_ends_transfers_counts_what_was_sent_and_rises(
    client: FakeS3Client, letters: DeadLetters, attempts: list[Attempt], tmp_path: Path
) -> None:
    events: list[str] = []
    began = threading.Event()
    replicator = BuiltInReplicator(ObjectStore(client, "tick"), letters, limits=QUICK, record=attempts.append, progress=events.append)

    def interrupted() -> Iterator[ReplicaFile]:
        yield from raw_files(tmp_path, 5)
        deadline = time.monotonic() + 10
        while len(client.objects) < 5 and time.monotonic() < deadline:
            time.sleep(0.01)
        yield ReplicaFile(tmp_path / "large", "raw/s/EURUSD/large.csv", 10 * PART, "")
        assert began.wait(10)
        raise KeyboardInterrupt

    def slow_part(call: str, key: str) -> None:
        if call == "upload_part":
            began.set()
            time.sleep(0.2)

    (tmp_path / "large").write_bytes(bytes(10 * PART))
    client.before = slow_part
    begun = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        replicator.send(interrupted())
    assert time.monotonic() - begun < 1.5  # ten parts would take two seconds
    assert "event=replication_interrupted" in events[-1]
    assert "sent_files=5 " in events[-1]
    assert (len(client.objects), client.uploads, letters.all()) == (5, {}, [])
    assert [each.outcome for each in attempts] == ["sent"] * 5


def test_run_again_sends_only_what_is_missing_and_sweeps_parts_of_a_killed_one(
    make: Callable[[Limits], BuiltInReplicator], client: FakeS3Client, tmp_path: Path
) -> None:
    files = raw_files(tmp_path, 4, PART + 7)
    make(QUICK).send(files[:2])
    left = client.create_multipart_upload(Key=files[2].key, Metadata={}, ContentType="")["UploadId"]
    other = client.create_multipart_upload(Key=f"{files[2].key}.other", Metadata={}, ContentType="")["UploadId"]
    report = make(QUICK).send(files)
    assert (report.files, report.sent_files) == (4, 2)
    assert (left in client.uploads, other in client.uploads, len(client.objects)) == (False, True, 4)


def test_error_that_nobody_expected_rises(make: Callable[[Limits], BuiltInReplicator], client: FakeS3Client, tmp_path: Path) -> None:
    def fail(call: str, key: str) -> None:
        raise ZeroDivisionError

    client.before = fail
    with pytest.raises(ZeroDivisionError):
        make(QUICK).send(raw_files(tmp_path, 3))
