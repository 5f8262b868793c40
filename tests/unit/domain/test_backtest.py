"""The compiled backtest against a slow terminal that looks at one tick after the other."""

from dataclasses import dataclass

import numpy as np
import pytest

from tick_assets.domain import backtest as bt
from tick_assets.domain.fills import EXIT_REASONS
from tick_assets.domain.instruments import Instrument, Market
from tick_assets.domain.ticks import Ticks

INSTRUMENT = Instrument("SYN", "fx", 100_000, 5, 100_000.0, "SYN", "USD", 3.5, 0.3, 0.01, 0.01, 100.0, "")
MARKET = Market("USD", 1, 100.0, 0.6, 2_000, {"SYN": INSTRUMENT})
HOUR = 3_600_000_000


def _ticks(seed: int, n: int = 400, gap_us: float = 300_000) -> Ticks:
    random = np.random.default_rng(seed)
    ts_us = 1_704_700_800_000_000 + np.cumsum(random.exponential(gap_us, n).astype(np.int64) * random.integers(0, 4, n))
    bid = 110_000 + np.cumsum(random.integers(-3, 4, n))
    return Ticks(ts_us, bid, bid + random.integers(0, 9, n), np.ones(n), np.ones(n))


def _orders(seed: int, ticks: Ticks, m: int = 60) -> bt.Orders:
    random = np.random.default_rng(seed + 1)
    row = np.sort(random.choice(len(ticks), m, replace=False)).astype(np.int64)
    side = random.integers(-1, 2, m).astype(np.int8)
    anchor = np.where(side > 0, ticks.bid_points[row], ticks.ask_points[row])
    width = random.integers(1, 25, m)
    return bt.Orders(
        date_index=np.zeros(m, np.int32),
        row=row,
        side=side,
        stop_points=anchor - side * width,
        target_points=anchor + side * random.integers(1, 25, m),
        exit_at_us=ticks.ts_us[row] + random.integers(1, 20, m) * 1_000_000,
        entry_latency_us=random.integers(1, 900_000, m),
        exit_latency_us=random.integers(1, 900_000, m),
        entry_slippage_points=random.integers(0, 3, m),
        exit_slippage_points=random.integers(0, 3, m),
    )


@dataclass
class _Position:
    order: int
    arrival: int
    entry: tuple[int, float] | None = None
    close_arrival: int | None = None


def _leave(position: _Position, orders: bt.Orders, ts: int, price: int) -> tuple[float, str] | None:
    """Return price and reason of the exit at this tick, or None: the stop comes before the target, and both before the close order."""
    i = position.order
    side, stop, target = int(orders.side[i]), orders.stop_points[i], orders.target_points[i]
    if side * (price - stop) <= 0:
        return float(price), "STOP"
    if side * (price - target) >= 0:
        return float(target), "TARGET"
    if position.close_arrival is not None and ts >= position.close_arrival:
        return float(price - side * orders.exit_slippage_points[i]), "TIME"
    return None


