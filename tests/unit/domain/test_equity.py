"""Equity, margin and exposure at the end of every open hour, by hand."""

from dataclasses import replace

import numpy as np
import pytest

from tests.unit.domain.accounts import EUR, JPY, MARKET, PATIENT, euro, held, orders_of, random_line, run_one, ticks_of, yen
from tick_assets.domain.account import Line, trade_account
from tick_assets.domain.equity import equity_curve, exposure_of, view_account

TEN = 473_362
"""The hour that begins on 2024-01-01 at 10:00 UTC, as hours since 1970."""
OVER_AN_HOUR = ticks_of(
    ("2024-01-01T10:00:00", 110_000, 110_002),
    ("2024-01-01T10:30:00", 110_000, 110_002),
    ("2024-01-01T10:59:00", 110_050, 110_054),
    ("2024-01-01T11:09:00", 110_041, 110_043),
    ("2024-01-01T11:10:00", 110_042, 110_044),
)


def test_equity_marks_a_long_at_the_bid_and_books_it_at_the_exit() -> None:
    run = trade_account([Line(EUR, [OVER_AN_HOUR], orders_of((0, 1, "2024-01-01T11:09:00")), 1.0)], PATIENT)
    curve = view_account(run).curve
    assert curve.hours.tolist() == [TEN, TEN + 1]
    assert curve.balance.tolist() == [pytest.approx(99_996.5), pytest.approx(100_033.0)]
    assert curve.equity.tolist() == [pytest.approx(99_996.5 + 48.0), pytest.approx(100_033.0)]
    assert curve.margin.tolist() == [pytest.approx(1_100.02), 0.0]
    assert curve.drawdown.tolist() == [0.0, pytest.approx(11.5)]
    assert curve.lowest_margin_level_pct == pytest.approx(100 * 100_044.5 / 1_100.02)


def test_equity_marks_a_short_at_the_ask() -> None:
    run = trade_account([Line(EUR, [OVER_AN_HOUR], orders_of((0, -1, "2024-01-01T11:09:00")), 1.0)], PATIENT)
    assert view_account(run).curve.equity.tolist() == [pytest.approx(99_996.5 - 54.0), pytest.approx(100_000.0 - 44.0 - 7.0)]


def test_equity_shows_swap_from_the_rollover_on() -> None:
    ticks = ticks_of(*((f"2024-01-10T{hour}:{minute}:00", 110_000, 110_002) for hour in (20, 21, 22, 23) for minute in ("00", "30")))
    run = trade_account([Line(EUR, [ticks], orders_of((0, 1, "2024-01-10T23:00:00")), 1.0)], PATIENT)
    curve = view_account(run).curve
    assert curve.equity.tolist() == [pytest.approx(value) for value in (99_994.5, 99_994.5, 99_973.5, 99_970.0)]
    assert curve.balance.tolist() == [pytest.approx(value) for value in (99_996.5, 99_996.5, 99_996.5, 99_970.0)]


def test_equity_drawdown_counts_from_the_opening_balance() -> None:
    run = run_one(EUR, *held(1, "2024-01-08T10:00", "2024-01-08T10:05", gain=-90))
    view = view_account(run)
    assert view.curve.drawdown.tolist() == [pytest.approx(99.0)]
    assert (view.figures.max_drawdown, view.figures.max_drawdown_pct) == (pytest.approx(99.0), pytest.approx(0.099))


def test_exposure_of_two_symbols_by_hour() -> None:
    """The euro is held from 10:00:30 to 10:05:30, the yen from 11:00 to the end of its data at 11:30."""
    run = trade_account([euro(), yen("2024-01-08T10:01:00", lots=0.5)], PATIENT)
    exposure = view_account(run).exposure
    assert exposure.symbols == ("EURUSD", "USDJPY")
    assert exposure.mean_gross_notional.tolist() == [[pytest.approx(110_002 / 12), 0.0], [0.0, pytest.approx(25_000.0)]]
    assert exposure.peak_gross_notional.tolist() == [pytest.approx(110_002.0), pytest.approx(50_000.0)]


def test_exposure_at_the_mark_tells_long_from_short() -> None:
    lines = [
        Line(EUR, [OVER_AN_HOUR], orders_of((0, 1, "2024-01-01T11:09:00")), 0.3),
        Line(replace(EUR, symbol="GBPUSD"), [OVER_AN_HOUR], orders_of((0, -1, "2024-01-01T11:09:00")), 0.2),
    ]
    exposure = view_account(trade_account(lines, PATIENT)).exposure
    assert exposure.net_lots.tolist() == [[0.3, -0.2], [0.0, 0.0]]
    assert exposure.gross_lots.tolist() == [[0.3, 0.2], [0.0, 0.0]]
    assert exposure.net_notional.tolist() == [[pytest.approx(33_000.6), pytest.approx(-22_000.0)], [0.0, 0.0]]


@pytest.mark.parametrize("seed", range(4))
def test_equity_ends_with_all_that_was_earned_and_agrees_with_a_slow_sum(seed: int) -> None:
    run = trade_account([random_line(seed, EUR), random_line(seed + 50, JPY)], replace(MARKET, quote_wait_ms=2_000))
    view, trades = view_account(run), run.trades
    assert view.curve.equity[-1] == pytest.approx(100_000 + trades.net.sum())
    moments = np.concatenate([trades.entry_ts_us, trades.exit_ts_us - 1])
    most = max(float(trades.notional[(trades.entry_ts_us <= at) & (at < trades.exit_ts_us)].sum()) for at in moments)
    assert view.figures.peak_gross_notional == pytest.approx(most)
    seconds = (trades.notional * (trades.exit_ts_us - trades.entry_ts_us)).sum() / 3_600_000_000
    assert view.exposure.mean_gross_notional.sum() == pytest.approx(seconds)


def test_equity_of_an_account_that_never_traded_is_its_opening_balance() -> None:
    run = trade_account([Line(EUR, [OVER_AN_HOUR], orders_of((0, 0, "2024-01-01T11:09:00")), 1.0)], MARKET)
    hours = np.array([TEN, TEN + 1])
    assert equity_curve(run, hours).equity.tolist() == [100_000.0, 100_000.0]
    assert exposure_of(run, hours).peak_gross_notional.tolist() == [0.0, 0.0]
