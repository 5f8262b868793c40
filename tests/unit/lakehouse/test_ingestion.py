"""Ingestion over the twin and the fake: what is asked, what an answer means, what a fault leaves."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from tick_assets.domain.hour_states import HourState
from tick_assets.domain.instruments import Market
from tick_assets.domain.synthetic_market import SyntheticMarket
from tick_assets.lakehouse.ingestion import IngestionReport, InstrumentMismatchError, SourceError, classify, ingest_dates
from tick_assets.lakehouse.raw_store import RawStore
from tick_assets.lakehouse.vendors.dukascopy import DukascopyVendor, RetryPolicy
from tick_assets.lakehouse.vendors.fake import FakeVendor
from tick_assets.lakehouse.vendors.faults import Fault, FaultScript, parse_faults
from tick_assets.lakehouse.vendors.feeds import Feed, feeds_of
from tick_assets.lakehouse.vendors.instrument_table import ListedInstrument
from tick_assets.lakehouse.vendors.port import HourResponse
from tick_assets.lakehouse.vendors.synthetic import RealNameError, generate_folder, latent_folder
from tick_assets.lakehouse.vendors.twin import TwinFolder, TwinServer, parse_route
from tick_assets.settings import Settings

FRIDAY = date(2024, 1, 12)
SOURCE = "synthetic-twin"
NOW = datetime(2026, 1, 2, tzinfo=UTC)
FAST = RetryPolicy(attempts=2, first_wait_s=0.0, maximum_wait_s=0.0)
Twin = Callable[..., TwinServer]


@pytest.fixture(scope="session")
def vendor_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("vendor") / "root"
    generate_folder(root, {"SYNEDGE": SyntheticMarket(k=2.0, mean_gap_s=60.0)}, [FRIDAY], seed=1)
    return root


@pytest.fixture
def twin(vendor_folder: Path, market: Market) -> Iterator[Twin]:
    servers: list[TwinServer] = []

    def start(*faults: Fault) -> TwinServer:
        server = TwinServer(TwinFolder(vendor_folder, market), FaultScript(faults), "127.0.0.1", 0)
        threading.Thread(target=server.serve_forever, daemon=True, kwargs={"poll_interval": 0.01}).start()
        servers.append(server)
        return server

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def ingest(
    address: str, store: RawStore, market: Market, wire_formats: Sequence[str] = ("bi5",), *, refetch: bool = False
) -> IngestionReport:
    feeds = [Feed(wire_format, address) for wire_format in wire_formats]
    with DukascopyVendor(feeds, market, clock=lambda: NOW, concurrency=4, policy=FAST, timeout_s=0.5) as vendor:
        return ingest_dates(vendor, store, market, ["SYNEDGE"], [FRIDAY], source=SOURCE, clock=lambda: NOW, refetch=refetch)


@pytest.mark.parametrize("wire_format", ["bi5", "json"])
def test_ingest_dates_fills_a_friday(twin: Twin, store: RawStore, market: Market, wire_format: str) -> None:
    report = ingest(twin().address, store, market, [wire_format]).dates[0]
    assert (report.states["ok"], report.states["closed"], report.new_revision) == (22, 2, 0)
    assert len(store.read_date(SOURCE, "SYNEDGE", FRIDAY)) == report.rows > 1000


def test_ingest_dates_again_asks_nothing(twin: Twin, store: RawStore, market: Market) -> None:
    address = twin().address
    ingest(address, store, market)
    assert ingest(address, store, market).asked_hours == 0


def test_ingest_dates_refetch_in_the_other_format_is_no_revision(twin: Twin, store: RawStore, market: Market) -> None:
    address = twin().address
    ingest(address, store, market, ["bi5"])
    report = ingest(address, store, market, ["json"], refetch=True)
    assert (report.asked_hours, report.dates[0].new_revision) == (24, None)


@pytest.mark.parametrize(
    ("fault", "state", "reason"),
    [
        (Fault("*/05h_ticks.bi5", "empty"), HourState.VENDOR_EMPTY, ""),
        (Fault("*/05h_ticks.bi5", "503"), HourState.FAILED, "HTTP_503"),
        (Fault("*/05h_ticks.bi5", "truncated"), HourState.FAILED, "PAYLOAD_TRUNCATED"),
        (Fault("*/05h_ticks.bi5", "reset"), HourState.FAILED, "VENDOR_UNREACHABLE"),
        (Fault("*/05h_ticks.bi5", "slow", seconds=0.8), HourState.FAILED, "VENDOR_UNREACHABLE"),
        (Fault("*/05h_ticks.bi5", "empty", times=1), HourState.OK, ""),
        (Fault("*/05h_ticks.bi5", "503", times=1), HourState.OK, ""),
        (Fault("*/05h_ticks.bi5", "truncated", times=1), HourState.OK, ""),
        (Fault("*/05h_ticks.bi5", "reset", times=1), HourState.OK, ""),
    ],
)
def test_ingest_dates_fault_hits_its_hour_only(
    twin: Twin, store: RawStore, market: Market, fault: Fault, state: HourState, reason: str
) -> None:
    report = ingest(twin(fault).address, store, market)
    manifest = store.manifest(SOURCE, "SYNEDGE", FRIDAY)
    assert manifest is not None
    assert manifest.hours[5].state is state
    assert manifest.hours[5].reason.startswith(reason)
    assert sum(entry.state is HourState.OK for entry in manifest.hours) == (22 if state is HourState.OK else 21)
    assert bool(report.failures) is (state is HourState.FAILED)


def test_ingest_dates_json_of_a_neighbour_hour_fails(twin: Twin, store: RawStore, market: Market) -> None:
    report = ingest(twin(Fault("/v1/ticks/*/5", "wrong_hour")).address, store, market, ["json"])
    assert report.dates[0].failures[5].startswith("TIMESTAMP_OUTSIDE_HOUR")


def test_ingest_dates_failed_hour_is_asked_again_and_revised(twin: Twin, store: RawStore, market: Market) -> None:
    ingest(twin(Fault("*/05h_ticks.bi5", "503")).address, store, market)
    report = ingest(twin().address, store, market)
    assert (report.asked_hours, report.dates[0].new_revision) == (1, 1)


def test_ingest_dates_revised_hour_makes_a_revision(twin: Twin, store: RawStore, market: Market) -> None:
    address = twin(Fault("*/05h_ticks.bi5", "revised", after=1)).address
    ingest(address, store, market)
    report = ingest(address, store, market, refetch=True)
    entry = store.revisions(SOURCE, "SYNEDGE", FRIDAY)[1]
    assert (report.dates[0].new_revision, entry.hours) == (1, (5,))


def test_ingest_dates_synthetic_market_under_a_real_source_is_refused(twin: Twin, store: RawStore, market: Market) -> None:
    with DukascopyVendor([Feed("bi5", twin().address)], market, clock=lambda: NOW) as vendor, pytest.raises(SourceError, match="synthetic"):
        ingest_dates(vendor, store, market, ["SYNEDGE"], [FRIDAY], source="dukascopy", clock=lambda: NOW)


def test_ingest_dates_running_day_leaves_hours_pending(store: RawStore, market: Market) -> None:
    now = datetime(2024, 1, 12, 5, 30, tzinfo=UTC)
    vendor = FakeVendor({}, now)
    report = ingest_dates(vendor, store, market, ["EURUSD"], [FRIDAY], source="dukascopy", clock=lambda: now)
    assert {hour.hour for _, hour in vendor.asked} == {0, 1, 2, 3, 4}
    assert (report.dates[0].states["pending"], report.dates[0].new_revision) == (19, None)


class WatchedVendor(FakeVendor):
    """A fake that is asked by several threads: how many at once at most, and when each hour was asked."""

    def __init__(self, concurrency: int, seconds: float = 0.0, second_look_s: float = 0.0) -> None:
        super().__init__({}, NOW)
        self.concurrency = concurrency
        self.second_look_s = second_look_s
        self.most_at_once = 0
        self.asked_at: dict[datetime, list[float]] = {}
        self._seconds = seconds
        self._at_once = 0
        self._lock = threading.Lock()

    def fetch_hour(self, symbol: str, hour: datetime, *, avoiding: str = "") -> HourResponse:
        with self._lock:
            self.asked_at.setdefault(hour, []).append(time.monotonic())
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
        time.sleep(self._seconds)
        with self._lock:
            self._at_once -= 1
            return super().fetch_hour(symbol, hour, avoiding=avoiding)


def listed(**changes: Any) -> dict[str, ListedInstrument]:
    return {"EURUSD": replace(ListedInstrument("EURUSD", "EUR-USD", 100_000, date(2003, 5, 4)), **changes)}


def test_ingest_dates_asks_as_many_hours_at_once_as_the_vendor_allows(store: RawStore, market: Market) -> None:
    vendor = WatchedVendor(concurrency=3, seconds=0.01)
    ingest_dates(vendor, store, market, ["EURUSD"], [FRIDAY], source="dukascopy", clock=lambda: NOW)
    assert vendor.most_at_once == 3


def test_ingest_dates_looks_a_second_time_at_empty_open_hours_only_and_not_at_once(store: RawStore, market: Market) -> None:
    vendor = WatchedVendor(concurrency=2, second_look_s=0.2)
    report = ingest_dates(vendor, store, market, ["EURUSD"], [FRIDAY], source="dukascopy", clock=lambda: NOW)
    looks = {hour.hour: asked for hour, asked in vendor.asked_at.items()}
    assert [len(looks[hour]) for hour in range(24)] == [2] * 22 + [1] * 2
    assert min(asked[1] for asked in looks.values() if len(asked) == 2) - max(asked[0] for asked in looks.values()) >= 0.2
    assert report.dates[0].states["vendor_empty"] == 22


def test_ingest_dates_goes_on_with_other_dates_while_a_second_look_waits(store: RawStore, market: Market) -> None:
    vendor = WatchedVendor(concurrency=4, second_look_s=0.3)
    week = [date(2024, 1, 8 + offset) for offset in range(5)]
    ingest_dates(vendor, store, market, ["EURUSD"], week, source="dukascopy", clock=lambda: NOW)
    first_looks = max(asked[0] for asked in vendor.asked_at.values())
    assert first_looks < min(asked[1] for asked in vendor.asked_at.values() if len(asked) == 2)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [({"point_factor": 1000}, "point factor 1000 .* was 100000"), ({"symbol": "EURUSX", "code": "EUR-USX"}, "'EUR-USX' .* was 'EUR-USD'")],
)
def test_ingest_dates_instrument_that_the_vendor_lists_otherwise_is_refused_before_asking(
    store: RawStore, market: Market, changes: dict[str, Any], complaint: str
) -> None:
    vendor = FakeVendor({}, NOW, listings=listed(**changes))
    with pytest.raises(InstrumentMismatchError, match=complaint):
        ingest_dates(vendor, store, market, ["EURUSD"], [FRIDAY], source="dukascopy", clock=lambda: NOW)
    assert (vendor.asked, store.sources()) == ([], ())


def test_ingest_dates_before_the_first_tick_are_closed_without_asking(store: RawStore, market: Market) -> None:
    vendor = FakeVendor({}, NOW, listings=listed(tick_start=FRIDAY))
    thursday = date(2024, 1, 11)
    report = ingest_dates(vendor, store, market, ["EURUSD"], [thursday, FRIDAY], source="dukascopy", clock=lambda: NOW)
    assert {hour.date() for _, hour in vendor.asked} == {FRIDAY}
    assert (report.dates[0].states["closed"], report.dates[0].asked_hours, report.dates[0].new_revision) == (24, 0, 0)
    manifest = store.manifest("dukascopy", "EURUSD", thursday)
    assert manifest is not None
    assert {entry.reason for entry in manifest.hours} == {"BEFORE_FIRST_TICK: the vendor's first tick is of 2024-01-12"}


def test_ingest_dates_says_every_few_seconds_how_far_it_is(store: RawStore, market: Market) -> None:
    """Time runs two hundred times as fast, so that ten seconds are a twentieth of one."""
    said: list[str] = []
    ingest_dates(
        WatchedVendor(concurrency=4, seconds=0.01),
        store,
        market,
        ["EURUSD"],
        [date(2024, 1, 8 + offset) for offset in range(5)],
        source="dukascopy",
        clock=lambda: NOW,
        progress=said.append,
        monotonic=lambda: 200 * time.monotonic(),
    )
    beats = [dict(field.split("=", 1) for field in line.split()) for line in said if line.startswith("event=ingestion_progress")]
    assert [line.split()[0] for line in said].count("event=ticks_ingested") == 5
    assert len(beats) >= 2
    assert set(beats[0]) == {"event", "hours", "hours_per_s", "failed", "in_doubt", "seconds"}
    assert all(later >= earlier for earlier, later in itertools.pairwise(int(beat["hours"].split("/")[0]) for beat in beats))


def test_ingest_dates_silent_feed_gives_way_to_the_other(twin: Twin, store: RawStore, market: Market) -> None:
    feeds = [Feed("json", "http://127.0.0.1:9"), Feed("bi5", twin().address)]
    with DukascopyVendor(feeds, market, clock=lambda: NOW, policy=FAST) as vendor:
        report = ingest_dates(vendor, store, market, ["SYNEDGE"], [FRIDAY], source=SOURCE, clock=lambda: NOW)
    assert report.dates[0].states["ok"] == 22


@pytest.mark.parametrize(
    ("status", "payload", "is_open", "state"),
    [
        (200, b"", True, HourState.VENDOR_EMPTY),
        (200, b"", False, HourState.CLOSED),
        (404, b"", True, HourState.FAILED),
        (404, b"", False, HourState.CLOSED),
        (200, b"<html>", True, HourState.FAILED),
        (200, b"<html>", False, HourState.CLOSED),
        (500, b"", False, HourState.FAILED),
        (0, b"", False, HourState.FAILED),
        (200, b"junk", True, HourState.FAILED),
    ],
)
def test_classify_answer_without_rows_has_its_state(status: int, payload: bytes, is_open: bool, state: HourState) -> None:
    response = HourResponse("EURUSD", datetime(2024, 1, 12, 5, tzinfo=UTC), payload, "fake://", "bi5", status, NOW)
    assert classify(response, price_factor=100_000, is_open=is_open).state is state


def test_generate_folder_real_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RealNameError, match="EURUSD"):
        generate_folder(tmp_path / "x", {"EURUSD": SyntheticMarket(k=0.0)}, [FRIDAY], seed=1)


def test_generate_folder_latent_series_lie_outside(vendor_folder: Path) -> None:
    assert (latent_folder(vendor_folder) / "SYNEDGE" / "2024-01-12.parquet").is_file()
    assert not list(vendor_folder.rglob("*.parquet"))


@pytest.mark.parametrize(
    ("path", "hour"),
    [
        ("/EURUSD/2019/00/31/23h_ticks.bi5", "2019-01-31T23:00:00+00:00"),
        ("/datafeed/EURUSD/2019/11/01/00h_ticks.bi5", "2019-12-01T00:00:00+00:00"),
        ("/v1/ticks/EUR-USD/2019/12/1/0", "2019-12-01T00:00:00+00:00"),
        ("/EURUSD/2019/12/01/00h_ticks.bi5", None),
        ("/../../etc/passwd", None),
    ],
)
def test_parse_route_understands_both_month_counts(path: str, hour: str | None) -> None:
    request = parse_route(path)
    assert (request.hour.isoformat() if request else None) == hour


def test_parse_faults_reads_toml_and_json_alike() -> None:
    toml = parse_faults('[[fault]]\npath = "*"\nkind = "503"\ntimes = 2\n', "f.toml")
    assert toml == parse_faults('[{"path": "*", "kind": "503", "times": 2}]', "f.json") == (Fault("*", "503", 2),)


@pytest.mark.parametrize("entry", ['{"path": "*", "kind": "fire"}', '{"path": "*", "kind": "503", "often": 1}'])
def test_parse_faults_unknown_kind_or_key_is_refused(entry: str) -> None:
    with pytest.raises(ValueError, match=r"fire|often"):
        parse_faults(f"[{entry}]", "f.json")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, ["json", "bi5"]),
        ({"vendor_url": "http://twin"}, ["bi5"]),
        ({"vendor_json_url": "http://twin"}, ["json"]),
        ({"vendor_url": "http://twin", "vendor_json_url": "http://twin"}, ["json", "bi5"]),
    ],
)
def test_feeds_of_uses_the_configured_addresses_only(changes: dict[str, str], expected: list[str]) -> None:
    assert [feed.wire_format for feed in feeds_of(Settings(**changes))] == expected
