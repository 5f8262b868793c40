"""`tick raw`: what it lists and finds, its exit codes, and that the command it names asks for the listed hours alone."""

from __future__ import annotations

import json
import lzma
import struct
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from tick_assets.cli import raw
from tick_assets.domain.instruments import Market, parse_market
from tick_assets.lakehouse.ingestion import ingest_dates
from tick_assets.lakehouse.raw_store import RawStore
from tick_assets.lakehouse.vendors.fake import FakeVendor

DAYS = (date(2024, 1, 8), date(2024, 1, 9))
NOW = datetime(2024, 1, 12, tzinfo=UTC)
REFUSED = {("EURUSD", DAYS[0], 3), ("EURUSD", DAYS[1], 7), ("GBPUSD", DAYS[1], 20)}
TICKS = lzma.compress(struct.pack(">IIIff", 1000, 110_008, 110_000, 1.0, 1.0), format=lzma.FORMAT_ALONE)


@pytest.fixture
def market() -> Market:
    return parse_market((Path(__file__).resolve().parents[3] / "execution" / "market.toml").read_text())


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RawStore:
    monkeypatch.setenv("TICK_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("TICK_SYMBOLS", "EURUSD,GBPUSD")
    return RawStore(tmp_path / "state" / "raw")


def vendor(refused: set[tuple[str, date, int]]) -> FakeVendor:
    """Ticks in every hour, but for those that it refuses."""
    answers = {
        (symbol, datetime(day.year, day.month, day.day, hour, tzinfo=UTC)): [(503, b"")]
        if (symbol, day, hour) in refused
        else [(200, TICKS)]
        for symbol in ("EURUSD", "GBPUSD")
        for day in DAYS
        for hour in range(24)
    }
    return FakeVendor(answers, NOW)


def ingest(store: RawStore, market: Market, refused: set[tuple[str, date, int]]) -> set[tuple[str, date, int]]:
    """Ingest both dates and return which hours the vendor was asked for."""
    asked = vendor(refused)
    ingest_dates(asked, store, market, ("EURUSD", "GBPUSD"), DAYS, source="dukascopy", clock=lambda: NOW)
    return {(symbol, hour.date(), hour.hour) for symbol, hour in asked.asked}


def run(*arguments: str) -> tuple[str, int, BaseException | None]:
    app = typer.Typer()
    raw.app_commands(app)
    result = CliRunner().invoke(app, ["raw", *arguments])
    return result.stdout, result.exit_code, result.exception


def listed(*arguments: str) -> Any:
    output, code, _ = run("hours", "--json", *arguments)
    assert code == 0
    return json.loads(output)


def test_hours_lists_failed_ones_with_reason_and_url_after_a_summary(store: RawStore, market: Market) -> None:
    ingest(store, market, REFUSED)
    found = listed()
    assert {(hour["symbol"], date.fromisoformat(hour["date"]), hour["hour"]) for hour in found["hours"]} == REFUSED
    assert {(hour["state"], hour["reason"]) for hour in found["hours"]} == {("failed", "HTTP_503")}
    assert all(hour["url"].startswith("fake://") for hour in found["hours"])
    assert [(row["symbol"], row["ok"], row["failed"], row["completeness"]) for row in found["summary"]] == [
        ("EURUSD", 46, 2, 0.9583),
        ("GBPUSD", 47, 1, 0.9792),
    ]
    assert found["ask"] == ["tick backfill --symbols EURUSD,GBPUSD --from 2024-01-08 --to 2024-01-09"]


def test_hours_that_are_listed_are_those_that_the_next_backfill_asks_for_and_no_other(store: RawStore, market: Market) -> None:
    """`tick backfill` ingests so; nothing else decides which hours are asked."""
    ingest(store, market, REFUSED)
    assert ingest(store, market, set()) == REFUSED
    assert listed()["hours"] == []
    assert listed()["ask"] == []
    assert ingest(store, market, set()) == set()


def test_hours_of_other_states_and_bounds(store: RawStore, market: Market) -> None:
    ingest(store, market, REFUSED)
    ok = listed("--symbols", "EURUSD", "--from", "2024-01-09", "--to", "2024-01-09", "--state", "ok")
    assert (len(ok["hours"]), {hour["symbol"] for hour in ok["hours"]}) == (23, {"EURUSD"})


def test_hours_that_nobody_asked_for_are_pending(store: RawStore) -> None:
    found = listed("--symbols", "EURUSD", "--from", "2024-01-06", "--to", "2024-01-08")
    assert [hour["state"] for hour in found["hours"]] == ["pending"] * 72
    assert (found["summary"][0]["expected"], found["summary"][0]["completeness"]) == (26, 0.0)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--state", "lost"), "Expected states of"),
        ((), "Expected recorded dates"),
        (("--from", "2024-01-09", "--to", "2024-01-08"), "Swap them"),
        (("--symbols", "NOSUCH", "--from", "2024-01-09", "--to", "2024-01-09"), "market file"),
    ],
)
def test_hours_that_can_not_be_listed_say_why(store: RawStore, arguments: tuple[str, ...], words: str) -> None:
    _, code, error = run("hours", *arguments)
    assert code == 1
    assert words in str(error)


def test_verify_whole_files_exit_0_and_say_what_was_compared(store: RawStore, market: Market) -> None:
    ingest(store, market, REFUSED)
    output, code, _ = run("verify")
    assert code == 0
    assert "4 files of 4 symbol-dates, 2 deliveries" in output
    assert "93 rows, 93 hours derived again" in output
    assert output.rstrip().endswith("0 mismatches")


def test_verify_a_changed_byte_exits_1_and_names_file_and_hour(store: RawStore, market: Market) -> None:
    ingest(store, market, REFUSED)
    path = store.folder("dukascopy", "GBPUSD") / "2024-01-09.r000.csv"
    path.chmod(0o644)
    path.write_bytes(path.read_bytes().replace(b"T13:00:01.000Z,110008", b"T13:00:01.000Z,110007"))
    output, code, _ = run("verify")
    assert code == 1
    assert "dukascopy/GBPUSD/2024-01-09.r000.csv hour 13: " in output
    _, code, _ = run("verify", "--symbols", "EURUSD")
    assert code == 0
    document, code, _ = run("verify", "--from", "2024-01-09", "--to", "2024-01-09", "--json")
    assert (code, {mismatch["hour"] for mismatch in json.loads(document)["mismatches"]}) == (1, {None, 13})


def test_restore_without_a_place_is_refused(store: RawStore) -> None:
    _, code, error = run("restore")
    assert (code, "--from-replica" in str(error)) == (1, True)
