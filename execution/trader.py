"""The trader's two ways to run: a recorded date on the simulated terminal, and a terminal in real time.

What belongs here: assembly and the real-time loop. What must not: command line, settings (`tick_assets/cli/trade.py` reads those).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Protocol

from execution.adapters.mt5.native import load_module
from execution.adapters.mt5.server_clock import server_clock_from
from execution.adapters.mt5.simulator.module import SimulatedMetaTrader5
from execution.adapters.mt5.terminal import MetaTrader5Terminal, TerminalSettings
from execution.desk import KillSwitch, OrderDesk
from execution.engine import CHUNK_QUOTES, Engine, EngineCounts, TerminalFeed, chunks_of
from execution.journal import Journal
from execution.market import MarketFile
from execution.orders import Quote
from execution.pacing import RealTimePacer, SimulatedPacer
from execution.ports import Pacer, SignalService, TerminalPort, TerminalUnavailableError
from execution.risk import REPLAY_POLICY, RiskPolicy, RiskVerdict
from execution.signals import Signal
from execution.simulate import SimulatedTrade, TickColumns, open_simulator, quotes_of, terminal_on, trades_of

RECONNECT_PAUSES_S = (1.0, 2.0, 5.0, 15.0, 30.0, 60.0)
HEARTBEAT_S = 5.0


@dataclass(frozen=True)
class DayTicks:
    """One symbol's date: `recorded` rows as the vendor gave them go to the service, `clean` ones trade at the simulated terminal."""

    symbol: str
    recorded: TickColumns
    clean: TickColumns


class TickLoader(Protocol):
    """Loads a date of a symbol; the pipeline supplies it."""

    def __call__(self, symbol: str, day: date) -> DayTicks: ...


@dataclass(frozen=True)
class TradedDay:
    """What a date on the simulated terminal came to: every signal with its verdict, and the trades of the broker's books."""

    verdicts: Sequence[tuple[Signal, RiskVerdict]]
    trades: Sequence[SimulatedTrade]
    counts: EngineCounts


def trade_day(
    market: MarketFile,
    days: Sequence[DayTicks],
    service: SignalService,
    journal: Journal,
    policy: RiskPolicy = REPLAY_POLICY,
    chunk_quotes: int = CHUNK_QUOTES,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> TradedDay:
    """Trade one recorded date through the service and the simulated terminal, on event time."""
    module = open_simulator(market, {day.symbol: day.clean for day in days})
    pacer = SimulatedPacer(module)
    desk, engine = assemble(terminal_on(module), journal, pacer, policy, service, is_replay=True)
    desk.start()
    quotes = _merged_quotes(market, days)
    verdicts: list[tuple[Signal, RiskVerdict]] = []
    for chunk in chunks_of(quotes, chunk_quotes):
        verdicts.extend(engine.step(chunk))
        on_progress(engine.counts.quotes, len(quotes))
    finish_day(module, desk, engine)
    return TradedDay(verdicts, trades_of(module), engine.counts)


def assemble(
    terminal: TerminalPort, journal: Journal, pacer: Pacer, policy: RiskPolicy, service: SignalService, *,
    is_replay: bool, kill_file: Path | None = None,
) -> tuple[OrderDesk, Engine]:  # fmt: skip
    """Return a desk and the engine that drives it, its order events going to the service."""
    events = _EventRelay()
    desk = OrderDesk(terminal, journal, pacer, policy, events, KillSwitch(journal, kill_file))
    engine = Engine(desk, pacer, service, is_replay=is_replay)
    events.target = engine.take_event
    return desk, engine


class _EventRelay:
    """Lets the desk be built before the engine that takes its events."""

    def __init__(self) -> None:
        self.target: Callable[[Mapping[str, object]], None] = lambda event: None

    def __call__(self, event: Mapping[str, object]) -> None:
        self.target(event)


def _merged_quotes(market: MarketFile, days: Sequence[DayTicks]) -> list[Quote]:
    """Return all recorded quotes in time order; the rows of one symbol keep the vendor's order."""
    lists = [list(quotes_of(day.symbol, day.recorded, market.symbol(day.symbol).price_factor)) for day in days]
    if len(lists) == 1:
        return lists[0]
    return sorted((quote for quotes in lists for quote in quotes), key=lambda quote: quote.ts_event)


def finish_day(module: SimulatedMetaTrader5, desk: OrderDesk, engine: Engine) -> None:
    """Close what falls due in what is left of the date, end the rest at its last tick and report it."""
    stamps = [int(line.history.ts_us[-1]) for line in module.server.lines.values() if len(line.history)]
    if stamps:
        engine.walk_to(max(stamps))
    module.finish()
    desk.sync()
    engine.report()


def native_terminal(settings: TerminalSettings, market: MarketFile) -> MetaTrader5Terminal:
    """Return the port on the real MetaTrader5 package; raises where the package can't be."""
    return MetaTrader5Terminal(load_module(), settings, server_clock_from(market.server_clock))


class LiveTrader:
    """The real-time loop over one terminal. `now_us`, `sleep` and `should_stop` are passed in."""

    def __init__(
        self,
        terminal: TerminalPort,
        service: SignalService,
        journal: Journal,
        policy: RiskPolicy,
        symbols: Sequence[str],
        kill_file: Path | None = None,
        pacer: Pacer | None = None,
        sleep: Callable[[float], None] = time.sleep,
        poll_s: float = 0.2,
    ) -> None:
        self._terminal = terminal
        self._symbols = symbols
        self._pacer = pacer or RealTimePacer()
        self._sleep = sleep
        self._poll_s = poll_s
        self._failures = 0
        self._next_heartbeat_us = 0
        self.desk, self.engine = assemble(terminal, journal, self._pacer, policy, service, is_replay=False, kill_file=kill_file)
        self._feed: TerminalFeed | None = None

    def run(self, should_stop: Callable[[], bool] = lambda: False) -> EngineCounts:
        """Trade until told to stop; a lost terminal is reconnected with growing pauses, orders are reconciled first."""
        while not should_stop():
            try:
                self._turn()
                self._failures = 0
                self._sleep(self._poll_s)
            except TerminalUnavailableError:
                self.engine.counts.terminal_failures += 1
                self._feed_is_lost()
        return self.engine.counts

    def _turn(self) -> None:
        if self._feed is None:
            self._terminal.connect()
            self.desk.start()
            self._feed = TerminalFeed(self._terminal, self._symbols, self._pacer.now_us())
        self._beat()
        self.engine.step(self._feed.poll())

    def _beat(self) -> None:
        now = self._pacer.now_us()
        if now < self._next_heartbeat_us:
            return
        self._next_heartbeat_us = now + int(HEARTBEAT_S * 1e6)
        health = self._terminal.health()
        if not health.is_connected and health.reason != "BROKER_LINK_DOWN":
            raise TerminalUnavailableError(f"Expected a connected terminal, was {health.reason}. It is reconnected.")

    def _feed_is_lost(self) -> None:
        self._feed = None
        pause = RECONNECT_PAUSES_S[min(self._failures, len(RECONNECT_PAUSES_S) - 1)]
        self._failures += 1
        self._terminal.disconnect()
        self._sleep(pause)


def is_live_enabled(flag_file: Path, login: int) -> bool:
    """Tell whether the second live switch is set: a file that a person wrote the account's login into."""
    return flag_file.is_file() and flag_file.read_text().strip() == str(login)
