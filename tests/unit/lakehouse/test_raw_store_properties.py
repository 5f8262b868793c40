"""Any answers of hours, in any order and any number of recordings: one state each, the last ticks count, revisions stay.

What belongs here: properties of the raw store over sequences of outcomes. What must not: single cases (`test_raw_store`).
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tick_assets.domain.hour_states import HourState
from tick_assets.domain.ticks import Ticks
from tick_assets.lakehouse.raw_csv import rows_from_ticks
from tick_assets.lakehouse.raw_store import HOURS, HourOutcome, RawStore

SOURCE, SYMBOL, DAY = "dukascopy", "EURUSD", date(2024, 1, 8)
NOW = datetime(2026, 1, 2, tzinfo=UTC)
MIDNIGHT_US = 1_704_672_000_000_000
WITHOUT_ROWS = (HourState.CLOSED, HourState.VENDOR_EMPTY, HourState.FAILED)


def ok(hour: int, price: int) -> HourOutcome:
    """Ticks whose number and prices depend on the price, so that any mix of two answers is seen."""
    stamps = MIDNIGHT_US + hour * 3_600_000_000 + np.arange(price) * 1_000_000
    prices = np.full(price, price)
    rows = rows_from_ticks(Ticks(stamps, prices, prices + 8, np.full(price, 1e6), np.full(price, 2e6)))
    return HourOutcome(hour, HourState.OK, NOW, "fake://", "bi5", f"{hour}:{price}".encode(), rows)


def without_rows(hour: int, state: HourState) -> HourOutcome:
    response = b"junk" if state is HourState.FAILED else b""
    return HourOutcome(hour, state, NOW, "fake://", "bi5", response, None, "WHY" if state is HourState.FAILED else "")


hours = st.integers(0, HOURS - 1)
outcomes = st.one_of(st.builds(ok, hours, st.integers(1, 3)), st.builds(without_rows, hours, st.sampled_from(WITHOUT_ROWS)))
whole_days = st.lists(st.one_of(st.integers(1, 3), st.sampled_from(WITHOUT_ROWS)), min_size=HOURS, max_size=HOURS).map(
    lambda answers: [ok(hour, answer) if isinstance(answer, int) else without_rows(hour, answer) for hour, answer in enumerate(answers)]
)
recordings = st.lists(st.one_of(st.lists(outcomes, min_size=1, max_size=6), whole_days), min_size=1, max_size=6)


@dataclass
class Expected:
    """What the store must say: the last ticks of an hour, else its last answer."""

    prices: dict[int, int] = field(default_factory=dict)
    states: dict[int, HourState] = field(default_factory=dict)

    def take(self, outcome: HourOutcome) -> None:
        if outcome.rows is not None:
            self.prices[outcome.hour] = len(outcome.rows)
        is_ok = outcome.hour in self.prices
        self.states[outcome.hour] = HourState.OK if is_ok else outcome.state

    @property
    def is_complete(self) -> bool:
        return len(self.states) == HOURS


@settings(max_examples=25, deadline=None)
@given(recordings=recordings, is_reopened=st.booleans())
def test_any_outcomes_in_any_recordings_leave_one_state_each_and_the_last_ticks(
    recordings: list[list[HourOutcome]], is_reopened: bool
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "raw"
        store, expected, seen = RawStore(root), Expected(), {}
        for number, answers in enumerate(recordings):
            store = RawStore(root) if is_reopened else store
            store.record(SOURCE, SYMBOL, DAY, 100_000, answers, now=NOW + timedelta(minutes=number))
            for outcome in answers:
                expected.take(outcome)
            require(store, expected)
            seen = require_kept(store, seen)
        assert store.verify() == []


def require(store: RawStore, expected: Expected) -> None:
    """Compare states and current rows with what must be."""
    manifest = store.manifest(SOURCE, SYMBOL, DAY)
    assert manifest is not None
    assert [entry.hour for entry in manifest.hours] == list(range(HOURS))
    assert {entry.hour: entry.state for entry in manifest.hours if entry.state is not HourState.PENDING} == expected.states
    assert manifest.is_written is expected.is_complete
    rows = store.read_date(SOURCE, SYMBOL, DAY).filter("is_current")
    held = sorted(zip(rows["ts_event"].dt.hour().to_list(), rows["bid_points"].to_list(), strict=True))
    wanted = sorted((hour, price) for hour, price in expected.prices.items() for _ in range(price))
    assert held == (wanted if expected.is_complete else [])


def require_kept(store: RawStore, before: dict[str, bytes]) -> dict[str, bytes]:
    """Require that every revision which was there is there with the same bytes, and return those that are there now."""
    after = {path.name: path.read_bytes() for path in store.folder(SOURCE, SYMBOL).glob("*.csv")}
    assert {name: after.get(name) for name in before} == before
    assert sorted(after) == [entry.file for entry in store.revisions(SOURCE, SYMBOL, DAY)]
    return after
