"""Diff reports: what changed between two versions of an hour, and where the report comes from."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tick_assets.domain.hour_states import HourState
from tick_assets.domain.ticks import Ticks
from tick_assets.lakehouse.raw_csv import rows_from_ticks
from tick_assets.lakehouse.raw_store import HourOutcome, RawStore
from tick_assets.lakehouse.revision_diffs import compare_hour, reports, write_missing_diffs

DAY = date(2024, 1, 8)
NOW = datetime(2026, 1, 2, tzinfo=UTC)
HOUR_START_US = 1_704_672_000_000_000 + 7 * 3_600_000_000
Quote = tuple[int, int, int]
A, B, C = (0, 10, 12), (1000, 11, 13), (1000, 20, 21)


def rows(*quotes: Quote, size: float = 1e6) -> pl.DataFrame:
    """Return rows of hour 7 from (ms, bid, ask)."""
    table = np.array(quotes, dtype=np.int64).reshape(-1, 3)
    sizes = np.full(len(table), size)
    return rows_from_ticks(Ticks(HOUR_START_US + table[:, 0] * 1000, table[:, 1], table[:, 2], sizes, sizes))


@pytest.mark.parametrize(
    ("before", "after", "added", "removed", "changed", "move"),
    [
        ([A, B], [A, B], 0, 0, 0, None),
        ([A], [A, B], 1, 0, 0, None),
        ([A, B], [A], 0, 1, 0, None),
        ([A, B], [A, (1000, 11, 18)], 0, 0, 1, 5),
        ([A, B], [A, (1000, 4, 13)], 0, 0, 1, 7),
        ([A, B], [A, (1001, 11, 13)], 1, 1, 0, None),
        ([A, B, C], [A, C], 0, 1, 0, None),
        ([A, B], [A, C, B], 1, 0, 0, None),
        ([A, B, B], [A, B], 0, 1, 0, None),
        ([A, B], [A, B, B], 1, 0, 0, None),
        ([], [A, B], 2, 0, 0, None),
        ([A, B, C], [(0, 11, 12), (1000, 12, 13), (2000, 1, 2)], 1, 1, 2, 1),
    ],
)
def test_compare_hour_counts_rows(
    before: list[Quote], after: list[Quote], added: int, removed: int, changed: int, move: int | None
) -> None:
    found = compare_hour(7, rows(*before), rows(*after))
    assert (found.added, found.removed, found.changed, found.max_price_move_points) == (added, removed, changed, move)
    assert (found.rows_before, found.rows_after, found.is_reordered) == (len(before), len(after), False)


def test_compare_hour_names_the_first_and_last_stamp_that_differ() -> None:
    found = compare_hour(7, rows(A, B, (5500, 1, 2)), rows(A, (1000, 99, 99), (9000, 1, 2)))
    assert (found.first_difference, found.last_difference) == ("2024-01-08T07:00:01Z", "2024-01-08T07:00:09Z")


def test_compare_hour_other_order_within_a_stamp_is_said() -> None:
    found = compare_hour(7, rows(A, B, C), rows(A, C, B))
    assert (found.added, found.removed, found.changed, found.is_reordered) == (0, 0, 0, True)


def test_compare_hour_other_sizes_are_changed_rows_that_moved_no_price() -> None:
    found = compare_hour(7, rows(A, B), rows(A, B, size=2e6))
    assert (found.changed, found.max_price_move_points) == (2, 0)


_QUOTES = st.lists(st.tuples(st.integers(0, 3), st.integers(1, 3), st.integers(1, 3)), max_size=12)


@given(before=_QUOTES, after=_QUOTES)
def test_compare_hour_counts_always_add_up(before: list[Quote], after: list[Quote]) -> None:
    found = compare_hour(7, rows(*before), rows(*after))
    assert found.rows_before - found.removed + found.added == found.rows_after
    mirrored = compare_hour(7, rows(*after), rows(*before))
    assert (mirrored.added, mirrored.removed, mirrored.changed) == (found.removed, found.added, found.changed)


def outcome(hour: int, quotes: pl.DataFrame) -> HourOutcome:
    return HourOutcome(hour, HourState.OK, NOW, "fake://", "bi5", repr(quotes.to_dicts()).encode(), quotes)


def record(store: RawStore, *outcomes: HourOutcome) -> None:
    given_hours = {each.hour: each for each in outcomes}
    day = [given_hours.get(hour, HourOutcome(hour, HourState.CLOSED, NOW)) for hour in range(24)]
    store.record("dukascopy", "EURUSD", DAY, 100_000, day if store.manifest("dukascopy", "EURUSD", DAY) is None else outcomes, now=NOW)


def written(store: RawStore) -> list[dict[str, Any]]:
    write_missing_diffs(store, "dukascopy", "EURUSD", DAY)
    return list(reports(store, "dukascopy", "EURUSD", DAY))


def test_first_revision_has_no_report(store: RawStore) -> None:
    record(store, outcome(7, rows(A, B)))
    assert written(store) == []


def test_report_lies_beside_its_revision_and_is_written_once(store: RawStore) -> None:
    record(store, outcome(7, rows(A, B)))
    record(store, outcome(7, rows(A, (1000, 11, 18))))
    assert [diff.revision for diff in write_missing_diffs(store, "dukascopy", "EURUSD", DAY)] == [1]
    assert write_missing_diffs(store, "dukascopy", "EURUSD", DAY) == []
    path = store.folder("dukascopy", "EURUSD") / "2024-01-08.r001.diff.json"
    document = json.loads(path.read_bytes())
    assert document["totals"] == {
        "added": 0,
        "removed": 0,
        "changed": 1,
        "first_difference": "2024-01-08T07:00:01Z",
        "last_difference": "2024-01-08T07:00:01Z",
        "max_price_move_points": 5,
    }
    assert (document["revision"], [hour["hour"] for hour in document["hours"]]) == (1, [7])
    assert store.verify() == []


def test_each_report_compares_with_the_revision_that_held_the_hour(store: RawStore) -> None:
    record(store, outcome(7, rows(A)))
    record(store, outcome(7, rows(A, B)))
    record(store, outcome(7, rows(A, B, C)))
    assert [(each["revision"], each["totals"]["added"], each["hours"][0]["rows_before"]) for each in written(store)] == [
        (1, 1, 1),
        (2, 1, 2),
    ]


def test_report_that_a_crash_left_out_is_written_later(store: RawStore) -> None:
    record(store, outcome(7, rows(A)))
    record(store, outcome(7, rows(A, B)))
    first = written(store)
    (store.folder("dukascopy", "EURUSD") / "2024-01-08.r001.diff.json").unlink()
    assert written(store) == first


def test_report_of_a_late_hour_adds_rows_only(store: RawStore) -> None:
    record(store, HourOutcome(7, HourState.FAILED, NOW, response=b"junk", reason="HTTP_503"))
    record(store, outcome(7, rows(A, B)))
    hour = written(store)[0]["hours"][0]
    assert (hour["rows_before"], hour["added"], hour["removed"], hour["changed"]) == (0, 2, 0, 0)


def test_event_is_one_line_of_key_value_fields(store: RawStore) -> None:
    record(store, outcome(7, rows(A, B)))
    record(store, outcome(7, rows(A)))
    line = write_missing_diffs(store, "dukascopy", "EURUSD", DAY)[0].to_event()
    assert line.startswith("event=hours_revised symbol=EURUSD date=2024-01-08 revision=1 hours=07 added=0 removed=1 changed=0")
