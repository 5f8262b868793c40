"""Replication and the object store over a fake S3 client."""

from __future__ import annotations

import io
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import pytest
from botocore.exceptions import ClientError

from tick_assets.domain.hour_states import HourState
from tick_assets.domain.ticks import Ticks
from tick_assets.lakehouse.object_store import ObjectExistsError, ObjectStore
from tick_assets.lakehouse.raw_csv import rows_from_ticks
from tick_assets.lakehouse.raw_store import HourOutcome, RawStore
from tick_assets.lakehouse.replication import reconcile, replicate

DAY = date(2024, 1, 8)
NOW = datetime(2026, 1, 2, tzinfo=UTC)
KEY = "raw/dukascopy/EURUSD/2024-01-08.r000.csv"


class FakeS3Client:
    """The calls of a boto3 client that the object store makes, over a dictionary."""

    def __init__(self) -> None:
        self.objects: dict[str, tuple[bytes, dict[str, str]]] = {}

    def put_object(self, *, Key: str, Body: bytes, Metadata: dict[str, str], IfNoneMatch: str = "", **_: Any) -> None:
        if IfNoneMatch and Key in self.objects:
            raise ClientError({"Error": {"Code": "PreconditionFailed"}}, "PutObject")
        self.objects[Key] = (Body, Metadata)

    def _object(self, key: str) -> tuple[bytes, dict[str, str]]:
        if key not in self.objects:
            raise ClientError({"Error": {"Code": "404"}}, "HeadObject")
        return self.objects[key]

    def head_object(self, *, Key: str, **_: Any) -> dict[str, Any]:
        body, metadata = self._object(Key)
        return {"ContentLength": len(body), "Metadata": metadata}

    def get_object(self, *, Key: str, **_: Any) -> dict[str, Any]:
        return {"Body": io.BytesIO(self._object(Key)[0])}

    def get_paginator(self, _: str) -> FakeS3Client:
        return self

    def paginate(self, *, Prefix: str, **_: Any) -> list[dict[str, Any]]:
        return [
            {"Contents": [{"Key": key, "Size": len(body)} for key, (body, _) in sorted(self.objects.items()) if key.startswith(Prefix)]}
        ]


@pytest.fixture
def client() -> FakeS3Client:
    return FakeS3Client()


@pytest.fixture
def objects(client: FakeS3Client) -> ObjectStore:
    return ObjectStore(client, "tick")


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
