"""Account engine and simulated terminal agree on positions over several nights, swap included; both clocks have the same midnights."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from execution.adapters.mt5.server_clock import server_clock_from, to_utc_us
from execution.adapters.mt5.simulator.swap import nights_held
from execution.market import default_market_text
from execution.simulate import SimulatedSignal, simulate_signals
from tick_assets.domain.account import Line, trade_account
from tick_assets.domain.account_loop import OUTCOMES
from tick_assets.domain.backtest import Orders, backtest
from tick_assets.domain.instruments import AccountTerms, parse_market
from tick_assets.domain.orders import draw_fills
from tick_assets.domain.rollovers import rollovers
from tick_assets.domain.ticks import DAY_US, Ticks

TEXT = default_market_text()
CHARGED = TEXT.replace("charges_swap = false", "charges_swap = true")
MARKET = parse_market(TEXT)
START_US = 1_704_700_800_000_000
"""Monday, 2024-01-08, 08:00 UTC."""
LOTS = 0.1
CLOCKS: list[dict[str, Any]] = [
    {"kind": "ny_plus_7"},
    {"kind": "fixed", "offset_hours": 3},
    {"kind": "zoneinfo", "zone": "Europe/Athens"},
]


def week_of_ticks(rng: np.random.Generator) -> list[Ticks]:
    """Return seven dates of a quote every ten minutes or so."""
    size = 1_000
    stamps = START_US + np.cumsum(rng.integers(200_000_000, 1_000_000_000, size))
    bid = 150_000 + np.cumsum(rng.integers(-6, 7, size))
    ask = bid + rng.integers(0, 9, size)
    days = stamps // DAY_US
    ones = np.ones(size)
    return [Ticks(*(column[days == day] for column in (stamps, bid, ask, ones, ones))) for day in np.unique(days)]


def orders_on(days: list[Ticks], rng: np.random.Generator, keys: list[str], symbol: str) -> Orders:
    """Return orders on random ticks that mean to be held for up to four days."""
    starts = np.cumsum([0, *(len(day) for day in days)])
    picked = np.sort(rng.choice(starts[-1], len(keys), replace=False))
    date_index = np.searchsorted(starts, picked, side="right") - 1
    row = picked - starts[date_index]
    side = rng.choice([1, -1], len(keys)).astype(np.int8)
    bid, ask, stamps = (np.concatenate([getattr(day, name) for day in days])[picked] for name in ("bid_points", "ask_points", "ts_us"))
    anchor = np.where(side > 0, bid, ask)
    draws = draw_fills(keys, MARKET.instrument(symbol), MARKET)
    return Orders(
        date_index=date_index.astype(np.int32),
        row=row,
        side=side,
        stop_points=anchor - side * rng.integers(20, 120, len(keys)),
        target_points=anchor + side * rng.integers(20, 120, len(keys)),
        exit_at_us=stamps + rng.integers(1, 96, len(keys)) * 3_600_000_000,
        entry_latency_us=draws.entry_latency_us,
        exit_latency_us=draws.exit_latency_us,
        entry_slippage_points=draws.entry_slippage_points,
        exit_slippage_points=draws.exit_slippage_points,
    )


@pytest.mark.parametrize("symbol", ["EURUSD", "USDJPY", "BTCUSD"])
@pytest.mark.parametrize("seed", range(4))
def test_account_positions_of_several_nights_earn_what_the_terminal_books(seed: int, symbol: str) -> None:
    rng = np.random.default_rng(seed)
    days = week_of_ticks(rng)
    keys = [hashlib.sha256(f"{symbol}|{seed}|{i}".encode()).hexdigest() for i in range(60)]
    orders = orders_on(days, rng, keys, symbol)
    text = CHARGED.replace("quote_wait_ms = 60000", "quote_wait_ms = 7200000")
    market = parse_market(text)
    trades = trade_account([Line(market.instrument(symbol), days, orders, LOTS)], market, crosses_dates=True).trades
    week = Ticks(*(np.concatenate(columns) for columns in zip(*(day.columns for day in days), strict=True)))
    starts = np.cumsum([0, *(len(day) for day in days)])
    rows = starts[orders.date_index] + orders.row
    signals = [
        SimulatedSignal(key, symbol, int(week.ts_us[row]), int(side), int(stop), int(target), int(end), LOTS, int(row))
        for key, row, side, stop, target, end in zip(
            keys, rows, orders.side, orders.stop_points, orders.target_points, orders.exit_at_us, strict=True
        )
    ]
    booked = simulate_signals({symbol: week}, signals, text)
    assert trades.nights.max() >= 3
    assert [(t.signal_id, t.entry_ts_us, t.exit_ts_us, t.entry_points, t.exit_points, t.exit_reason) for t in booked] == [
        (keys[trades.event_index[i]], trades.entry_ts_us[i], trades.exit_ts_us[i], trades.entry_points[i], trades.exit_points[i],
         OUTCOMES[trades.reason[i]]) for i in range(len(trades))
    ]  # fmt: skip
    assert [t.net_pnl_account for t in booked] == pytest.approx(trades.net.tolist(), abs=1e-9)


def test_terminal_charges_no_swap_unless_the_market_file_says_so() -> None:
    rng = np.random.default_rng(1)
    days = week_of_ticks(rng)
    week = Ticks(*(np.concatenate(columns) for columns in zip(*(day.columns for day in days), strict=True)))
    end = int(week.ts_us[-200])
    signal = SimulatedSignal("a" * 64, "EURUSD", int(week.ts_us[0]), 1, 140_000, 160_000, end, LOTS, 0)
    texts = [text.replace("quote_wait_ms = 60000", "quote_wait_ms = 7200000") for text in (TEXT, CHARGED)]
    free, charged = (simulate_signals({"EURUSD": week}, [signal], text)[0] for text in texts)
    clock = server_clock_from({"kind": "ny_plus_7"})
    nights = nights_held(clock, "wednesday", charged.entry_ts_us, charged.exit_ts_us)
    assert nights >= 5
    assert charged.net_pnl_account - free.net_pnl_account == pytest.approx(-0.7 * nights)


@pytest.mark.parametrize("symbol", ["EURUSD", "USDJPY"])
def test_backtest_of_a_date_charges_the_swap_that_the_terminal_books(symbol: str) -> None:
    rng = np.random.default_rng(5)
    (day,) = [day for day in week_of_ticks(rng) if day.ts_us[0] // DAY_US == 19_732]
    keys = [hashlib.sha256(f"{symbol}|{i}".encode()).hexdigest() for i in range(60)]
    orders = orders_on([day], rng, keys, symbol)
    text = CHARGED.replace("quote_wait_ms = 60000", "quote_wait_ms = 7200000")
    market = parse_market(text)
    trades = backtest([day], orders, market.instrument(symbol), market, LOTS)
    signals = [
        SimulatedSignal(key, symbol, int(day.ts_us[row]), int(side), int(stop), int(target), int(end), LOTS, int(row))
        for key, row, side, stop, target, end in zip(
            keys, orders.row, orders.side, orders.stop_points, orders.target_points, orders.exit_at_us, strict=True
        )
    ]
    booked = simulate_signals({symbol: day}, signals, text)
    free = backtest([day], orders, parse_market(TEXT).instrument(symbol), replace(market, account=AccountTerms()), LOTS)
    assert (trades.net_pnl_account != free.net_pnl_account).any()
    assert [t.net_pnl_account for t in booked] == pytest.approx(trades.net_pnl_account.tolist(), abs=1e-9)


@pytest.mark.parametrize("section", CLOCKS)
def test_clocks_of_account_and_terminal_have_the_same_midnights_all_year(section: dict[str, Any]) -> None:
    first, last = (round(datetime(2024, month, 1, tzinfo=UTC).timestamp()) * 1_000_000 for month in (1, 12))
    found = rollovers(section, first, last)
    clock = server_clock_from(section)
    server_midnights = [(first // DAY_US - 1 + i) * DAY_US for i in range(len(found.ts_us))]
    assert found.ts_us.tolist() == [to_utc_us(clock, moment) for moment in server_midnights]


@pytest.mark.parametrize("section", CLOCKS)
@pytest.mark.parametrize("triple", ["wednesday", "friday", "none"])
def test_nights_of_account_and_terminal_are_counted_alike(section: dict[str, Any], triple: str) -> None:
    rng = np.random.default_rng(7)
    opened = START_US + rng.integers(0, 300 * DAY_US, 200)
    closed = opened + rng.integers(0, 10 * DAY_US, 200)
    found = rollovers(section, int(opened.min()), int(closed.max()))
    clock = server_clock_from(section)
    wanted = [nights_held(clock, triple, int(since), int(until)) for since, until in zip(opened, closed, strict=True)]
    assert found.nights_held(triple, opened, closed).tolist() == wanted
