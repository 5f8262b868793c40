"""The side of hftbacktest: the sparse orders over the first ticks of one date, as a strategy of its own in compiled code.

What belongs here: the rival, in the environment of model_rivals.txt. What must not: anything of the project but quotes and orders.

A tick is up to four depth events: the old best bid and ask leave, the new ones come. Prices are in points, one point a price tick.
Between orders time elapses without a callback; with a position the strategy looks at each feed event whose book has two sides. Orders go
to the market, their response is waited for; an order takes 50 ms to the exchange, its response none.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from benchmarks import quotes
from benchmarks.side import Work, serve

NAME = "hftbacktest"
LARGEST, SMALLEST = 2**62, -(2**62)
"""Prices in ticks beyond these are the book's words for an empty side."""


def _events(date: tuple[Any, ...]) -> Any:
    """Return the depth events of quotes: where a side's price changed, its old level goes and its new one comes."""
    import numpy as np
    from hftbacktest import BUY_EVENT, DEPTH_EVENT, EXCH_EVENT, LOCAL_EVENT, SELL_EVENT
    from hftbacktest.types import event_dtype

    ts_us, bid, ask = date
    moved = {side: np.flatnonzero(np.diff(price, prepend=-1)) for side, price in ((BUY_EVENT, bid), (SELL_EVENT, ask))}
    parts = []
    for place, (side, price) in enumerate(((BUY_EVENT, bid), (SELL_EVENT, ask))):
        rows = moved[side]
        leaving = rows[rows > 0]
        parts += [(leaving * 4 + place, leaving, side, price[leaving - 1], 0.0), (rows * 4 + 2 + place, rows, side, price[rows], 1e6)]
    order = np.argsort(np.concatenate([part[0] for part in parts]), kind="stable")
    events = np.zeros(len(order), event_dtype)
    stamps = np.concatenate([ts_us[part[1]] for part in parts])[order] * 1_000
    events["exch_ts"] = events["local_ts"] = stamps
    flags = np.concatenate([np.full(len(part[1]), part[2] | DEPTH_EVENT | EXCH_EVENT | LOCAL_EVENT, np.uint64) for part in parts])
    events["ev"] = flags[order]
    events["px"] = np.concatenate([part[3] for part in parts])[order]
    events["qty"] = np.concatenate([np.full(len(part[1]), part[4]) for part in parts])[order]
    return events


def _backtest(events: Any) -> Any:
    from hftbacktest import BacktestAsset, ROIVectorMarketDepthBacktest

    low, high = float(events["px"].min()), float(events["px"].max())
    asset = BacktestAsset().data([events]).linear_asset(1.0).constant_latency(quotes.LATENCY_US * 1_000, 0).risk_adverse_queue_model()
    asset = asset.no_partial_fill_exchange().trading_value_fee_model(0.0, 0.0).tick_size(1.0).lot_size(1.0)
    return ROIVectorMarketDepthBacktest([asset.roi_lb(low - 100.0).roi_ub(high + 100.0)])


def _steps() -> tuple[Any, Any]:
    """Return what sends a market order and waits for its response, and what holds a position until it is to end."""
    import numba as nb
    from hftbacktest import GTC, MARKET

    @nb.njit  # type: ignore[untyped-decorator]
    def send(hbt, number, side):  # type: ignore[no-untyped-def]
        if side > 0:
            return hbt.submit_buy_order(0, number, hbt.depth(0).best_ask, 1.0, GTC, MARKET, True)
        return hbt.submit_sell_order(0, number, hbt.depth(0).best_bid, 1.0, GTC, MARKET, True)

    @nb.njit  # type: ignore[untyped-decorator]
    def hold(hbt, side, stop, target, exit_ns):  # type: ignore[no-untyped-def]
        """Wait until a barrier is touched or the time is over; return False at the end of the data."""
        while hbt.current_timestamp < exit_ns:
            met = hbt.wait_next_feed(False, exit_ns - hbt.current_timestamp)
            if met == 1:
                return False
            depth = hbt.depth(0)
            bid, ask = depth.best_bid_tick, depth.best_ask_tick
            if bid <= SMALLEST or ask >= LARGEST:
                continue
            price = bid if side > 0 else ask
            if side * price <= side * stop or side * price >= side * target:
                return True
        return True

    return send, hold


def _strategy() -> Any:
    """Return the compiled strategy: order number, entry and exit price of its trades."""
    import numba as nb
    import numpy as np

    send, hold = _steps()

    @nb.njit  # type: ignore[untyped-decorator]
    def run(hbt, at_ns, side, stop, target, exit_ns):  # type: ignore[no-untyped-def]
        made = np.zeros((len(at_ns), 3))
        count = 0
        hbt.elapse(0)  # before it the engine has no time
        for i in range(len(at_ns)):
            if at_ns[i] < hbt.current_timestamp:
                continue
            if hbt.elapse(at_ns[i] - hbt.current_timestamp) != 0:
                break
            if send(hbt, 2 * i, side[i]) != 0 or not hold(hbt, side[i], stop[i], target[i], exit_ns[i]):
                break
            entry = hbt.orders(0).get(2 * i).exec_price
            if send(hbt, 2 * i + 1, -side[i]) != 0:
                break
            made[count, 0], made[count, 1], made[count, 2] = i, entry, hbt.orders(0).get(2 * i + 1).exec_price
            count += 1
            hbt.clear_inactive_orders(0)
        hbt.elapse(LARGEST)
        return made[:count]

    return run


def _side(file: str, size: int, trades: str) -> Work:
    (date,) = quotes.read([file], size)
    orders, events, run = quotes.orders(date, quotes.SPARSE, 0), _events(date), _strategy()
    side, stop, target = (column.astype("int64") for column in (orders.side, orders.stop, orders.target))
    held: list[Any] = [None]

    def prepare() -> None:
        if held[0] is not None:
            held[0].close()
        held[0] = _backtest(events)

    def count(made: Any) -> int:
        Path(trades).write_text(json.dumps(made.tolist()))
        return len(date[0])

    return Work(
        lambda: run(held[0], date[0][orders.row] * 1_000, side, stop, target, orders.exit_at_us * 1_000),
        count,
        prepare,
        lambda made: {"trades": len(made), "events": len(events)},
    )


SIDES = {NAME: _side}

if __name__ == "__main__":
    serve(SIDES)
