"""The account by hand: each rule on a handful of ticks, and against the backtest of one symbol on random ones."""

from dataclasses import replace

import numpy as np
import pytest

from execution.market import default_market_text
from tests.unit.domain.accounts import EUR, JPY, MARKET, PATIENT, euro, held, orders_of, random_line, run_one, stamp, ticks_of, yen
from tests.unit.domain.slow_account import SlowAccount
from tick_assets.domain.account import NO_LIMITS, AccountLimits, AccountRun, Line, limits_of, trade_account
from tick_assets.domain.account_loop import OUTCOMES
from tick_assets.domain.backtest import NO_STRESS, Orders, Stress, backtest
from tick_assets.domain.instruments import AccountTerms, Instrument, parse_market
from tick_assets.domain.session_closes import SessionRule
from tick_assets.domain.ticks import Ticks


def outcomes(run: AccountRun) -> list[list[str]]:
    return [[OUTCOMES[code] for code in line] for line in run.outcomes]


# Money.


def test_account_commission_is_charged_on_both_sides() -> None:
    trades = run_one(EUR, *held(1, "2024-01-08T10:00", "2024-01-08T10:05", gain=12), lots=2.0).trades
    assert (trades.gross.tolist(), trades.commission.tolist(), trades.swap.tolist()) == ([pytest.approx(20.0)], [14.0], [0.0])
    assert trades.net.tolist() == [pytest.approx(6.0)]


@pytest.mark.parametrize(
    ("side", "opened", "closed", "nights", "swap"),
    [
        (1, "2024-01-08T10:00", "2024-01-08T21:58", 0, 0.0),
        (1, "2024-01-08T21:50", "2024-01-08T22:10", 1, -7.0),
        (-1, "2024-01-08T21:50", "2024-01-08T22:10", 1, 2.0),
        (1, "2024-01-10T21:50", "2024-01-10T22:10", 3, -21.0),
        (-1, "2024-01-10T21:50", "2024-01-10T22:10", 3, 6.0),
        (1, "2024-07-08T20:50", "2024-07-08T21:10", 1, -7.0),
    ],
)
def test_account_swap_of_a_euro_lot(side: int, opened: str, closed: str, nights: int, swap: float) -> None:
    trades = run_one(EUR, *held(side, opened, closed)).trades
    assert (trades.nights.tolist(), trades.swap.tolist()) == ([nights], [pytest.approx(swap)])


def test_account_triple_swap_falls_on_the_configured_weekday() -> None:
    friday = replace(EUR, triple_swap_weekday="friday")
    assert run_one(friday, *held(1, "2024-01-10T21:50", "2024-01-10T22:10")).trades.swap.tolist() == [pytest.approx(-7.0)]


def test_account_swap_of_a_foreign_profit_currency_is_converted_at_the_exit() -> None:
    trades = run_one(JPY, *held(1, "2024-01-08T21:50", "2024-01-08T22:10", 148_000, 10, gain=110), lots=0.5).trades
    assert trades.swap.tolist() == [pytest.approx(8 / 1_000 * 100_000 * 0.5 / 148.110)]
    assert trades.gross.tolist() == [pytest.approx(100 / 1_000 * 100_000 * 0.5 / 148.110)]
    assert trades.net.tolist() == [pytest.approx(33.7586928 + 2.7006954 - 3.5)]


def test_account_swap_of_a_week_crossing_dates() -> None:
    days = [ticks_of((f"2024-01-{day:02d}T12:00:00", 110_000, 110_002), (f"2024-01-{day:02d}T12:01:00", 110_000, 110_002))
            for day in (8, 9, 10, 11, 12, 15)]  # fmt: skip
    orders = orders_of((0, 1, "2024-01-15T12:00:00"))
    run = trade_account([Line(EUR, days, orders, 0.1)], MARKET, crosses_dates=True)
    assert (run.trades.nights.tolist(), run.trades.swap.tolist()) == ([7], [pytest.approx(-4.9)])
    assert (run.trades.entry_date_index.tolist(), run.trades.exit_date_index.tolist(), run.trades.exit_row.tolist()) == ([0], [5], [1])


