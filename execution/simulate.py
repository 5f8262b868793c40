"""One date of signals through the trader's own order path on the simulated terminal, without a service.

What belongs here: assembling simulator, adapter, desk and engine in memory, and reading the trades off the broker's books.
What must not: fill rules (`adapters/mt5/simulator/server`). The pipeline's `mt5_backtest` asset calls this.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from execution.adapters.mt5 import constants as mt5
from execution.adapters.mt5.server_clock import server_clock_from
from execution.adapters.mt5.simulator.account import END_OF_DATA_COMMENT
from execution.adapters.mt5.simulator.faults import Fault
from execution.adapters.mt5.simulator.history import TickHistory
from execution.adapters.mt5.simulator.ledger import BookDeal
from execution.adapters.mt5.simulator.module import SimulatedMetaTrader5
from execution.adapters.mt5.terminal import MetaTrader5Terminal, TerminalSettings
from execution.desk import OrderDesk
from execution.engine import Engine
from execution.journal import Journal, OrderState
from execution.market import MarketFile, parse_market_file
from execution.orders import Quote, to_datetime
from execution.pacing import SimulatedPacer
from execution.ports import Mark
from execution.risk import REPLAY_POLICY
from execution.signals import Signal

_REASONS = {mt5.DEAL_REASON_SL: "STOP", mt5.DEAL_REASON_TP: "TARGET", mt5.DEAL_REASON_EXPERT: "TIME", mt5.DEAL_REASON_SO: "STOP_OUT"}


class TickColumns(Protocol):
    """Ticks of one symbol as columns; the pipeline's `Ticks` has this shape."""

    @property
    def ts_us(self) -> npt.NDArray[np.int64]: ...
    @property
    def bid_points(self) -> npt.NDArray[np.int64]: ...
    @property
    def ask_points(self) -> npt.NDArray[np.int64]: ...
    @property
    def bid_size(self) -> npt.NDArray[np.float64]: ...
    @property
    def ask_size(self) -> npt.NDArray[np.float64]: ...


@dataclass(frozen=True)
class SimulatedSignal:
    """One entry to try. `view` is +1 or -1; `row` is its tick's row, -1 for the first tick at `ts_us`."""

    signal_id: str
    symbol: str
    ts_us: int
    view: int
    stop_points: int
    target_points: int
    exit_at_us: int
    lots: float
    row: int = -1


@dataclass(frozen=True)
class SimulatedTrade:
    """One trade from the broker's books. `side` is +1 or -1, prices are points, money is in account currency, costs included."""

    signal_id: str
    symbol: str
    entry_ts_us: int
    exit_ts_us: int
    side: int
    entry_points: float
    exit_points: float
    exit_reason: str
    net_pnl_account: float
    ticket: int


class OrderColumns(Protocol):
    """Orders of a backtest as columns, a row per event; the pipeline's `Orders` has this shape."""

    @property
    def row(self) -> npt.NDArray[np.int64]: ...
    @property
    def side(self) -> npt.NDArray[np.int8]: ...
    @property
    def stop_points(self) -> npt.NDArray[Any]: ...
    @property
    def target_points(self) -> npt.NDArray[Any]: ...
    @property
    def exit_at_us(self) -> npt.NDArray[np.int64]: ...


def signals_of(
    symbol: str, keys: Sequence[str], ts_us: npt.NDArray[np.int64], orders: OrderColumns, lots: float, chosen: Iterable[int]
) -> list[SimulatedSignal]:  # fmt: skip
    """Return the entries of chosen rows of a backtest's orders; `keys` are the signal ids and `ts_us` the stamps, a row per event."""
    return [
        SimulatedSignal(
            signal_id=keys[i],
            symbol=symbol,
            ts_us=int(ts_us[i]),
            view=int(orders.side[i]),
            stop_points=int(orders.stop_points[i]),
            target_points=int(orders.target_points[i]),
            exit_at_us=int(orders.exit_at_us[i]),
            lots=lots,
            row=int(orders.row[i]),
        )
        for i in chosen
        if orders.side[i]
    ]


def to_history(ticks: TickColumns) -> TickHistory:
    """Return the simulator's form of tick columns."""
    return TickHistory(ticks.ts_us, ticks.bid_points, ticks.ask_points, ticks.bid_size, ticks.ask_size)


def quotes_of(symbol: str, ticks: TickColumns, price_factor: int) -> Iterable[Quote]:
    """Yield tick columns as quotes, in order."""
    columns = zip(ticks.ts_us, ticks.bid_points, ticks.ask_points, ticks.bid_size, ticks.ask_size, strict=True)
    for ts_us, bid, ask, bid_size, ask_size in columns:
        prices = (int(bid) / price_factor, int(ask) / price_factor)
        yield Quote(symbol, to_datetime(int(ts_us)), *prices, float(bid_size), float(ask_size))


def open_simulator(market: MarketFile, ticks_by_symbol: Mapping[str, TickColumns]) -> SimulatedMetaTrader5:
    """Return an initialized simulated terminal that holds these ticks, none of them played yet."""
    module = SimulatedMetaTrader5(market)
    module.load_ticks({symbol: to_history(ticks) for symbol, ticks in ticks_by_symbol.items()})
    return module


def terminal_on(module: SimulatedMetaTrader5) -> MetaTrader5Terminal:
    """Return the terminal port on a simulated terminal, connected, its symbols selected."""
    settings = TerminalSettings(login=module.market.account.login, server=module.market.account.server)
    clock = server_clock_from(module.market.server_clock)
    terminal = MetaTrader5Terminal(module, settings, clock, sleep=lambda seconds: None)
    terminal.connect()
    for symbol in module.market.symbols:
        terminal.contract(symbol)
    return terminal


