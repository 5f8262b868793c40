"""A small synthetic market behind the twin: generate it, serve it with faults, ingest it, and say what was served.

What belongs here: what tests of ingestion over HTTP share. What must not: assertions.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl

from tick_assets.domain.instruments import Market
from tick_assets.domain.synthetic_market import SyntheticMarket
from tick_assets.lakehouse.ingestion import IngestionReport, ingest_dates
from tick_assets.lakehouse.raw_csv import rows_from_ticks, to_raw_rows
from tick_assets.lakehouse.raw_store import RawStore
from tick_assets.lakehouse.vendors.bi5 import bi5_path, decode_bi5
from tick_assets.lakehouse.vendors.circuit import BreakerPolicy
from tick_assets.lakehouse.vendors.dukascopy import DukascopyVendor, RetryPolicy
from tick_assets.lakehouse.vendors.faults import Fault, FaultScript
from tick_assets.lakehouse.vendors.feeds import Feed
from tick_assets.lakehouse.vendors.synthetic import generate_folder
from tick_assets.lakehouse.vendors.twin import HourRequest, TwinFolder, TwinServer

SYMBOL = "SYNEDGE"
SOURCE = "synthetic-twin"
THURSDAY, FRIDAY = date(2024, 1, 11), date(2024, 1, 12)
DATES = (THURSDAY, FRIDAY)
NOW = datetime(2026, 1, 2, tzinfo=UTC)
FAST = RetryPolicy(attempts=3, first_wait_s=0.0, maximum_wait_s=0.0, total_s=20.0)
BREAKER = BreakerPolicy(failures=6, first_pause_s=0.05, maximum_pause_s=0.2, probe_poll_s=0.01)


def generate_market(root: Path, dates: Sequence[date] = DATES) -> Path:
    """Write about 2,000 ticks a date and return the vendor folder."""
    generate_folder(root, {SYMBOL: SyntheticMarket(k=2.0, mean_gap_s=40.0)}, dates, seed=7)
    return root


@contextmanager
def serving(folder: Path, market: Market, *faults: Fault) -> Iterator[TwinServer]:
    """Serve a vendor folder on a free port of loopback."""
    server = TwinServer(TwinFolder(folder, market), FaultScript(faults), "127.0.0.1", 0)
    thread = threading.Thread(target=server.serve_forever, daemon=True, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join(timeout=5)


def run_ingestion(
    server: TwinServer, store: RawStore, market: Market, formats: Sequence[str] = ("json", "bi5"), **options: Any
) -> IngestionReport:
    """Ingest both dates over HTTP, impatiently."""
    feeds = [Feed(wire_format, server.address) for wire_format in formats]
    with DukascopyVendor(feeds, market, clock=lambda: NOW, concurrency=4, policy=FAST, breaker=BREAKER, timeout_s=1.0) as vendor:
        return ingest_dates(vendor, store, market, [SYMBOL], DATES, source=SOURCE, clock=lambda: NOW, **options)


def served_hours(folder: Path, day: date) -> list[pl.DataFrame]:
    """Return the rows of each hour of a date as the folder has them."""
    midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
    hours = [midnight + timedelta(hours=number) for number in range(24)]
    return [rows_from_ticks(decode_bi5((folder / bi5_path(SYMBOL, hour)[1:]).read_bytes(), hour)) for hour in hours]


def revised_hour(folder: Path, market: Market, day: date, number: int) -> pl.DataFrame:
    """Return the rows of an hour as the fault `revised` serves it."""
    hour = datetime(day.year, day.month, day.day, number, tzinfo=UTC)
    payload = (folder / bi5_path(SYMBOL, hour)[1:]).read_bytes()
    request = HourRequest("bi5", SYMBOL, "", hour)
    return rows_from_ticks(decode_bi5(TwinFolder(folder, market).revised(request, payload), hour))


def current_rows(store: RawStore, day: date) -> pl.DataFrame:
    """Return a date's current rows in time order, without provenance."""
    read = store.read_date(SOURCE, SYMBOL, day).filter("is_current")
    return to_raw_rows(read.sort("ts_event", maintain_order=True))
