"""Replication and the object store over a fake S3 client."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.unit.lakehouse.fake_s3 import FakeS3Client, error
from tick_assets.domain.hour_states import HourState
from tick_assets.domain.ticks import Ticks
from tick_assets.lakehouse import replication
from tick_assets.lakehouse.built_in_replicator import BuiltInReplicator, Limits
from tick_assets.lakehouse.dead_letters import DeadLetters
from tick_assets.lakehouse.object_store import ObjectExistsError, ObjectStore
from tick_assets.lakehouse.raw_csv import rows_from_ticks
from tick_assets.lakehouse.raw_store import HourOutcome, RawStore
from tick_assets.lakehouse.replication import reconcile, reconcile_provenance, restore
from tick_assets.lakehouse.replicator import SendReport

DAY = date(2024, 1, 8)
NOW = datetime(2026, 1, 2, tzinfo=UTC)
KEY = "raw/dukascopy/EURUSD/2024-01-08.r000.csv"


@pytest.fixture
def client() -> FakeS3Client:
    return FakeS3Client()


@pytest.fixture
def objects(client: FakeS3Client) -> ObjectStore:
    return ObjectStore(client, "tick")


def replicator(store: RawStore, objects: ObjectStore) -> BuiltInReplicator:
    return BuiltInReplicator(objects, DeadLetters(store.root.parent / "dead_letters"), limits=Limits(attempts=2, pause_s=0.0))


def replicate(store: RawStore, objects: ObjectStore, symbols: list[str], dates: list[date]) -> SendReport:
    return replication.replicate(store, replicator(store, objects), symbols, dates)


def replicate_provenance(
    store: RawStore, objects: ObjectStore, symbols: list[str], dates: list[date], lost: Sequence[str] = ()
) -> SendReport:
    return replication.replicate_provenance(store, objects, replicator(store, objects), symbols, dates, lost)


@pytest.fixture
def filled(store: RawStore) -> RawStore:
    one = np.array([1_704_672_000_000_000])
    rows = rows_from_ticks(Ticks(one, np.array([1]), np.array([2]), np.array([1.0]), np.array([1.0])))
    outcomes = [
        HourOutcome(0, HourState.OK, NOW, "fake://", "bi5", b"x", rows),
        *(HourOutcome(hour, HourState.CLOSED, NOW) for hour in range(1, 24)),
    ]
    store.record("dukascopy", "EURUSD", DAY, 100_000, outcomes, now=NOW)
    return store


def test_replicate_then_reconcile_finds_no_difference(filled: RawStore, objects: ObjectStore) -> None:
    assert replicate(filled, objects, ["EURUSD"], [DAY]).sent_files == 1
    found = reconcile(filled, objects, ["EURUSD"], [DAY], is_deep=True)
    assert (found.files, found.differences) == (1, ())


def test_replicate_again_sends_nothing(filled: RawStore, objects: ObjectStore) -> None:
    replicate(filled, objects, ["EURUSD"], [DAY])
    assert replicate(filled, objects, ["EURUSD"], [DAY]).sent_files == 0


def test_replicate_ignores_files_that_no_manifest_lists(filled: RawStore, objects: ObjectStore, client: FakeS3Client) -> None:
    (filled.folder("dukascopy", "EURUSD") / "2024-01-08.r001.csv").write_bytes(b"half")
    replicate(filled, objects, ["EURUSD"], [DAY])
    assert list(client.objects) == [KEY]


@pytest.mark.parametrize(
    ("body", "metadata"),
    [(b"short", {}), (None, {"sha256": "0" * 64}), ("flip", {})],
)
def test_reconcile_other_bytes_are_a_difference(
    filled: RawStore, objects: ObjectStore, client: FakeS3Client, body: bytes | str | None, metadata: dict[str, str]
) -> None:
    replicate(filled, objects, ["EURUSD"], [DAY])
    good = client.objects[KEY][0]
    replaced = good if body is None else good[::-1] if isinstance(body, str) else body
    client.objects[KEY] = (replaced, metadata)
    assert [item.key for item in reconcile(filled, objects, ["EURUSD"], [DAY]).differences] == [KEY]


def test_reconcile_another_senders_object_is_judged_by_its_bytes(filled: RawStore, objects: ObjectStore, client: FakeS3Client) -> None:
    replicate(filled, objects, ["EURUSD"], [DAY])
    client.objects[KEY] = (client.objects[KEY][0], {})
    assert reconcile(filled, objects, ["EURUSD"], [DAY]).differences == ()


def test_reconcile_missing_and_surplus_keys_are_differences(filled: RawStore, objects: ObjectStore, client: FakeS3Client) -> None:
    surplus = KEY.replace("r000", "r007")
    client.objects[surplus] = (b"x", {})
    assert [item.key for item in reconcile(filled, objects, ["EURUSD"], [DAY]).differences] == [KEY, surplus]


def test_put_bytes_taken_write_once_key_is_refused(objects: ObjectStore) -> None:
    objects.put_bytes("a", b"1", if_none_match=True)
    with pytest.raises(ObjectExistsError):
        objects.put_bytes("a", b"2", if_none_match=True)
    assert objects.get_bytes("a") == b"1"


def test_get_absent_key_is_file_not_found(objects: ObjectStore) -> None:
    assert objects.exists("nothing") is False
    with pytest.raises(FileNotFoundError, match="nothing"):
        objects.get_bytes("nothing")


# Manifests and deliveries, and the way back.


PROVENANCE = ["delivered/dukascopy/EURUSD/" + hashlib.sha256(b"x").hexdigest(), "raw/dukascopy/EURUSD/2024-01-08.manifest.json"]


@pytest.fixture
def replicated(filled: RawStore, objects: ObjectStore) -> RawStore:
    replicate(filled, objects, ["EURUSD"], [DAY])
    replicate_provenance(filled, objects, ["EURUSD"], [DAY])
    return filled


def test_replicate_provenance_sends_manifests_and_deliveries_once(filled: RawStore, objects: ObjectStore, client: FakeS3Client) -> None:
    assert replicate_provenance(filled, objects, ["EURUSD"], [DAY]).sent_files == 2
    assert sorted(client.objects) == PROVENANCE
    assert replicate_provenance(filled, objects, ["EURUSD"], [DAY]).sent_files == 0


def test_replicate_provenance_of_many_deliveries_lists_them(store: RawStore, objects: ObjectStore, client: FakeS3Client) -> None:
    days = [DAY + timedelta(days=offset) for offset in range(11)]
    for day in days:
        failed = [HourOutcome(hour, HourState.FAILED, NOW, response=f"{day}:{hour}".encode()) for hour in range(24)]
        store.record("dukascopy", "EURUSD", day, 100_000, failed, now=NOW)
    assert replicate_provenance(store, objects, ["EURUSD"], days).sent_files == 11 * 25
    del client.objects[next(key for key in client.objects if key.startswith("quarantine/"))]
    assert len(reconcile_provenance(store, objects, ["EURUSD"], days).differences) == 1
    assert replicate_provenance(store, objects, ["EURUSD"], days).sent_files == 1
    assert reconcile_provenance(store, objects, ["EURUSD"], days).differences == ()


def test_replicate_provenance_holds_back_the_manifest_of_a_date_that_lacks_a_file(
    filled: RawStore, objects: ObjectStore, client: FakeS3Client
) -> None:
    assert replicate_provenance(filled, objects, ["EURUSD"], [DAY], lost=[KEY]).sent_files == 1
    assert list(client.objects) == PROVENANCE[:1]

    def refuse(call: str, key: str) -> None:
        if call == "put_object" and key.startswith("delivered/"):
            raise error("AccessDenied", 403)

    client.objects.clear()
    client.before = refuse
    found = replicate_provenance(filled, objects, ["EURUSD"], [DAY])
    assert ([letter.reason for letter in found.dead_letters], client.objects) == (["TARGET_DENIED"], {})


def test_reconcile_of_revisions_and_of_provenance_do_not_see_each_other(replicated: RawStore, objects: ObjectStore) -> None:
    found = [judge(replicated, objects, ["EURUSD"], [DAY], is_deep=True) for judge in (reconcile, reconcile_provenance)]
    assert [(each.files, each.differences) for each in found] == [(1, ()), (2, ())]


@pytest.mark.parametrize("key", PROVENANCE)
@pytest.mark.parametrize("body", [b"", None])
def test_reconcile_provenance_other_bytes_or_none_are_a_difference(
    replicated: RawStore, objects: ObjectStore, client: FakeS3Client, key: str, body: bytes | None
) -> None:
    del client.objects[key]
    if body is not None:
        client.objects[key] = (body, {})
    assert [item.key for item in reconcile_provenance(replicated, objects, ["EURUSD"], [DAY]).differences] == [key]


def test_reconcile_provenance_deep_reads_what_deliveries_hold(replicated: RawStore, objects: ObjectStore, client: FakeS3Client) -> None:
    client.objects[PROVENANCE[0]] = (b"y", {})
    assert reconcile_provenance(replicated, objects, ["EURUSD"], [DAY]).differences == ()
    assert [item.key for item in reconcile_provenance(replicated, objects, ["EURUSD"], [DAY], is_deep=True).differences] == PROVENANCE[:1]


def files_of(root: Path) -> dict[str, bytes]:
    found = [path for path in root.rglob("*") if path.is_file() and not path.name.startswith(".")]
    return {str(path.relative_to(root)): path.read_bytes() for path in found}


def test_restore_gives_an_empty_folder_the_same_bytes(replicated: RawStore, objects: ObjectStore, tmp_path: Path) -> None:
    other = RawStore(tmp_path / "other")
    assert restore(other, objects).restored == 3
    assert files_of(other.root) == files_of(replicated.root)
    assert verify_folder(other) == []
    assert (restore(other, objects).restored, restore(other, objects).kept) == (0, 3)


def verify_folder(store: RawStore) -> list[str]:
    return [str(mismatch) for mismatch in store.verify()]


@pytest.mark.parametrize("wanted", [{"symbols": ["GBPUSD"]}, {"first": date(2024, 1, 9)}, {"last": date(2024, 1, 7)}])
def test_restore_brings_only_what_was_asked_for(replicated: RawStore, objects: ObjectStore, tmp_path: Path, wanted: dict[str, Any]) -> None:
    assert restore(RawStore(tmp_path / "other"), objects, **wanted).restored == 0


def test_restore_brings_a_missing_file_and_leaves_a_changed_one(replicated: RawStore, objects: ObjectStore) -> None:
    delivered, csv = replicated.root / "dukascopy" / "EURUSD" / "delivered", replicated.root / "dukascopy" / "EURUSD" / Path(KEY).name
    kept = next(delivered.iterdir())
    kept.unlink()
    csv.chmod(0o644)
    csv.write_bytes(b"changed")
    assert restore(replicated, objects).restored == 1
    assert (kept.read_bytes(), csv.read_bytes()) == (b"x", b"changed")


@pytest.mark.parametrize("is_there", [True, False])
def test_restore_refuses_other_bytes_and_writes_no_manifest_of_a_date_that_is_not_whole(
    replicated: RawStore, objects: ObjectStore, client: FakeS3Client, tmp_path: Path, is_there: bool
) -> None:
    body = client.objects.pop(KEY)[0]
    if is_there:
        client.objects[KEY] = (body[::-1], {})
    other = RawStore(tmp_path / "other")
    found = restore(other, objects)
    assert ([item.key for item in found.problems], other.manifest("dukascopy", "EURUSD", DAY)) == ([KEY], None)


def test_restore_changed_manifest_is_named(replicated: RawStore, objects: ObjectStore) -> None:
    path = replicated.manifest_path("dukascopy", "EURUSD", DAY)
    path.write_bytes(path.read_bytes().replace(b"fake", b"fike"))
    assert [item.key for item in restore(replicated, objects).problems] == PROVENANCE[1:]
