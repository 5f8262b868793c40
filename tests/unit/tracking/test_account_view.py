"""Models under judgement in one account: each brings the orders that its own backtest ran."""

from dataclasses import dataclass, replace
from datetime import date
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from tick_assets.domain import evaluation, training
from tick_assets.domain.account import AccountLimits
from tick_assets.domain.dataset import TrainingSet, day_from_ticks, training_set
from tick_assets.domain.instruments import Instrument, Market
from tick_assets.domain.signals import Strategy
from tick_assets.domain.splits import DateSplit
from tick_assets.domain.synthetic_market import SyntheticMarket, generate_day
from tick_assets.tracking.account_view import trade_together
from tick_assets.tracking.judgement import Case

SYN = Instrument("SYNA", "fx", 100_000, 5, 100_000.0, "SYN", "USD", 3.5, 0.3, 0.01, 0.01, 100.0, "", -7.0, 2.0)
MARKET = Market("USD", 20240108, 100.0, 0.6, 60_000, {"SYNA": SYN, "SYNB": replace(SYN, symbol="SYNB")})
DATES = (date(2024, 1, 8), date(2024, 1, 9), date(2024, 1, 10))


@dataclass(frozen=True)
class JudgedCase:
    """What `line_of` reads of a case, without a lake."""

    bench: Any
    symbol: str
    events: TrainingSet
    split: DateSplit
    strategy: Strategy
    test: evaluation.TestResult


def judged(symbol: str, seed: int) -> JudgedCase:
    shape = SyntheticMarket(k=2.0)
    days = [day_from_ticks(symbol, day.isoformat(), generate_day(shape, seed, symbol, day).ticks, MARKET, Strategy()) for day in DATES]
    events = training_set(symbol, days)
    search, test = events.dates[:2], events.dates[2:]
    model = training.fit_final(events.on_dates(search), training.BoosterParams(rounds=20))
    strategy = Strategy(threshold=0.52)
    result = evaluation.evaluate_test(events.on_dates(test), model, strategy, MARKET)
    split = DateSplit(search[:1], search[1:], test)
    return JudgedCase(SimpleNamespace(market=MARKET), symbol, events, split, strategy, result)


@pytest.fixture(scope="module")
def cases() -> list[JudgedCase]:
    return [judged("SYNA", 3), judged("SYNB", 4)]


def test_trade_together_holds_each_models_own_trades(cases: list[JudgedCase]) -> None:
    view = trade_together(cast(list[Case], cases), MARKET)
    for place, case in enumerate(cases):
        own = view.run.trades.take(view.run.trades.line == place)
        assert len(own) > 10
        assert own.entry_ts_us.tolist() == case.test.trades.entry_ts_us.tolist()
        assert np.array_equal(own.gross - own.commission, case.test.trades.net_pnl_account)
    assert view.exposure.symbols == ("SYNA", "SYNB")


def test_trade_together_keeps_to_a_limit_on_the_account(cases: list[JudgedCase]) -> None:
    view = trade_together(cast(list[Case], cases), MARKET, AccountLimits(positions=1))
    trades = view.run.trades
    in_order = np.argsort(trades.entry_ts_us, kind="stable")
    assert bool(np.all(trades.exit_ts_us[in_order][:-1] <= trades.entry_ts_us[in_order][1:]))
    assert view.run.refusals()["LIMIT_POSITIONS"] > 0
