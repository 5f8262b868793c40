"""A changed byte in any raw file is found, and file and hour are named."""

from __future__ import annotations

import hashlib
import json
import lzma
import struct
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tick_assets.domain.hour_states import HourState
from tick_assets.domain.instruments import Market
from tick_assets.lakehouse.importers.importing import import_path
from tick_assets.lakehouse.ingestion import classify
from tick_assets.lakehouse.live_recordings import ingest_recordings
from tick_assets.lakehouse.raw_store import HourOutcome, RawStore
from tick_assets.lakehouse.raw_verification import verify_raw
from tick_assets.lakehouse.vendors.port import HourResponse

SOURCE, SYMBOL, DAY = "dukascopy", "EURUSD", date(2024, 1, 8)
NOW = datetime(2026, 1, 2, tzinfo=UTC)
CSV = "2024-01-08.r000.csv"


def bi5(hour: int, price: int = 110_000, volume: float = 1.25) -> bytes:
    rows = [(hour + i * 1000, price + i + 8, price + i, volume, volume + 1) for i in range(20)]
    return lzma.compress(b"".join(struct.pack(">IIIff", *row) for row in rows), format=lzma.FORMAT_ALONE)


def answered(hour: int, payload: bytes, status: int = 200) -> HourOutcome:
    at = datetime(DAY.year, DAY.month, DAY.day, hour, tzinfo=UTC)
    response = HourResponse(SYMBOL, at, payload, f"fake://{hour}", "bi5", status, NOW)
    return classify(response, price_factor=100_000, is_open=True)


def record(store: RawStore, *outcomes: HourOutcome) -> None:
    store.record(SOURCE, SYMBOL, DAY, 100_000, outcomes, now=NOW)


@pytest.fixture
def filled(store: RawStore) -> RawStore:
    """A date with ticks, an empty hour, an hour that could not be used, and a revision of hour 9."""
    served = {hour: bi5(hour, 110_000 + 100 * hour) for hour in range(24)} | {3: b"", 4: b"junk"}
    record(store, *(answered(hour, payload) for hour, payload in served.items()))
    record(store, answered(9, bi5(9, 120_000)))
    return store


def found(store: RawStore) -> set[tuple[str, int | None]]:
    return {(mismatch.file, mismatch.hour) for mismatch in verify_raw(store).mismatches}


def change(path: Path, at: int, flip: int = 1) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= flip
    path.chmod(0o644)
    path.write_bytes(content)


def response_of(store: RawStore, hour: int) -> Path:
    manifest = store.manifest(SOURCE, SYMBOL, DAY)
    assert manifest is not None
    return store.response_path(SOURCE, SYMBOL, manifest.hours[hour])


def test_verify_whole_files_has_no_mismatch_and_says_what_was_compared(filled: RawStore) -> None:
    result = verify_raw(filled)
    assert result.mismatches == ()
    # 22 hours with ticks, the revised one twice; its first answer is kept beside those that hours name.
    assert (result.symbol_dates, result.files, result.rows, result.derived_hours, result.deliveries) == (1, 2, 23 * 20, 22, 24)


def test_verify_changed_price_names_file_and_hour(filled: RawStore) -> None:
    path = filled.folder(SOURCE, SYMBOL) / CSV
    change(path, path.read_bytes().index(b"111108") + 5)
    assert found(filled) == {(CSV, None), (CSV, 11)}


def test_verify_change_too_small_for_the_canonical_hash_names_the_hour_too(filled: RawStore) -> None:
    """1250000.0 is the same number as 1250000, and other text."""
    path = filled.folder(SOURCE, SYMBOL) / CSV
    lines = path.read_bytes().split(b"\n")
    row = next(i for i, line in enumerate(lines) if line.startswith(b"2024-01-08T13"))
    lines[row] = lines[row].replace(b",1250000,", b",1250000.0,")
    path.chmod(0o644)
    path.write_bytes(b"\n".join(lines))
    assert found(filled) == {(CSV, None), (CSV, 13)}


def test_verify_changed_delivery_names_it_and_its_hour(filled: RawStore) -> None:
    path = response_of(filled, 7)
    change(path, 30)
    assert found(filled) == {(f"delivered/{path.name}", 7)}


