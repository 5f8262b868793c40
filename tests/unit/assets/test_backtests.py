"""The terminal's backtest of a date: history by the port, compared, and traded on."""

from __future__ import annotations

from datetime import UTC, date, datetime

import numpy as np
import pytest

from execution.market import default_market_text, parse_market_file
from execution.simulate import SimulatedSignal, signals_of
from tests.recorded import recorded_day
from tick_assets.assets import backtests
from tick_assets.assets.backtests import TerminalRun, history_row, trade_on_terminal
from tick_assets.domain.backtest import Trades, backtest
from tick_assets.domain.dataset import TrainingSet, day_from_ticks, training_set
from tick_assets.domain.instruments import parse_market
from tick_assets.domain.orders import draw_fills, orders_from_views, signal_keys
from tick_assets.domain.signals import Strategy
from tick_assets.domain.synthetic_market import SyntheticMarket, generate_day

TEXT = default_market_text()
MARKET, FILE = parse_market(TEXT), parse_market_file(TEXT)
SYMBOL, STRATEGY = "SYNEDGE", Strategy()


def events_of(day: date) -> TrainingSet:
    raw = generate_day(SyntheticMarket(k=2.0), 3, SYMBOL, day).ticks
    return training_set(SYMBOL, [day_from_ticks(SYMBOL, day.isoformat(), raw, MARKET, STRATEGY)])


def orders_of(events: TrainingSet) -> tuple[list[SimulatedSignal], Trades]:
    """Return signals that go long and short in turn, and the backtest's trades of them."""
    views = np.where(np.arange(len(events)) % 2, 1, -1).astype(np.int8)
    keys = signal_keys(events, views, "m" * 64, STRATEGY)
    orders = orders_from_views(events, views, draw_fills(keys, MARKET.instrument(SYMBOL), MARKET), STRATEGY)
    signals = signals_of(SYMBOL, keys, events.ts_event_us, orders, STRATEGY.max_position, range(len(events)))
    return signals, backtest(events.ticks, orders, MARKET.instrument(SYMBOL), MARKET, STRATEGY.max_position)


@pytest.mark.parametrize("day", [date(2024, 1, 9), date(2024, 3, 11), date(2024, 11, 4)])
def test_terminal_day_has_the_lakehouses_history_and_the_backtests_trades(day: date) -> None:
    events = events_of(day)
    signals, made = orders_of(events)
    run = TerminalRun([trade_on_terminal(FILE, SYMBOL, day.isoformat(), events.ticks[0], signals, "direction")])
    figures = run.figures(made)
    assert len(made) > 50
    assert (figures["backtest_trades"], figures["terminal_trades"]) == (len(made), len(made))
    assert (figures["history_ticks"], figures["history_terminal_ticks"]) == (len(events.ticks[0]), len(events.ticks[0]))
    assert figures["history_bars"] == figures["history_terminal_bars"] > 1_300
    assert (figures["history_mismatches"], figures["trade_mismatches"], figures["mismatches"]) == (0, 0, 0)
    assert figures["history_price_difference_points"] == figures["history_bar_difference_points"] == 0.0


def test_terminal_has_a_recorded_days_history() -> None:
    raw = recorded_day("EURUSD", datetime(2019, 2, 5, tzinfo=UTC))
    clean = day_from_ticks("EURUSD", "2019-02-05", raw, MARKET, STRATEGY).ticks
    found = trade_on_terminal(FILE, "EURUSD", "2019-02-05", clean, [], "direction").history
    assert found.ticks == found.terminal_ticks == len(clean) > 50_000
    assert found.bars == found.terminal_bars > 1_400
    assert found.mismatches == 0


def test_terminal_that_lacks_ticks_fails_the_agreement(monkeypatch: pytest.MonkeyPatch) -> None:
    events = events_of(date(2024, 1, 9))
    signals, made = orders_of(events)
    holding = backtests.holding_terminal
    kept = np.arange(len(events.ticks[0])) % 1000 != 500
    monkeypatch.setattr(backtests, "holding_terminal", lambda market, ticks: holding(market, {SYMBOL: ticks[SYMBOL].take(kept)}))
    run = TerminalRun([trade_on_terminal(FILE, SYMBOL, "2024-01-09", events.ticks[0], signals, "direction")])
    figures = run.figures(made)
    missing = int((~kept).sum())
    assert figures["history_terminal_ticks"] == len(events.ticks[0]) - missing
    assert run.days[0].history.ticks_missing == missing
    assert figures["history_mismatches"] > missing  # minutes that lack a tick count too
    assert figures["mismatches"] == figures["history_mismatches"] + figures["trade_mismatches"]


def test_history_row_reads_as_a_person_does() -> None:
    events = events_of(date(2024, 1, 9))
    row = history_row(trade_on_terminal(FILE, SYMBOL, "2024-01-09", events.ticks[0], [], "direction").history)
    assert (row["date"], row["mismatches"]) == ("2024-01-09", 0)
    assert row["first_ts_us"].startswith("2024-01-09 00:00:")
    assert row["first_ts_us"] == row["terminal_first_ts_us"]
