"""Small generated markets that the statistical tests share; built once per session."""

from collections.abc import Callable
from datetime import date
from functools import lru_cache

import pytest

from tick_assets.domain.dataset import TrainingSet, day_from_ticks, training_set
from tick_assets.domain.instruments import Instrument, Market
from tick_assets.domain.signals import Strategy
from tick_assets.domain.synthetic_market import SyntheticMarket, generate_day

DATES = tuple(date(2024, 1, day) for day in (8, 9, 10, 11, 12, 15, 16, 17, 18, 19))


@pytest.fixture(scope="session")
def syn_market() -> Market:
    """A market file with one synthetic symbol."""
    instrument = Instrument("SYN", "fx", 100_000, 5, 100_000.0, "SYN", "USD", 3.5, 0.3, 0.01, 0.01, 100.0, "")
    return Market("USD", 20240108, 100.0, 0.6, 60_000, {"SYN": instrument})


@pytest.fixture(scope="session")
def build_events(syn_market: Market) -> Callable[[float, int, int], TrainingSet]:
    """Return a function (k, seed, days) -> training set of the design's base shape."""

    @lru_cache(maxsize=8)
    def build(k: float, seed: int, days: int) -> TrainingSet:
        shape = SyntheticMarket(k=k)
        made = [
            day_from_ticks("SYN", day.isoformat(), generate_day(shape, seed, "SYN", day).ticks, syn_market, Strategy())
            for day in DATES[:days]
        ]
        return training_set("SYN", made)

    return build
