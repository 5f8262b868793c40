"""The fill rules once more, as slowly and plainly as possible, written from the contract alone; tests compare with it.

What must not live here: numpy, the simulator, or anything clever.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ReferenceOrder:
    """One signal at tick `row`; `side` is +1 or -1."""

    row: int
    side: int
    stop: int
    target: int
    exit_at_us: int
    entry_latency_us: int
    exit_latency_us: int
    entry_slip: int
    exit_slip: int


@dataclass(frozen=True)
class ReferenceTrade:
    """A filled trade; `order` is the index of its order."""

    order: int
    entry_row: int
    exit_row: int
    entry_points: int
    exit_points: int
    reason: str


def are_stops_valid(order: ReferenceOrder, bid: int, ask: int) -> bool:
    """Tell whether stop and target straddle the market at the fill."""
    if order.side > 0:
        return order.stop < bid < order.target
    return order.target < ask < order.stop


def exit_of(order: ReferenceOrder, bid: int, ask: int, is_close_here: bool) -> tuple[int, str] | None:
    """Return the exit price and reason at a tick after the fill; stop and target win over a close."""
    price = bid if order.side > 0 else ask
    if order.side * price <= order.side * order.stop:
        return price, "STOP"
    if order.side * price >= order.side * order.target:
        return order.target, "TARGET"
    return (price - order.side * order.exit_slip, "TIME") if is_close_here else None


def trade_day(ticks: list[tuple[int, int, int]], orders: list[ReferenceOrder], quote_wait_us: int) -> list[ReferenceTrade]:
    """Walk (ts_us, bid, ask) tick by tick: the terminal first, then the strategy sees the tick."""
    trades: list[ReferenceTrade] = []
    in_flight: tuple[int, int] | None = None  # order, arrival
    held: tuple[int, int, int] | None = None  # order, entry row, entry price
    close_arrival: int | None = None
    for row, (ts_us, bid, ask) in enumerate(ticks):
        if in_flight is not None and ts_us >= in_flight[1]:
            index, arrival = in_flight
            in_flight = None
            order = orders[index]
            if ts_us <= arrival + quote_wait_us and are_stops_valid(order, bid, ask):
                held = (index, row, ask + order.entry_slip if order.side > 0 else bid - order.entry_slip)
        elif held is not None:
            index, entry_row, entry_price = held
            ended = exit_of(orders[index], bid, ask, close_arrival is not None and ts_us >= close_arrival)
            if ended is not None:
                trades.append(ReferenceTrade(index, entry_row, row, entry_price, *ended))
                held = close_arrival = None
        if held is not None and close_arrival is None and ts_us >= orders[held[0]].exit_at_us:
            close_arrival = ts_us + orders[held[0]].exit_latency_us
        if held is None and in_flight is None:
            here = [index for index, order in enumerate(orders) if order.row == row]
            in_flight = (here[0], ts_us + orders[here[0]].entry_latency_us) if here else None
    if held is not None:
        index, entry_row, entry_price = held
        _, bid, ask = ticks[-1]
        price = bid if orders[index].side > 0 else ask
        trades.append(ReferenceTrade(index, entry_row, len(ticks) - 1, entry_price, price, "END_OF_DATA"))
    return trades
