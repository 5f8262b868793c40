"""A rougher market: which signals and minutes meet what depends on the seed alone, and the terminal answers accordingly."""

from __future__ import annotations

import hashlib

import numpy as np

from execution.adapters.mt5.simulator.faults import Fault, FaultKind
from execution.adapters.mt5.simulator.history import TickHistory
from execution.disturbance import LOST, Disturbance, disturbed_market, entry_faults, simulate_disturbed, widened
from execution.simulate import SimulatedSignal, simulate_symbol
from tests.unit.execution.conftest import MARKET, START_US, flat_history

CALM = Disturbance(7, wide_minute_share=0.0, reject_share=0.0, requote_share=0.0, lost_share=0.0)
TICKS = flat_history(3_600)


def signal(second: int) -> SimulatedSignal:
    key = hashlib.sha256(str(second).encode()).hexdigest()
    at = START_US + second * 1_000_000
    return SimulatedSignal(key, "EURUSD", at, 1, 99_000, 101_000, at + 30_000_000, 0.1, second)


SIGNALS = [signal(second) for second in range(0, 3_500, 60)]


def test_disturbed_market_changes_the_seed_alone() -> None:
    market = disturbed_market(MARKET, CALM)
    assert (market.execution.seed, market.execution.latency_median_ms) == (7, MARKET.execution.latency_median_ms)
    assert market.symbols == MARKET.symbols


def test_widened_spread_is_doubled_about_the_mid_in_whole_points() -> None:
    quotes = TickHistory(TICKS.ts_us, TICKS.bid_points, TICKS.bid_points + 3, TICKS.bid_size, TICKS.ask_size)
    wide = widened(quotes, Disturbance(7, wide_minute_share=1.0))
    assert (wide.bid_points[0], wide.ask_points[0]) == (99_999, 100_005)


def test_widened_minutes_are_whole_and_few() -> None:
    wide = widened(TICKS, Disturbance(7, wide_minute_share=0.1))
    is_wide = (wide.ask_points - wide.bid_points) == 4
    by_minute = is_wide.reshape(60, 60)
    assert set(by_minute.sum(axis=1).tolist()) == {0, 60}
    assert 0 < by_minute[:, 0].sum() < 20


def test_widened_share_of_none_changes_nothing() -> None:
    assert (widened(TICKS, CALM).ask_points == TICKS.ask_points).all()


def test_entry_faults_depend_on_the_seed() -> None:
    first, second = (entry_faults(SIGNALS, Disturbance(seed, reject_share=0.3, requote_share=0.3)) for seed in (7, 8))
    assert first == entry_faults(SIGNALS, Disturbance(7, reject_share=0.3, requote_share=0.3))
    assert first.keys() != second.keys()
    assert {fault.kind for faults in first.values() for fault in faults} == {FaultKind.REJECT, FaultKind.REQUOTE}


def test_simulate_disturbed_without_a_disturbance_is_the_run_with_that_seed() -> None:
    plain = simulate_symbol(disturbed_market(MARKET, CALM), "EURUSD", TICKS, SIGNALS)
    rough = simulate_disturbed(MARKET, "EURUSD", TICKS, SIGNALS, CALM)
    assert len(plain.trades) == len(SIGNALS)
    assert (rough.run.trades, rough.run.denied, rough.run.refused) == (plain.trades, {}, {})


def test_simulate_disturbed_lost_signals_never_arrive() -> None:
    rough = simulate_disturbed(MARKET, "EURUSD", TICKS, SIGNALS, Disturbance(7, 0.0, 2.0, 0.0, 0.0, lost_share=1.0))
    assert (rough.run.trades, set(rough.run.denied.values()), len(rough.run.denied)) == ((), {LOST}, len(SIGNALS))


def test_simulate_disturbed_rejected_entries_make_no_trade_and_are_named() -> None:
    rough = simulate_disturbed(
        MARKET, "EURUSD", TICKS, SIGNALS, Disturbance(7, 0.0, 2.0, reject_share=1.0, requote_share=0.0, lost_share=0.0)
    )
    assert (rough.run.trades, set(rough.run.refused.values()), len(rough.run.refused)) == ([], {"REJECT"}, len(SIGNALS))


def test_requotes_are_cured_by_a_retry_until_the_desk_gives_up() -> None:
    one, other = SIGNALS[0].signal_id, SIGNALS[1].signal_id
    requote = Fault(FaultKind.REQUOTE)
    run = simulate_symbol(MARKET, "EURUSD", TICKS, SIGNALS[:2], entry_faults={one: [requote] * 3, other: [requote] * 4})
    assert [trade.signal_id for trade in run.trades] == [one]
    assert run.refused == {other: "REQUOTE"}


def test_entry_faults_leave_closes_alone() -> None:
    key = SIGNALS[0].signal_id
    run = simulate_symbol(
        MARKET, "EURUSD", TICKS, SIGNALS[:1], entry_faults={key: [Fault(FaultKind.REQUOTE)] * 3 + [Fault(FaultKind.REJECT)]}
    )
    assert run.refused == {key: "REJECT"}
    run = simulate_symbol(MARKET, "EURUSD", TICKS, SIGNALS[:1], entry_faults={key: [Fault(FaultKind.REQUOTE)] * 3})
    assert [trade.exit_reason for trade in run.trades] == ["TIME"]


def test_simulate_symbol_says_why_a_signal_was_not_sent() -> None:
    near = signal(5)
    run = simulate_symbol(MARKET, "EURUSD", TICKS, [SIGNALS[0], near])
    assert (len(run.trades), run.denied, run.refused) == (1, {near.signal_id: "POSITION_OPEN"}, {})


def test_widened_of_no_ticks_is_empty() -> None:
    nothing = TickHistory(*(np.empty(0, np.int64) for _ in range(3)), *(np.empty(0) for _ in range(2)))
    assert len(widened(nothing, Disturbance(7))) == 0