def _slow(ticks: Ticks, orders: bt.Orders, quote_wait_us: int) -> list[tuple[int, int, int, float, float, str]]:
    """At every tick: first the terminal (pending fill, stop and target, close order), then the strategy."""
    at_row = {int(row): i for i, row in enumerate(orders.row) if orders.side[i] != 0}
    trades, held = [], None
    n = len(ticks)
    for j in range(n):
        ts, bid, ask = int(ticks.ts_us[j]), int(ticks.bid_points[j]), int(ticks.ask_points[j])
        if held is not None and held.entry is None and ts >= held.arrival:
            i = held.order
            side, stop, target = int(orders.side[i]), orders.stop_points[i], orders.target_points[i]
            is_valid = stop < bid < target if side > 0 else target < ask < stop
            if ts > held.arrival + quote_wait_us or not is_valid:
                held = None
            else:
                slip = orders.entry_slippage_points[i]
                held.entry = (j, float(ask + slip if side > 0 else bid - slip))
                if ts >= orders.exit_at_us[i]:
                    held.close_arrival = ts + int(orders.exit_latency_us[i])
        elif held is not None and held.entry is not None:
            i = held.order
            leave = _leave(held, orders, ts, bid if orders.side[i] > 0 else ask)
            if leave is not None:
                trades.append((i, held.entry[0], j, held.entry[1], *leave))
                held = None
            elif held.close_arrival is None and ts >= orders.exit_at_us[i]:
                held.close_arrival = ts + int(orders.exit_latency_us[i])
        if held is None and j in at_row:
            i = at_row[j]
            held = _Position(i, ts + int(orders.entry_latency_us[i]))
    if held is not None and held.entry is not None:
        price = ticks.bid_points[-1] if orders.side[held.order] > 0 else ticks.ask_points[-1]
        trades.append((held.order, held.entry[0], n - 1, held.entry[1], float(price), "END_OF_DATA"))
    return trades


def _fast(ticks: Ticks, orders: bt.Orders) -> list[tuple[int, int, int, float, float, str]]:
    trades = bt.backtest([ticks], orders, INSTRUMENT, MARKET, 0.1)
    names = [EXIT_REASONS[code] for code in trades.reason]
    columns = (trades.event_index, trades.entry_row, trades.exit_row, trades.entry_points, trades.exit_points)
    return [(*row, name) for row, name in zip(zip(*(c.tolist() for c in columns), strict=True), names, strict=True)]


@pytest.mark.parametrize("seed", range(40))
def test_backtest_equals_the_slow_terminal(seed: int) -> None:
    ticks = _ticks(seed)
    orders = _orders(seed, ticks)
    assert _fast(ticks, orders) == _slow(ticks, orders, MARKET.quote_wait_ms * 1000)


def test_backtest_random_markets_reach_every_reason() -> None:
    seen = {trade[-1] for seed in range(40) for trade in _fast(_ticks(seed), _orders(seed, _ticks(seed)))}
    assert seen >= {"STOP", "TARGET", "TIME"}


def _line(bid: list[int], spread: int = 2) -> Ticks:
    n = len(bid)
    points = np.array(bid, np.int64)
    return Ticks(HOUR + np.arange(n, dtype=np.int64) * 1_000_000, points, points + spread, np.ones(n), np.ones(n))


def _one(side: int, stop: int, target: int, exit_s: float = 100.0, row: int = 0, slip: int = 0) -> bt.Orders:
    return bt.Orders(
        np.zeros(1, np.int32),
        np.array([row], np.int64),
        np.array([side], np.int8),
        np.array([stop]),
        np.array([target]),
        np.array([HOUR + int(exit_s * 1e6)]),
        np.array([500_000]),
        np.array([500_000]),
        np.array([slip]),
        np.array([slip]),
    )


@pytest.mark.parametrize(
    ("side", "bid", "stop", "target", "exit_s", "expected"),
    [
        (1, [100, 100, 104, 120, 90], 80, 110, 100.0, (102.0, 110.0, "TARGET")),
        (1, [100, 100, 70, 120, 90], 80, 110, 100.0, (102.0, 70.0, "STOP")),
        (-1, [100, 100, 95, 60, 90], 130, 90, 100.0, (100.0, 90.0, "TARGET")),
        (1, [100, 100, 101, 103, 90], 80, 110, 2.0, (102.0, 103.0, "TIME")),
        (1, [100, 100, 101, 103, 105], 80, 110, 100.0, (102.0, 105.0, "END_OF_DATA")),
    ],
)
def test_backtest_exit(side: int, bid: list[int], stop: int, target: int, exit_s: float, expected: tuple[float, float, str]) -> None:
    trades = bt.backtest([_line(bid)], _one(side, stop, target, exit_s), INSTRUMENT, MARKET, 1.0)
    assert (trades.entry_points[0], trades.exit_points[0], EXIT_REASONS[trades.reason[0]]) == expected


