"""Completeness by day: from the ledger into a dataset's manifest, where later answers don't change it."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

from tests.unit.lakehouse.local_catalog import DAY, local_lakehouse
from tests.unit.lakehouse.test_datasets import MemoryObjects, publish
from tests.unit.lakehouse.test_raw_store import rows_of
from tick_assets.domain.hour_states import HourState
from tick_assets.domain.instruments import Market
from tick_assets.lakehouse import datasets, hour_ledger
from tick_assets.lakehouse.catalog import Lakehouse
from tick_assets.lakehouse.datasets import DatasetRequest
from tick_assets.lakehouse.hour_ledger import DayCompleteness, days_complete
from tick_assets.lakehouse.raw_store import HourOutcome, RawStore

SYMBOL, SATURDAY = "SYNEDGE", date(2024, 1, 13)
NOW = datetime(2026, 1, 2, tzinfo=UTC)


def answer(lakehouse: Lakehouse, store: RawStore, failed: set[int]) -> None:
    """Publish a ledger of one weekday in which some hours failed and the others have no ticks but were answered."""
    outcomes = [
        HourOutcome(hour, HourState.FAILED, NOW, reason="HTTP_503")
        if hour in failed
        else HourOutcome(hour, HourState.OK, NOW, response=f"{hour}".encode(), rows=rows_of(hour))
        for hour in range(24)
    ]
    store.record("synthetic-twin", SYMBOL, DAY, 100_000, outcomes, now=NOW)
    hour_ledger.publish(lakehouse, store, [SYMBOL], [DAY], ["synthetic-twin"])


def request(lakehouse: Lakehouse, market: Market) -> DatasetRequest:
    return DatasetRequest((SYMBOL,), DAY, SATURDAY, completeness=days_complete(lakehouse, market, (SYMBOL,), DAY, SATURDAY))


def test_days_complete_counts_expected_hours_that_are_ok(tmp_path: Path, store: RawStore, market: Market) -> None:
    lakehouse = local_lakehouse(tmp_path)
    answer(lakehouse, store, {3, 4, 5})
    days = days_complete(lakehouse, market, (SYMBOL,), DAY, SATURDAY)
    assert days[0] == DayCompleteness(SYMBOL, DAY.isoformat(), 21, 24)
    # The rest of the week was not asked for; on Friday the market closes at 22 h, on Saturday it does not open.
    assert [(day.date, day.hours_ok, day.hours_expected) for day in days[-2:]] == [("2024-01-11", 0, 24), ("2024-01-12", 0, 22)]


def test_hours_before_the_first_tick_are_neither_expected_nor_missing(market: Market) -> None:
    ledger = [{"symbol": SYMBOL, "date": DAY, "hour": hour, "state": "closed" if hour < 20 else "ok"} for hour in range(23)]
    assert hour_ledger.completeness(ledger, market, SYMBOL, [DAY]) == 3 / 4
    closed = [row | {"state": "closed"} for row in ledger] + [{"symbol": SYMBOL, "date": DAY, "hour": 23, "state": "closed"}]
    assert hour_ledger.missing_symbols(closed, market, [SYMBOL], [DAY]) == []
    assert hour_ledger.missing_symbols([], market, [SYMBOL], [DAY]) == [(SYMBOL, DAY)]


def test_dataset_states_the_completeness_that_it_was_made_with(tmp_path: Path, store: RawStore, market: Market) -> None:
    lakehouse, objects = local_lakehouse(tmp_path), MemoryObjects()
    publish(lakehouse)
    answer(lakehouse, store, {3, 4, 5})
    before = datasets.create(lakehouse, objects, request(lakehouse, market))
    assert before.manifest["completeness"][0] == [SYMBOL, "2024-01-08", 21, 24]
    assert before.completeness(SYMBOL) == 21 / 118
    answer(lakehouse, store, {3})
    answer(lakehouse, store, set())
    assert datasets.fetch(objects, before.id).completeness(SYMBOL) == 21 / 118
    assert datasets.current_content_key(lakehouse, before) == before.content_key
    after = datasets.create(lakehouse, objects, request(lakehouse, market))
    assert (after.completeness(SYMBOL), after.id == before.id) == (24 / 118, False)


def test_dataset_made_without_completeness_states_none(tmp_path: Path) -> None:
    lakehouse = local_lakehouse(tmp_path)
    publish(lakehouse)
    assert datasets.create(lakehouse, MemoryObjects(), DatasetRequest((SYMBOL,))).completeness(SYMBOL) is None
