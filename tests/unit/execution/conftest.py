"""Market, ticks, signals and a desk on the simulated terminal for the trader's tests."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from execution.adapters.mt5.simulator.history import TickHistory
from execution.adapters.mt5.simulator.module import SimulatedMetaTrader5
from execution.desk import OrderDesk
from execution.journal import Journal
from execution.market import default_market_text, parse_market_file
from execution.pacing import SimulatedPacer
from execution.risk import REPLAY_POLICY, RiskPolicy
from execution.signals import Signal
from execution.simulate import open_simulator, terminal_on

START_US = 1_704_700_800_000_000
MARKET = parse_market_file(default_market_text())


def flat_history(size: int = 400, gap_ms: int = 1000, bid: int = 100_000, spread: int = 2) -> TickHistory:
    """Return quotes that do not move."""
    stamps = START_US + np.arange(size, dtype=np.int64) * gap_ms * 1000
    bids, sizes = np.full(size, bid, np.int64), np.full(size, 1e6)
    return TickHistory(stamps, bids, bids + spread, sizes, sizes)


def make_signal(name: str = "one", ts_us: int = START_US, symbol: str = "EURUSD", **changes: Any) -> Signal:
    """Return a LONG signal on the flat quotes; its id is the hash of `name`."""
    values: dict[str, Any] = {
        "signal_id": hashlib.sha256(name.encode()).hexdigest(),
        "event_id": name,
        "symbol": symbol,
        "strategy": "direction",
        "action": "OPEN",
        "view": "LONG",
        "probability": 0.7,
        "ts_us": ts_us,
        "valid_until_us": ts_us + 5_000_000,
        "exit_at_us": ts_us + 60_000_000,
        "bid_price": 1.0,
        "ask_price": 1.00002,
        "stop_loss": 0.999,
        "take_profit": 1.001,
        "quantity_max": 0.1,
        "mode": "replay",
        "is_synthetic": True,
        "model_id": "EURUSD.direction@1",
        "model_sha256": "m" * 64,
        "passport_id": "p" * 64,
        "reasons": (),
    }
    return Signal(**{**values, **changes})


@dataclass
class Bench:
    """A desk on a simulated terminal, and all that a test may want to turn."""

    module: SimulatedMetaTrader5
    journal: Journal
    pacer: SimulatedPacer
    desk: OrderDesk
    events: list[dict[str, Any]]

    @property
    def entries(self) -> int:
        """Return how many opening deals the broker has booked."""
        return sum(1 for deal in self.module.server.ledger.deals if deal.position_id and deal.entry == 0)

    def restart(self, path: Path, policy: RiskPolicy = REPLAY_POLICY) -> Bench:
        """Return a new process on the same broker and journal."""
        return _bench(self.module, Journal(path), policy)


def _bench(module: SimulatedMetaTrader5, journal: Journal, policy: RiskPolicy) -> Bench:
    pacer, events = SimulatedPacer(module), list[dict[str, Any]]()
    desk = OrderDesk(terminal_on(module), journal, pacer, policy, lambda event: events.append(dict(event)))
    desk.start()
    return Bench(module, journal, pacer, desk, events)


@pytest.fixture
def make_bench() -> Callable[..., Bench]:
    def make(journal: Journal | None = None, policy: RiskPolicy = REPLAY_POLICY, history: TickHistory | None = None) -> Bench:
        module = open_simulator(MARKET, {"EURUSD": history or flat_history()})
        bench = _bench(module, journal or Journal(), policy)
        module.advance_to(START_US)
        return bench

    return make