def test_backtest_stops_crossed_at_the_fill_make_no_trade() -> None:
    assert len(bt.backtest([_line([100, 75, 90])], _one(1, 80, 110), INSTRUMENT, MARKET, 1.0)) == 0


def test_backtest_no_quote_within_the_wait_makes_no_trade() -> None:
    ticks = _line([100, 101, 102])
    late = Ticks(np.array([HOUR, HOUR + 10_000_000, HOUR + 11_000_000]), *ticks.columns[1:])
    assert len(bt.backtest([late], _one(1, 80, 130), INSTRUMENT, MARKET, 1.0)) == 0


def test_backtest_net_profit_charges_both_commissions() -> None:
    trades = bt.backtest([_line([100, 100, 104, 120])], _one(1, 80, 110), INSTRUMENT, MARKET, 0.1)
    assert trades.net_pnl_account[0] == pytest.approx((110 - 102) / 100_000 * 100_000 * 0.1 - 2 * 3.5 * 0.1)


def test_backtest_wider_spread_costs_both_ways() -> None:
    ticks, order = _line([100, 100, 101, 103, 103], spread=4), _one(1, 50, 150, 2.0)
    plain = bt.backtest([ticks], order, INSTRUMENT, MARKET, 1.0)
    wide = bt.backtest([ticks], order, INSTRUMENT, MARKET, 1.0, bt.Stress(spread_multiple=2.0))
    assert (wide.entry_points - plain.entry_points, wide.exit_points - plain.exit_points) == (2.0, -2.0)


def test_backtest_slower_orders_fill_later() -> None:
    slow = bt.backtest([_line([100] * 6)], _one(1, 50, 150), INSTRUMENT, MARKET, 1.0, bt.Stress(latency_multiple=5.0))
    assert slow.entry_row[0] == 3


def test_backtest_of_two_dates_keeps_them_apart() -> None:
    first, second = _ticks(1), _ticks(2)
    one, two = _orders(1, first), _orders(2, second)
    joined = bt.Orders(
        np.repeat(np.array([0, 1], np.int32), [len(one), len(two)]),
        *(np.concatenate([getattr(one, name), getattr(two, name)]) for name in list(bt.Orders.__dataclass_fields__)[1:]),
    )
    trades = bt.backtest([first, second], joined, INSTRUMENT, MARKET, 0.1)
    apart = [bt.backtest([ticks], orders, INSTRUMENT, MARKET, 0.1) for ticks, orders in ((first, one), (second, two))]
    assert trades.net_pnl_account.tolist() == [*apart[0].net_pnl_account, *apart[1].net_pnl_account]
    assert set(trades.event_index[trades.date_index == 1] >= len(one)) == {True}


def test_hourly_pnl_counts_empty_hours_and_keeps_the_total() -> None:
    ticks = Ticks(*(np.concatenate([a, b]) for a, b in zip(_line([100, 100, 104, 120]).columns, _shifted(5).columns, strict=True)))
    hours = bt.open_hours([ticks])
    trades = bt.backtest([ticks], _one(1, 80, 110), INSTRUMENT, MARKET, 1.0)
    series = bt.hourly_pnl(trades, hours)
    assert hours.tolist() == [1, 6]
    assert series.tolist() == [trades.net_pnl_account[0], 0.0]


def _shifted(hours: int) -> Ticks:
    line = _line([100, 101])
    return Ticks(line.ts_us + hours * HOUR, *line.columns[1:])


def test_backtest_without_orders_has_no_trades() -> None:
    ticks = _line([100, 101])
    orders = bt.Orders(np.empty(0, np.int32), *(np.empty(0, np.int64) for _ in range(9)))
    assert len(bt.backtest([ticks], orders, INSTRUMENT, MARKET, 1.0)) == 0
