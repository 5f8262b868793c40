"""The simulated trade server: its clock, and when orders fill and positions end.

Rules, per symbol and tick, the terminal's work before anyone sees the tick:
    entry    arrives after its latency draw, fills at the first tick then, if one comes within `quote_wait_ms`; a buy pays ask + slip,
             a sell gets bid - slip; stop and target must straddle the market at that tick (bid of a buy, ask of a sell), else 10016
    barrier  on later ticks a long ends when bid <= stop (at that bid) or bid >= target (at the target); a short mirrors it on the ask
    close    arrives after its latency draw, fills at the first tick then (bid - slip, ask + slip); barriers win up to and on that tick
    end      a session that runs out of ticks ends each position at its symbol's last tick, own price, no slip ("end of data")
    swap     where the account charges it, points a lot for every server midnight held over, booked with the deal that ends the volume
What must not live here: MetaTrader's tuples, error codes of the terminal, server time (`module`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from execution import draws
from execution.adapters.mt5 import constants as mt5
from execution.adapters.mt5.server_clock import server_clock_from
from execution.adapters.mt5.simulator.history import TickHistory, empty_history
from execution.adapters.mt5.simulator.ledger import (
    BookDeal,
    BookOrder,
    BookPosition,
    Ledger,
    margin_in_account,
    profit_in_account,
)
from execution.adapters.mt5.simulator.swap import nights_held, swap_in_account
from execution.market import MarketFile, SymbolSpec

END_OF_DATA_COMMENT = "end of data"
_FAR_FUTURE_US = 2**62


@dataclass(frozen=True)
class MarketOrder:
    """A validated market order. `closes` is the position it closes, 0 for none; levels are points, 0 for none."""

    symbol: str
    sign: int
    volume: float
    stop_points: int
    target_points: int
    magic: int
    comment: str
    filling: int
    closes: int
    draw_key: str
    asked_points: int = 0
    deviation: int = 0
    share: float = 1.0


@dataclass(frozen=True)
class Execution:
    """What the server did with an order; `points` is the fill."""

    retcode: int
    order: int = 0
    deal: int = 0
    volume: float = 0.0
    points: float = 0.0


@dataclass
class _Line:
    """One symbol's ticks and how far they have been played (`row` is the last played, -1 for none)."""

    spec: SymbolSpec
    history: TickHistory
    row: int = -1


@dataclass(frozen=True)
class _InFlight:
    """An order that the caller no longer waits for, and when it arrives."""

    order: MarketOrder
    arrival_us: int


