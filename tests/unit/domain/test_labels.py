"""Labels: a literal market, both sides, and the events that get none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tick_assets.domain.instruments import Market, parse_market
from tick_assets.domain.labels import label_events
from tick_assets.domain.signals import Strategy
from tick_assets.domain.ticks import DAY_US, Ticks

MIDNIGHT = 19_730 * DAY_US
STRATEGY = Strategy()


@pytest.fixture
def market() -> Market:
    return parse_market((Path(__file__).parents[3] / "execution" / "market.toml").read_text())


def quotes(*rows: tuple[float, int]) -> Ticks:
    """Return quotes of (second, bid) with a spread of 10 points."""
    stamps = np.array([MIDNIGHT + round(second * 1e6) for second, _ in rows], np.int64)
    bid = np.array([bid for _, bid in rows], np.int64)
    sizes = np.ones(len(rows))
    return Ticks(stamps, bid, bid + 10, sizes, sizes)


def test_rise_to_the_horizon_pays_the_long_after_spread_and_commission(market: Market) -> None:
    ticks = quotes((0, 100_000), (1, 100_000), (299, 100_020), (300, 100_040), (301, 100_040))
    labels = label_events(ticks, np.array([0]), np.array([100.0]), market.instrument("EURUSD"), market, STRATEGY)
    # Long: in at 100_010, out at 100_040; 7 points of commission. Short: in at 100_000, out at 100_050.
    assert labels.label.tolist() == [1]
    assert labels.long_net_bps[0] == pytest.approx((30 - 7) / 100_010 * 1e4)
    assert labels.short_net_bps[0] == pytest.approx((-50 - 7) / 100_000 * 1e4)
    assert labels.ts_label_end_us.tolist() == [MIDNIGHT + 301_000_000]


def test_still_market_pays_neither_side(market: Market) -> None:
    ticks = quotes((0, 100_000), (1, 100_000), (300, 100_000), (301, 100_000))
    labels = label_events(ticks, np.array([0]), np.array([100.0]), market.instrument("EURUSD"), market, STRATEGY)
    assert labels.label.tolist() == [0]
    assert labels.net_return_bps[0] == pytest.approx(-17 / 100_000 * 1e4, rel=1e-3)


def test_stop_fills_at_the_ticks_own_price(market: Market) -> None:
    ticks = quotes((0, 100_000), (1, 100_000), (60, 99_000), (301, 100_000), (302, 100_000))
    labels = label_events(ticks, np.array([0]), np.array([100.0]), market.instrument("EURUSD"), market, STRATEGY)
    assert labels.long_net_bps[0] == pytest.approx((99_000 - 100_010 - 7) / 100_010 * 1e4)
    assert labels.short_net_bps[0] == pytest.approx((300 - 10 - 7) / 100_000 * 1e4, rel=0.05)  # the target's level, never better


def test_event_without_a_quote_to_fill_at_gets_no_label(market: Market) -> None:
    labels = label_events(
        quotes((0, 100_000), (90, 100_000)), np.array([0]), np.array([100.0]), market.instrument("EURUSD"), market, STRATEGY
    )
    assert len(labels.event) == 0


def test_event_too_late_in_its_date_gets_no_label(market: Market) -> None:
    late = 86_400 - STRATEGY.horizon_s - 60
    ticks = quotes((late - 1, 100_000), (late, 100_000), (86_399, 100_000))
    labels = label_events(ticks, np.array([0, 1]), np.array([100.0, 100.0]), market.instrument("EURUSD"), market, STRATEGY)
    assert labels.event.tolist() == [0]


def test_label_ends_with_the_date_when_no_tick_comes_at_the_horizon(market: Market) -> None:
    ticks = quotes((0, 100_000), (1, 100_000), (200, 100_090))
    labels = label_events(ticks, np.array([0]), np.array([100.0]), market.instrument("EURUSD"), market, STRATEGY)
    assert labels.ts_label_end_us.tolist() == [MIDNIGHT + 200_000_000]
    assert labels.long_net_bps[0] == pytest.approx((100_090 - 100_010 - 7) / 100_010 * 1e4)
