"""The engine: quotes go to the signal service, signals come back to the desk, and time passes in between.

What belongs here: the order of work. What must not: risk, sending, reconciliation (`desk`), HTTP (`service_client`).

Order of work at every quote: the terminal first (fills, stops, targets), then closes whose time is up, then the strategy sees the quote.
Quotes are posted in chunks and the answer holds their signals in order. In a replay the terminal's clock lags behind the chunk: it is
walked from signal to signal, stopping at the first quote at or after each exit time, and never runs ahead of a signal that is acted on,
except through an order that was in flight: signals at quotes before that order was done are denied as POSITION_OPEN, a signal at the very
quote that ended it is allowed. So chunks of any size give the same trades; they must not split quotes of one stamp (`chunks_of`).
In real time a chunk is whatever has arrived. Trades equal the backtest's for one symbol at a time: with several symbols on one
terminal, an order of one delays the others, as it does in a real terminal.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from execution.desk import ManagedPosition, OrderDesk
from execution.orders import Quote, QuoteCursor, to_datetime
from execution.ports import (
    Mark,
    Pacer,
    ServiceUnavailableError,
    SignalService,
    TerminalPort,
    TerminalUnavailableError,
)
from execution.risk import RiskVerdict
from execution.signals import Signal

CHUNK_QUOTES = 500
UNPOSTED_MAX = 40_000


def chunks_of(quotes: Iterable[Quote], size: int = CHUNK_QUOTES) -> Iterator[list[Quote]]:
    """Yield chunks of about `size` quotes that never split quotes of one stamp."""
    chunk: list[Quote] = []
    for quote in quotes:
        if len(chunk) >= size and quote.ts_event != chunk[-1].ts_event:
            yield chunk
            chunk = []
        chunk.append(quote)
    if chunk:
        yield chunk


@dataclass
class EngineCounts:
    """What the engine has done."""

    quotes: int = 0
    signals: int = 0
    verdicts: dict[str, int] = field(default_factory=dict)
    service_failures: int = 0
    terminal_failures: int = 0


class Engine:
    """Feeds the service and acts on its signals. `is_replay` walks time from signal to signal and raises when the service fails."""

    def __init__(self, desk: OrderDesk, pacer: Pacer, service: SignalService | None = None, *, is_replay: bool = False) -> None:
        self._desk = desk
        self._pacer = pacer
        self._service = service
        self._is_replay = is_replay
        self._unposted: list[Quote] = []
        self._unreported: list[Mapping[str, Any]] = []
        self.counts = EngineCounts()

    def take_event(self, event: Mapping[str, Any]) -> None:
        """Keep an order event for the next report; pass this as the desk's `on_event`."""
        self._unreported.append(event)

    def step(self, chunk: Sequence[Quote]) -> list[tuple[Signal, RiskVerdict]]:
        """Post a chunk and act on its signals. In a replay time then stands at the last one: a quote's stamp may be wrong."""
        self.counts.quotes += len(chunk)
        verdicts = [(signal, self.act(signal)) for signal in self._signals_of(chunk)]
        if not self._is_replay:
            self.walk_to(self._pacer.now_us())
        self.report()
        return verdicts

    def _signals_of(self, chunk: Sequence[Quote]) -> list[Signal]:
        if self._service is None:
            return []
        self._unposted = [*self._unposted, *chunk][-UNPOSTED_MAX:]
        if not self._unposted:
            return []
        try:
            signals = self._service.post_ticks(self._unposted)
        except ServiceUnavailableError:
            self.counts.service_failures += 1
            if self._is_replay:
                raise
            return []
        self._unposted = []
        return signals

    def act(self, signal: Signal) -> RiskVerdict:
        """Let time pass to a signal's quote and hand the signal to the desk."""
        verdict = self._act(signal)
        self.counts.signals += 1
        self.counts.verdicts[verdict.reason] = self.counts.verdicts.get(verdict.reason, 0) + 1
        return verdict

    def _act(self, signal: Signal) -> RiskVerdict:
        if signal.action == "NONE" or (signal.action == "OPEN" and signal.view == "FLAT"):
            return RiskVerdict(False, "VIEW_FLAT")
        mark = self._pacer.mark_of_quote(signal.symbol, signal.ts_us, signal.bid_price, signal.ask_price)
        return self.act_at(signal, mark)

    def act_at(self, signal: Signal, mark: Mark) -> RiskVerdict:
        """Let time pass to a known place and hand the signal to the desk."""
        self._walk(signal.symbol, mark)
        if signal.action == "OPEN" and self._is_taken(signal.symbol, mark):
            return self._desk.skip(signal, "POSITION_OPEN")
        return self._desk.handle(signal)

    def _is_taken(self, symbol: str, mark: Mark) -> bool:
        """Tell whether the symbol had an order in flight; a replay also sees a position there without asking for a whole verdict."""
        is_held = self._is_replay and any(managed.symbol == symbol for managed in self._desk.managed)
        return is_held or self._pacer.was_busy_at(symbol, mark)

    def walk_to(self, ts_us: int) -> None:
        """Let time pass to a moment, closing what falls due on the way."""
        self._stop_at_exits("", Mark(ts_us))
        self._pacer.advance_to(ts_us)
        self._desk.sync()

    def _walk(self, symbol: str, mark: Mark) -> None:
        self._stop_at_exits(symbol, mark)
        self._pacer.advance(symbol, mark)
        self._desk.sync()

    def _stop_at_exits(self, symbol: str, target: Mark) -> None:
        while (due := self._next_due(symbol, target)) is not None:
            managed, mark = due
            self._pacer.advance(managed.symbol, mark)
            self._desk.sync()
            self._desk.close_due()

    def _next_due(self, symbol: str, target: Mark) -> tuple[ManagedPosition, Mark] | None:
        due: list[tuple[int, ManagedPosition, Mark]] = []
        for managed in self._desk.managed:
            mark = self._pacer.mark_of_exit(managed.symbol, managed.close_at_us)
            if mark is not None and _is_within(mark, target, managed.symbol == symbol):
                due.append((mark.ts_us, managed, mark))
        if not due:
            return None
        _, managed, mark = min(due, key=lambda item: item[0])
        return managed, mark

    def report(self) -> None:
        """Hand order events to the service; kept for the next time when it is away."""
        if self._service is None or not self._unreported:
            return
        try:
            self._service.report(self._unreported)
        except ServiceUnavailableError:
            self.counts.service_failures += 1
            return
        self._unreported = []


def _is_within(mark: Mark, target: Mark, is_same_symbol: bool) -> bool:
    if is_same_symbol and mark.row >= 0 and target.row >= 0:
        return mark.row <= target.row
    return mark.ts_us <= target.ts_us


class TerminalFeed:
    """New quotes of a real terminal, polled; `failures` counts polls that found no terminal."""

    def __init__(self, terminal: TerminalPort, symbols: Sequence[str], start_us: int) -> None:
        self._terminal = terminal
        self._cursors = {symbol: QuoteCursor(to_datetime(start_us), 0) for symbol in symbols}
        self.failures = 0

    def poll(self, limit: int = 5_000) -> list[Quote]:
        """Return what has arrived since the last poll, in time order."""
        arrived: list[Quote] = []
        for symbol, cursor in self._cursors.items():
            try:
                quotes, self._cursors[symbol] = self._terminal.quotes_after(symbol, cursor, limit)
            except TerminalUnavailableError:
                self.failures += 1
                continue
            arrived.extend(quotes)
        return sorted(arrived, key=lambda quote: quote.ts_event)