def simulate_signals(
    ticks_by_symbol: Mapping[str, TickColumns],
    signals: Sequence[SimulatedSignal],
    market_toml_text: str,
    strategy: str = "direction",
) -> list[SimulatedTrade]:
    """Trade one date's signals; each symbol runs on a terminal of its own, so that none delays another.

    Signals may come in any order; those while a position is open or an order in flight are skipped, as a backtest does.
    """
    market = parse_market_file(market_toml_text)
    trades: list[SimulatedTrade] = []
    for symbol in sorted(ticks_by_symbol):
        chosen = [signal for signal in signals if signal.symbol == symbol]
        trades.extend(simulate_symbol(market, symbol, ticks_by_symbol[symbol], chosen, strategy).trades)
    return sorted(trades, key=lambda trade: (trade.entry_ts_us, trade.symbol))


@dataclass(frozen=True)
class SimulatedRun:
    """What a date of signals came to: trades in the order in which they were opened, and why the other signals made none.

    `denied` are signals that the trader did not send, `refused` orders that the venue did not fill, each with its reason by signal id.
    """

    trades: Sequence[SimulatedTrade]
    denied: Mapping[str, str]
    refused: Mapping[str, str]


def simulate_symbol(
    market: MarketFile, symbol: str, ticks: TickColumns, signals: Sequence[SimulatedSignal], strategy: str = "direction",
    entry_faults: Mapping[str, Sequence[Fault]] | None = None,
) -> SimulatedRun:  # fmt: skip
    """Trade one date's signals of one symbol, in any order; `entry_faults` are what the venue answers to the sends of an entry first."""
    if not len(ticks.ts_us) or not signals:
        return SimulatedRun((), {}, {})
    module = open_simulator(market, {symbol: ticks})
    for signal_id, faults in (entry_faults or {}).items():
        module.faults.script_entry(signal_id, *faults)
    journal, pacer = Journal(), SimulatedPacer(module)
    desk = OrderDesk(terminal_on(module), journal, pacer, REPLAY_POLICY)
    desk.start()
    engine = Engine(desk, pacer, is_replay=True)
    for given in sorted(signals, key=lambda signal: (signal.ts_us, signal.row)):
        row = given.row if given.row >= 0 else int(np.searchsorted(ticks.ts_us, given.ts_us, side="left"))
        engine.act_at(_wire_signal(given, ticks, row, module, strategy), Mark(given.ts_us, row))
    engine.walk_to(int(ticks.ts_us[-1]))
    module.finish()
    desk.sync()
    run = SimulatedRun(trades_of(module), _reasons(journal, OrderState.DENIED), _reasons(journal, OrderState.REJECTED))
    journal.close()
    return run


def _reasons(journal: Journal, state: OrderState) -> dict[str, str]:
    return {order.signal_id: str(order.payload["reason"]) for order in journal.orders_in(state) if order.intent == "OPEN"}


def _wire_signal(given: SimulatedSignal, ticks: TickColumns, row: int, module: SimulatedMetaTrader5, strategy: str) -> Signal:
    factor = module.market.symbols[given.symbol].price_factor
    return Signal(
        signal_id=given.signal_id,
        event_id="",
        symbol=given.symbol,
        strategy=strategy,
        action="OPEN",
        view="LONG" if given.view > 0 else "SHORT",
        probability=float("nan"),
        ts_us=given.ts_us,
        valid_until_us=given.ts_us + 5_000_000,
        exit_at_us=given.exit_at_us,
        bid_price=int(ticks.bid_points[row]) / factor,
        ask_price=int(ticks.ask_points[row]) / factor,
        stop_loss=given.stop_points / factor,
        take_profit=given.target_points / factor,
        quantity_max=given.lots,
        mode="replay",
        is_synthetic=False,
        model_id="",
        model_sha256="",
        passport_id="",
        reasons=(),
    )


def trades_of(module: SimulatedMetaTrader5) -> list[SimulatedTrade]:
    """Read closed trades off the simulated broker's books, in the order in which they were opened."""
    entries: dict[int, BookDeal] = {}
    exits: dict[int, list[BookDeal]] = {}
    for deal in module.server.ledger.deals:
        if deal.entry == mt5.DEAL_ENTRY_IN and deal.position_id:
            entries[deal.position_id] = deal
        elif deal.position_id:
            exits.setdefault(deal.position_id, []).append(deal)
    return [_trade(module, entries[position_id], deals) for position_id, deals in sorted(exits.items())]


def _trade(module: SimulatedMetaTrader5, entry: BookDeal, exits: Sequence[BookDeal]) -> SimulatedTrade:
    last = exits[-1]
    profit = sum(deal.profit for deal in exits)
    costs = entry.commission + sum(deal.commission + deal.swap for deal in exits)
    return SimulatedTrade(
        signal_id=module.server.account.draw_key_of(entry.position_id),
        symbol=entry.symbol,
        entry_ts_us=entry.ts_us,
        exit_ts_us=last.ts_us,
        side=1 if entry.deal_type == mt5.DEAL_TYPE_BUY else -1,
        entry_points=entry.price_points,
        exit_points=last.price_points,
        exit_reason="END_OF_DATA" if last.comment == END_OF_DATA_COMMENT else _REASONS.get(last.reason, "OTHER"),
        net_pnl_account=profit + costs,
        ticket=entry.position_id,
    )


def trade_rows(trades: Iterable[SimulatedTrade]) -> list[dict[str, Any]]:
    """Return trades as plain rows, for JSON."""
    return [dict(vars(trade)) for trade in trades]