@pytest.mark.parametrize(("day", "paid"), [(8, 7.0), (10, 21.0)])
def test_backtest_charges_swap_where_the_market_file_says_so(day: int, paid: float) -> None:
    ticks, orders = held(1, f"2024-01-{day:02d}T21:50", f"2024-01-{day:02d}T22:10", gain=12)
    plain = backtest([ticks], orders, EUR, MARKET, 0.5)
    charged = backtest([ticks], orders, EUR, replace(MARKET, account=AccountTerms(charges_swap=True)), 0.5)
    assert plain.net_pnl_account.tolist() == [pytest.approx(5.0 - 3.5)]
    assert charged.net_pnl_account.tolist() == [pytest.approx(5.0 - 3.5 - paid / 2)]
    assert (plain.net_bps - charged.net_bps).tolist() == [pytest.approx(paid / 110_002 * 1e4)]


# Gaps.


FRIDAY = ticks_of(
    ("2024-01-12T20:00:00", 110_000, 110_002), ("2024-01-12T20:01:00", 110_000, 110_002), ("2024-01-12T21:00:00", 110_010, 110_012)
)
SUNDAY = ticks_of(("2024-01-14T22:05:00", 109_500, 109_540), ("2024-01-14T22:06:00", 109_700, 109_702))
STOP_IN_THE_GAP = replace(orders_of((0, 1, "2024-01-16T00:00:00")), stop_points=np.array([109_900]))


def test_account_stop_jumped_over_at_the_weekend_fills_behind_the_gap() -> None:
    trades = trade_account([Line(EUR, [FRIDAY, SUNDAY], STOP_IN_THE_GAP, 1.0)], MARKET, crosses_dates=True).trades
    assert ([OUTCOMES[code] for code in trades.reason], trades.exit_points.tolist()) == (["STOP"], [109_500.0])
    assert (trades.exit_ts_us.tolist(), trades.gross.tolist()) == ([stamp("2024-01-14T22:05:00")], [pytest.approx(-502.0)])


def test_account_position_ends_with_its_date_by_default() -> None:
    trades = trade_account([Line(EUR, [FRIDAY, SUNDAY], STOP_IN_THE_GAP, 1.0)], MARKET).trades
    assert ([OUTCOMES[code] for code in trades.reason], trades.exit_points.tolist()) == (["END_OF_DATA"], [110_010.0])


def test_account_target_jumped_over_at_the_weekend_fills_at_its_level_and_no_better() -> None:
    orders = replace(orders_of((0, -1, "2024-01-16T00:00:00")), target_points=np.array([109_800]))
    trades = trade_account([Line(EUR, [FRIDAY, SUNDAY], orders, 1.0)], MARKET, crosses_dates=True).trades
    assert ([OUTCOMES[code] for code in trades.reason], trades.exit_points.tolist()) == (["TARGET"], [109_800.0])


def test_account_short_stop_jumped_over_within_a_date_fills_at_the_ask_behind_it() -> None:
    ticks = ticks_of(
        ("2024-01-08T10:00:00", 110_000, 110_002), ("2024-01-08T10:01:00", 110_000, 110_002), ("2024-01-08T11:30:00", 110_400, 110_410)
    )
    orders = replace(orders_of((0, -1, "2024-01-08T12:00:00")), stop_points=np.array([110_100]))
    trades = run_one(EUR, ticks, orders).trades
    assert ([OUTCOMES[code] for code in trades.reason], trades.exit_points.tolist()) == (["STOP"], [110_410.0])


# Session closes.


SESSION = AccountLimits(session=SessionRule(no_entry_minutes=30, flat_minutes=5))
CLOSING = ticks_of(*((f"2024-01-12T21:{minute}:00", 110_000, 110_002) for minute in (20, 21, 30, 54, 55, 56, 59)))


def test_account_session_close_ends_what_is_open() -> None:
    trades = run_one(EUR, CLOSING, orders_of((0, 1, "2024-01-12T22:30:00")), SESSION).trades
    assert ([OUTCOMES[code] for code in trades.reason], trades.exit_ts_us.tolist()) == (["TIME"], [stamp("2024-01-12T21:56:00")])


def test_account_session_close_refuses_what_comes_late() -> None:
    run = run_one(EUR, CLOSING, orders_of((1, 1, "2024-01-12T21:21:30"), (2, 1, "2024-01-12T21:40:00")), SESSION)
    assert (outcomes(run), run.refusals()) == ([["TIME", "SESSION_CLOSING"]], {"SESSION_CLOSING": 1})


