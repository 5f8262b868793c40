"""Cleaning a raw day: every row stays or is refused with a reason, whatever order the rows come in, and the future changes nothing.

What belongs here: properties and literal rows of `silver.clean_day`. What must not: Spark, features.
"""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime, timedelta
from itertools import product
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tick_assets.domain.kernel import REASONS, run_kernel
from tick_assets.domain.ticks import DAY_US, Ticks
from tick_assets.lakehouse.raw_ticks import in_vendor_order
from tick_assets.lakehouse.silver import REJECTS, TICKS, clean_day, to_ticks
from tick_assets.lakehouse.tables import definition_of

DAY = date(2024, 1, 8)
MIDNIGHT = datetime(2024, 1, 8, tzinfo=UTC)
KEY = ("EURUSD", DAY)
BOUNDED = settings(max_examples=80, deadline=None)
Row = tuple[int | None, int | None, int | None, float | None, float | None]
"""Milliseconds since midnight (none: the row did not parse), bid, ask, bid size, ask size."""

MALFORMED: Row = (None, None, None, None, None)


def raw_day(rows: list[Row], revisions: list[int] | None = None) -> pl.DataFrame:
    """Return rows of `raw.ticks` in vendor order, numbered in their revision's file."""
    seen: Counter[int] = Counter()
    records: list[dict[str, Any]] = []
    for row, revision in zip(rows, revisions or [0] * len(rows), strict=True):
        seen[revision] += 1
        stamp = None if row[0] is None else MIDNIGHT + timedelta(milliseconds=row[0])
        values = dict(zip(("bid_points", "ask_points", "bid_size", "ask_size"), row[1:], strict=True))
        placed = {"revision": revision, "source_file": f"x/EURUSD/{DAY}.r{revision:03d}.csv", "source_row": seen[revision]}
        line = "garbage" if stamp is None else None
        records.append({"symbol": "EURUSD", "date": DAY, "ts_event": stamp, **values, **placed, "raw_line": line, "price_factor": 100_000})
    types = {"string": pl.String, "date": pl.Date, "timestamp": pl.Datetime("us", "UTC"), "long": pl.Int64}
    types |= {"int": pl.Int32, "double": pl.Float64, "bool": pl.Boolean}
    schema = {name: types[kind] for name, kind in definition_of("raw.ticks").column_types.items()}
    return pl.DataFrame(records, schema=schema).with_columns(source=pl.lit("x"), is_current=pl.lit(True))


