"""The road backwards: which orders a ticket names, and the line of the raw file."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from tick_assets.domain.hour_states import HourState
from tick_assets.domain.ticks import Ticks
from tick_assets.lakehouse.raw_csv import rows_from_ticks
from tick_assets.lakehouse.raw_store import HourOutcome, RawStore
from tick_assets.tracking import tracing
from tick_assets.tracking.tracing import Archive, TraceError

DAY = date(2024, 1, 8)
NOW = datetime(2026, 1, 2, tzinfo=UTC)
MIDNIGHT_US = 1_704_672_000_000_000
FIRST, SECOND = "a" * 64, "b" * 64


class EmptyTables:
    """A lakehouse whose evidence tables hold nothing."""

    def frame(self, name: str, *args: Any, columns: tuple[str, ...] = (), **kwargs: Any) -> pl.DataFrame:
        return pl.DataFrame(schema=dict.fromkeys(columns, pl.String))


def _event(signal: str, number: int, state: str, received_at: str, **members: Any) -> dict[str, Any]:
    stamp = f"2024-01-08T00:00:{number:02d}Z"
    return {
        "event_id": f"{signal}:{number}:{state}",
        "signal_id": signal,
        "ts_event": stamp,
        "received_at": received_at,
        "state": state,
        **members,
    }


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    """Two replays numbered their orders alike; the later one is of signal b."""
    folder = tmp_path / "evidence" / "executions"
    folder.mkdir(parents=True)
    events = [
        _event(FIRST, 3, "ACKED", "2026-01-01T00:00:00Z", position_id="1002"),
        _event(SECOND, 4, "CLOSED", "2026-01-02T00:00:01Z", position_id="1002"),
        _event(SECOND, 3, "ACKED", "2026-01-02T00:00:00Z", position_id="1002", venue_order_id="1003"),
        _event("c" * 64, 2, "DENIED", "2026-01-03T00:00:00Z", price=1002),
    ]
    (folder / "2024-01-08.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events) + '{"cut": 1002')
    return Archive(tmp_path, EmptyTables(), None, RawStore(tmp_path / "raw"), b"")  # type: ignore[arg-type]


def test_find_orders_takes_the_newest_of_a_repeated_ticket(archive: Archive) -> None:
    trail = tracing.find_orders(archive, "1002")
    assert (trail.signal_id, trail.others) == (SECOND, (FIRST,))
    assert [event["state"] for event in trail.events] == ["ACKED", "CLOSED"]


@pytest.mark.parametrize(("ticket", "signal"), [("1003", SECOND), ("aaaaaaaa", FIRST), ("cccccccc", "c" * 64)])
def test_find_orders_by_order_id_or_signal_id(archive: Archive, ticket: str, signal: str) -> None:
    assert tracing.find_orders(archive, ticket).signal_id == signal


@pytest.mark.parametrize("ticket", ["1004", "100", "aaaaaaa", ""])
def test_find_orders_unknown_ticket_is_refused(archive: Archive, ticket: str) -> None:
    with pytest.raises(TraceError, match="Expected a ticket"):
        tracing.find_orders(archive, ticket)


def test_find_signal_live_one_wins_over_its_replay(archive: Archive) -> None:
    for folder, mode in (("replays", "replay"), ("signals", "live")):
        path = archive.home / "evidence" / folder / "2024-01-08.jsonl"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps({"signal_id": FIRST, "mode": mode}) + "\n")
    found = tracing.find_signal(archive, "aaaaaaaa")
    assert found is not None
    assert found["mode"] == "live"
    assert tracing.find_signal(archive, "dddddddd") is None


def _record(store: RawStore) -> dict[str, Any]:
    """Record a date of three ticks at ten o'clock and return the silver row of the second."""
    stamps = MIDNIGHT_US + 10 * 3_600_000_000 + np.arange(3) * 1_000_000
    rows = rows_from_ticks(Ticks(stamps, np.array([1, 2, 3]), np.array([5, 6, 7]), np.array([1.5, np.nan, 2.0]), np.full(3, 2e6)))
    outcomes = [HourOutcome(hour, HourState.CLOSED, NOW) for hour in range(24) if hour != 10]
    outcomes.append(HourOutcome(10, HourState.OK, NOW, "fake://10", "bi5", b"delivered", rows))
    store.record("dukascopy", "EURUSD", DAY, 100_000, outcomes, now=NOW)
    stamp = datetime(2024, 1, 8, 10, tzinfo=UTC) + timedelta(seconds=1)
    place = {"symbol": "EURUSD", "date": DAY, "source": "dukascopy", "source_file": "dukascopy/EURUSD/2024-01-08.r000.csv", "source_row": 2}
    return {**place, "ts_event": stamp, "bid_points": 2, "ask_points": 6, "bid_size": None, "ask_size": 2e6}


def test_find_raw_names_line_hash_url_and_delivery(archive: Archive) -> None:
    tick = _record(archive.raw)
    place = tracing.find_raw(archive.raw, tick)
    physical = place.path.read_text().splitlines()[place.physical_line - 1]
    assert (place.line, place.physical_line) == (physical, 3)
    assert (place.hour.url, place.delivered.read_bytes()) == ("fake://10", b"delivered")
    assert [check.holds for check in tracing.check_raw(tick, place)] == [True, True, True]


@pytest.mark.parametrize("change", [{"bid_points": 3}, {"bid_size": 1.0}, {"source_row": 1}])
def test_check_raw_other_values_break_the_first_check(archive: Archive, change: dict[str, Any]) -> None:
    tick = _record(archive.raw) | change
    place = tracing.find_raw(archive.raw, tick)
    assert [check.holds for check in tracing.check_raw(tick, place)] == [False, True, True]


def test_check_raw_altered_files_break_their_checks(archive: Archive) -> None:
    tick = _record(archive.raw)
    path = tracing.find_raw(archive.raw, tick).path
    for file in (path, tracing.find_raw(archive.raw, tick).delivered):
        file.chmod(0o600)
        file.write_bytes(file.read_bytes() + b"\n")
    assert [check.holds for check in tracing.check_raw(tick, tracing.find_raw(archive.raw, tick))] == [True, False, False]
