"""A terminal's ticks and minute bars against ours: every kind of difference is counted once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pytest

from tick_assets.domain.terminal_history import (
    HistoryComparison,
    bid_minute_bars,
    compare_history,
    history_figures,
)
from tick_assets.domain.ticks import Float64Array, Int64Array, Ticks, day_start_us, empty_ticks

START = 1_704_844_800_000_000  # 2024-01-10T00:00Z
SECONDS = (0, 10, 10, 59, 60, 61)
BID = (100, 103, 99, 101, 102, 104)


@dataclass(frozen=True)
class TerminalTicks:
    ts_us: Int64Array
    bid_price: Float64Array
    ask_price: Float64Array


@dataclass(frozen=True)
class TerminalBars:
    ts_us: Int64Array
    open_price: Float64Array
    high_price: Float64Array
    low_price: Float64Array
    close_price: Float64Array
    tick_count: Int64Array


def ticks() -> Ticks:
    bid = np.array(BID, np.int64)
    return Ticks(START + np.array(SECONDS, np.int64) * 1_000_000, bid, bid + 2, np.ones(6), np.ones(6))


def told(rows: Sequence[int] = range(6)) -> TerminalTicks:
    chosen, given = list(rows), ticks()
    return TerminalTicks(given.ts_us[chosen], given.bid_points[chosen] / 100, given.ask_points[chosen] / 100)


def bars() -> TerminalBars:
    prices = ([1.0, 1.02], [1.03, 1.04], [0.99, 1.02], [1.01, 1.04])
    return TerminalBars(START + np.array([0, 60_000_000]), *(np.array(column) for column in prices), np.array([4, 2]))


def compare(terminal: TerminalTicks | None = None, minutes: TerminalBars | None = None) -> HistoryComparison:
    return compare_history("2024-01-10", ticks(), terminal or told(), minutes or bars(), 100)


def test_day_start_is_midnight_utc() -> None:
    assert day_start_us("2024-01-10") == START


def test_bid_minute_bars_literal() -> None:
    made = bid_minute_bars(ticks())
    assert made.ts_us.tolist() == [START, START + 60_000_000]
    assert [column.tolist() for column in (made.open_points, made.high_points, made.low_points, made.close_points)] == [
        [100, 102], [103, 104], [99, 102], [101, 104],
    ]  # fmt: skip
    assert made.tick_count.tolist() == [4, 2]


def test_compare_equal_history_has_no_mismatch() -> None:
    found = compare()
    assert (found.mismatches, found.ticks, found.terminal_ticks, found.bars, found.terminal_bars) == (0, 6, 6, 2, 2)
    assert (found.first_ts_us, found.terminal_first_ts_us) == (START, START)
    assert (found.last_ts_us, found.terminal_last_ts_us) == (START + 61_000_000, START + 61_000_000)
    assert (found.price_difference_points, found.bar_difference_points, found.has_same_ticks) == (0.0, 0.0, True)


def test_compare_missing_tick_is_one_mismatch_and_shifts_nothing() -> None:
    found = compare(told([0, 1, 2, 4, 5]))
    assert (found.ticks_missing, found.ticks_extra, found.prices_differing, found.mismatches) == (1, 0, 0, 1)
    assert not found.has_same_ticks


def test_compare_tick_at_another_stamp_is_missing_and_extra() -> None:
    late = told()
    late = replace(late, ts_us=late.ts_us + np.array([0, 0, 0, 1000, 0, 0]))
    found = compare(late)
    assert (found.ticks_missing, found.ticks_extra, found.mismatches) == (1, 1, 2)


def test_compare_ticks_of_one_stamp_the_other_way_round_differ_in_price() -> None:
    found = compare(told([0, 2, 1, 3, 4, 5]))
    assert (found.prices_differing, found.price_difference_points) == (2, pytest.approx(4.0))


@pytest.mark.parametrize("side", ["bid_price", "ask_price"])
def test_compare_price_difference_is_in_points(side: str) -> None:
    other = told()
    changed = getattr(other, side) + np.array([0, 0, 0, 0, 0.005, 0])
    found = compare(replace(other, **{side: changed}))
    assert (found.prices_differing, found.price_difference_points) == (1, pytest.approx(0.5))


def test_compare_finer_stamps_are_the_terminals_milliseconds() -> None:
    fine = ticks()
    fine = Ticks(fine.ts_us + 400, *fine.columns[1:])
    assert compare_history("2024-01-10", fine, told(), bars(), 100).mismatches == 0


@pytest.mark.parametrize(
    ("column", "change"), [("open_price", 0.01), ("high_price", 0.01), ("low_price", 0.01), ("close_price", 0.01), ("tick_count", 1)]
)
def test_compare_bar_that_differs_in_one_column_is_one_mismatch(column: str, change: float) -> None:
    changed = getattr(bars(), column) + np.array([0, change]).astype(getattr(bars(), column).dtype)
    found = compare(minutes=replace(bars(), **{column: changed}))
    assert (found.bars_differing, found.mismatches, found.has_same_ticks) == (1, 1, True)


def test_compare_bar_of_another_minute_is_missing_and_extra() -> None:
    found = compare(minutes=replace(bars(), ts_us=bars().ts_us + np.array([0, 60_000_000])))
    assert (found.bars_missing, found.bars_extra, found.bars_differing) == (1, 1, 0)


def test_compare_without_ticks_on_either_side_agrees() -> None:
    nothing = np.empty(0)
    empty = TerminalTicks(np.empty(0, np.int64), nothing, nothing)
    minutes = TerminalBars(np.empty(0, np.int64), *[nothing] * 4, np.empty(0, np.int64))
    found = compare_history("2024-01-13", empty_ticks(), empty, minutes, 100)
    assert (found.mismatches, found.ticks, found.first_ts_us, found.price_difference_points) == (0, 0, -1, 0.0)
    assert compare(empty, minutes).mismatches == 8  # six ticks, two bars


def test_history_figures_add_up_dates() -> None:
    figures = history_figures([compare(), compare(told([0, 1, 2, 4, 5]))])
    assert (figures["history_dates"], figures["history_ticks"], figures["history_terminal_ticks"]) == (2, 12, 11)
    assert (figures["history_bars"], figures["history_mismatches"], figures["history_price_difference_points"]) == (4, 1, 0.0)