def cleaned(raw: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return (kept, refused)."""
    made = clean_day(KEY, raw, {KEY: "p"})
    return made[TICKS], made[REJECTS]


def reasons_of(raw: pl.DataFrame) -> list[str]:
    """Return each row's reason in vendor order, from the two tables together."""
    both = pl.concat([part.select("seq", "reason_code") for part in cleaned(raw)]).sort("seq")
    assert both["seq"].to_list() == list(range(len(raw)))
    return both["reason_code"].to_list()


GOOD: Row = (1000, 110_000, 110_010, 5.0, 6.0)
LATER: Row = (2000, 110_001, 110_010, 5.0, 6.0)


@pytest.mark.parametrize(
    ("rows", "reasons"),
    [
        ([GOOD, GOOD], ["", "ROW_DUPLICATED"]),
        ([GOOD, (1000, 110_001, 110_010, 5.0, 6.0), GOOD], ["", "", "ROW_DUPLICATED"]),  # not next to it
        ([GOOD, (1000, 110_000, 110_010, 5.0, 7.0)], ["", ""]),  # another size is another quote
        ([GOOD, (1001, 110_000, 110_010, 5.0, 6.0)], ["", ""]),  # another stamp is another quote
        ([(1000, 110_000, 110_010, None, None)] * 2, ["", "ROW_DUPLICATED"]),  # a missing size equals a missing size
        ([(1000, 110_011, 110_010, 5.0, 6.0)] * 2, ["QUOTE_CROSSED", "ROW_DUPLICATED"]),  # the first stays what it is
        ([GOOD, (1500, 110_011, 110_010, 5.0, 6.0), LATER], ["", "QUOTE_CROSSED", ""]),
        ([GOOD, (1500, 110_010, 110_010, 5.0, 6.0), LATER], ["", "", ""]),  # locked is valid
        ([GOOD, (1500, 0, 110_010, 5.0, 6.0), (1600, -3, -1, 5.0, 6.0)], ["", "QUOTE_NON_POSITIVE", "QUOTE_NON_POSITIVE"]),
        ([(-1, 110_000, 110_010, 5.0, 6.0), GOOD], ["TIMESTAMP_OUTSIDE_FILE", ""]),
        ([GOOD, (86_400_000, 110_000, 110_010, 5.0, 6.0)], ["", "TIMESTAMP_OUTSIDE_FILE"]),
        ([GOOD, (86_399_999, 110_000, 110_010, 5.0, 6.0)], ["", ""]),
        ([MALFORMED, GOOD, MALFORMED, LATER], ["ROW_MALFORMED", "", "ROW_MALFORMED", ""]),
        ([MALFORMED], ["ROW_MALFORMED"]),
    ],
)
def test_clean_day_row_has_its_reason(rows: list[Row], reasons: list[str]) -> None:
    assert reasons_of(raw_day(rows)) == reasons


def quiet(count: int) -> list[Row]:
    return [(1000 * i, 110_000 + i % 2, 110_010 + i % 2, 1.0 + i, 2.0) for i in range(count)]


@pytest.mark.parametrize(("jumps", "refused"), [(1, 1), (5, 5), (6, 5), (40, 5)])
def test_clean_day_spike_is_refused_and_a_new_level_believed_after_five_rows(jumps: int, refused: int) -> None:
    level: list[Row] = [(60_000 + 1000 * i, 120_000, 120_010, 1.0 + i, 2.0) for i in range(jumps)]
    assert reasons_of(raw_day(quiet(60) + level)).count("PRICE_SPIKE") == refused


def test_clean_day_spike_leaves_the_rows_after_it_as_they_were() -> None:
    spike: list[Row] = [(59_500, 1_100_000, 1_100_010, 1.0, 2.0)]
    tail: list[Row] = [(60_000 + 1000 * i, 110_000, 110_010, 1.0 + i, 2.0) for i in range(20)]
    assert reasons_of(raw_day(quiet(60) + spike + tail)) == [""] * 60 + ["PRICE_SPIKE"] + [""] * 20


def test_clean_day_refused_row_keeps_its_columns_and_line() -> None:
    _, refused = cleaned(raw_day([GOOD, MALFORMED, (2000, 7, 5, None, None)]))
    found = refused.select("seq", "source_row", "bid_points", "ask_points", "raw_line", "reason_code").rows()
    assert found == [(1, 2, None, None, "garbage", "ROW_MALFORMED"), (2, 3, 7, 5, None, "QUOTE_CROSSED")]


def test_clean_day_kept_row_has_missing_sizes_as_nulls() -> None:
    kept, _ = cleaned(raw_day([(1000, 110_000, 110_010, None, 6.0)]))
    assert kept.select("bid_size", "ask_size").row(0) == (None, 6.0)


# Adversarial days.


@st.composite
def adversarial_days(draw: st.DrawFn) -> pl.DataFrame:
    """Return a day after a quiet minute: equal stamps, duplicates, crossings, spikes, gaps, rows that did not parse or lie outside."""
    rows: list[Row] = quiet(draw(st.sampled_from([0, 49, 50, 60])))
    at = 60_000
    for _ in range(draw(st.integers(0, 40))):
        kind = draw(
            st.sampled_from(["quote", "quote", "same stamp", "duplicate", "crossed", "zero", "spike", "gap", "malformed", "outside"])
        )
        at += draw(st.sampled_from([0, 1, 400, 299_999, 300_001])) if kind != "same stamp" else 0
        at += 3_600_000 if kind == "gap" else 0
        bid = draw(st.integers(109_990, 110_010))
        ask, size = bid + draw(st.integers(0, 12)), draw(st.sampled_from([None, 0.0, 1.0, 1e15]))
        if kind == "duplicate" and rows and rows[-1][0] is not None:
            rows.append(draw(st.sampled_from([row for row in rows[-5:] if row[0] == rows[-1][0]])))
        elif kind == "malformed":
            rows.append(MALFORMED)
        else:
            bid = {"crossed": ask + 1, "zero": draw(st.sampled_from([0, -1, -(2**52)])), "spike": draw(st.sampled_from([1, 2**52]))}.get(
                kind, bid
            )
            rows.append(
                (
                    draw(st.sampled_from([-1, 86_400_000])) if kind == "outside" else at,
                    bid,
                    max(ask, bid) if kind == "spike" else ask,
                    size,
                    2.0,
                )
            )
    revisions = sorted(draw(st.lists(st.integers(0, 1), min_size=len(rows), max_size=len(rows))))
    return in_vendor_order(raw_day(rows, revisions))


def expected_reasons(raw: pl.DataFrame) -> list[str]:
    """Say each row's reason by the rules as they are written, one row after the other, with Python's integers."""
    seen: set[tuple[Any, ...]] = set()
    accepted = spikes = 0
    mid = move = spread = last = 0.0
    found = []
    for row in raw.select("ts_event", "bid_points", "ask_points", "bid_size", "ask_size").rows():
        at, bid, ask = row[:3]
        reason = ""
        if at is None:
            reason = "ROW_MALFORMED"
        elif at.date() != DAY:
            reason = "TIMESTAMP_OUTSIDE_FILE"
        elif row in seen:
            reason = "ROW_DUPLICATED"
        elif bid <= 0 or ask <= 0:
            reason = "QUOTE_NON_POSITIVE"
        elif ask < bid:
            reason = "QUOTE_CROSSED"
        if not reason or reason in ("QUOTE_NON_POSITIVE", "QUOTE_CROSSED"):
            seen.add(row)
        if not reason:
            now, middle = at.timestamp(), (bid + ask) / 2
            is_far = abs(middle - mid) > 100 * max(move, 0.5) + 20 * spread
            if accepted >= 50 and now - last <= 300 and is_far and spikes < 5:
                reason, spikes = "PRICE_SPIKE", spikes + 1
                seen.add(row)
            else:
                if accepted:
                    move += (abs(middle - mid) - move) / min(64, accepted)
                    spread += (ask - bid - spread) / 64
                else:
                    spread = ask - bid
                accepted, spikes, mid, last = accepted + 1, 0, middle, now
        found.append(reason)
    return found


@BOUNDED
@given(adversarial_days())
def test_clean_day_agrees_with_the_rules_as_written(raw: pl.DataFrame) -> None:
    assert reasons_of(raw) == expected_reasons(raw)


@BOUNDED
@given(adversarial_days())
def test_clean_day_raw_is_kept_plus_refused(raw: pl.DataFrame) -> None:
    kept, refused = cleaned(raw)
    assert len(kept) + len(refused) == len(raw)
    assert set(refused["reason_code"]) <= set(REASONS) - {""}
    places = pl.concat([part.select("revision", "source_row") for part in (kept, refused)]).unique()
    assert len(places) == len(raw)
    assert kept.filter(
        (pl.col("ask_points") < pl.col("bid_points")) | (pl.col("bid_points") <= 0) | pl.col("ts_event").is_null()
    ).is_empty()


@BOUNDED
@given(adversarial_days(), st.randoms(use_true_random=False))
def test_clean_day_permuted_rows_give_the_same_tables(raw: pl.DataFrame, random: Any) -> None:
    order = list(range(len(raw)))
    random.shuffle(order)
    for before, after in zip(cleaned(raw), cleaned(raw[order]), strict=True):
        assert before.equals(after)


@BOUNDED
@given(adversarial_days(), st.floats(0, 1), st.sampled_from([0, 2**52]))
def test_clean_day_reason_depends_on_no_later_row(raw: pl.DataFrame, share: float, poison: int) -> None:
    cut = round(share * len(raw))
    day_number = (DAY - date(1970, 1, 1)).days
    whole = run_kernel(to_ticks(raw), 1, day_number).reason
    assert run_kernel(to_ticks(raw[:cut]), 1, day_number).reason.tolist() == whole[:cut].tolist()
    poisoned = Ticks(*(column.copy() for column in to_ticks(raw).columns))
    poisoned.bid_points[cut:] = poison
    poisoned.ts_us[cut:] += DAY_US // 7
    assert run_kernel(poisoned, 1, day_number).reason[:cut].tolist() == whole[:cut].tolist()


def test_clean_day_more_rows_of_a_stamp_than_are_remembered_lose_none() -> None:
    """Beyond DUPLICATE_ROWS of one stamp a duplicate may stay; no quote is refused for it."""
    rows: list[Row] = [(1000, 110_000 + i, 110_100 + j, 1.0, 2.0) for i, j in product(range(30), range(30))]
    assert reasons_of(raw_day(rows)) == [""] * 900


def test_to_ticks_missing_sizes_are_nan() -> None:
    ticks = to_ticks(raw_day([(1000, 110_000, 110_010, None, 6.0)]))
    assert np.isnan(ticks.bid_size).tolist() == [True]
