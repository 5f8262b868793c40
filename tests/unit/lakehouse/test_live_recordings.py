"""Recordings into the raw store: which hours count, what is kept, what a repeat or a tear changes."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.lakehouse.local_catalog import local_lakehouse
from tick_assets.domain.hour_states import HourState
from tick_assets.domain.instruments import Market, is_synthetic
from tick_assets.lakehouse import hour_ledger, raw_csv
from tick_assets.lakehouse.live_recordings import (
    LiveReport,
    Recording,
    ingest_recordings,
    malformed_reason,
    parse_lines,
    read_lines,
    recorded_dates,
    rows_of_delivery,
    waiting_recordings,
)
from tick_assets.lakehouse.raw_store import HOURS, Manifest, RawStore
from tick_assets.lakehouse.raw_ticks import read_day
from tick_assets.settings import load_settings

DAY = date(2024, 1, 10)
"""A Wednesday: the market of EURUSD is open in every hour."""
SOURCE, SYMBOL = "live-demo", "EURUSD"
DURING = datetime(2024, 1, 10, 10, 30, tzinfo=UTC)
AFTER = datetime(2024, 1, 11, 0, 30, tzinfo=UTC)


def quote(hour: int, second: int, ask: int = 110_003, bid: int = 110_000) -> str:
    return f"2024-01-10T{hour:02d}:00:{second:02d}.000Z,{ask},{bid},750000,1500000\n"


MORNING = [quote(8, 0), quote(8, 5, 110_004), quote(9, 1), quote(9, 2, 110_009), quote(10, 0)]


def write(root: Path, lines: Sequence[str], *, closed: bool = False, symbol: str = SYMBOL, header: str = raw_csv.HEADER) -> Path:
    folder = root / SOURCE / symbol
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{DAY}.csv{'' if closed else '.part'}"
    (folder / f"{DAY}.csv.part").unlink(missing_ok=True)
    path.write_text(header + "".join(lines))
    return path


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "recordings"


@pytest.fixture
def store(tmp_path: Path) -> RawStore:
    return RawStore(tmp_path / "raw")


def ingest(root: Path, store: RawStore, market: Market, now: datetime = DURING) -> LiveReport:
    return ingest_recordings(root, store, market, [DAY], now=now)


def states(store: RawStore) -> dict[int, HourState]:
    manifest = store.manifest(SOURCE, SYMBOL, DAY)
    assert manifest is not None
    return {entry.hour: entry.state for entry in manifest.hours}


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_hours_before_the_newest_are_answered_and_the_running_one_is_pending(root: Path, store: RawStore, market: Market) -> None:
    write(root, MORNING)
    ingest(root, store, market)
    empty, ok, pending = HourState.VENDOR_EMPTY, HourState.OK, HourState.PENDING
    assert list(states(store).values()) == [empty] * 8 + [ok] * 2 + [pending] * 14
    assert store.revisions(SOURCE, SYMBOL, DAY) == ()


def test_closed_recording_makes_the_first_revision_with_its_very_lines(root: Path, store: RawStore, market: Market) -> None:
    path = write(root, MORNING, closed=True)
    (report,) = ingest(root, store, market, AFTER).dates
    (revision,) = store.revisions(SOURCE, SYMBOL, DAY)
    assert (report.new_revision, report.rows, report.is_complete) == (0, 5, True)
    assert (store.folder(SOURCE, SYMBOL) / revision.file).read_bytes() == path.read_bytes()
    manifest = store.manifest(SOURCE, SYMBOL, DAY)
    assert manifest is not None
    assert manifest.origin == "live"
    assert store.verify() == []


def test_header_and_deliveries_are_the_recording_again(root: Path, store: RawStore, market: Market) -> None:
    path = write(root, MORNING, closed=True)
    ingest(root, store, market, AFTER)
    manifest = store.manifest(SOURCE, SYMBOL, DAY)
    assert manifest is not None
    held = [entry for entry in manifest.hours if entry.state is HourState.OK]
    deliveries = [store.delivered_path(SOURCE, SYMBOL, entry.response_sha256).read_bytes() for entry in held]
    assert raw_csv.HEADER.encode() + b"".join(deliveries) == path.read_bytes()
    spans = [entry.url.partition("#bytes=")[2].split("-") for entry in held]
    assert [path.read_bytes()[int(first) : int(last) + 1] for first, last in spans] == deliveries
    assert [raw_csv.canonical_sha256(rows_of_delivery(delivery)) for delivery in deliveries] == [entry.canonical_sha256 for entry in held]


def test_same_bytes_again_touch_no_file(root: Path, store: RawStore, market: Market) -> None:
    write(root, MORNING, closed=True)
    ingest(root, store, market, AFTER)
    before = files(store.root)
    (again,) = ingest(root, store, market, AFTER + timedelta(hours=3)).dates
    assert again.new_revision is None
    assert files(store.root) == before


def test_hour_that_was_ingested_early_is_what_it_is_in_the_end(root: Path, store: RawStore, market: Market, tmp_path: Path) -> None:
    late = RawStore(tmp_path / "late")
    for count in range(1, len(MORNING) + 1):
        write(root, MORNING[:count])
        ingest(root, store, market)
    write(root, MORNING, closed=True)
    ingest(root, store, market, AFTER)
    ingest(root, late, market, AFTER)
    (stepwise,), (at_once,) = (each.revisions(SOURCE, SYMBOL, DAY) for each in (store, late))
    assert (stepwise.revision, stepwise.sha256) == (at_once.revision, at_once.sha256) == (0, at_once.sha256)


def test_changed_bytes_of_an_ingested_hour_make_a_revision_of_that_hour(root: Path, store: RawStore, market: Market) -> None:
    write(root, MORNING, closed=True)
    ingest(root, store, market, AFTER)
    write(root, [*MORNING[:4], quote(9, 30), MORNING[4]], closed=True)
    (report,) = ingest(root, store, market, AFTER).dates
    assert report.new_revision == 1
    assert [entry.hours for entry in store.revisions(SOURCE, SYMBOL, DAY)] == [tuple(range(HOURS)), (9,)]


def test_recording_that_lost_an_ingested_hour_is_named_and_the_rows_stay(root: Path, store: RawStore, market: Market) -> None:
    write(root, MORNING, closed=True)
    ingest(root, store, market, AFTER)
    write(root, MORNING[2:], closed=True)
    report = ingest(root, store, market, AFTER)
    (text,) = report.failures
    assert "08h: expected the 2 rows that were ingested, was none" in text
    assert states(store)[8] is HourState.OK


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("2024-01-10T08:00:07.000Z,110003,1100,TORN", "cut short when the service was killed"),
        ("2024-01-10T08:00:07.000Z,110003,110000,750000", "expected 5 cells, was 4"),
        ("2024-01-10T08:00:07.000Z,110003.5,110000,1,1", "expected ask_points as whole points, was '110003.5'"),
        ("2024-01-10T08:00:07.000Z,110003,,1,1", "expected bid_points as whole points, was ''"),
        ("2024-01-10 08:00:07,110003,110000,1,1", "expected a UTC stamp and finite sizes"),
        ("2024-01-10T08:00:07.000Z,110003,110000,inf,1", "expected a UTC stamp and finite sizes"),
    ],
)
def test_line_that_is_no_quote_is_a_malformed_row_in_its_place(root: Path, store: RawStore, market: Market, line: str, reason: str) -> None:
    write(root, [MORNING[0], f"{line}\n", *MORNING[1:]], closed=True)
    (report,) = ingest(root, store, market, AFTER).dates
    rows = store.read_date(SOURCE, SYMBOL, DAY)
    assert rows["raw_line"].to_list() == [None, line, *[None] * 4]
    assert malformed_reason(line) == reason
    assert [text for text in report.malformed if f"line 3: {reason}" in text] == list(report.malformed)
    assert store.verify() == []


def test_torn_tail_of_a_running_recording_is_no_line_yet(root: Path, store: RawStore, market: Market) -> None:
    write(root, [*MORNING, "2024-01-10T11:00"])
    (report,) = ingest(root, store, market).dates
    assert (report.malformed, report.failures) == ((), ())
    assert states(store)[10] is HourState.PENDING


def test_torn_tail_that_nobody_will_end_counts_as_the_service_would_end_it(root: Path, store: RawStore, market: Market) -> None:
    path = write(root, [*MORNING, "2024-01-10T11:00"])
    yesterday = AFTER.timestamp() - 3600
    os.utime(path, (yesterday, yesterday))
    ingest(root, store, market, AFTER)
    assert store.read_date(SOURCE, SYMBOL, DAY)["raw_line"].to_list()[-1] == "2024-01-10T11:00,TORN"
    path.write_bytes(path.read_bytes() + b",TORN\n")
    path.rename(path.with_name(f"{DAY}.csv"))
    (report,) = ingest(root, store, market, AFTER).dates
    assert report.new_revision is None


def test_past_recording_that_just_grew_is_not_final(root: Path, store: RawStore, market: Market) -> None:
    path = write(root, MORNING)
    os.utime(path, (AFTER.timestamp() - 60, AFTER.timestamp() - 60))
    (report,) = ingest(root, store, market, AFTER).dates
    assert not report.is_complete


def test_unknown_symbol_is_refused_by_name_and_others_go_on(root: Path, store: RawStore, market: Market) -> None:
    write(root, MORNING, closed=True)
    write(root, MORNING, closed=True, symbol="ABCDEF")
    report = ingest(root, store, market, AFTER)
    assert [day.symbol for day in report.dates] == [SYMBOL]
    (refusal,) = report.refused
    assert refusal.startswith("live-demo/ABCDEF/2024-01-10.csv: Expected one of the symbols")
    assert store.symbols(SOURCE) == (SYMBOL,)


def test_other_columns_are_refused(root: Path, store: RawStore, market: Market) -> None:
    write(root, MORNING, closed=True, header="ts_event,bid_points,ask_points,ask_size,bid_size\n")
    assert "Expected the columns ts_event,ask_points" in ingest(root, store, market, AFTER).refused[0]


def test_line_of_another_date_fails_its_hour_and_is_quarantined(root: Path, store: RawStore, market: Market) -> None:
    write(root, [*MORNING, quote(10, 3).replace("2024-01-10", "2024-01-09")], closed=True)
    report = ingest(root, store, market, AFTER)
    assert "10h: TIMESTAMP_OUTSIDE_FILE" in report.failures[0]
    assert (states(store)[9], states(store)[10]) == (HourState.OK, HourState.FAILED)
    assert len(list((store.folder(SOURCE, SYMBOL) / "quarantine").iterdir())) == 1


def test_recording_without_any_stamp_fails_and_its_bytes_are_kept(root: Path, store: RawStore, market: Market) -> None:
    path = write(root, ["garbage\n"], closed=True)
    report = ingest(root, store, market, AFTER)
    assert "RECORDING_UNPLACED" in report.failures[0]
    (kept,) = (store.folder(SOURCE, SYMBOL) / "quarantine").iterdir()
    assert kept.name == hashlib.sha256(path.read_bytes()).hexdigest()


def test_recording_without_ticks_is_a_date_without_rows(root: Path, store: RawStore, market: Market) -> None:
    write(root, [], closed=True)
    (report,) = ingest(root, store, market, AFTER).dates
    assert (report.new_revision, report.rows, report.states["vendor_empty"]) == (0, 0, 24)


def test_weekend_hour_without_ticks_is_closed(root: Path, store: RawStore, market: Market) -> None:
    folder = root / SOURCE / SYMBOL
    folder.mkdir(parents=True)
    (folder / "2024-01-13.csv").write_text(raw_csv.HEADER)
    (report,) = ingest_recordings(root, store, market, [date(2024, 1, 13)], now=AFTER + timedelta(days=4)).dates
    assert report.states["closed"] == 24


@pytest.mark.parametrize(("order", "current"), [(("vendor",), "vendor"), (("live-demo", "vendor"), "live-demo")])
def test_order_of_sources_decides_which_is_current(root: Path, store: RawStore, market: Market, order: Sequence[str], current: str) -> None:
    write(root, MORNING, closed=True)
    ingest(root, store, market, AFTER)
    other = RawStore(store.root)
    write(root / "elsewhere", MORNING[:2], closed=True)
    ingest(root / "elsewhere", RawStore(store.root.parent / "vendor raw"), market, AFTER)
    (store.root.parent / "vendor raw" / SOURCE).rename(store.root / "vendor")
    path = store.root / "vendor" / SYMBOL / f"{DAY}.manifest.json"
    path.write_bytes(replace(Manifest.from_json(path.read_bytes()), source="vendor").to_json())
    day, rows = read_day(other, SYMBOL, DAY, order)
    assert (day.source, day.rows, set(rows.filter("is_current")["source"])) == (current, 7, {current})


@pytest.mark.parametrize(
    ("stated", "order"),
    [
        ("", ("dukascopy",)),
        ("live-demo", ("dukascopy", "live-demo")),
        ("live-demo,dukascopy", ("live-demo", "dukascopy")),
    ],
)
def test_vendor_is_preferred_unless_the_order_gives_it_another_place(stated: str, order: tuple[str, ...]) -> None:
    assert load_settings(source="dukascopy", source_order=stated).sources_in_order == order


@pytest.mark.parametrize(
    ("symbol", "source", "synthetic"),
    [("SYNEDGE", "live-demo", True), ("EURUSD", "synthetic-twin", True), ("EURUSD", "live-demo", False)],
)
def test_live_ticks_of_a_made_up_market_are_synthetic(symbol: str, source: str, synthetic: bool) -> None:
    assert is_synthetic(symbol, source) is synthetic


def test_live_fills_a_date_that_the_vendor_lacks(root: Path, store: RawStore, market: Market) -> None:
    write(root, MORNING, closed=True)
    ingest(root, store, market, AFTER)
    day, rows = read_day(store, SYMBOL, DAY, ("dukascopy",))
    assert (day.source, day.current_rows) == (SOURCE, 5)
    assert rows["source_file"].unique().to_list() == ["live-demo/EURUSD/2024-01-10.r000.csv"]


def test_dates_of_recordings_are_listed(root: Path) -> None:
    write(root, MORNING)
    assert recorded_dates(root) == [DAY]


def test_recording_waits_until_it_is_ingested(root: Path, store: RawStore, market: Market) -> None:
    write(root, MORNING)
    assert waiting_recordings(root, store, DURING) == []
    path = write(root, MORNING, closed=True)
    assert waiting_recordings(root, store, AFTER) == [Recording(path, SOURCE, SYMBOL, DAY)]
    ingest(root, store, market, AFTER)
    assert waiting_recordings(root, store, AFTER) == []


def test_ledger_shows_the_source_that_was_asked_before_any_has_a_revision(
    root: Path, store: RawStore, market: Market, tmp_path: Path
) -> None:
    write(root, MORNING)
    ingest(root, store, market)
    rows = hour_ledger.publish(local_lakehouse(tmp_path), store, [SYMBOL], [DAY], ("vendor", SOURCE))
    assert {row["source"] for row in rows} == {SOURCE}
    assert [row["hour"] for row in rows if row["state"] == "ok"] == [8, 9]


CELLS = st.one_of(
    st.sampled_from(["2024-01-10T08:00:00.000Z", "2024-01-10T23:59:59.999999Z", "2024-01-11T00:00:00.000Z", "110003", ""]), st.text()
)


@given(st.binary(max_size=60), st.lists(st.lists(CELLS, max_size=6).map(",".join)), st.booleans())
def test_any_bytes_end_in_lines_that_add_up(tmp_path_factory: pytest.TempPathFactory, tail: bytes, lines: list[str], ended: bool) -> None:
    path = tmp_path_factory.getbasetemp() / f"{DAY}.csv"
    path.write_bytes(raw_csv.HEADER.encode() + "".join(f"{line}\n" for line in lines).encode(errors="replace") + tail)
    recording = Recording(path, SOURCE, SYMBOL, DAY)
    content = read_lines(recording, ended=ended)
    parsed = parse_lines(content, recording)
    assert raw_csv.HEADER.encode() + b"".join(content[start:end] for start, end in parsed.select("start", "end").rows()) == content
    assert content.startswith(path.read_bytes()) or path.read_bytes().startswith(content)
