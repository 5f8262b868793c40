"""The parts of a difference add up to it, and each goes where it belongs."""

from __future__ import annotations

import numpy as np
import pytest

from tick_assets.domain.attribution import Attribution, Quoted, SteppedProfit, attribute, stepped_profits
from tick_assets.domain.backtest import Orders
from tick_assets.domain.instruments import Instrument, Market
from tick_assets.domain.orders import FillDraws
from tick_assets.domain.ticks import Ticks

INSTRUMENT = Instrument("SYN", "fx", 100_000, 5, 100_000.0, "SYN", "USD", 0.0, 0.3, 0.01, 0.01, 100.0, "")
MARKET = Market("USD", 1, 100.0, 0.6, 60_000, {"SYN": INSTRUMENT})
START = 1_704_844_800_000_000


def test_attribute_signal_in_both_runs_changes_by_latency_then_spread_then_slippage() -> None:
    found = attribute({"a": 10.0}, {"a": 4.0}, {"a": SteppedProfit(10.0, 9.0, 6.5, 4.0)}, ())
    assert found == Attribution(latency=-1.0, spread=-2.5, slippage=-2.5, rejects=0.0, missed=0.0, residual=0.0, total=-6.0)


def test_attribute_trade_that_was_refused_is_rejects_and_one_that_was_not_sent_is_missed() -> None:
    found = attribute({"a": 10.0, "b": -3.0, "c": 5.0}, {"c": 5.0}, {"c": SteppedProfit(5.0, 5.0, 5.0, 5.0)}, {"a"})
    assert (found.rejects, found.missed, found.total, found.residual) == (-10.0, 3.0, -7.0, 0.0)


def test_attribute_new_trade_counts_as_missed_with_its_profit() -> None:
    found = attribute({"a": 10.0}, {"b": 4.0}, {}, {"a"})
    assert (found.rejects, found.missed, found.total) == (-10.0, 4.0, -6.0)


def test_attribute_books_that_say_otherwise_leave_a_residual() -> None:
    found = attribute({"a": 10.0}, {"a": 4.25}, {"a": SteppedProfit(10.0, 9.0, 6.5, 4.0)}, ())
    assert found.residual == 0.25


def test_attribute_nothing_is_nothing() -> None:
    assert attribute({}, {}, {}, ()) == Attribution(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)


@pytest.mark.parametrize("seed", range(5))
def test_attribute_parts_always_add_up_to_the_total(seed: int) -> None:
    rng = np.random.default_rng(seed)
    keys = [str(i) for i in range(60)]
    calm = {key: float(rng.normal()) for key in keys[:45]}
    rough = {key: float(rng.normal()) for key in keys[15:]}
    steps = {key: SteppedProfit(calm[key], *rng.normal(size=2).tolist(), rough[key]) for key in keys[15:45]}
    found = attribute(calm, rough, steps, set(keys[:7]))
    parts = found.latency + found.spread + found.slippage + found.rejects + found.missed
    assert found.total == pytest.approx(sum(rough.values()) - sum(calm.values()), abs=1e-12)
    assert parts == pytest.approx(found.total, abs=1e-12)
    assert abs(found.residual) < 1e-12


def _ticks(spread: int) -> Ticks:
    """Return quotes of one second apart whose bid rises a point a second."""
    bid = 100_000 + np.arange(60, dtype=np.int64)
    return Ticks(START + np.arange(60, dtype=np.int64) * 1_000_000, bid, bid + spread, np.ones(60), np.ones(60))


def _orders(stop: int = 99_000) -> Orders:
    def ints(value: int) -> np.ndarray:
        return np.array([value], np.int64)

    return Orders(
        np.zeros(1, np.int32), ints(0), np.ones(1, np.int8), ints(stop), ints(101_000), ints(START + 20_000_000), ints(1), ints(1), ints(0),
        ints(0),
    )  # fmt: skip


def _draws(entry_us: int, exit_us: int, entry_slip: int, exit_slip: int) -> FillDraws:
    return FillDraws(*(np.array([value], np.int64) for value in (entry_us, exit_us, entry_slip, exit_slip)))


def _stepped(orders: Orders) -> SteppedProfit:
    calm, rough = _draws(900_000, 900_000, 0, 0), _draws(2_900_000, 1_900_000, 1, 2)
    return stepped_profits(Quoted(_ticks(2), _ticks(6)), orders, calm, rough, [0], INSTRUMENT, MARKET, 1.0)[0]


def test_stepped_profits_literal_long_on_a_rising_quote() -> None:
    # In at second 1 (ask 100003), out at 21 (bid 100021): 18 points. Later, in at 3 and out at 22: 17. An ask 4 points higher: 13.
    # Slips of 1 and 2: 10.
    assert _stepped(_orders()) == SteppedProfit(pytest.approx(18.0), pytest.approx(17.0), pytest.approx(13.0), pytest.approx(10.0))


def test_stepped_profits_step_without_a_fill_earns_nothing() -> None:
    # A stop at 100002 lies above the bid of second 1 (refused) and below that of second 3.
    assert _stepped(_orders(stop=100_002)) == SteppedProfit(0.0, pytest.approx(17.0), pytest.approx(13.0), pytest.approx(10.0))