class TradeServer:
    """One broker with one account. Not thread-safe: the module surface holds the lock."""

    def __init__(self, market: MarketFile) -> None:
        self.market = market
        self.ledger = Ledger(market.account)
        self._clock = server_clock_from(market.server_clock)
        self.now_us = 0
        self.lines = {name: _Line(spec, empty_history()) for name, spec in market.symbols.items()}
        self._in_flight: list[_InFlight] = []
        self._draw_keys: dict[int, str] = {}

    def draw_key_of(self, position_id: int) -> str:
        """Return the draw key (the signal id) of the order that opened a position."""
        return self._draw_keys[position_id]

    # Clock and ticks.
    def begin_session(self, histories: Mapping[str, TickHistory]) -> None:
        """Load the ticks of a date; positions of an earlier session are ended first."""
        self.finish_session()
        for name, line in self.lines.items():
            line.history, line.row = histories.get(name, empty_history()), -1
        starts = [int(history.ts_us[0]) for history in histories.values() if len(history)]
        if starts:
            self.now_us = max(self.now_us, min(starts) - 1) if self.ledger.deals else min(starts) - 1
        if not self.ledger.deals:
            self.ledger.deposit(self.now_us)

    def finish_session(self) -> None:
        """Play all ticks that are left and end what is open at each symbol's last tick."""
        self._play({name: len(line.history) - 1 for name, line in self.lines.items()}, self.now_us)
        for name in self.lines:
            self._end_positions(name)
        self._in_flight.clear()
        for order in list(self.ledger.pending.values()):
            self._retire(order, mt5.ORDER_STATE_EXPIRED)

    def advance_to(self, ts_us: int) -> None:
        """Play every tick with a stamp <= ts_us."""
        rows = {name: line.history.last_at_or_before(ts_us) for name, line in self.lines.items()}
        self._play(rows, ts_us)

    def advance_to_row(self, symbol: str, row: int) -> None:
        """Play one symbol up to a row, and the others up to that row's stamp."""
        target = self.lines[symbol]
        row = min(row, len(target.history) - 1)
        if row <= target.row:
            return
        ts_us = int(target.history.ts_us[row])
        rows = {name: line.history.last_at_or_before(ts_us) for name, line in self.lines.items()}
        self._play({**rows, symbol: row}, ts_us)

    def next_tick(self) -> tuple[str, int] | None:
        """Play the next tick of any symbol; returns (symbol, row), or None at the end."""
        waiting = [(int(line.history.ts_us[line.row + 1]), name) for name, line in self.lines.items() if line.row + 1 < len(line.history)]
        if not waiting:
            return None
        ts_us, name = min(waiting)
        self._play({name: self.lines[name].row + 1}, ts_us)
        return name, self.lines[name].row

    def quote(self, symbol: str) -> tuple[int, int, int] | None:
        """Return (ts_us, bid, ask) in points of the last tick played."""
        line = self.lines[symbol]
        if line.row < 0:
            return None
        history = line.history
        return int(history.ts_us[line.row]), int(history.bid_points[line.row]), int(history.ask_points[line.row])

    def _play(self, rows: Mapping[str, int], now_us: int) -> None:
        """Play ticks up to a row per symbol, stopping at every tick where something happens."""
        while (event := self._next_event(rows)) is not None:
            ts_us, name, row = event
            for other, line in self.lines.items():
                if other != name and other in rows and line.row < rows[other]:
                    line.row = max(line.row, min(rows[other], line.history.first_at_or_after(ts_us) - 1))
            self.lines[name].row = row
            self.now_us = max(self.now_us, ts_us)
            self._work_at_tick(name)
        for name, row in rows.items():
            line = self.lines[name]
            line.row = max(line.row, row)
            if line.row >= 0:
                self.now_us = max(self.now_us, int(line.history.ts_us[line.row]))
        self.now_us = max(self.now_us, now_us)

    def _next_event(self, rows: Mapping[str, int]) -> tuple[int, str, int] | None:
        ledger = self.ledger
        if not ledger.positions and not ledger.pending and not self._in_flight:
            return None
        found: list[tuple[int, str, int]] = []
        for name, end in rows.items():
            row = self._next_event_row(name, end)
            if row >= 0:
                found.append((int(self.lines[name].history.ts_us[row]), name, row))
        stopped = self._stop_out_event(rows, min(found)[0] if found else _FAR_FUTURE_US)
        if stopped is not None:
            found.append(stopped)
        return min(found) if found else None

    def _next_event_row(self, name: str, end: int) -> int:
        line = self.lines[name]
        start, history = line.row + 1, line.history
        candidates: list[int] = []
        for position in self.ledger.positions.values():
            if position.symbol == name and (position.stop_points or position.target_points):
                candidates.append(history.first_exit(start, end, position.sign, position.stop_points, position.target_points))
        for order in self.ledger.pending.values():
            if order.symbol == name:
                candidates.append(self._first_pending_row(history, order, start, end))
        for flight in self._in_flight:
            if flight.order.symbol == name:
                row = history.first_at_or_after(flight.arrival_us, start)
                candidates.append(row if row <= end else -1)
        return min((row for row in candidates if row >= 0), default=-1)

    def _first_pending_row(self, history: TickHistory, order: BookOrder, start: int, end: int) -> int:
        if order.expiration_us:
            expired = history.first_at_or_after(order.expiration_us, start)
            reached = self._reach(history, order, start, min(end, expired))
            return reached if reached >= 0 else (expired if expired <= end else -1)
        return self._reach(history, order, start, end)

    def _reach(self, history: TickHistory, order: BookOrder, start: int, end: int) -> int:
        is_buy = order.order_type in (mt5.ORDER_TYPE_BUY_LIMIT, mt5.ORDER_TYPE_BUY_STOP)
        is_limit = order.order_type in (mt5.ORDER_TYPE_BUY_LIMIT, mt5.ORDER_TYPE_SELL_LIMIT)
        return history.first_reach(start, end, is_buy=is_buy, is_limit=is_limit, level=int(order.price_points))

    def _work_at_tick(self, name: str) -> None:
        self._trigger_barriers(name)
        self._trigger_pending(name)
        self._trigger_in_flight(name)
        self._stop_out()

    def _trigger_barriers(self, name: str) -> None:
        _, bid, ask = self._quote_now(name)
        for position in [p for p in self.ledger.positions.values() if p.symbol == name and p.opened_us <= self.now_us]:
            price, sign = (bid, 1) if position.sign > 0 else (ask, -1)
            if position.stop_points and sign * (price - position.stop_points) <= 0:
                self._close(position, price, position.volume, mt5.DEAL_REASON_SL, _level_comment(self, name, "sl", position.stop_points))
            elif position.target_points and sign * (price - position.target_points) >= 0:
                level = position.target_points
                self._close(position, level, position.volume, mt5.DEAL_REASON_TP, _level_comment(self, name, "tp", level))

    def _trigger_pending(self, name: str) -> None:
        line = self.lines[name]
        for order in [o for o in self.ledger.pending.values() if o.symbol == name]:
            if order.expiration_us and order.expiration_us <= self.now_us:
                self._retire(order, mt5.ORDER_STATE_EXPIRED)
            elif self._reach(line.history, order, line.row, line.row) >= 0:
                self._fill_pending(order)

    def _fill_pending(self, order: BookOrder) -> None:
        _, bid, ask = self._quote_now(order.symbol)
        is_buy = order.order_type in (mt5.ORDER_TYPE_BUY_LIMIT, mt5.ORDER_TYPE_BUY_STOP)
        is_limit = order.order_type in (mt5.ORDER_TYPE_BUY_LIMIT, mt5.ORDER_TYPE_SELL_LIMIT)
        market = ask if is_buy else bid
        price = order.price_points if is_limit else market
        self._retire(order, mt5.ORDER_STATE_FILLED)
        request = MarketOrder(
            order.symbol, 1 if is_buy else -1, order.volume, order.stop_points, order.target_points, order.magic, order.comment,
            order.filling, 0, order.draw_key,
        )  # fmt: skip
        self._open(request, order.ticket, price, order.volume)

    def _trigger_in_flight(self, name: str) -> None:
        due = [f for f in self._in_flight if f.order.symbol == name and f.arrival_us <= self.now_us]
        for flight in due:
            self._in_flight.remove(flight)
            self._execute(flight.order, flight.arrival_us)

    # Market orders.
    def send(self, order: MarketOrder) -> Execution:
        """Carry an order out: time passes until it fills or is refused."""
        line = self.lines[order.symbol]
        arrival = self._arrival_us(order)
        row = line.history.first_at_or_after(arrival, line.row + 1)
        if order.closes and self._ends_before(order, row):
            return self._refuse(order, mt5.TRADE_RETCODE_POSITION_CLOSED)
        if row >= len(line.history):
            return self._run_out(order, arrival)
        if not order.closes and int(line.history.ts_us[row]) > arrival + self._quote_wait_us:
            self.advance_to(arrival + self._quote_wait_us)
            return self._refuse(order, mt5.TRADE_RETCODE_PRICE_OFF)
        self.advance_to_row(order.symbol, row)
        return self._execute(order, arrival)

    def _ends_before(self, order: MarketOrder, row: int) -> bool:
        """Play up to the tick, at most `row`, whose stop or target ends the position before its close arrives.

        The caller is answered at that tick and not at the close's arrival: a backtest is free to trade again then.
        """
        line, position = self.lines[order.symbol], self.ledger.positions[order.closes]
        end = min(row, len(line.history) - 1)
        hit = line.history.first_exit(line.row + 1, end, position.sign, position.stop_points, position.target_points)
        if hit >= 0:
            self.advance_to_row(order.symbol, hit)
        return order.closes not in self.ledger.positions

    def send_and_forget(self, order: MarketOrder) -> None:
        """Let an order travel without waiting for it."""
        self._in_flight.append(_InFlight(order, self._arrival_us(order)))

    @property
    def _quote_wait_us(self) -> int:
        return self.market.execution.quote_wait_ms * 1000

    def _arrival_us(self, order: MarketOrder) -> int:
        return self.now_us + draws.latency_us(self.market.execution, order.draw_key, "exit" if order.closes else "entry")

    def _run_out(self, order: MarketOrder, arrival: int) -> Execution:
        if order.closes:
            self.advance_to_row(order.symbol, len(self.lines[order.symbol].history) - 1)
            self._end_positions(order.symbol)
            return self._refuse(order, mt5.TRADE_RETCODE_POSITION_CLOSED)
        self.advance_to(arrival + self._quote_wait_us)
        return self._refuse(order, mt5.TRADE_RETCODE_PRICE_OFF)

    def _execute(self, order: MarketOrder, arrival: int) -> Execution:
        """Fill an order at the tick that was just played, or refuse it."""
        ts_us, bid, ask = self._quote_now(order.symbol)
        if order.closes:
            return self._execute_close(order, bid, ask)
        if ts_us > arrival + self._quote_wait_us:
            return self._refuse(order, mt5.TRADE_RETCODE_PRICE_OFF)
        if not self._are_stops_valid(order, bid, ask):
            return self._refuse(order, mt5.TRADE_RETCODE_INVALID_STOPS)
        spec = self.lines[order.symbol].spec
        market = ask if order.sign > 0 else bid
        if spec.execution == "instant" and abs(market - order.asked_points) > order.deviation:
            return self._refuse(order, mt5.TRADE_RETCODE_REQUOTE)
        volume = self._volume_of(order, order.volume)
        if margin_in_account(spec, self.market.account, volume, market) > self.margin_free():
            return self._refuse(order, mt5.TRADE_RETCODE_NO_MONEY)
        slip = draws.slippage_points(spec.slippage_mean_points, self.market.execution.seed, order.draw_key, "entry_slippage")
        ticket = self._book_order(order, volume)
        deal = self._open(order, ticket, market + order.sign * slip, volume)
        return Execution(_done(volume, order.volume), ticket, deal.ticket, volume, deal.price_points)

    def _execute_close(self, order: MarketOrder, bid: int, ask: int) -> Execution:
        position = self.ledger.positions.get(order.closes)
        if position is None:
            return self._refuse(order, mt5.TRADE_RETCODE_POSITION_CLOSED)
        if order.volume > position.volume + 1e-9:
            return self._refuse(order, mt5.TRADE_RETCODE_INVALID_CLOSE_VOLUME)
        spec = self.lines[order.symbol].spec
        slip = draws.slippage_points(spec.slippage_mean_points, self.market.execution.seed, order.draw_key, "exit_slippage")
        price = bid - slip if position.sign > 0 else ask + slip
        volume = self._volume_of(order, order.volume)
        ticket = self._book_order(order, volume, position.identifier)
        deal = self._close(position, price, volume, mt5.DEAL_REASON_EXPERT, order.comment, ticket, order.magic)
        return Execution(_done(volume, order.volume), ticket, deal.ticket, volume, deal.price_points)

    def _volume_of(self, order: MarketOrder, volume: float) -> float:
        if order.share >= 1.0:
            return volume
        step = self.lines[order.symbol].spec.volume_step
        return max(step, round(int(volume * order.share / step + 1e-9) * step, 8))

    def _are_stops_valid(self, order: MarketOrder, bid: int, ask: int) -> bool:
        price = bid if order.sign > 0 else ask
        distance = max(1, self.lines[order.symbol].spec.stops_level)
        below = not order.stop_points or order.sign * (price - order.stop_points) >= distance
        return below and (not order.target_points or order.sign * (order.target_points - price) >= distance)

    def _refuse(self, order: MarketOrder, retcode: int) -> Execution:
        ticket = self._book_order(order, 0.0, state=mt5.ORDER_STATE_REJECTED)
        return Execution(retcode, ticket)

    def _book_order(self, order: MarketOrder, filled: float, position_id: int = 0, state: int = mt5.ORDER_STATE_FILLED) -> int:
        ticket = self.ledger.next_ticket()
        self.ledger.orders.append(BookOrder(
            ticket, order.symbol, mt5.ORDER_TYPE_BUY if order.sign > 0 else mt5.ORDER_TYPE_SELL, order.volume, order.volume - filled,
            0.0, order.stop_points, order.target_points, order.filling, order.magic, order.comment, mt5.ORDER_REASON_EXPERT, state,
            self.now_us, self.now_us, position_id or order.closes or ticket,
        ))  # fmt: skip
        return ticket

    # Positions.
    def _open(self, order: MarketOrder, ticket: int, points: float, volume: float) -> BookDeal:
        if self.market.account.margin_mode == "netting":
            held = next((p for p in self.ledger.positions.values() if p.symbol == order.symbol), None)
            if held is not None:
                return self._net(held, order, ticket, points, volume)
        self._draw_keys[ticket] = order.draw_key
        self.ledger.positions[ticket] = BookPosition(
            ticket, ticket, order.symbol, order.sign, volume, points, order.stop_points, order.target_points, self.now_us, self.now_us,
            order.magic, order.comment, order.draw_key, swap_from_us=self.now_us,
        )  # fmt: skip
        return self._book_deal(order.symbol, order.sign, mt5.DEAL_ENTRY_IN, ticket, ticket, volume, points, 0.0,
                               mt5.DEAL_REASON_EXPERT, order.magic, order.comment)  # fmt: skip

    def _net(self, held: BookPosition, order: MarketOrder, ticket: int, points: float, volume: float) -> BookDeal:
        held.updated_us = self.now_us
        self._accrue_swap(held)
        if held.sign == order.sign:
            held.open_points = (held.open_points * held.volume + points * volume) / (held.volume + volume)
            held.volume = round(held.volume + volume, 8)
            held.stop_points, held.target_points = order.stop_points, order.target_points
            return self._book_deal(order.symbol, order.sign, mt5.DEAL_ENTRY_IN, ticket, held.identifier, volume, points, 0.0,
                                   mt5.DEAL_REASON_EXPERT, order.magic, order.comment)  # fmt: skip
        if volume <= held.volume + 1e-9:
            return self._close(held, points, min(volume, held.volume), mt5.DEAL_REASON_EXPERT, order.comment, ticket, order.magic)
        profit, swap = self._profit(held, points, held.volume), self._take_swap(held, points, held.volume)
        deal = self._book_deal(order.symbol, order.sign, mt5.DEAL_ENTRY_INOUT, ticket, held.identifier, volume, points, profit,
                               mt5.DEAL_REASON_EXPERT, order.magic, order.comment, swap)  # fmt: skip
        del self.ledger.positions[held.ticket]
        held.ticket, held.sign, held.volume = ticket, order.sign, round(volume - held.volume, 8)
        held.open_points, held.stop_points, held.target_points = points, order.stop_points, order.target_points
        held.magic, held.comment, held.draw_key = order.magic, order.comment, order.draw_key
        self.ledger.positions[ticket] = held
        return deal

    def _close(
        self, position: BookPosition, points: float, volume: float, reason: int, comment: str, ticket: int = 0, magic: int = 0,
        entry: int = mt5.DEAL_ENTRY_OUT,
    ) -> BookDeal:  # fmt: skip
        """Close volume of a position. Deals of stops and targets carry magic 0, as many brokers do."""
        if not ticket:
            ticket = self.ledger.next_ticket()
            side = mt5.ORDER_TYPE_SELL if position.sign > 0 else mt5.ORDER_TYPE_BUY
            self.ledger.orders.append(BookOrder(
                ticket, position.symbol, side, volume, 0.0, points, 0, 0, mt5.ORDER_FILLING_FOK, magic, comment, reason,
                mt5.ORDER_STATE_FILLED, self.now_us, self.now_us, position.identifier,
            ))  # fmt: skip
        profit, swap = self._profit(position, points, volume), self._take_swap(position, points, volume)
        deal = self._book_deal(position.symbol, -position.sign, entry, ticket, position.identifier, volume, points, profit, reason,
                               magic, comment, swap)  # fmt: skip
        position.volume, position.updated_us = round(position.volume - volume, 8), self.now_us
        if position.volume <= 1e-9:
            del self.ledger.positions[position.ticket]
        return deal

    def close_by(self, first: BookPosition, second: BookPosition) -> BookDeal:
        """Close two opposite positions against each other, at the open price of the second."""
        volume, points = min(first.volume, second.volume), second.open_points
        self._close(second, points, volume, mt5.DEAL_REASON_EXPERT, "", magic=second.magic, entry=mt5.DEAL_ENTRY_OUT_BY)
        return self._close(first, points, volume, mt5.DEAL_REASON_EXPERT, "", magic=first.magic, entry=mt5.DEAL_ENTRY_OUT_BY)

    def _book_deal(
        self, symbol: str, sign: int, entry: int, order: int, position_id: int, volume: float, points: float, profit: float,
        reason: int, magic: int, comment: str, swap: float = 0.0,
    ) -> BookDeal:  # fmt: skip
        commission = -self.lines[symbol].spec.commission_per_lot_side * volume
        deal = BookDeal(
            self.ledger.next_ticket(), order, self.now_us, mt5.DEAL_TYPE_BUY if sign > 0 else mt5.DEAL_TYPE_SELL, entry, magic,
            position_id, reason, volume, points, commission, profit, symbol, comment, swap,
        )  # fmt: skip
        self.ledger.book(deal)
        return deal

    def _end_positions(self, name: str) -> None:
        """End a symbol's positions at its last tick, own price, no slip."""
        for position in [p for p in self.ledger.positions.values() if p.symbol == name]:
            _, bid, ask = self._quote_now(name)
            price = bid if position.sign > 0 else ask
            self._close(position, price, position.volume, mt5.DEAL_REASON_CLIENT, END_OF_DATA_COMMENT)

    def _retire(self, order: BookOrder, state: int) -> None:
        order.state, order.done_us = state, self.now_us
        order.position_id = order.ticket
        order.volume_left = 0.0 if state == mt5.ORDER_STATE_FILLED else order.volume_left
        self.ledger.pending.pop(order.ticket, None)
        self.ledger.orders.append(order)

    def place_pending(self, order: BookOrder) -> None:
        """Take a pending order into the book."""
        self.ledger.pending[order.ticket] = order

    def cancel_pending(self, ticket: int) -> None:
        """Cancel a pending order."""
        self._retire(self.ledger.pending[ticket], mt5.ORDER_STATE_CANCELED)

    # Money.
    def _quote_now(self, symbol: str) -> tuple[int, int, int]:
        quote = self.quote(symbol)
        if quote is None:
            raise ValueError(f"Expected a tick of {symbol} to have been played, was none. Advance the clock first.")
        return quote

    def _profit(self, position: BookPosition, points: float, volume: float) -> float:
        spec = self.lines[position.symbol].spec
        return profit_in_account(spec, self.market.account.currency, position.sign, position.open_points, points, volume)

    def _accrue_swap(self, position: BookPosition) -> None:
        """Count the nights since the last count for the volume that was held."""
        position.lot_nights, position.swap_from_us = self._lot_nights(position), self.now_us

    def _lot_nights(self, position: BookPosition) -> float:
        if not self.market.account.charges_swap:
            return 0.0
        triple = self.lines[position.symbol].spec.triple_swap_weekday
        return position.lot_nights + nights_held(self._clock, triple, position.swap_from_us, self.now_us) * position.volume

    def _take_swap(self, position: BookPosition, points: float, volume: float) -> float:
        """Return the swap that is due on part of a position, and take it off."""
        self._accrue_swap(position)
        is_all = volume >= position.volume - 1e-9
        part = position.lot_nights if is_all else position.lot_nights * volume / position.volume
        position.lot_nights -= part
        return self._swap_worth(position, part, points)

    def _swap_worth(self, position: BookPosition, lot_nights: float, points: float) -> float:
        spec = self.lines[position.symbol].spec
        return swap_in_account(spec, self.market.account.currency, position.sign, lot_nights, points) if lot_nights else 0.0

    def swap_so_far(self, position: BookPosition) -> float:
        """Return the swap that a position owes, negative, or has earned by now, at the last tick's price."""
        _, bid, ask = self._quote_now(position.symbol)
        return self._swap_worth(position, self._lot_nights(position), bid if position.sign > 0 else ask)

    def _swaps_so_far(self) -> float:
        return sum(self.swap_so_far(position) for position in self.ledger.positions.values())

    def floating(self, position: BookPosition) -> float:
        """Return a position's profit at the last tick."""
        _, bid, ask = self._quote_now(position.symbol)
        return self._profit(position, bid if position.sign > 0 else ask, position.volume)

    def equity(self) -> float:
        """Return balance plus floating profit and swap."""
        return self.ledger.balance + sum(self.floating(position) for position in self.ledger.positions.values()) + self._swaps_so_far()

    def margin(self) -> float:
        """Return the margin in use; of hedged legs the larger counts."""
        legs: dict[str, list[float]] = {}
        for position in self.ledger.positions.values():
            spec = self.lines[position.symbol].spec
            amount = margin_in_account(spec, self.market.account, position.volume, position.open_points)
            legs.setdefault(position.symbol, [0.0, 0.0])[0 if position.sign > 0 else 1] += amount
        return sum(max(pair) for pair in legs.values())

    def margin_free(self) -> float:
        """Return what new positions may use."""
        return self.equity() - self.margin()

    def _stop_out_event(self, rows: Mapping[str, int], before_us: int) -> tuple[int, str, int] | None:
        """Return the first tick before `before_us` at which equity falls to the stop-out level, or None."""
        margin = self.margin()
        if margin <= 0.0:
            return None
        floor = margin * self.market.account.stop_out_pct / 100.0
        bounds = {name: min(end, self.lines[name].history.first_at_or_after(before_us) - 1) for name, end in rows.items()}
        held = {position.symbol for position in self.ledger.positions.values()}
        floor -= self._swaps_so_far()
        if self.ledger.balance + sum(self._worst(p, bounds) for p in self.ledger.positions.values()) > floor:
            return None
        return self._first_below(floor, {name: bounds.get(name, self.lines[name].row) for name in held})

    def _worst(self, position: BookPosition, bounds: Mapping[str, int]) -> float:
        line = self.lines[position.symbol]
        start, end = max(line.row, 0), bounds.get(position.symbol, line.row)
        if end < start:
            return self.floating(position)
        history = line.history
        price = history.bid_points[start : end + 1].min() if position.sign > 0 else history.ask_points[start : end + 1].max()
        return self._profit(position, int(price), position.volume)

    def _first_below(self, floor: float, bounds: Mapping[str, int]) -> tuple[int, str, int] | None:
        stamps = [(int(self.lines[n].history.ts_us[r]), n, r) for n, end in bounds.items() for r in range(self.lines[n].row + 1, end + 1)]
        played = {name: self.lines[name].row for name in bounds}
        for ts_us, name, row in sorted(stamps):
            played[name] = row
            floating = 0.0
            for position in self.ledger.positions.values():
                history, at = self.lines[position.symbol].history, played[position.symbol]
                price = history.bid_points[at] if position.sign > 0 else history.ask_points[at]
                floating += self._profit(position, int(price), position.volume)
            if self.ledger.balance + floating <= floor:
                return ts_us, name, row
        return None

    def _stop_out(self) -> None:
        """Close the largest loser while the margin level is at or below the stop-out level."""
        while self.ledger.positions:
            margin = self.margin()
            if margin <= 0.0 or self.equity() > margin * self.market.account.stop_out_pct / 100.0:
                return
            loser = min(self.ledger.positions.values(), key=self.floating)
            _, bid, ask = self._quote_now(loser.symbol)
            level = 100.0 * self.equity() / margin
            self._close(loser, bid if loser.sign > 0 else ask, loser.volume, mt5.DEAL_REASON_SO, f"so: {level:.2f}%")


def _done(filled: float, asked: float) -> int:
    return mt5.TRADE_RETCODE_DONE if filled >= asked - 1e-9 else mt5.TRADE_RETCODE_DONE_PARTIAL


def _level_comment(server: TradeServer, symbol: str, kind: str, points: int) -> str:
    spec = server.lines[symbol].spec
    return f"[{kind} {points / spec.price_factor:.{spec.digits}f}]"


def first_row(history: TickHistory, ts_us: int, bid_points: int | None = None, ask_points: int | None = None) -> int:
    """Return the first row of a stamp (with these quotes when given); -1 when there is none."""
    start, end = history.first_at_or_after(ts_us), history.last_at_or_before(ts_us)
    for row in range(start, end + 1):
        same_bid = bid_points is None or int(history.bid_points[row]) == bid_points
        if same_bid and (ask_points is None or int(history.ask_points[row]) == ask_points):
            return row
    return -1
