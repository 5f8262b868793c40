"""The simulated broker's account: opening, netting and closing positions, swap, equity, margin and stop-out.

What belongs here: what a fill does to the books, and what the books are worth at the last quotes. What must not: when anything fills
(`server`), how profit, margin and swap are counted (`ledger`, `swap`).
"""

from __future__ import annotations

from collections.abc import Mapping

from execution.adapters.mt5 import constants as mt5
from execution.adapters.mt5.server_clock import server_clock_from
from execution.adapters.mt5.simulator.ledger import (
    BookDeal,
    BookOrder,
    BookPosition,
    Ledger,
    margin_in_account,
    profit_in_account,
)
from execution.adapters.mt5.simulator.orders import MarketOrder
from execution.adapters.mt5.simulator.swap import nights_held, swap_in_account
from execution.adapters.mt5.simulator.tape import Tape
from execution.market import MarketFile

END_OF_DATA_COMMENT = "end of data"


class BrokerAccount:
    """One account's books over a tape. Amounts are in account currency, prices in points."""

    def __init__(self, market: MarketFile, tape: Tape) -> None:
        self.market = market
        self.tape = tape
        self.ledger = Ledger(market.account)
        self._clock = server_clock_from(market.server_clock)
        self._draw_keys: dict[int, str] = {}

    def draw_key_of(self, position_id: int) -> str:
        """Return the draw key (the signal id) of the order that opened a position."""
        return self._draw_keys[position_id]

    def open(self, order: MarketOrder, ticket: int, points: float, volume: float) -> BookDeal:
        """Book an order's fill; on a netting account it may add to, reduce or turn the position that is held."""
        if self.market.account.margin_mode == "netting":
            held = next((p for p in self.ledger.positions.values() if p.symbol == order.symbol), None)
            if held is not None:
                return self._net(held, order, ticket, points, volume)
        self._draw_keys[ticket], now = order.draw_key, self.tape.now_us
        self.ledger.positions[ticket] = BookPosition(
            ticket, ticket, order.symbol, order.sign, volume, points, order.stop_points, order.target_points, now, now, order.magic,
            order.comment, order.draw_key, swap_from_us=now,
        )  # fmt: skip
        return self._book_deal(order.symbol, order.sign, mt5.DEAL_ENTRY_IN, ticket, ticket, volume, points, 0.0,
                               mt5.DEAL_REASON_EXPERT, order.magic, order.comment)  # fmt: skip

    def _net(self, held: BookPosition, order: MarketOrder, ticket: int, points: float, volume: float) -> BookDeal:
        held.updated_us = self.tape.now_us
        self._accrue_swap(held)
        if held.sign == order.sign:
            held.open_points = (held.open_points * held.volume + points * volume) / (held.volume + volume)
            held.volume = round(held.volume + volume, 8)
            held.stop_points, held.target_points = order.stop_points, order.target_points
            return self._book_deal(order.symbol, order.sign, mt5.DEAL_ENTRY_IN, ticket, held.identifier, volume, points, 0.0,
                                   mt5.DEAL_REASON_EXPERT, order.magic, order.comment)  # fmt: skip
        if volume <= held.volume + 1e-9:
            return self.close(held, points, min(volume, held.volume), mt5.DEAL_REASON_EXPERT, order.comment, ticket, order.magic)
        profit, swap = self._profit(held, points, held.volume), self._take_swap(held, points, held.volume)
        deal = self._book_deal(order.symbol, order.sign, mt5.DEAL_ENTRY_INOUT, ticket, held.identifier, volume, points, profit,
                               mt5.DEAL_REASON_EXPERT, order.magic, order.comment, swap)  # fmt: skip
        del self.ledger.positions[held.ticket]
        held.ticket, held.sign, held.volume = ticket, order.sign, round(volume - held.volume, 8)
        held.open_points, held.stop_points, held.target_points = points, order.stop_points, order.target_points
        held.magic, held.comment, held.draw_key = order.magic, order.comment, order.draw_key
        self.ledger.positions[ticket] = held
        return deal

    def close(
        self, position: BookPosition, points: float, volume: float, reason: int, comment: str, ticket: int = 0, magic: int = 0,
        entry: int = mt5.DEAL_ENTRY_OUT,
    ) -> BookDeal:  # fmt: skip
        """Close volume of a position. Deals of stops and targets carry magic 0, as many brokers do."""
        if not ticket:
            ticket = self.ledger.next_ticket()
            side = mt5.ORDER_TYPE_SELL if position.sign > 0 else mt5.ORDER_TYPE_BUY
            self.ledger.orders.append(BookOrder(
                ticket, position.symbol, side, volume, 0.0, points, 0, 0, mt5.ORDER_FILLING_FOK, magic, comment, reason,
                mt5.ORDER_STATE_FILLED, self.tape.now_us, self.tape.now_us, position.identifier,
            ))  # fmt: skip
        profit, swap = self._profit(position, points, volume), self._take_swap(position, points, volume)
        deal = self._book_deal(position.symbol, -position.sign, entry, ticket, position.identifier, volume, points, profit, reason,
                               magic, comment, swap)  # fmt: skip
        position.volume, position.updated_us = round(position.volume - volume, 8), self.tape.now_us
        if position.volume <= 1e-9:
            del self.ledger.positions[position.ticket]
        return deal

    def close_by(self, first: BookPosition, second: BookPosition) -> BookDeal:
        """Close two opposite positions against each other, at the open price of the second."""
        volume, points = min(first.volume, second.volume), second.open_points
        self.close(second, points, volume, mt5.DEAL_REASON_EXPERT, "", magic=second.magic, entry=mt5.DEAL_ENTRY_OUT_BY)
        return self.close(first, points, volume, mt5.DEAL_REASON_EXPERT, "", magic=first.magic, entry=mt5.DEAL_ENTRY_OUT_BY)

    def _book_deal(
        self, symbol: str, sign: int, entry: int, order: int, position_id: int, volume: float, points: float, profit: float,
        reason: int, magic: int, comment: str, swap: float = 0.0,
    ) -> BookDeal:  # fmt: skip
        commission = -self.tape.lines[symbol].spec.commission_per_lot_side * volume
        deal = BookDeal(
            self.ledger.next_ticket(), order, self.tape.now_us, mt5.DEAL_TYPE_BUY if sign > 0 else mt5.DEAL_TYPE_SELL, entry, magic,
            position_id, reason, volume, points, commission, profit, symbol, comment, swap,
        )  # fmt: skip
        self.ledger.book(deal)
        return deal

    def end_positions(self, name: str) -> None:
        """End a symbol's positions at its last tick, own price, no slip."""
        for position in [p for p in self.ledger.positions.values() if p.symbol == name]:
            _, bid, ask = self.tape.quote_now(name)
            price = bid if position.sign > 0 else ask
            self.close(position, price, position.volume, mt5.DEAL_REASON_CLIENT, END_OF_DATA_COMMENT)

    # Money.
    def _profit(self, position: BookPosition, points: float, volume: float) -> float:
        spec = self.tape.lines[position.symbol].spec
        return profit_in_account(spec, self.market.account.currency, position.sign, position.open_points, points, volume)

    def _accrue_swap(self, position: BookPosition) -> None:
        """Count the nights since the last count for the volume that was held."""
        position.lot_nights, position.swap_from_us = self._lot_nights(position), self.tape.now_us

    def _lot_nights(self, position: BookPosition) -> float:
        if not self.market.account.charges_swap:
            return 0.0
        triple = self.tape.lines[position.symbol].spec.triple_swap_weekday
        return position.lot_nights + nights_held(self._clock, triple, position.swap_from_us, self.tape.now_us) * position.volume

    def _take_swap(self, position: BookPosition, points: float, volume: float) -> float:
        """Return the swap that is due on part of a position, and take it off."""
        self._accrue_swap(position)
        is_all = volume >= position.volume - 1e-9
        part = position.lot_nights if is_all else position.lot_nights * volume / position.volume
        position.lot_nights -= part
        return self._swap_worth(position, part, points)

    def _swap_worth(self, position: BookPosition, lot_nights: float, points: float) -> float:
        spec = self.tape.lines[position.symbol].spec
        return swap_in_account(spec, self.market.account.currency, position.sign, lot_nights, points) if lot_nights else 0.0

    def swap_so_far(self, position: BookPosition) -> float:
        """Return the swap that a position owes, negative, or has earned by now, at the last tick's price."""
        _, bid, ask = self.tape.quote_now(position.symbol)
        return self._swap_worth(position, self._lot_nights(position), bid if position.sign > 0 else ask)

    def _swaps_so_far(self) -> float:
        return sum(self.swap_so_far(position) for position in self.ledger.positions.values())

    def floating(self, position: BookPosition) -> float:
        """Return a position's profit at the last tick."""
        _, bid, ask = self.tape.quote_now(position.symbol)
        return self._profit(position, bid if position.sign > 0 else ask, position.volume)

    def equity(self) -> float:
        """Return balance plus floating profit and swap."""
        return self.ledger.balance + sum(self.floating(position) for position in self.ledger.positions.values()) + self._swaps_so_far()

    def margin(self) -> float:
        """Return the margin in use; of hedged legs the larger counts."""
        legs: dict[str, list[float]] = {}
        for position in self.ledger.positions.values():
            spec = self.tape.lines[position.symbol].spec
            amount = margin_in_account(spec, self.market.account, position.volume, position.open_points)
            legs.setdefault(position.symbol, [0.0, 0.0])[0 if position.sign > 0 else 1] += amount
        return sum(max(pair) for pair in legs.values())

    def margin_free(self) -> float:
        """Return what new positions may use."""
        return self.equity() - self.margin()

    def stop_out_event(self, rows: Mapping[str, int], before_us: int) -> tuple[int, str, int] | None:
        """Return the first tick before `before_us` at which equity falls to the stop-out level, or None."""
        margin = self.margin()
        if margin <= 0.0:
            return None
        floor = margin * self.market.account.stop_out_pct / 100.0
        bounds = {name: min(end, self.tape.lines[name].history.first_at_or_after(before_us) - 1) for name, end in rows.items()}
        held = {position.symbol for position in self.ledger.positions.values()}
        floor -= self._swaps_so_far()
        if self.ledger.balance + sum(self._worst(p, bounds) for p in self.ledger.positions.values()) > floor:
            return None
        return self._first_below(floor, {name: bounds.get(name, self.tape.lines[name].row) for name in held})

    def _worst(self, position: BookPosition, bounds: Mapping[str, int]) -> float:
        line = self.tape.lines[position.symbol]
        start, end = max(line.row, 0), bounds.get(position.symbol, line.row)
        if end < start:
            return self.floating(position)
        history = line.history
        price = history.bid_points[start : end + 1].min() if position.sign > 0 else history.ask_points[start : end + 1].max()
        return self._profit(position, int(price), position.volume)

    def _first_below(self, floor: float, bounds: Mapping[str, int]) -> tuple[int, str, int] | None:
        stamps = [
            (int(self.tape.lines[n].history.ts_us[r]), n, r)
            for n, end in bounds.items()
            for r in range(self.tape.lines[n].row + 1, end + 1)
        ]
        played = {name: self.tape.lines[name].row for name in bounds}
        for ts_us, name, row in sorted(stamps):
            played[name] = row
            floating = 0.0
            for position in self.ledger.positions.values():
                history, at = self.tape.lines[position.symbol].history, played[position.symbol]
                price = history.bid_points[at] if position.sign > 0 else history.ask_points[at]
                floating += self._profit(position, int(price), position.volume)
            if self.ledger.balance + floating <= floor:
                return ts_us, name, row
        return None

    def stop_out(self) -> None:
        """Close the largest loser while the margin level is at or below the stop-out level."""
        while self.ledger.positions:
            margin = self.margin()
            if margin <= 0.0 or self.equity() > margin * self.market.account.stop_out_pct / 100.0:
                return
            loser = min(self.ledger.positions.values(), key=self.floating)
            _, bid, ask = self.tape.quote_now(loser.symbol)
            level = 100.0 * self.equity() / margin
            self.close(loser, bid if loser.sign > 0 else ask, loser.volume, mt5.DEAL_REASON_SO, f"so: {level:.2f}%")
