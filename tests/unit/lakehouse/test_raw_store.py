"""The raw store: revisions, crashes, verification."""

from __future__ import annotations

import contextlib
import hashlib
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from tick_assets.domain.hour_states import HourState
from tick_assets.domain.ticks import Ticks
from tick_assets.lakehouse import raw_store
from tick_assets.lakehouse.raw_csv import rows_from_ticks
from tick_assets.lakehouse.raw_store import HourOutcome, RawStore, RawStoreError, RecordReport

DAY = date(2024, 1, 8)
NOW = datetime(2026, 1, 2, tzinfo=UTC)
MIDNIGHT_US = 1_704_672_000_000_000


class KilledError(BaseException):
    """Stands for the end of the process: nothing in the product catches it."""


def rows_of(hour: int, price: int = 110_000, count: int = 3) -> pl.DataFrame:
    stamps = MIDNIGHT_US + hour * 3_600_000_000 + np.arange(count) * 1_000_000
    prices = np.full(count, price)
    return rows_from_ticks(Ticks(stamps, prices, prices + 8, np.full(count, 1e6), np.full(count, 2e6)))


def ok(hour: int, price: int = 110_000) -> HourOutcome:
    return HourOutcome(hour, HourState.OK, NOW, f"fake://{hour}", "bi5", f"{hour}:{price}".encode(), rows_of(hour, price))


def without_rows(hour: int, state: HourState) -> HourOutcome:
    return HourOutcome(hour, state, NOW, f"fake://{hour}", "bi5", b"junk" if state is HourState.FAILED else b"", None, "WHY")


def whole_day(**special: HourOutcome) -> list[HourOutcome]:
    outcomes = {hour: ok(hour) for hour in range(24)} | {int(name[1:]): outcome for name, outcome in special.items()}
    return list(outcomes.values())


def record(store: RawStore, outcomes: list[HourOutcome]) -> RecordReport:
    return store.record("dukascopy", "EURUSD", DAY, 100_000, outcomes, now=NOW)


def csv_files(store: RawStore) -> list[str]:
    return sorted(path.name for path in store.folder("dukascopy", "EURUSD").glob("*.csv"))


def test_record_with_a_pending_hour_writes_no_revision(store: RawStore) -> None:
    report = record(store, whole_day()[:23])
    assert (report.new_revision, csv_files(store)) == (None, [])
    assert report.manifest.hours_to_ask == (23,)


def test_record_in_two_parts_writes_the_bytes_of_one(store: RawStore, tmp_path: Path) -> None:
    record(store, whole_day()[:10])
    record(store, whole_day()[10:])
    other = RawStore(tmp_path / "other")
    record(other, whole_day())
    assert store.revisions("dukascopy", "EURUSD", DAY)[0].sha256 == other.revisions("dukascopy", "EURUSD", DAY)[0].sha256
    assert not list(store.folder("dukascopy", "EURUSD").glob(".*.part"))


def test_record_the_same_again_changes_nothing(store: RawStore) -> None:
    record(store, whole_day())
    assert record(store, whole_day()).new_revision is None
    assert csv_files(store) == ["2024-01-08.r000.csv"]


def test_record_changed_hour_makes_a_revision_of_that_hour_only(store: RawStore) -> None:
    record(store, whole_day())
    report = record(store, whole_day(h7=ok(7, price=120_000)))
    entry = report.manifest.revisions[1]
    assert (report.new_revision, entry.hours, entry.rows) == (1, (7,), 3)
    rows = store.read_date("dukascopy", "EURUSD", DAY)
    current = rows.filter("is_current")
    assert (len(rows), len(current)) == (75, 72)
    assert current.filter(pl.col("revision") == 1)["bid_points"].to_list() == [120_000] * 3


def test_record_late_hour_makes_the_next_revision(store: RawStore) -> None:
    record(store, whole_day(h3=without_rows(3, HourState.FAILED)))
    report = record(store, [ok(3)])
    assert (report.new_revision, report.changed_hours) == (1, (3,))
    assert report.manifest.hours[3].revision == 1


@pytest.mark.parametrize("state", [HourState.VENDOR_EMPTY, HourState.FAILED, HourState.CLOSED])
def test_record_answer_without_rows_never_replaces_rows(store: RawStore, state: HourState) -> None:
    record(store, whole_day())
    report = record(store, [without_rows(5, state)])
    assert (report.new_revision, report.manifest.hours[5].state, report.manifest.hours[5].rows) == (None, HourState.OK, 3)
    assert str(state) in report.manifest.hours[5].reason


def test_record_keeps_deliveries_read_only_and_failures_in_quarantine(store: RawStore) -> None:
    record(store, whole_day(h3=without_rows(3, HourState.FAILED)))
    folder = store.folder("dukascopy", "EURUSD")
    kept = folder / "delivered" / hashlib.sha256(b"0:110000").hexdigest()
    assert kept.read_bytes() == b"0:110000"
    assert kept.stat().st_mode & 0o222 == 0
    assert [path.read_bytes() for path in (folder / "quarantine").iterdir()] == [b"junk"]


