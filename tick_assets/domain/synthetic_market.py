"""A seeded market whose edge is known: the synthetic twin's ticks.

What belongs here: the process, its parameters and one day's draw. What must not: files, wire formats, the command.

The process, with time in seconds and prices in points:

- Quotes arrive with exponential gaps, 3 s on average; a few share their predecessor's millisecond.
- An imbalance signal x is an Ornstein-Uhlenbeck process of unit variance, dx = -theta x dt + sqrt(2 theta) dW, theta = ln 2 / half-life.
- The mid follows dm = kappa x dt + sigma dB. The expected gross move over the horizon H from x = 1 is
  kappa * E[integral of x over H | x_0 = 1] = kappa * (1 - exp(-theta H)) / theta, hence
  kappa = k * (mean spread + commission) * theta / (1 - exp(-theta H)).
- `daily_volatility_points` is sigma * sqrt(1 day): the part that nobody can predict. The drift's own variance comes on top.
- The spread is `minimum_spread_points` + Poisson(`spread_poisson_mean`).
- Displayed sizes show the signal: (bid - ask) / (bid + ask) = tanh((x + noise) / 2), rounded to 0.01 million.

A day depends only on (seed, symbol, date, parameters) and starts at the base price: days can be made in any order and in parallel.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from types import MappingProxyType

import numpy as np

from tick_assets.domain.market_calendar import open_hours
from tick_assets.domain.ticks import Float64Array, Int64Array, Ticks

DAY_S = 86_400
UNITS_PER_MILLION = 1_000_000
EDGE_STRENGTHS: Mapping[str, float] = MappingProxyType({"SYNEDGE": 2.0, "SYNWEAK": 0.8, "SYNNULL": 0.0})
"""The demo symbols and their edge strength k."""


@dataclass(frozen=True)
class SyntheticMarket:
    """Parameters of the process; the defaults are the base shape of the design, whose edge strength is `k`."""

    k: float
    mean_gap_s: float = 3.0
    shared_stamp_share: float = 0.005
    daily_volatility_points: float = 500.0
    minimum_spread_points: int = 4
    spread_poisson_mean: float = 4.0
    commission_points: float = 7.0
    horizon_s: float = 300.0
    signal_half_life_s: float = 240.0
    size_noise: float = 1.0
    base_points: int = 110_000
    price_factor: int = 100_000

    @property
    def theta(self) -> float:
        """Rate of mean reversion of the signal, per second."""
        return math.log(2) / self.signal_half_life_s

    @property
    def mean_spread_points(self) -> float:
        return self.minimum_spread_points + self.spread_poisson_mean

    @property
    def drift_points_per_s(self) -> float:
        """kappa: drift of the mid at one standard deviation of the signal; see the module for the derivation."""
        remaining = 1 - math.exp(-self.theta * self.horizon_s)
        return self.k * (self.mean_spread_points + self.commission_points) * self.theta / remaining


@dataclass(frozen=True)
class SyntheticDay:
    """One date's quotes, and per quote the latent signal and mid, which no pipeline may read."""

    ticks: Ticks
    signal: Float64Array
    mid_points: Float64Array


def generate_day(market: SyntheticMarket, seed: int, symbol: str, day: date) -> SyntheticDay:
    """Draw the quotes of one UTC date inside FX hours; the same arguments always give the same arrays."""
    random = np.random.default_rng(_entropy(seed, symbol, day))
    seconds = _draw_stamps(market, random)
    gaps = np.diff(seconds, prepend=0.0)
    signal = _draw_signal(market.theta, seconds, gaps, random)
    mid_points = _draw_mid(market, signal, gaps, random)
    bid_points, ask_points = _draw_quotes(market, mid_points, random)
    bid_size, ask_size = _draw_sizes(market, signal, random)
    ticks = Ticks(_stamps_us(day, seconds), bid_points, ask_points, bid_size, ask_size)
    is_open = np.asarray(open_hours("fx", day))[(seconds // 3600).astype(np.int64)]
    return SyntheticDay(ticks.take(is_open), signal[is_open], mid_points[is_open])


def _entropy(seed: int, symbol: str, day: date) -> int:
    return int.from_bytes(hashlib.sha256(f"{seed}|{symbol}|{day.isoformat()}".encode()).digest()[:16], "big")


def _draw_stamps(market: SyntheticMarket, random: np.random.Generator) -> Float64Array:
    count = int(DAY_S / market.mean_gap_s * 1.2) + 100
    gaps = random.exponential(market.mean_gap_s / (1 - market.shared_stamp_share), count)
    gaps[random.random(count) < market.shared_stamp_share] = 0.0
    seconds = np.cumsum(gaps)
    return seconds[seconds < DAY_S]


def _draw_signal(theta: float, seconds: Float64Array, gaps: Float64Array, random: np.random.Generator) -> Float64Array:
    """Sample the process exactly at irregular stamps: x e^(theta t) has independent increments, so one cumulative sum does it."""
    variances = 1 - np.exp(-2 * theta * gaps)
    if len(variances):
        variances[0] = 1.0
    shocks = np.sqrt(variances) * random.standard_normal(len(seconds))
    growth = np.exp(theta * seconds)
    return np.asarray(np.cumsum(shocks * growth) / growth)


def _draw_mid(market: SyntheticMarket, signal: Float64Array, gaps: Float64Array, random: np.random.Generator) -> Float64Array:
    sigma = market.daily_volatility_points / math.sqrt(DAY_S)
    mean_signal = (signal + np.concatenate([signal[:1], signal[:-1]])) / 2
    moves = market.drift_points_per_s * mean_signal * gaps + sigma * np.sqrt(gaps) * random.standard_normal(len(gaps))
    return np.asarray(market.base_points + np.cumsum(moves))


def _draw_quotes(market: SyntheticMarket, mid_points: Float64Array, random: np.random.Generator) -> tuple[Int64Array, Int64Array]:
    spread = market.minimum_spread_points + random.poisson(market.spread_poisson_mean, len(mid_points)).astype(np.int64)
    bid_points = np.floor(mid_points - spread / 2 + 0.5).astype(np.int64)
    return bid_points, bid_points + spread


def _draw_sizes(market: SyntheticMarket, signal: Float64Array, random: np.random.Generator) -> tuple[Float64Array, Float64Array]:
    imbalance = np.tanh((signal + market.size_noise * random.standard_normal(len(signal))) / 2)
    total = random.uniform(2.0, 9.0, len(signal))
    bid_hundredths = np.maximum(np.rint(total * (1 + imbalance) * 50), 1.0)
    ask_hundredths = np.maximum(np.rint(total * (1 - imbalance) * 50), 1.0)
    return bid_hundredths * (UNITS_PER_MILLION // 100), ask_hundredths * (UNITS_PER_MILLION // 100)


def _stamps_us(day: date, seconds: Float64Array) -> Int64Array:
    midnight_us = int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * 1_000_000
    return midnight_us + np.floor(seconds * 1000).astype(np.int64) * 1000
