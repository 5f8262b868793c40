"""The terminal's backtest of a date: history by the port, compared, and traded on."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import pytest

from execution.market import default_market_text, parse_market_file
from execution.simulate import SimulatedSignal, signals_of
from tests.recorded import recorded_day
from tick_assets.assets import backtests
from tick_assets.assets.backtests import TerminalRun, history_row, run_on_terminal, trade_on_terminal
from tick_assets.cli.tester import exported_days, signals_of_case
from tick_assets.domain.backtest import Trades, backtest
from tick_assets.domain.dataset import TrainingSet, day_from_ticks, training_set
from tick_assets.domain.instruments import parse_market
from tick_assets.domain.orders import FillDraws, Views, draw_fills, orders_from_views, signal_keys
from tick_assets.domain.signals import Strategy
from tick_assets.domain.splits import DateSplit
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


@dataclass(frozen=True)
class FakeTest:
    """What a case knows of its test dates: views, draws and the backtest's trades."""

    views: Views
    draws: FillDraws
    trades: Trades


@dataclass(frozen=True)
class FakeCase:
    """A case of two dates, the second of which is for testing."""

    events: TrainingSet
    test: FakeTest
    symbol: str = SYMBOL
    strategy_name: str = "direction"
    strategy: Strategy = STRATEGY
    split: DateSplit = field(default=DateSplit(("2024-01-08",), (), ("2024-01-09",)))
    record: dict[str, Any] = field(default_factory=lambda: {"model_sha256": "m" * 64})


def fake_case() -> FakeCase:
    days = [generate_day(SyntheticMarket(k=2.0), 3, SYMBOL, date(2024, 1, day)).ticks for day in (8, 9)]
    events = training_set(SYMBOL, [day_from_ticks(SYMBOL, f"2024-01-0{8 + i}", raw, MARKET, STRATEGY) for i, raw in enumerate(days)])
    tested = events.on_dates(["2024-01-09"])
    views = np.where(np.arange(len(tested)) % 2, 1, -1).astype(np.int8)
    draws = draw_fills(signal_keys(tested, views, "m" * 64, STRATEGY), MARKET.instrument(SYMBOL), MARKET)
    return FakeCase(events, FakeTest(views, draws, orders_of(tested)[1]))


def test_run_on_terminal_trades_the_test_dates_of_a_case() -> None:
    case: Any = fake_case()
    run = run_on_terminal(case, TEXT)
    figures = run.figures(case.test.trades)
    assert [day.history.date for day in run.days] == ["2024-01-09"]
    assert (figures["history_dates"], figures["mismatches"]) == (1, 0)
    assert figures["terminal_trades"] == len(case.test.trades) > 50


def test_export_of_a_case_has_its_test_dates_and_every_entry() -> None:
    case: Any = fake_case()
    (day,) = exported_days(case, FILE)
    signals = signals_of_case(case)
    assert (day.date, len(day.ticks), int(day.bars.tick_count.sum())) == (
        "2024-01-09",
        len(case.events.ticks[1]),
        len(case.events.ticks[1]),
    )
    entries = {int(case.events.on_dates(["2024-01-09"]).ts_event_us[i]) for i in case.test.trades.event_index}
    assert entries <= {signal.ts_us for signal in signals}


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
