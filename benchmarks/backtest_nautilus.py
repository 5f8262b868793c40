"""The side of nautilus_trader: the sparse orders over the first ticks of one date, as a strategy of its own.

What belongs here: the rival, in the environment of model_rivals.txt. What must not: anything of the project but quotes and orders.

The venue takes 50 ms to an order; orders go to the market; the strategy looks at every quote. Logging, analysis and risk checks are off.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from benchmarks import quotes
from benchmarks.side import Work, serve

NAME = "nautilus_trader"
PRICE_FACTOR = 100_000
FLAT, ENTERING, OPEN, LEAVING = range(4)


def _engine(date: tuple[Any, ...], strategy: Any, instrument: Any) -> Any:
    import pandas as pd
    from nautilus_trader.backtest.config import BacktestEngineConfig
    from nautilus_trader.backtest.engine import BacktestEngine
    from nautilus_trader.backtest.models import LatencyModel
    from nautilus_trader.config import LoggingConfig, RiskEngineConfig
    from nautilus_trader.model.currencies import USD
    from nautilus_trader.model.enums import AccountType, OmsType
    from nautilus_trader.model.objects import Money
    from nautilus_trader.persistence.wranglers import QuoteTickDataWrangler

    quiet = BacktestEngineConfig(logging=LoggingConfig(bypass_logging=True), risk_engine=RiskEngineConfig(bypass=True), run_analysis=False)
    engine = BacktestEngine(config=quiet)
    engine.add_venue(
        venue=instrument.id.venue,
        oms_type=OmsType.NETTING,
        account_type=AccountType.MARGIN,
        base_currency=USD,
        starting_balances=[Money(1_000_000_000, USD)],
        latency_model=LatencyModel(base_latency_nanos=quotes.LATENCY_US * 1_000),
    )
    engine.add_instrument(instrument)
    frame = pd.DataFrame(
        {"bid_price": date[1] / PRICE_FACTOR, "ask_price": date[2] / PRICE_FACTOR}, index=pd.to_datetime(date[0], unit="us", utc=True)
    )
    engine.add_data(QuoteTickDataWrangler(instrument).process(frame))
    engine.add_strategy(strategy)
    return engine


def _strategy(date: tuple[Any, ...], instrument: Any) -> Any:
    """Return a strategy that sends the orders one after the other, with its trades in `made`."""
    from nautilus_trader.model.enums import OrderSide
    from nautilus_trader.trading.strategy import Strategy

    orders = quotes.orders(date, quotes.SPARSE, 0)
    at_ns, exit_ns = (date[0][orders.row] * 1_000).tolist(), (orders.exit_at_us * 1_000).tolist()
    sides, stops, targets = orders.side.tolist(), (orders.stop / PRICE_FACTOR).tolist(), (orders.target / PRICE_FACTOR).tolist()
    quantity, half = instrument.make_qty(100_000), 0.5 / PRICE_FACTOR

    class Orders(Strategy):  # type: ignore[misc]
        def on_start(self) -> None:
            self.made: list[tuple[int, float, float]] = []
            self.stage, self.number, self.entry = FLAT, 0, 0.0
            self.subscribe_quote_ticks(instrument.id)

        def on_quote_tick(self, tick: Any) -> None:
            if self.stage == OPEN:
                self.watch(tick)
            elif self.stage == FLAT and self.number < len(at_ns) and tick.ts_event >= at_ns[self.number]:
                self.stage = ENTERING
                self.send(sides[self.number])

        def watch(self, tick: Any) -> None:
            side = sides[self.number]
            price = side * (tick.bid_price if side > 0 else tick.ask_price).as_double()
            touched = price <= side * stops[self.number] + half or price >= side * targets[self.number] - half
            if touched or tick.ts_event >= exit_ns[self.number]:
                self.stage = LEAVING
                self.send(-side)

        def send(self, side: int) -> None:
            self.submit_order(self.order_factory.market(instrument.id, OrderSide.BUY if side > 0 else OrderSide.SELL, quantity))

        def on_order_filled(self, event: Any) -> None:
            price = event.last_px.as_double() * PRICE_FACTOR
            if self.stage == ENTERING:
                self.stage, self.entry = OPEN, price
                return
            self.made.append((self.number, self.entry, price))
            self.stage, self.number = FLAT, self.number + 1
            while self.number < len(at_ns) and at_ns[self.number] < event.ts_event:
                self.number += 1

        def on_reset(self) -> None:
            """Forget nothing here: `on_start` begins anew."""

    return Orders()


def _side(file: str, size: int, trades: str) -> Work:
    from nautilus_trader.test_kit.providers import TestInstrumentProvider

    (date,) = quotes.read([file], size)
    instrument = TestInstrumentProvider.default_fx_ccy("EUR/USD")
    strategy = _strategy(date, instrument)
    engine = _engine(date, strategy, instrument)

    def run() -> list[tuple[int, float, float]]:
        engine.run()
        made: list[tuple[int, float, float]] = strategy.made
        return made

    def count(made: list[tuple[int, float, float]]) -> int:
        Path(trades).write_text(json.dumps(made))
        return len(date[0])

    return Work(run, count, engine.reset, lambda made: {"trades": len(made)})


SIDES = {NAME: _side}

if __name__ == "__main__":
    serve(SIDES)
