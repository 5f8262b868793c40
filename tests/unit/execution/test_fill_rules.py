"""The simulated terminal, the slow reference and the literal table agree."""

from __future__ import annotations

from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from execution import draws
from execution.adapters.mt5.simulator.history import TickHistory
from execution.market import default_market_text, parse_market_file
from execution.simulate import SimulatedSignal, simulate_signals
from tests.unit.execution.fill_cases import FILL_CASES, QUOTE_WAIT_US, FillCase
from tests.unit.execution.reference_fills import ReferenceOrder, trade_day

START_US = 1_704_700_800_000_000
MARKET = parse_market_file(default_market_text())
SPEC = MARKET.symbol("EURUSD")


def history_of(ticks: list[tuple[int, int, int]]) -> TickHistory:
    columns = [np.array(column, np.int64) for column in zip(*ticks, strict=True)]
    sizes = np.ones(len(ticks))
    return TickHistory(START_US + columns[0] * 1000, columns[1], columns[2], sizes, sizes)


def orders_of(case: FillCase) -> list[ReferenceOrder]:
    return [
        ReferenceOrder(row, side, stop, target, exit_at * 1000, entry * 1000, leave * 1000, slip_in, slip_out)
        for row, side, stop, target, exit_at, entry, leave, slip_in, slip_out in case.orders
    ]


@pytest.mark.parametrize("case", FILL_CASES, ids=[case.name for case in FILL_CASES])
def test_reference_literal_case_fills_as_written(case: FillCase) -> None:
    ticks = [(ts * 1000, bid, ask) for ts, bid, ask in case.ticks]
    trades = trade_day(ticks, orders_of(case), QUOTE_WAIT_US)
    assert [(t.order, t.entry_row, t.exit_row, t.entry_points, t.exit_points, t.reason) for t in trades] == case.trades


@pytest.mark.parametrize("case", FILL_CASES, ids=[case.name for case in FILL_CASES])
def test_simulator_literal_case_fills_as_written(case: FillCase) -> None:
    orders = {f"{index:064x}": order for index, order in enumerate(orders_of(case))}
    latency = {"entry": "entry_latency_us", "exit": "exit_latency_us", "entry_slippage": "entry_slip", "exit_slippage": "exit_slip"}
    signals = [
        SimulatedSignal(
            key, "EURUSD", START_US + case.ticks[o.row][0] * 1000, o.side, o.stop, o.target, START_US + o.exit_at_us, 0.1, o.row
        )
        for key, o in orders.items()
    ]
    with (
        patch.object(draws, "latency_us", lambda model, key, purpose: getattr(orders[key], latency[purpose])),
        patch.object(draws, "slippage_points", lambda mean, seed, key, purpose: getattr(orders[key], latency[purpose])),
    ):
        trades = simulate_signals({"EURUSD": history_of(case.ticks)}, signals, default_market_text())
    stamps = [START_US + ts * 1000 for ts, _, _ in case.ticks]
    assert [
        (int(t.signal_id, 16), t.entry_ts_us, t.exit_ts_us, t.entry_points, t.exit_points, t.exit_reason) for t in trades
    ] == [(o, stamps[e], stamps[x], p, q, why) for o, e, x, p, q, why in case.trades]  # fmt: skip


@st.composite
def days(draw: st.DrawFn) -> tuple[list[tuple[int, int, int]], list[tuple[int, int, int, int, int]]]:
    distances = st.integers(1, 30)
    gaps = draw(st.lists(st.sampled_from([0, 1, 30, 100, 500, 3000, 70_000]), min_size=2, max_size=120))
    bid, ts = 100_000, 0
    ticks = []
    for gap in gaps:
        ts += gap
        bid += draw(st.integers(-8, 8))
        ticks.append((ts, bid, bid + draw(st.integers(0, 6))))
    rows = sorted(draw(st.sets(st.integers(0, len(ticks) - 1), min_size=1, max_size=25)))
    orders = [
        (row, draw(st.sampled_from([1, -1])), draw(distances), draw(distances), draw(st.sampled_from([1, 900, 5000, 99_000])))
        for row in rows
    ]
    return ticks, orders


@settings(max_examples=120, deadline=None)
@given(days())
def test_simulator_any_day_equals_reference(day: tuple[list[tuple[int, int, int]], list[tuple[int, int, int, int, int]]]) -> None:
    ticks, rows = day
    signals, orders = [], []
    for row, side, below, above, life in rows:
        ts, bid, ask = ticks[row]
        anchor = bid if side > 0 else ask
        stop, target = anchor - side * below, anchor + side * above
        key = f"{row:064x}"
        latencies = [draws.latency_us(MARKET.execution, key, purpose) for purpose in ("entry", "exit")]
        slips = [
            draws.slippage_points(SPEC.slippage_mean_points, MARKET.execution.seed, key, purpose)
            for purpose in ("entry_slippage", "exit_slippage")
        ]
        signals.append(SimulatedSignal(key, "EURUSD", START_US + ts * 1000, side, stop, target, START_US + (ts + life) * 1000, 0.1, row))
        orders.append(ReferenceOrder(row, side, stop, target, (ts + life) * 1000, *latencies, *slips))
    wanted = trade_day([(ts * 1000, bid, ask) for ts, bid, ask in ticks], orders, QUOTE_WAIT_US)
    trades = simulate_signals({"EURUSD": history_of(ticks)}, signals, default_market_text())
    assert [(int(t.signal_id, 16), t.entry_ts_us, t.exit_ts_us, t.entry_points, t.exit_points, t.exit_reason) for t in trades] == [
        (
            orders[w.order].row,
            START_US + ticks[w.entry_row][0] * 1000,
            START_US + ticks[w.exit_row][0] * 1000,
            w.entry_points,
            w.exit_points,
            w.reason,
        )
        for w in wanted
    ]


def test_simulate_profit_literal_trade_pays_both_commissions() -> None:
    trades = simulate_signals(
        {"EURUSD": history_of([(0, 100_000, 100_002), (5_000, 100_000, 100_002), (9_000, 100_200, 100_202)])},
        [SimulatedSignal("a" * 64, "EURUSD", START_US, 1, 99_900, 100_100, START_US + 300_000_000, 0.10, 0)],
        default_market_text(),
    )
    gross = (100_100 - trades[0].entry_points) / 100_000 * 100_000 * 0.10
    assert trades[0].net_pnl_account == pytest.approx(gross - 2 * 3.5 * 0.10)
