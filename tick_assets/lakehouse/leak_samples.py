"""Published symbol-days for the leak firewall to look at: ticks, features and labels, as the tables hold them now.

What belongs here: which days, and reading them. What must not: the checks (`domain.leak_firewall`), datasets (they read tags).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from typing import TypeVar

import numpy as np
import polars as pl

from tick_assets.domain.dataset import TrainingDay, TrainingSet, training_set
from tick_assets.domain.instruments import Instrument, Market
from tick_assets.domain.labels import label_set_of
from tick_assets.domain.leakage import KnownTicks
from tick_assets.domain.signals import event_id, strategy_of
from tick_assets.domain.ticks import join_ticks
from tick_assets.lakehouse.catalog import Lakehouse, day_filter
from tick_assets.lakehouse.published_days import read_published_day, read_published_ticks

SYMBOLS, DATES = 3, 2
"""The most symbols, and dates of each, that one run's checks look at: about a second a symbol-day, however long the run's range is."""
_T = TypeVar("_T")


def read_samples(lakehouse: Lakehouse, market: Market, symbols: Sequence[str], dates: Sequence[date]) -> list[TrainingSet]:
    """Return a training set of each sampled symbol: symbols and dates spread over the run's; those that are not published are out."""
    chosen = spread(sorted(dates), DATES)
    found = {symbol: _read_days(lakehouse, market.instrument(symbol), chosen) for symbol in spread(sorted(symbols), SYMBOLS)}
    return [training_set(symbol, days) for symbol, days in found.items() if days]


def read_others(lakehouse: Lakehouse, market: Market, sample: TrainingSet) -> dict[str, KnownTicks]:
    """Return the published quotes of a sample's leader on its dates, known at their stamps; nothing without a leader."""
    leader = market.sampling_of(sample.symbol).leader
    if not leader:
        return {}
    ticks = join_ticks([read_published_ticks(lakehouse, leader, date.fromisoformat(day)) for day in sample.dates])
    return {leader: KnownTicks(ticks, ticks.ts_us)}


def _read_days(lakehouse: Lakehouse, instrument: Instrument, dates: Sequence[date]) -> list[TrainingDay]:
    days = (read_labelled_day(lakehouse, instrument, day) for day in dates)
    return [day for day in days if day is not None]


def spread(items: Sequence[_T], most: int) -> list[_T]:
    """Return so many of the items, the first and the last among them, evenly spread."""
    return [items[i] for i in sorted(set(np.linspace(0, len(items) - 1, min(most, len(items))).astype(int).tolist()))]


def read_labelled_day(lakehouse: Lakehouse, instrument: Instrument, day: date) -> TrainingDay | None:
    """Return one published date with features and labels, or None where `read_published_day` has none; events without a label stay."""
    symbol, sampling, label_set = instrument.symbol, instrument.sampling, label_set_of(strategy_of(instrument))
    published = read_published_day(lakehouse, symbol, day, sampling)
    if published is None:
        return None
    listed = lakehouse.frame("evidence.publications", day_filter(symbol, day))["publication_id"][0]
    rows = lakehouse.frame("silver.labels", day_filter(symbol, day)).filter(pl.col("label_set") == label_set, publication_id=listed)
    ids = [event_id(symbol, day.isoformat(), int(seq), sampling.clock) for seq in published.seq]
    labels = pl.DataFrame({"event_id": ids}, schema={"event_id": pl.String}).join(rows, on="event_id", how="left", maintain_order="left")
    ends = labels["ts_label_end"].dt.epoch("us").fill_null(pl.Series(published.ts_label_end_us))
    return replace(
        published,
        label=labels["label"].fill_null(0).cast(pl.Int8).to_numpy(),
        long_net_bps=labels["long_net_bps"].fill_null(np.nan).to_numpy(),
        short_net_bps=labels["short_net_bps"].fill_null(np.nan).to_numpy(),
        ts_label_end_us=ends.to_numpy(),
    )