def test_verify_delivery_renamed_to_its_new_hash_is_still_found(filled: RawStore) -> None:
    """Somebody changed bytes, name and manifest alike: the rows that the delivery gives are not those of the CSV."""
    path, other = response_of(filled, 7), bi5(7, 999)
    sha256 = hashlib.sha256(other).hexdigest()
    path.with_name(sha256).write_bytes(other)
    manifest_path = filled.manifest_path(SOURCE, SYMBOL, DAY)
    document = json.loads(manifest_path.read_text().replace(path.name, sha256))
    del document["manifest_sha256"]
    manifest_path.write_text(json.dumps(document))
    assert found(filled) == {(f"delivered/{sha256}", 7)}


def test_verify_changed_header_names_the_file(filled: RawStore) -> None:
    change(filled.folder(SOURCE, SYMBOL) / CSV, 0)
    assert found(filled) == {(CSV, None)}


def test_verify_missing_files_are_named(filled: RawStore) -> None:
    (filled.folder(SOURCE, SYMBOL) / CSV).unlink()
    path = response_of(filled, 4)
    path.unlink()
    assert found(filled) == {(CSV, None), (f"quarantine/{path.name}", 4)}


def test_verify_delivery_that_no_hour_names_any_more_is_compared_with_its_name(filled: RawStore) -> None:
    path = filled.delivered_path(SOURCE, SYMBOL, hashlib.sha256(bi5(9, 110_900)).hexdigest())
    change(path, 30)
    assert found(filled) == {(f"delivered/{path.name}", None)}


def test_verify_changed_manifest_is_named(filled: RawStore) -> None:
    path = filled.manifest_path(SOURCE, SYMBOL, DAY)
    change(path, path.read_bytes().index(b"fake://17") + 8)
    assert found(filled) == {(path.name, None)}


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_verify_any_changed_byte_in_any_file_is_found(filled: RawStore, data: st.DataObject) -> None:
    folder = filled.folder(SOURCE, SYMBOL)
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.startswith(".") and path.stat().st_size)
    path = data.draw(st.sampled_from(paths))
    at = data.draw(st.integers(0, path.stat().st_size - 1))
    flip = data.draw(st.integers(1, 255))
    change(path, at, flip)
    try:
        assert str(path.relative_to(folder)) in {file for file, _ in found(filled)}
    finally:
        change(path, at, flip)


@pytest.mark.parametrize(
    ("symbols", "first", "last", "dates"),
    [((), None, None, 2), (("EURUSD",), None, None, 2), (("GBPUSD",), None, None, 0), ((), DAY, DAY, 1), ((), None, DAY, 1)],
)
def test_verify_covers_what_was_asked(
    filled: RawStore, symbols: tuple[str, ...], first: date | None, last: date | None, dates: int
) -> None:
    closed = [HourOutcome(hour, HourState.CLOSED, NOW) for hour in range(24)]
    filled.record(SOURCE, SYMBOL, DAY + timedelta(days=5), 100_000, closed, now=NOW)
    assert verify_raw(filled, symbols, first, last).symbol_dates == dates


def test_verify_derives_hours_of_recordings(store: RawStore, tmp_path: Path, market: Market) -> None:
    recording = tmp_path / "recordings" / "live-demo" / SYMBOL / f"{DAY}.csv"
    recording.parent.mkdir(parents=True)
    header = "ts_event,ask_points,bid_points,ask_size,bid_size\n"
    recording.write_text(header + "2024-01-08T10:00:00.000Z,110008,110000,1,2\n2024-01-08T11:00:00.000Z,110009,110001,1,2\n")
    ingest_recordings(tmp_path / "recordings", store, market, [DAY], now=NOW)
    result = verify_raw(store)
    assert (result.derived_hours, result.mismatches) == (2, ())


def test_verify_compares_imported_texts_by_name_and_canonical_hash(store: RawStore, tmp_path: Path, market: Market) -> None:
    path = tmp_path / "DAT_ASCII_EURUSD_T_202401.csv"
    path.write_text("".join(f"20240108 0{hour}0000{i:03d},1.1000{i},1.1008{i},0\n" for hour in range(3) for i in range(5)))
    import_path(path, store, market.instrument(SYMBOL), now=NOW)
    assert verify_raw(store).mismatches == ()
    kept = next((store.folder("import-histdata", SYMBOL) / "delivered").iterdir())
    change(kept, 30)
    assert found(store) == {(f"delivered/{kept.name}", hour) for hour in (5, 6, 7)}