def test_account_session_close_keeps_a_position_that_may_cross_dates_out_of_the_weekend() -> None:
    orders = replace(orders_of((0, 1, "2024-01-16T00:00:00")), stop_points=np.array([109_900]))
    line = Line(EUR, [CLOSING, SUNDAY], orders, 1.0)
    kept = trade_account([line], MARKET, SESSION, crosses_dates=True).trades
    held_on = trade_account([line], MARKET, crosses_dates=True).trades
    assert ([OUTCOMES[code] for code in kept.reason], kept.exit_points.tolist()) == (["TIME"], [110_000.0])
    assert ([OUTCOMES[code] for code in held_on.reason], held_on.exit_points.tolist()) == (["STOP"], [109_500.0])


def test_account_without_a_session_rule_trades_to_the_end() -> None:
    assert outcomes(run_one(EUR, CLOSING, orders_of((3, 1, "2024-01-12T21:55:30")))) == [["TIME"]]


def test_limits_of_a_market_file() -> None:
    limits = {"positions": 3, "gross_exposure": 250_000.0, "flat_minutes": 10}
    assert limits_of(replace(MARKET, limits=limits)) == AccountLimits(1, 3, 250_000.0, 100.0, SessionRule(30, 10))
    assert limits_of(MARKET) == AccountLimits(leverage=100.0)


def test_limits_of_a_market_file_with_a_misspelt_key_names_it() -> None:
    with pytest.raises(ValueError, match=r"Expected the keys .* in \[limits\] of the market file, was position\. Correct it\."):
        limits_of(replace(MARKET, limits={"position": 3}))


def test_market_file_has_terms_clock_and_swap_of_each_symbol() -> None:
    market = parse_market(default_market_text())
    assert market.account == AccountTerms(100_000.0, 100, 50.0, False)
    assert market.server_clock == {"kind": "ny_plus_7"}
    shown = [(each.swap_long_points, each.swap_short_points, each.triple_swap_weekday) for each in
             (market.instrument("EURUSD"), market.instrument("BTCUSD"))]  # fmt: skip
    assert shown == [(-7.0, 2.0, "wednesday"), (-300.0, -300.0, "friday")]


def test_market_file_without_swap_charges_none() -> None:
    lines = default_market_text().splitlines()
    market = parse_market("\n".join(line for line in lines if "swap" not in line))
    assert (market.instrument("EURUSD").swap_long_points, market.instrument("EURUSD").triple_swap_weekday) == (0.0, "wednesday")


def test_market_file_with_an_unknown_weekday_names_it() -> None:
    text = default_market_text().replace('triple_swap_weekday = "friday"', 'triple_swap_weekday = "fryday"')
    with pytest.raises(ValueError, match=r"Expected triple_swap_weekday of \[symbols.BTCUSD\] to be one of monday, .*, was 'fryday'"):
        parse_market(text)


# Limits, and several symbols in one account. The euro's position lasts from 10:00:30 to 10:05:30.


@pytest.mark.parametrize(
    ("at", "outcome"),
    [
        ("2024-01-08T09:59:59", "END_OF_DATA"),
        ("2024-01-08T10:00:10", "LIMIT_POSITIONS"),
        ("2024-01-08T10:05:29", "LIMIT_POSITIONS"),
        ("2024-01-08T10:05:30", "END_OF_DATA"),
    ],
)
def test_account_one_position_in_the_account_counts_what_is_in_flight_and_frees_at_the_exit(at: str, outcome: str) -> None:
    run = trade_account([euro(), yen(at)], PATIENT, AccountLimits(positions=1))
    assert outcomes(run)[1] == [outcome]


def test_account_the_earlier_order_wins_whatever_the_order_of_the_lines() -> None:
    for lines in ([euro(), yen("2024-01-08T09:59:59")], [yen("2024-01-08T09:59:59"), euro()]):
        run = trade_account(lines, PATIENT, AccountLimits(positions=1))
        assert [run.lines[line].symbol for line in run.trades.line] == ["USDJPY"]


def test_account_at_equal_stamps_the_first_line_wins() -> None:
    for lines in ([euro(), yen("2024-01-08T10:00:00")], [yen("2024-01-08T10:00:00"), euro()]):
        run = trade_account(lines, PATIENT, AccountLimits(positions=1))
        assert run.trades.line.tolist() == [0]