def test_record_other_price_factor_is_refused(store: RawStore) -> None:
    record(store, whole_day())
    with pytest.raises(RawStoreError, match="price factor"):
        store.record("dukascopy", "EURUSD", DAY, 1000, [ok(1)], now=NOW)


def test_ledger_rows_of_an_unknown_date_are_24_times_pending(store: RawStore) -> None:
    rows = store.ledger_rows("dukascopy", "EURUSD", DAY)
    assert [row["state"] for row in rows] == ["pending"] * 24


def test_ledger_rows_carry_what_the_table_has(store: RawStore) -> None:
    record(store, whole_day(h3=without_rows(3, HourState.VENDOR_EMPTY)))
    row = store.ledger_rows("dukascopy", "EURUSD", DAY)[3]
    assert (row["state"], row["rows"], row["revision"], row["checked_at"]) == ("vendor_empty", 0, 0, NOW)
    assert set(row) == {
        "symbol",
        "date",
        "hour",
        "source",
        "state",
        "revision",
        "rows",
        "url",
        "response_sha256",
        "canonical_sha256",
        "checked_at",
    }


def test_leftovers_of_a_crash_are_ignored_and_replaced(store: RawStore) -> None:
    folder = store.folder("dukascopy", "EURUSD")
    folder.mkdir(parents=True)
    (folder / ".tmp-dead").write_bytes(b"half")
    (folder / "2024-01-08.r000.csv").write_bytes(b"ts_event,half")
    assert store.manifest("dukascopy", "EURUSD", DAY) is None
    assert store.read_date("dukascopy", "EURUSD", DAY).is_empty()
    record(store, whole_day())
    assert store.verify() == []
    assert len(store.read_date("dukascopy", "EURUSD", DAY)) == 72


@pytest.mark.parametrize("crash_at", range(27))
def test_killed_writer_leaves_all_or_nothing_and_the_next_write_completes(
    store: RawStore, monkeypatch: pytest.MonkeyPatch, crash_at: int
) -> None:
    """Stop the writer just before its n-th file appears: 24 deliveries, the CSV, the manifest; 26 is a writer that lives."""
    names = iter(range(100))
    original = raw_store.write_file

    def dying(path: Path, content: bytes, *, is_read_only: bool = False) -> None:
        if next(names) == crash_at:
            raise KilledError
        original(path, content, is_read_only=is_read_only)

    with monkeypatch.context() as patch, contextlib.suppress(KilledError):
        patch.setattr(raw_store, "write_file", dying)
        record(store, whole_day())
    assert len(store.read_date("dukascopy", "EURUSD", DAY)) in (0, 72)
    record(store, whole_day())
    assert len(store.read_date("dukascopy", "EURUSD", DAY)) == 72
    assert store.verify() == []


def tamper(path: Path, old: bytes, new: bytes) -> None:
    path.chmod(0o644)
    path.write_bytes(path.read_bytes().replace(old, new, 1))


def test_verify_changed_row_names_file_and_hour(store: RawStore) -> None:
    record(store, whole_day(h7=ok(7, price=120_000)))
    tamper(store.folder("dukascopy", "EURUSD") / "2024-01-08.r000.csv", b"120008", b"120009")
    found = store.verify()
    assert {(mismatch.file, mismatch.hour) for mismatch in found} == {("2024-01-08.r000.csv", None), ("2024-01-08.r000.csv", 7)}


def test_verify_missing_file_and_changed_delivery_are_named(store: RawStore) -> None:
    record(store, whole_day())
    sha256 = hashlib.sha256(b"4:110000").hexdigest()
    tamper(store.delivered_path("dukascopy", "EURUSD", sha256), b"4", b"5")
    (store.folder("dukascopy", "EURUSD") / "2024-01-08.r000.csv").unlink()
    assert {(mismatch.file, mismatch.hour) for mismatch in store.verify()} == {("2024-01-08.r000.csv", None), (f"delivered/{sha256}", 4)}


def test_read_date_changed_file_is_refused(store: RawStore) -> None:
    record(store, whole_day())
    tamper(store.folder("dukascopy", "EURUSD") / "2024-01-08.r000.csv", b"110008", b"110009")
    with pytest.raises(RawStoreError, match="sha-256"):
        store.read_date("dukascopy", "EURUSD", DAY)


def test_current_source_prefers_the_configured_one_with_rows(store: RawStore) -> None:
    record(store, [without_rows(hour, HourState.FAILED) for hour in range(24)])
    store.record("import-histdata", "EURUSD", DAY, 100_000, whole_day(), now=NOW, origin="import")
    assert store.current_source("EURUSD", DAY, ("dukascopy",)) == "import-histdata"
    record(store, whole_day())
    assert store.current_source("EURUSD", DAY, ("dukascopy",)) == "dukascopy"


def test_record_ok_without_rows_is_refused(store: RawStore) -> None:
    with pytest.raises(ValueError, match="rows"):
        record(store, [replace(ok(1), rows=rows_of(1, count=0))])
