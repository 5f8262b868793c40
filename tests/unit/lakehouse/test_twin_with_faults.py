"""The real client over loopback HTTP against the twin with faults: the ledger tells the truth, and current raw rows are what was served."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import date
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from tests.unit.lakehouse.twin_market import (
    DATES,
    FRIDAY,
    SOURCE,
    SYMBOL,
    THURSDAY,
    current_rows,
    generate_market,
    revised_hour,
    run_ingestion,
    served_hours,
    serving,
)
from tick_assets.domain.hour_states import HourState
from tick_assets.domain.instruments import Market
from tick_assets.domain.market_calendar import open_hours
from tick_assets.lakehouse.raw_store import HourEntry, RawStore
from tick_assets.lakehouse.revision_diffs import reports
from tick_assets.lakehouse.vendors.faults import Fault

TRANSIENT = [
    ("empty", 1),
    ("404", 1),
    ("html", 2),
    ("503", 2),
    ("429", 2),
    ("reset", 2),
    ("cut", 2),
    ("truncated", 3),
    ("slow", 1),
]
PERMANENT = {
    "html": "PAYLOAD_NOT_TICKS",
    "truncated": "PAYLOAD_TRUNCATED",
    "404": "HTTP_404",
    "503": "HTTP_503",
    "429": "HTTP_429",
    "reset": "VENDOR_UNREACHABLE",
    "cut": "VENDOR_UNREACHABLE",
}
ONLY_JSON_SHOWS = {"wrong_hour": "TIMESTAMP_OUTSIDE_HOUR", "wrong_month": "TIMESTAMP_OUTSIDE_HOUR"}
KEEPS_BYTES = {"html", "truncated", "wrong_hour", "wrong_month"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return generate_market(tmp_path_factory.mktemp("vendor") / "root")


def path_of(form: str, hour: int, day: date = FRIDAY) -> str:
    if form == "json":
        return f"/v1/ticks/{SYMBOL}/{day.year}/{day.month}/{day.day}/{hour}"
    return f"/{SYMBOL}/{day.year}/{day.month - 1:02d}/{day.day:02d}/{hour:02d}h_ticks.bi5"


def fault(form: str, kind: str, times: int = 0, hour: int = 5) -> Fault:
    return Fault(path_of(form, hour), kind, times, seconds=0.0 if kind == "429" else 1.5)


def hours_of(store: RawStore, day: date = FRIDAY) -> tuple[HourEntry, ...]:
    manifest = store.manifest(SOURCE, SYMBOL, day)
    assert manifest is not None
    return manifest.hours


def assert_rows_are_what_was_served(store: RawStore, folder: Path, replaced: dict[tuple[date, int], pl.DataFrame] | None = None) -> None:
    for day in DATES:
        served = [(replaced or {}).get((day, hour), rows) for hour, rows in enumerate(served_hours(folder, day))]
        assert_frame_equal(current_rows(store, day), pl.concat(served))
        assert [entry.rows for entry in hours_of(store, day)] == [len(rows) for rows in served]
    assert store.verify() == []


def assert_ledger_tells_what_the_folder_has(store: RawStore, folder: Path) -> None:
    for day in DATES:
        is_open = open_hours("fx", day)
        truth = [
            HourState.OK if len(rows) else HourState.VENDOR_EMPTY if is_open[hour] else HourState.CLOSED
            for hour, rows in enumerate(served_hours(folder, day))
        ]
        assert [entry.state for entry in hours_of(store, day)] == truth


@pytest.mark.parametrize("form", ["bi5", "json"])
def test_transient_faults_leave_no_trace(store: RawStore, market: Market, folder: Path, form: str) -> None:
    kinds = TRANSIENT + ([(kind, 2) for kind in ONLY_JSON_SHOWS] if form == "json" else [])
    faults = [fault(form, kind, times, hour) for hour, (kind, times) in enumerate(kinds, start=3)]
    with serving(folder, market, *faults) as server:
        report = run_ingestion(server, store, market, [form])
    assert report.failures == ()
    assert_ledger_tells_what_the_folder_has(store, folder)
    assert_rows_are_what_was_served(store, folder)
    assert [len(store.revisions(SOURCE, SYMBOL, day)) for day in DATES] == [1, 1]


@pytest.mark.parametrize("form", ["bi5", "json"])
def test_permanent_faults_fail_their_hours_only_and_a_second_run_heals_them(
    store: RawStore, market: Market, folder: Path, form: str
) -> None:
    reasons = PERMANENT | (ONLY_JSON_SHOWS if form == "json" else {})
    hit = dict(enumerate(reasons, start=3))
    with serving(folder, market, *(fault(form, kind, hour=hour) for hour, kind in hit.items())) as server:
        run_ingestion(server, store, market, [form])
    failed = {entry.hour: entry for entry in hours_of(store) if entry.state is HourState.FAILED}
    assert {hour: entry.reason.split(":")[0] for hour, entry in failed.items()} == {hour: reasons[kind] for hour, kind in hit.items()}
    quarantine = {path.name for path in (store.folder(SOURCE, SYMBOL) / "quarantine").iterdir()}
    assert quarantine == {failed[hour].response_sha256 for hour, kind in hit.items() if kind in KEEPS_BYTES}
    others = [rows for hour, rows in enumerate(served_hours(folder, FRIDAY)) if hour not in hit]
    assert_frame_equal(current_rows(store, FRIDAY), pl.concat(others))

    with serving(folder, market) as server:
        assert run_ingestion(server, store, market, [form]).failures == ()
    assert sorted(server.asked) == sorted(path_of(form, hour) for hour in hit)
    assert_ledger_tells_what_the_folder_has(store, folder)
    assert_rows_are_what_was_served(store, folder)


def test_hour_that_stays_empty_is_ledgered_after_a_second_look_and_not_asked_again(store: RawStore, market: Market, folder: Path) -> None:
    with serving(folder, market, fault("bi5", "empty")) as server:
        assert run_ingestion(server, store, market, ["bi5"]).failures == ()
        asked = list(server.asked)
        assert (hours_of(store)[5].state, asked.count(path_of("bi5", 5)), asked[-1]) == (HourState.VENDOR_EMPTY, 2, path_of("bi5", 5))
        server.asked.clear()
        run_ingestion(server, store, market, ["bi5"])
        assert list(server.asked) == []


def test_hours_that_one_feed_can_not_serve_come_from_the_other(store: RawStore, market: Market, folder: Path) -> None:
    hit = dict(enumerate(["empty", *PERMANENT, *ONLY_JSON_SHOWS], start=3))
    with serving(folder, market, *(fault("json", kind, hour=hour) for hour, kind in hit.items())) as server:
        assert run_ingestion(server, store, market, ["json", "bi5"]).failures == ()
    from_bi5 = {entry.hour for entry in hours_of(store) if entry.wire_format == "bi5" and entry.state is HourState.OK}
    assert set(hit) <= from_bi5
    assert_ledger_tells_what_the_folder_has(store, folder)
    assert_rows_are_what_was_served(store, folder)


@pytest.mark.parametrize(("dead", "formats"), [("/v1/*", ["json", "bi5"]), ("*.bi5", ["bi5", "json"])])
def test_dead_feed_costs_a_few_requests_and_no_data(
    store: RawStore, market: Market, folder: Path, dead: str, formats: Sequence[str]
) -> None:
    with serving(folder, market, Fault(dead, "reset")) as server:
        assert run_ingestion(server, store, market, formats).failures == ()
    asked_of_the_dead = sum(path.startswith("/v1/") == (dead == "/v1/*") for path in server.asked)
    assert asked_of_the_dead <= 16
    assert_ledger_tells_what_the_folder_has(store, folder)
    assert_rows_are_what_was_served(store, folder)


def test_revised_hour_is_a_revision_with_a_report_and_the_other_format_is_none(store: RawStore, market: Market, folder: Path) -> None:
    with serving(folder, market) as server:
        run_ingestion(server, store, market, ["bi5"])
        assert [each.new_revision for each in run_ingestion(server, store, market, ["json"], refetch=True).dates] == [None, None]
    said: list[str] = []
    with serving(folder, market, fault("json", "revised")) as server:
        report = run_ingestion(server, store, market, ["json"], refetch=True, progress=said.append)
    assert [each.new_revision for each in report.dates] == [None, 1]
    assert_rows_are_what_was_served(store, folder, {(FRIDAY, 5): revised_hour(folder, market, FRIDAY, 5)})
    document = next(reports(store, SOURCE, SYMBOL, FRIDAY))
    totals = document["totals"]
    assert ([hour["hour"] for hour in document["hours"]], totals["added"], totals["removed"], totals["changed"]) == ([5], 0, 1, 1)
    assert totals["max_price_move_points"] == 1
    assert [line.split()[0] for line in said] == ["event=ticks_ingested", "event=hours_revised", "event=ticks_ingested"]


def test_interrupted_run_keeps_its_answers_and_the_next_asks_only_the_rest(store: RawStore, market: Market, folder: Path) -> None:
    def interrupt(line: str) -> None:
        if line.startswith("event=ticks_ingested"):
            raise KeyboardInterrupt

    with serving(folder, market, Fault("/v1/ticks/SYNEDGE/2024/1/12/1*", "slow", seconds=0.25)) as server:
        with pytest.raises(KeyboardInterrupt):
            run_ingestion(server, store, market, ["json"], progress=interrupt)
        missing = {hour.hour for hour in hours_of(store) if hour.state is HourState.PENDING}
        assert all(hour.state is not HourState.PENDING for hour in hours_of(store, THURSDAY))
        assert 0 < len(missing) < 24
        server.asked.clear()
        run_ingestion(server, store, market, ["json"])
        assert {int(path.rsplit("/", 1)[1]) for path in server.asked} == missing
    assert_rows_are_what_was_served(store, folder)


@pytest.mark.parametrize("seed", range(2))
def test_storm_of_random_faults_ends_in_the_served_rows(store: RawStore, market: Market, folder: Path, seed: int) -> None:
    """Sixty faults over both formats of one date, most hitting several times: a few runs of the same command end in what was served."""
    draw = random.Random(seed)
    kinds = [kind for kind, _ in TRANSIENT if kind not in ("empty", "slow")]
    faults = [
        fault(form, draw.choice(kinds + (list(ONLY_JSON_SHOWS) if form == "json" else [])), draw.randint(1, 6), draw.randrange(1, 24))
        for form in draw.choices(("bi5", "json"), k=60)
    ]
    with serving(folder, market, *faults) as server:
        for _ in range(6):
            report = run_ingestion(server, store, market, draw.choice((["json", "bi5"], ["bi5", "json"])))
            if not report.failures:
                break
    assert report.failures == ()
    assert_ledger_tells_what_the_folder_has(store, folder)
    assert_rows_are_what_was_served(store, folder)