@pytest.mark.parametrize(("limit", "outcome"), [(210_001.99, "LIMIT_EXPOSURE"), (210_002.0, "END_OF_DATA")])
def test_account_exposure_is_the_notional_of_both_in_account_currency(limit: float, outcome: str) -> None:
    run = trade_account([euro(), yen("2024-01-08T10:01:00")], PATIENT, AccountLimits(gross_exposure=limit))
    assert outcomes(run) == [["TIME"], [outcome]]


@pytest.mark.parametrize(
    ("balance", "gain", "outcome"),
    [(2_105.52, 0, "END_OF_DATA"), (2_105.51, 0, "LIMIT_MARGIN"), (2_105.52, -10, "LIMIT_MARGIN"), (2_115.52, -10, "END_OF_DATA")],
)
def test_account_margin_of_both_must_fit_into_equity(balance: float, gain: int, outcome: str) -> None:
    """Both need 1,100.02 + 1,000; the euro has paid 3.50 and shows its spread of 2, and what the bid lost since."""
    ticks = ticks_of(
        ("2024-01-08T10:00:00", 110_000, 110_002), ("2024-01-08T10:00:30", 110_000, 110_002),
        ("2024-01-08T10:01:00", 110_000 + gain, 110_002 + gain), ("2024-01-08T10:05:00", 110_000, 110_002),
        ("2024-01-08T10:05:30", 110_000, 110_002),
    )  # fmt: skip
    first = Line(EUR, [ticks], orders_of((0, 1, "2024-01-08T10:05:00")), 1.0)
    market = replace(PATIENT, account=AccountTerms(balance=balance))
    run = trade_account([first, yen("2024-01-08T10:01:00")], market, AccountLimits(leverage=100.0))
    assert outcomes(run)[1] == [outcome]


def test_account_loss_of_a_closed_trade_lowers_the_margin_for_the_next() -> None:
    """1,500 - 502 gross - 7 commission is 991, and a yen lot needs 1,000."""
    limits = AccountLimits(leverage=100.0)
    for balance, outcome in ((1_508.0, "LIMIT_MARGIN"), (1_509.0, "END_OF_DATA")):
        market = replace(PATIENT, account=AccountTerms(balance=balance))
        run = trade_account([euro(gain=-500), yen("2024-01-08T10:06:00")], market, limits)
        assert outcomes(run) == [["TIME"], [outcome]]


def test_account_second_order_of_a_symbol_waits_for_the_first_to_end() -> None:
    ticks = ticks_of(*((f"2024-01-08T10:{minute:02d}:00", 110_000, 110_002) for minute in range(10)))
    orders = orders_of((0, 1, "2024-01-08T10:03:00"), (2, 1, "2024-01-08T10:06:00"), (4, 1, "2024-01-08T10:06:00"))
    assert outcomes(run_one(EUR, ticks, orders)) == [["TIME", "LIMIT_SYMBOL", "TIME"]]
    both = run_one(EUR, ticks, orders, AccountLimits(positions_per_symbol=2))
    assert outcomes(both) == [["TIME", "TIME", "TIME"]]


def test_account_two_strategies_share_a_symbols_one_position() -> None:
    run = trade_account([euro(), euro()], MARKET)
    assert outcomes(run) == [["TIME"], ["LIMIT_SYMBOL"]]


def test_account_without_lines_or_orders_is_empty() -> None:
    assert len(trade_account([], MARKET).trades) == 0
    nothing = Orders(np.empty(0, np.int32), *(np.empty(0, np.int64) for _ in range(9)))
    assert len(run_one(EUR, FRIDAY, nothing).trades) == 0


# Against the backtest of one symbol.


QUICK = replace(MARKET, quote_wait_ms=2_000)


@pytest.mark.parametrize("stress", [NO_STRESS, Stress(1.5, 3.0, 1)])
@pytest.mark.parametrize("seed", range(12))
def test_account_without_limits_trades_each_symbol_as_the_backtest_does(seed: int, stress: Stress) -> None:
    lines = [random_line(seed, EUR), random_line(seed + 100, JPY)]
    run = trade_account(lines, QUICK, stress=stress)
    for place, line in enumerate(lines):
        wanted = backtest(line.ticks, line.orders, line.instrument, QUICK, line.lots, stress)
        found = run.trades.take(run.trades.line == place)
        assert len(wanted) > 10
        for name in ("event_index", "side", "entry_row", "exit_row", "entry_ts_us", "exit_ts_us", "entry_points", "exit_points", "reason"):
            assert getattr(found, name).tolist() == getattr(wanted, name).tolist()
        assert found.entry_date_index.tolist() == found.exit_date_index.tolist() == wanted.date_index.tolist()
        assert (found.gross - found.commission).tolist() == wanted.net_pnl_account.tolist()


