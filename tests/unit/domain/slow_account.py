"""A slow account that looks at one stamp after the other, written without the engine's code: what the compiled loop must equal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tick_assets.domain.account import AccountLimits, Line
from tick_assets.domain.instruments import Market

DAY_US = 86_400_000_000
WINTER_MIDNIGHT_US = 22 * 3_600_000_000
"""A New York + 7 server's midnight, in January, after midnight UTC."""
_WEIGHTS = {0: 1, 1: 1, 2: 3, 3: 1, 4: 1, 5: 0, 6: 0}


def nights(opened: int, closed: int) -> int:
    """Count winter midnights of the server in opened < midnight <= closed, Wednesday's three times."""
    days = range(opened // DAY_US - 1, closed // DAY_US + 2)
    return sum(_WEIGHTS[(day + 3) % 7] for day in days if opened < day * DAY_US + WINTER_MIDNIGHT_US <= closed)


@dataclass
class Position:
    """An order from the moment it was sent, and what became of it."""

    line: int
    order: int
    arrival: int
    notional: float
    entry_ts: int = 0
    entry_points: float | None = None
    close_arrival: int | None = None
    freed_row: int | None = None
    freed_ts: int | None = None


@dataclass
class SlowAccount:
    """One date. At every stamp first all terminals work, then the strategies decide, line by line."""

    lines: Sequence[Line]
    market: Market
    limits: AccountLimits

    def __post_init__(self) -> None:
        self.balance = self.market.account.balance
        self.positions: list[Position] = []
        self.outcomes: list[dict[int, str]] = [{} for _ in self.lines]
        self.last_row = [-1 for _ in self.lines]
        self.wait_us = self.market.quote_wait_ms * 1000

    def run(self) -> list[dict[int, str]]:
        """Return the outcome of every order that was wanted, by line and order."""
        stamps = sorted({int(ts) for line in self.lines for ts in line.ticks[0].ts_us})
        rows: list[dict[int, list[int]]] = [{} for _ in self.lines]
        for place, line in enumerate(self.lines):
            for row, ts in enumerate(line.ticks[0].ts_us):
                rows[place].setdefault(int(ts), []).append(row)
        for now in stamps:
            for place in range(len(self.lines)):
                for row in rows[place].get(now, []):
                    self._terminal(place, row, now)
            self._give_up(now)
            for place, line in enumerate(self.lines):
                for row in rows[place].get(now, []):
                    for order in (i for i, at in enumerate(line.orders.row) if at == row and line.orders.side[i]):
                        self._decide(place, order, row, now)
        self._end()
        return self.outcomes

    def _quote(self, place: int, row: int) -> tuple[int, int]:
        ticks = self.lines[place].ticks[0]
        return int(ticks.bid_points[row]), int(ticks.ask_points[row])

    def _terminal(self, place: int, row: int, now: int) -> None:
        self.last_row[place] = row
        bid, ask = self._quote(place, row)
        for position in [each for each in self.positions if each.line == place and each.freed_row is None]:
            if position.entry_points is None:
                self._arrive(position, row, now, bid, ask)
            else:
                self._watch(position, row, now, bid, ask)
            if row == len(self.lines[place].ticks[0]) - 1 and position.entry_points is not None and position.freed_row is None:
                price = bid if self.lines[place].orders.side[position.order] > 0 else ask
                self._close(position, row, now, price, "END_OF_DATA")

    def _arrive(self, position: Position, row: int, now: int, bid: int, ask: int) -> None:
        if now < position.arrival:
            return
        orders, i = self.lines[position.line].orders, position.order
        side, stop, target = int(orders.side[i]), orders.stop_points[i], orders.target_points[i]
        is_valid = stop < bid < target if side > 0 else target < ask < stop
        if now > position.arrival + self.wait_us:
            self._free(position, row, position.arrival + self.wait_us, "PRICE_OFF")
        elif not is_valid:
            self._free(position, row, now, "INVALID_STOPS")
        else:
            position.entry_ts = now
            position.entry_points = float((ask if side > 0 else bid) + side * orders.entry_slippage_points[i])
            if now >= orders.exit_at_us[i]:
                position.close_arrival = now + int(orders.exit_latency_us[i])

    def _watch(self, position: Position, row: int, now: int, bid: int, ask: int) -> None:
        orders, i = self.lines[position.line].orders, position.order
        side, price = int(orders.side[i]), bid if orders.side[i] > 0 else ask
        if side * (price - orders.stop_points[i]) <= 0:
            self._close(position, row, now, price, "STOP")
        elif side * (price - orders.target_points[i]) >= 0:
            self._close(position, row, now, float(orders.target_points[i]), "TARGET")
        elif position.close_arrival is not None and now >= position.close_arrival:
            self._close(position, row, now, price - side * int(orders.exit_slippage_points[i]), "TIME")
        elif position.close_arrival is None and now >= orders.exit_at_us[i]:
            position.close_arrival = now + int(orders.exit_latency_us[i])

    def _close(self, position: Position, row: int, now: int, price: float, why: str) -> None:
        self.balance += self._worth(position, price, now) - self._commission(position)
        self._free(position, row, now, why)

    def _free(self, position: Position, row: int, now: int, why: str) -> None:
        if position.freed_ts is None:
            position.freed_ts = now
            self.outcomes[position.line][position.order] = why
        position.freed_row = row

    def _give_up(self, now: int) -> None:
        """Tell everybody of orders whose wait is over; their own line learns it at its next tick."""
        for each in self.positions:
            if each.entry_points is None and each.freed_ts is None and now >= each.arrival + self.wait_us:
                each.freed_ts = each.arrival + self.wait_us
                self.outcomes[each.line][each.order] = "PRICE_OFF"

    def _commission(self, position: Position) -> float:
        line = self.lines[position.line]
        return line.instrument.commission_per_lot_side * line.lots

    def _worth(self, position: Position, price: float, now: int) -> float:
        line = self.lines[position.line]
        instrument, side = line.instrument, int(line.orders.side[position.order])
        assert position.entry_points is not None
        rate = instrument.swap_long_points if side > 0 else instrument.swap_short_points
        points = side * (price - position.entry_points) + rate * nights(position.entry_ts, now)
        value = points / instrument.price_factor * instrument.contract_size * line.lots
        if instrument.profit_currency != self.market.account_currency:
            value /= price / instrument.price_factor
        return value - self._commission(position)

    def _decide(self, place: int, order: int, row: int, now: int) -> None:
        line, limits = self.lines[place], self.limits
        busy = [each for each in self.positions if self._is_busy(each, place, row)]
        bid, ask = self._quote(place, row)
        price = (ask if line.orders.side[order] > 0 else bid) / line.instrument.price_factor
        is_foreign = line.instrument.profit_currency != self.market.account_currency
        notional = line.lots * line.instrument.contract_size * (1.0 if is_foreign else price)
        exposure = notional + sum(each.notional for each in busy)
        equity = self.balance + sum(self._marked(each, place, row, now) for each in busy if each.entry_points is not None)
        if sum(self.lines[each.line].symbol == line.symbol for each in busy) >= limits.positions_per_symbol:
            self.outcomes[place][order] = "LIMIT_SYMBOL"
        elif limits.positions is not None and len(busy) >= limits.positions:
            self.outcomes[place][order] = "LIMIT_POSITIONS"
        elif limits.gross_exposure is not None and exposure > limits.gross_exposure:
            self.outcomes[place][order] = "LIMIT_EXPOSURE"
        elif limits.leverage and exposure / limits.leverage > equity:
            self.outcomes[place][order] = "LIMIT_MARGIN"
        else:
            self.positions.append(Position(place, order, now + int(line.orders.entry_latency_us[order]), notional))

    @staticmethod
    def _is_busy(position: Position, place: int, row: int) -> bool:
        if position.line == place:
            return position.freed_row is None or position.freed_row > row
        return position.freed_ts is None

    def _marked(self, position: Position, place: int, row: int, now: int) -> float:
        mark = row if position.line == place else self.last_row[position.line]
        bid, ask = self._quote(position.line, mark)
        return self._worth(position, bid if self.lines[position.line].orders.side[position.order] > 0 else ask, now)

    def _end(self) -> None:
        for each in self.positions:
            if each.freed_ts is None:
                self.outcomes[each.line][each.order] = "PRICE_OFF"
