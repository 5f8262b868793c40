"""The recorded files of vendors, with their documented counts, crossed quotes and holes; skipped where the folder is absent."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime
from pathlib import Path

import polars as pl
import pytest

from tick_assets.domain.hour_states import HourState
from tick_assets.domain.instruments import Market
from tick_assets.lakehouse.importers.hour_files import hours_by_date, read_date
from tick_assets.lakehouse.importers.importing import ImportReport, find_files, import_path
from tick_assets.lakehouse.raw_csv import canonical_sha256, rows_from_ticks
from tick_assets.lakehouse.raw_store import RawStore
from tick_assets.lakehouse.raw_ticks import read_day
from tick_assets.lakehouse.silver import REJECTS, clean_day
from tick_assets.lakehouse.vendors.wire_formats import decode_hour

NOW = datetime(2026, 11, 21, tzinfo=UTC)
SATURDAY = 5


def states_of(report: ImportReport) -> dict[str, int]:
    counted: Counter[str] = Counter()
    for day in report.dates:
        counted.update(day.states)
    return dict(counted)


def rejects_of(store: RawStore, report: ImportReport, symbol: str) -> dict[str, int]:
    """Clean every date and count the refused rows by reason."""
    counted: Counter[str] = Counter()
    for day in report.dates:
        _, rows = read_day(store, symbol, day.date, ())
        if len(rows):
            counted.update(clean_day((symbol, day.date), rows, {(symbol, day.date): "p"})[REJECTS]["reason_code"].to_list())
    return dict(counted)


@pytest.mark.parametrize(
    ("folder", "symbol", "form", "rows", "dates", "states"),
    [
        ("vendor/bi5", "EURUSD", "bi5", 266_219, 2, {"ok": 48}),
        ("vendor/bi5/BTCUSD", "BTCUSD", "bi5", 14_716, 1, {"ok": 2, "failed": 22}),
        ("vendor/bi5", "XAGUSD", "bi5", 387_596, 28, {"ok": 437, "closed": 212, "vendor_empty": 23}),
        pytest.param(
            *("vendor/bi5", "USDSGD", "bi5", 2_937_410, 90, {"ok": 1492, "closed": 603, "vendor_empty": 65}), marks=pytest.mark.full
        ),
        ("vendor/json", "EURUSD", "dukascopy-json", 3_551, 1, {"ok": 1, "failed": 23}),
        ("vendor/json", "BTCUSD", "dukascopy-json", 8_523, 1, {"ok": 1, "failed": 23}),
        ("files/histdata", "EURUSD", "histdata", 1_500, 1, {"ok": 2, "closed": 22}),  # both of a New Year's Day
        ("files/truefx", "USDJPY", "truefx", 1_000, 1, {"ok": 1, "closed": 22, "failed": 1}),
        ("files/fx-data-csv", "GBPUSD", "fx-data-csv", 7_677, 1, {"ok": 3, "failed": 21}),
    ],
)
def test_import_real_files_have_all_rows_and_no_reject(
    real_data: Path, store: RawStore, market: Market, folder: str, symbol: str, form: str, rows: int, dates: int, states: dict[str, int]
) -> None:
    report = import_path(real_data / folder, store, market.instrument(symbol), now=NOW)
    assert (report.format, report.rows, len(report.dates)) == (form, rows, dates)
    assert {state: count for state, count in states_of(report).items() if count} == states
    assert (report.malformed, report.unusable, rejects_of(store, report, symbol)) == ({}, (), {})


def test_import_fxcm_quotes_tenth_are_crossed_and_an_eighth_have_no_spread(real_data: Path, store: RawStore, market: Market) -> None:
    report = import_path(real_data / "files/fxcm-quotes", store, market.instrument("EURUSD"), now=NOW)
    days = pl.concat([store.read_date(report.source, "EURUSD", day.date) for day in report.dates])
    assert (report.rows, len(report.dates), report.malformed) == (1_144_807, 16, {})
    assert int((days["ask_points"] < days["bid_points"]).sum()) == 116_871  # 10.2 %
    assert int((days["ask_points"] == days["bid_points"]).sum()) == 142_462  # 12.4 %
    assert rejects_of(store, report, "EURUSD") == {"QUOTE_CROSSED": 116_871}
    # The clock is UTC-5 all year: 16 May ends at 05:00 UTC with the file of 15 May, and weeks open on Sunday from 19:00 UTC on.
    assert days["ts_event"].min() == datetime(2014, 5, 1, 5, 0, 1, 787_000, tzinfo=UTC)
    assert report.dates[-1].states["failed"] == 16
    assert report.rows_while_closed == 1_023


@pytest.mark.parametrize(
    ("symbol", "weekdays", "open_hours_empty"),
    [("USDSGD", 65, {0: 65}), ("XAGUSD", 20, {0: 20, 19: 1, 20: 1, 21: 1})],
)
def test_real_hour_00_is_a_hole_on_every_weekday(
    real_data: Path, market: Market, symbol: str, weekdays: int, open_hours_empty: dict[int, int]
) -> None:
    """Only empty files are read: the others are not `vendor_empty` by their length."""
    instrument = market.instrument(symbol)
    dates = hours_by_date(find_files(real_data / "vendor/bi5", instrument), instrument)
    found: Counter[int] = Counter()
    holes: list[date] = []
    for day, hours in dates.items():
        empty = {hour: file for hour, file in hours.items() if file.path.stat().st_size == 0}
        states = {outcome.hour: outcome.state for outcome in read_date(instrument, day, empty, NOW)}
        found.update(hour for hour in empty if states[hour] is HourState.VENDOR_EMPTY)
        if 0 in empty and states[0] is HourState.VENDOR_EMPTY:
            holes.append(day)
    assert dict(found) == open_hours_empty
    assert holes == [day for day in dates if day.weekday() < SATURDAY]
    assert len(holes) == weekdays


def test_real_json_hour_equals_the_bi5_hour_canonically(real_data: Path, market: Market) -> None:
    hour, factor = datetime(2023, 2, 20, 12, tzinfo=UTC), market.instrument("BTCUSD").price_factor
    payloads = {
        "json": real_data / "vendor/json/ticks-BTC-USD-2023-2-20-12.json",
        "bi5": real_data / "vendor/bi5/BTCUSD/2023/01/20/12h_ticks.bi5",
    }
    rows = {form: rows_from_ticks(decode_hour(form, path.read_bytes(), hour, factor)) for form, path in payloads.items()}
    assert len(rows["json"]) == 8_523
    assert canonical_sha256(rows["json"]) == canonical_sha256(rows["bi5"])


def test_import_json_hour_over_the_bi5_hour_is_no_revision(real_data: Path, store: RawStore, market: Market) -> None:
    import_path(real_data / "vendor/bi5", store, market.instrument("BTCUSD"), now=NOW)
    report = import_path(real_data / "vendor/json", store, market.instrument("BTCUSD"), now=NOW)
    assert (report.rows, report.dates[0].new_revision) == (14_716, None)
