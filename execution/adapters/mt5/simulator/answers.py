"""The package's named tuples, filled from the simulated broker's books and quotes.

What belongs here: units, server time and field names of what the package answers. What must not: who may ask (`module`) or any rule.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from execution.adapters.mt5 import constants as mt5
from execution.adapters.mt5 import records
from execution.adapters.mt5.server_clock import ServerClock, to_server_us
from execution.adapters.mt5.simulator.ledger import BookDeal, BookOrder, BookPosition
from execution.adapters.mt5.simulator.orders import Execution
from execution.adapters.mt5.simulator.server import TradeServer
from execution.adapters.mt5.simulator.swap import rollover_weekday
from execution.market import MarketFile

_TRADE_MODES = {"demo": mt5.ACCOUNT_TRADE_MODE_DEMO, "contest": mt5.ACCOUNT_TRADE_MODE_CONTEST, "real": mt5.ACCOUNT_TRADE_MODE_REAL}
_MARGIN_MODES = {"hedging": mt5.ACCOUNT_MARGIN_MODE_RETAIL_HEDGING, "netting": mt5.ACCOUNT_MARGIN_MODE_RETAIL_NETTING}
_EXECUTIONS = {"request": 0, "instant": 1, "market": 2, "exchange": 3}


class Answers:
    """Makes the tuples of one terminal."""

    def __init__(self, market: MarketFile, server: TradeServer, clock: ServerClock) -> None:
        self.market, self.server, self.clock = market, server, clock

    def account_info(self, login: int) -> Any:
        """Return the account; `login` is the one that the terminal shows."""
        terms, server = self.market.account, self.server
        margin, equity = server.account.margin(), server.account.equity()
        blank: dict[str, Any] = dict.fromkeys(records.AccountInfo._fields, 0.0)
        return records.AccountInfo(**{**blank,
            "login": login, "trade_mode": _TRADE_MODES[terms.trade_mode], "leverage": terms.leverage,
            "limit_orders": 200, "margin_so_mode": mt5.ACCOUNT_STOPOUT_MODE_PERCENT, "trade_allowed": True, "trade_expert": True,
            "margin_mode": _MARGIN_MODES[terms.margin_mode],
            "currency_digits": 2, "fifo_close": False, "balance": server.ledger.balance, "profit": equity - server.ledger.balance,
            "equity": equity, "margin": margin, "margin_free": equity - margin,
            "margin_level": 100.0 * equity / margin if margin else 0.0, "margin_so_call": terms.margin_call_pct,
            "margin_so_so": terms.stop_out_pct, "name": "Simulated", "server": terms.server, "currency": terms.currency,
            "company": "tick_assets"
        })  # fmt: skip

    def tick(self, name: str) -> Any:
        """Return the last tick of a symbol, all zeros before the first."""
        spec, quote = self.market.symbols[name], self.server.quote(name)
        if quote is None:
            return records.Tick(0, 0.0, 0.0, 0.0, 0, 0, 0, 0.0)
        stamp = to_server_us(self.clock, quote[0])
        bid, ask = quote[1] / spec.price_factor, quote[2] / spec.price_factor
        return records.Tick(stamp // 1_000_000, bid, ask, 0.0, 0, stamp // 1000, mt5.TICK_FLAG_BID | mt5.TICK_FLAG_ASK, 0.0)

    def symbol_info(self, name: str, is_selected: bool) -> Any:
        """Return a symbol; one that is not selected has no prices."""
        spec = self.market.symbols[name]
        quote = self.server.quote(name) if is_selected else None
        stamp, bid, ask = quote if quote is not None else (0, 0, 0)
        point = 1 / spec.price_factor
        tick_value = spec.contract_size * point
        if spec.profit_currency != self.market.account.currency:
            tick_value = tick_value / (bid / spec.price_factor) if bid else 0.0
        blank: dict[str, Any] = dict.fromkeys(records.SymbolInfo._fields, 0.0)
        texts = dict.fromkeys(("basis", "category", "bank", "exchange", "formula", "isin", "page"), "")
        return records.SymbolInfo(**{**blank, **texts,
            "custom": False, "select": is_selected, "visible": is_selected,
            "time": to_server_us(self.clock, stamp) // 1_000_000 if stamp else 0, "digits": spec.digits, "spread": ask - bid,
            "spread_float": True, "ticks_bookdepth": 1, "trade_calc_mode": mt5.SYMBOL_CALC_MODE_FOREX,
            "trade_mode": mt5.SYMBOL_TRADE_MODE_FULL, "trade_stops_level": spec.stops_level, "trade_freeze_level": spec.freeze_level,
            "trade_exemode": _EXECUTIONS[spec.execution], "swap_mode": mt5.SYMBOL_SWAP_MODE_POINTS,
            "swap_rollover3days": rollover_weekday(spec.triple_swap_weekday), "expiration_mode": mt5.SYMBOL_EXPIRATION_ALL,
            "filling_mode": spec.filling_mode, "order_mode": mt5.SYMBOL_ORDER_ALL, "bid": bid / spec.price_factor,
            "ask": ask / spec.price_factor, "point": point, "trade_tick_value": tick_value, "trade_tick_value_profit": tick_value,
            "trade_tick_value_loss": tick_value, "trade_tick_size": point, "trade_contract_size": spec.contract_size,
            "volume_min": spec.volume_min, "volume_max": spec.volume_max, "volume_step": spec.volume_step, "volume_limit": 0.0,
            "swap_long": spec.swap_long_points, "swap_short": spec.swap_short_points, "currency_base": spec.base_currency,
            "currency_profit": spec.profit_currency, "currency_margin": spec.base_currency, "description": f"Simulated {name}",
            "name": name, "path": f"Simulated\\{name}", "margin_hedged": spec.contract_size
        })  # fmt: skip

    def _price(self, symbol: str, points: float) -> float:
        return points / self.market.symbols[symbol].price_factor

    def order(self, order: BookOrder) -> Any:
        """Return an order of the books."""
        setup, done = to_server_us(self.clock, order.setup_us), to_server_us(self.clock, order.done_us) if order.done_us else 0
        return records.TradeOrder(
            ticket=order.ticket, time_setup=setup // 1_000_000, time_setup_msc=setup // 1000, time_done=done // 1_000_000,
            time_done_msc=done // 1000,
            time_expiration=to_server_us(self.clock, order.expiration_us) // 1_000_000 if order.expiration_us else 0,
            type=order.order_type, type_time=mt5.ORDER_TIME_SPECIFIED if order.expiration_us else mt5.ORDER_TIME_GTC,
            type_filling=order.filling, state=order.state, magic=order.magic, position_id=order.position_id, position_by_id=0,
            reason=order.reason, volume_initial=order.volume, volume_current=order.volume_left,
            price_open=self._price(order.symbol, order.price_points), sl=self._price(order.symbol, order.stop_points),
            tp=self._price(order.symbol, order.target_points), price_current=self._current_price(order.symbol), price_stoplimit=0.0,
            symbol=order.symbol, comment=order.comment, external_id="",
        )  # fmt: skip

    def _current_price(self, symbol: str) -> float:
        quote = self.server.quote(symbol)
        return self._price(symbol, quote[1]) if quote is not None else 0.0

    def position(self, position: BookPosition) -> Any:
        """Return an open position at the last tick."""
        opened, updated = to_server_us(self.clock, position.opened_us), to_server_us(self.clock, position.updated_us)
        quote = self.server.quote(position.symbol)
        current = (quote[1] if position.sign > 0 else quote[2]) if quote is not None else 0
        return records.TradePosition(
            ticket=position.ticket, time=opened // 1_000_000, time_msc=opened // 1000, time_update=updated // 1_000_000,
            time_update_msc=updated // 1000, type=mt5.POSITION_TYPE_BUY if position.sign > 0 else mt5.POSITION_TYPE_SELL,
            magic=position.magic, identifier=position.identifier, reason=mt5.POSITION_REASON_EXPERT, volume=position.volume,
            price_open=self._price(position.symbol, position.open_points), sl=self._price(position.symbol, position.stop_points),
            tp=self._price(position.symbol, position.target_points), price_current=self._price(position.symbol, current),
            swap=self.server.account.swap_so_far(position), profit=self.server.account.floating(position),
            symbol=position.symbol, comment=position.comment, external_id="",
        )  # fmt: skip

    def deal(self, deal: BookDeal) -> Any:
        """Return a deal of the books."""
        stamp = to_server_us(self.clock, deal.ts_us)
        return records.TradeDeal(
            ticket=deal.ticket, order=deal.order, time=stamp // 1_000_000, time_msc=stamp // 1000, type=deal.deal_type, entry=deal.entry,
            magic=deal.magic, position_id=deal.position_id, reason=deal.reason, volume=deal.volume,
            price=self._price(deal.symbol, deal.price_points) if deal.symbol else 0.0, commission=deal.commission, swap=deal.swap,
            profit=deal.profit, fee=0.0, symbol=deal.symbol, comment=deal.comment, external_id="",
        )  # fmt: skip

    def send_result(self, values: Mapping[str, Any], result: Execution, number: int) -> Any:
        """Return what `order_send` answers; `number` is the request's."""
        symbol = next(
            (deal.symbol for deal in reversed(self.server.ledger.deals) if result.deal and deal.ticket == result.deal), values["symbol"]
        )
        quote = self.server.quote(symbol) if symbol in self.market.symbols else None
        bid, ask = (self._price(symbol, quote[1]), self._price(symbol, quote[2])) if quote is not None else (0.0, 0.0)
        price = self._price(symbol, result.points) if result.deal else 0.0
        return records.OrderSendResult(
            result.retcode, result.deal, result.order, result.volume, price, bid, ask, comment_of(result.retcode), number, 0,
            records.TradeRequest(**values),
        )  # fmt: skip


def comment_of(retcode: int) -> str:
    """Return the text that goes with a return code."""
    names = {mt5.TRADE_RETCODE_DONE: "Request executed", mt5.TRADE_RETCODE_DONE_PARTIAL: "Request executed partially"}
    return names.get(retcode, f"Retcode {retcode}")