@pytest.mark.parametrize("seed", range(6))
def test_account_never_holds_more_than_its_limit_and_refuses_only_at_it(seed: int) -> None:
    lines = [random_line(seed + i, instrument) for i, instrument in enumerate((EUR, JPY, replace(EUR, symbol="GBPUSD")))]
    run = trade_account(lines, QUICK, AccountLimits(positions=2))
    trades = run.trades
    open_at_entry = [int(((trades.entry_ts_us <= at) & (trades.exit_ts_us > at)).sum()) for at in trades.entry_ts_us]
    assert max(open_at_entry) == 2
    assert run.refusals()["LIMIT_POSITIONS"] > 0
    assert len(trades) < len(trade_account(lines, QUICK).trades)


# Against a slow account that looks at one stamp after the other.


def busy_line(seed: int, instrument: Instrument, lots: float, step_us: int) -> Line:
    """Return a Wednesday around the server's midnight, on stamps coarse enough for symbols to share many."""
    random = np.random.default_rng(seed)
    n, m = 300, 90
    stamps = stamp("2024-01-10T21:59:30") + np.cumsum(random.integers(1, 8, n)) * step_us
    level = 110_000 if instrument.profit_currency == "USD" else 148_000
    bid = level + np.cumsum(random.integers(-9, 10, n))
    ticks = Ticks(stamps, bid, bid + random.integers(0, 6, n), np.ones(n), np.ones(n))
    row = np.sort(random.choice(n - 1, m, replace=False)).astype(np.int64)
    side = random.choice([1, -1, 0], m).astype(np.int8)
    anchor = np.where(side > 0, bid[row], ticks.ask_points[row])
    whole = [random.integers(1, 6, m) * step_us - random.integers(0, 2, m) for _ in range(2)]
    slips = [random.integers(0, 3, m) for _ in range(2)]
    levels = [anchor - side * random.integers(3, 40, m), anchor + side * random.integers(3, 40, m)]
    exits = stamps[row] + random.integers(1, 60, m) * step_us
    orders = Orders(np.zeros(m, np.int32), row, side, *levels, exits, *(np.maximum(each, 1) for each in whole), *slips)
    return Line(instrument, [ticks], orders, lots)


LIMITS = [
    NO_LIMITS,
    AccountLimits(positions=2),
    AccountLimits(positions_per_symbol=3, positions=4),
    AccountLimits(gross_exposure=190_000.0),
    AccountLimits(positions_per_symbol=2, leverage=50.0),
]
TIGHT = replace(MARKET, account=AccountTerms(balance=4_000.0), quote_wait_ms=200)


def busy_lines(seed: int) -> list[Line]:
    instruments = (EUR, JPY, replace(EUR, symbol="GBPUSD", swap_long_points=-400.0), EUR)
    return [busy_line(10 * seed + i, each, 0.3 + 0.2 * i, 50_000) for i, each in enumerate(instruments)]


@pytest.mark.parametrize("limits", LIMITS)
@pytest.mark.parametrize("seed", range(8))
def test_account_equals_the_slow_one(seed: int, limits: AccountLimits) -> None:
    lines = busy_lines(seed)
    run = trade_account(lines, TIGHT, limits)
    slow = SlowAccount(lines, TIGHT, limits).run()
    for place, wanted in enumerate(slow):
        assert {i: OUTCOMES[code] for i, code in enumerate(run.outcomes[place]) if lines[place].orders.side[i]} == wanted


def test_account_random_markets_reach_every_limit() -> None:
    reasons = {reason for limits in LIMITS for reason in trade_account(busy_lines(0), TIGHT, limits).refusals()}
    assert reasons == {"PRICE_OFF", "INVALID_STOPS", "LIMIT_SYMBOL", "LIMIT_POSITIONS", "LIMIT_EXPOSURE", "LIMIT_MARGIN"}
