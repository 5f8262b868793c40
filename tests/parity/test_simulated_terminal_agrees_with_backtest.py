"""The simulated terminal and the backtest agree trade for trade, to the last bit of profit; both draw formulas are one."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from execution import draws as execution_draws
from execution.market import default_market_text, parse_market_file
from execution.simulate import SimulatedSignal, simulate_signals
from tick_assets.domain import draws
from tick_assets.domain.backtest import run_orders
from tick_assets.domain.costs import net_pnl_account
from tick_assets.domain.fills import EXIT_REASONS
from tick_assets.domain.instruments import parse_market
from tick_assets.domain.ticks import Ticks

TEXT = default_market_text()
MARKET = parse_market(TEXT)
LOTS = 0.1


def random_day(rng: np.random.Generator, size: int) -> Ticks:
    gaps_ms = rng.choice([0, 1, 40, 200, 900, 3000, 30_000, 70_000], size, p=[0.1, 0.1, 0.2, 0.2, 0.2, 0.17, 0.02, 0.01])
    bid = 110_000 + np.cumsum(rng.integers(-6, 7, size))
    stamps = (1_704_700_800_000 + np.cumsum(gaps_ms)) * 1000
    return Ticks(stamps, bid, bid + rng.integers(0, 9, size), np.ones(size), np.ones(size))


@pytest.mark.parametrize("seed", range(12))
def test_terminal_random_day_trades_as_the_backtest(seed: int) -> None:
    rng = np.random.default_rng(seed)
    symbol = ("EURUSD", "USDJPY", "XAUUSD")[seed % 3]
    instrument, ticks = MARKET.instrument(symbol), random_day(rng, 2_000)
    rows = np.sort(rng.choice(len(ticks), 150, replace=False))
    side = rng.choice([1, -1], len(rows)).astype(np.int8)
    anchor = np.where(side > 0, ticks.bid_points[rows], ticks.ask_points[rows])
    stop, target = anchor - side * rng.integers(1, 40, len(rows)), anchor + side * rng.integers(1, 40, len(rows))
    exits = ticks.ts_us[rows] + rng.choice([1_000, 100_000, 5_000_000, 300_000_000], len(rows))
    keys = [hashlib.sha256(f"{seed}|{row}".encode()).hexdigest() for row in rows]
    latencies = [np.array([draws.latency_us(MARKET, key, purpose) for key in keys]) for purpose in ("entry", "exit")]
    slips = [
        np.array([draws.slippage_points(instrument.slippage_mean_points, MARKET.seed, key, purpose) for key in keys])
        for purpose in ("entry_slippage", "exit_slippage")
    ]
    wait = np.int64(MARKET.quote_wait_ms * 1000)
    found = run_orders(*ticks.columns[:3], rows, side, stop, target, exits, *latencies, *slips, wait)

    def profit(view: int, entry: float, leave: float) -> float:
        return float(net_pnl_account(instrument, MARKET, view, entry, leave, LOTS))

    wanted = [
        (keys[i], ticks.ts_us[e], ticks.ts_us[x], side[i], p, q, EXIT_REASONS[r], profit(side[i], p, q))
        for i, e, x, p, q, r in zip(*found, strict=True)
        if e >= 0
    ]
    signals = [
        SimulatedSignal(key, symbol, int(ticks.ts_us[row]), int(view), int(s), int(t), int(end), LOTS, int(row))
        for key, row, view, s, t, end in zip(keys, rows, side, stop, target, exits, strict=True)
    ]
    trades = simulate_signals({symbol: ticks}, signals, TEXT)
    assert len(wanted) > 20
    assert [
        (t.signal_id, t.entry_ts_us, t.exit_ts_us, t.side, t.entry_points, t.exit_points, t.exit_reason, t.net_pnl_account) for t in trades
    ] == wanted  # fmt: skip


def test_draws_both_copies_are_one_formula() -> None:
    model = parse_market_file(TEXT).execution
    for number in range(200):
        key = hashlib.sha256(str(number).encode()).hexdigest()
        for purpose in ("entry", "exit"):
            assert execution_draws.latency_us(model, key, purpose) == draws.latency_us(MARKET, key, purpose)
        for purpose in ("entry_slippage", "exit_slippage"):
            assert execution_draws.slippage_points(0.4, model.seed, key, purpose) == draws.slippage_points(0.4, MARKET.seed, key, purpose)
