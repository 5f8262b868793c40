"""The simulated trade server: its clock, and when orders fill and positions end.

Rules, per symbol and tick, the terminal's work before anyone sees the tick:
    entry    arrives after its latency draw, fills at the first tick then, if one comes within `quote_wait_ms`; a buy pays ask + slip,
             a sell gets bid - slip; stop and target must straddle the market at that tick (bid of a buy, ask of a sell), else 10016
    barrier  on later ticks a long ends when bid <= stop (at that bid) or bid >= target (at the target); a short mirrors it on the ask
    close    arrives after its latency draw, fills at the first tick then (bid - slip, ask + slip); barriers win up to and on that tick
    end      a session that runs out of ticks ends each position at its symbol's last tick, own price, no slip ("end of data")
    swap     where the account charges it, points a lot for every server midnight held over, booked with the deal that ends the volume
What must not live here: what a fill does to the books (`account`), MetaTrader's tuples, error codes of the terminal, server time
(`module`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from execution import draws
from execution.adapters.mt5 import constants as mt5
from execution.adapters.mt5.simulator.account import BrokerAccount
from execution.adapters.mt5.simulator.history import TickHistory, empty_history
from execution.adapters.mt5.simulator.ledger import BookOrder, Ledger, margin_in_account
from execution.adapters.mt5.simulator.orders import Execution, MarketOrder
from execution.adapters.mt5.simulator.tape import Line, Tape
from execution.market import MarketFile

_FAR_FUTURE_US = 2**62


@dataclass(frozen=True)
class _InFlight:
    """An order that the caller no longer waits for, and when it arrives."""

    order: MarketOrder
    arrival_us: int


class TradeServer:
    """One broker with one account. Not thread-safe: the module surface holds the lock."""

    def __init__(self, market: MarketFile) -> None:
        self.market = market
        self.tape = Tape(market)
        self.account = BrokerAccount(market, self.tape)
        self._in_flight: list[_InFlight] = []

    @property
    def ledger(self) -> Ledger:
        """Return the account's books."""
        return self.account.ledger

    @property
    def lines(self) -> Mapping[str, Line]:
        """Return each symbol's ticks and how far they have been played."""
        return self.tape.lines

    @property
    def now_us(self) -> int:
        """Return the server's time, UTC microseconds."""
        return self.tape.now_us

    def quote(self, symbol: str) -> tuple[int, int, int] | None:
        """Return (ts_us, bid, ask) in points of the last tick played."""
        return self.tape.quote(symbol)

    # Clock and ticks.
    def begin_session(self, histories: Mapping[str, TickHistory]) -> None:
        """Load the ticks of a date; positions of an earlier session are ended first."""
        self.finish_session()
        for name, line in self.lines.items():
            line.history, line.row = histories.get(name, empty_history()), -1
        starts = [int(history.ts_us[0]) for history in histories.values() if len(history)]
        if starts:
            self.tape.now_us = max(self.now_us, min(starts) - 1) if self.ledger.deals else min(starts) - 1
        if not self.ledger.deals:
            self.ledger.deposit(self.now_us)

    def finish_session(self) -> None:
        """Play all ticks that are left and end what is open at each symbol's last tick."""
        self._play({name: len(line.history) - 1 for name, line in self.lines.items()}, self.now_us)
        for name in self.lines:
            self.account.end_positions(name)
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

    def _play(self, rows: Mapping[str, int], now_us: int) -> None:
        """Play ticks up to a row per symbol, stopping at every tick where something happens."""
        while (event := self._next_event(rows)) is not None:
            ts_us, name, row = event
            for other, line in self.lines.items():
                if other != name and other in rows and line.row < rows[other]:
                    line.row = max(line.row, min(rows[other], line.history.first_at_or_after(ts_us) - 1))
            self.lines[name].row = row
            self.tape.now_us = max(self.now_us, ts_us)
            self._work_at_tick(name)
        for name, row in rows.items():
            line = self.lines[name]
            line.row = max(line.row, row)
            if line.row >= 0:
                self.tape.now_us = max(self.now_us, int(line.history.ts_us[line.row]))
        self.tape.now_us = max(self.now_us, now_us)

    def _next_event(self, rows: Mapping[str, int]) -> tuple[int, str, int] | None:
        ledger = self.ledger
        if not ledger.positions and not ledger.pending and not self._in_flight:
            return None
        found: list[tuple[int, str, int]] = []
        for name, end in rows.items():
            row = self._next_event_row(name, end)
            if row >= 0:
                found.append((int(self.lines[name].history.ts_us[row]), name, row))
        stopped = self.account.stop_out_event(rows, min(found)[0] if found else _FAR_FUTURE_US)
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
        self.account.stop_out()

    def _trigger_barriers(self, name: str) -> None:
        _, bid, ask = self.tape.quote_now(name)
        for position in [p for p in self.ledger.positions.values() if p.symbol == name and p.opened_us <= self.now_us]:
            price, sign = (bid, 1) if position.sign > 0 else (ask, -1)
            if position.stop_points and sign * (price - position.stop_points) <= 0:
                self.account.close(
                    position, price, position.volume, mt5.DEAL_REASON_SL, _level_comment(self, name, "sl", position.stop_points)
                )
            elif position.target_points and sign * (price - position.target_points) >= 0:
                level = position.target_points
                self.account.close(position, level, position.volume, mt5.DEAL_REASON_TP, _level_comment(self, name, "tp", level))

    def _trigger_pending(self, name: str) -> None:
        line = self.lines[name]
        for order in [o for o in self.ledger.pending.values() if o.symbol == name]:
            if order.expiration_us and order.expiration_us <= self.now_us:
                self._retire(order, mt5.ORDER_STATE_EXPIRED)
            elif self._reach(line.history, order, line.row, line.row) >= 0:
                self._fill_pending(order)

    def _fill_pending(self, order: BookOrder) -> None:
        _, bid, ask = self.tape.quote_now(order.symbol)
        is_buy = order.order_type in (mt5.ORDER_TYPE_BUY_LIMIT, mt5.ORDER_TYPE_BUY_STOP)
        is_limit = order.order_type in (mt5.ORDER_TYPE_BUY_LIMIT, mt5.ORDER_TYPE_SELL_LIMIT)
        market = ask if is_buy else bid
        price = order.price_points if is_limit else market
        self._retire(order, mt5.ORDER_STATE_FILLED)
        request = MarketOrder(
            order.symbol, 1 if is_buy else -1, order.volume, order.stop_points, order.target_points, order.magic, order.comment,
            order.filling, 0, order.draw_key,
        )  # fmt: skip
        self.account.open(request, order.ticket, price, order.volume)

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
            self.account.end_positions(order.symbol)
            return self._refuse(order, mt5.TRADE_RETCODE_POSITION_CLOSED)
        self.advance_to(arrival + self._quote_wait_us)
        return self._refuse(order, mt5.TRADE_RETCODE_PRICE_OFF)

    def _execute(self, order: MarketOrder, arrival: int) -> Execution:
        """Fill an order at the tick that was just played, or refuse it."""
        ts_us, bid, ask = self.tape.quote_now(order.symbol)
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
        if margin_in_account(spec, self.market.account, volume, market) > self.account.margin_free():
            return self._refuse(order, mt5.TRADE_RETCODE_NO_MONEY)
        slip = draws.slippage_points(spec.slippage_mean_points, self.market.execution.seed, order.draw_key, "entry_slippage")
        ticket = self._book_order(order, volume)
        deal = self.account.open(order, ticket, market + order.sign * slip, volume)
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
        deal = self.account.close(position, price, volume, mt5.DEAL_REASON_EXPERT, order.comment, ticket, order.magic)
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


def _done(filled: float, asked: float) -> int:
    return mt5.TRADE_RETCODE_DONE if filled >= asked - 1e-9 else mt5.TRADE_RETCODE_DONE_PARTIAL


def _level_comment(server: TradeServer, symbol: str, kind: str, points: int) -> str:
    spec = server.lines[symbol].spec
    return f"[{kind} {points / spec.price_factor:.{spec.digits}f}]"
