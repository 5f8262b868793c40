"""`raw/ticks_csv` as Dagster runs it, over a fake vendor: a byte that changed turns its check red and names file and hour.

What belongs here: the checks of raw files. What must not: what a mismatch is (`test_raw_verification`).
"""

from __future__ import annotations

import lzma
import struct
from collections.abc import Sequence
from datetime import UTC, date, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from tick_assets.assets.raw import ticks_csv
from tick_assets.lakehouse.raw_store import RawStore
from tick_assets.lakehouse.vendors.fake import FakeVendor
from tick_assets.resources import Road, Scope

DAY = date(2024, 1, 8)
TICKS = lzma.compress(struct.pack(">IIIff", 1000, 110_008, 110_000, 1.0, 1.0), format=lzma.FORMAT_ALONE)


class KeptRows:
    """The lake's side of the asset: rows go to a list."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []

    def replace_rows(self, _: str, rows: Sequence[dict[str, Any]], __: object) -> None:
        self.rows = list(rows)


class FakeRoad(Road):
    """The road with a vendor that answers every hour, and no servers."""

    @cached_property
    def lakehouse(self) -> Any:
        return KeptRows()

    def vendor(self) -> FakeVendor:
        hours = {("EURUSD", datetime(2024, 1, 8, hour, tzinfo=UTC)): [(200, TICKS)] for hour in range(24)}
        return FakeVendor(hours, datetime(2024, 1, 9, tzinfo=UTC))


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RawStore:
    monkeypatch.setenv("TICK_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("TICK_SOURCE", "dukascopy")
    return RawStore(tmp_path / "state" / "raw")


def materialize() -> dict[str, dg.AssetCheckEvaluation]:
    result = dg.materialize(
        [ticks_csv], resources={"road": FakeRoad(), "scope": Scope(symbols=["EURUSD"])}, partition_key=DAY.isoformat(), raise_on_error=False
    )
    return {check.check_name: check for check in result.get_asset_check_evaluations()}


def test_raw_files_are_unchanged_after_ingestion(store: RawStore) -> None:
    checks = materialize()
    assert {name: check.passed for name, check in checks.items()} == {
        "configured_symbols_are_present": True,
        "every_hour_was_answered": True,
        "raw_files_are_unchanged": True,
    }
    assert checks["raw_files_are_unchanged"].metadata["derived_hours"].value == 24


def test_raw_files_changed_byte_is_red_and_names_file_and_hour(store: RawStore) -> None:
    materialize()
    path = store.folder("dukascopy", "EURUSD") / f"{DAY}.r000.csv"
    path.chmod(0o644)
    path.write_bytes(path.read_bytes().replace(b"T13:00:01.000Z,110008", b"T13:00:01.000Z,110007"))
    check = materialize()["raw_files_are_unchanged"]
    assert (check.passed, check.blocking) == (False, True)
    assert "dukascopy/EURUSD/2024-01-08.r000.csv hour 13: " in str(check.description)
