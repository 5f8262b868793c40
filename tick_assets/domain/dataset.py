"""The training set in memory: sampled events of one symbol with features and labels, and the clean ticks they stand on.

What belongs here: the value, slicing by whole dates, and building it from raw ticks in process. What must not: reading tables.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from tick_assets.domain.instruments import Market
from tick_assets.domain.kernel import FEATURE_SET, SAMPLING_CLOCK, feature_names, run_kernel
from tick_assets.domain.labels import label_events
from tick_assets.domain.signals import Strategy, event_id
from tick_assets.domain.ticks import Float64Array, Int64Array, Ticks

Int8Array = npt.NDArray[np.int8]
Int32Array = npt.NDArray[np.int32]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class TrainingDay:
    """The events of one symbol and date. `event_row` is the row of the event's tick among the clean `ticks`; `seq` its raw rank.

    An event without a label has NaN in `long_net_bps` and `short_net_bps`, and its own stamp as label end.
    """

    date: str
    ticks: Ticks
    seq: Int64Array
    event_row: Int64Array
    features: Float64Array
    sigma_points: Float64Array
    label: Int8Array
    long_net_bps: Float64Array
    short_net_bps: Float64Array
    ts_label_end_us: Int64Array
    clock: str = SAMPLING_CLOCK
    feature_set: str = FEATURE_SET


@dataclass(frozen=True)
class TrainingSet:
    """Events of one symbol in time order; `date_index[i]` names the event's place in `dates` and `ticks`.

    Events without a label are traded by backtests and never learned from.
    """

    symbol: str
    dates: tuple[str, ...]
    ticks: tuple[Ticks, ...]
    date_index: Int32Array
    ts_event_us: Int64Array
    seq: Int64Array
    event_row: Int64Array
    event_id: tuple[str, ...]
    features: Float64Array
    feature_names: tuple[str, ...]
    sigma_points: Float64Array
    label: Int8Array
    long_net_bps: Float64Array
    short_net_bps: Float64Array
    ts_label_end_us: Int64Array

    def __post_init__(self) -> None:
        if len(self.dates) != len(self.ticks):
            raise ValueError(f"Expected ticks for each of the {len(self.dates)} dates, was {len(self.ticks)}.")
        if len(self.ts_event_us) > 1 and bool(np.any(np.diff(self.ts_event_us) < 0)):
            raise ValueError("Expected events in time order, was unordered. Sort the days by date and the events by seq.")

    def __len__(self) -> int:
        return len(self.ts_event_us)

    @cached_property
    def target(self) -> Int8Array:
        """What the model learns: 1 where a long nets more than a short."""
        return (self.long_net_bps > self.short_net_bps).astype(np.int8)

    @cached_property
    def is_labelled(self) -> BoolArray:
        """Tell which events have a label to learn from."""
        return np.isfinite(self.long_net_bps) & np.isfinite(self.short_net_bps)

    def rows_of(self, dates: Sequence[str]) -> BoolArray:
        """Return a mask of the events that lie on the given dates."""
        wanted = self._places(dates)
        return np.isin(self.date_index, wanted)

    def on_dates(self, dates: Sequence[str]) -> TrainingSet:
        """Return the training set of some of its dates, in time order."""
        places = sorted(self._places(dates))
        rows = np.flatnonzero(np.isin(self.date_index, places))
        return TrainingSet(
            symbol=self.symbol,
            dates=tuple(self.dates[i] for i in places),
            ticks=tuple(self.ticks[i] for i in places),
            date_index=np.searchsorted(places, self.date_index[rows]).astype(np.int32),
            ts_event_us=self.ts_event_us[rows],
            seq=self.seq[rows],
            event_row=self.event_row[rows],
            event_id=tuple(self.event_id[i] for i in rows),
            features=self.features[rows],
            feature_names=self.feature_names,
            sigma_points=self.sigma_points[rows],
            label=self.label[rows],
            long_net_bps=self.long_net_bps[rows],
            short_net_bps=self.short_net_bps[rows],
            ts_label_end_us=self.ts_label_end_us[rows],
        )

    def _places(self, dates: Sequence[str]) -> list[int]:
        unknown = sorted(set(dates) - set(self.dates))
        if unknown:
            raise ValueError(f"Expected dates of the training set, was {unknown}. It holds {self.dates[0]} to {self.dates[-1]}.")
        return [self.dates.index(date) for date in dates]


def training_set(symbol: str, days: Sequence[TrainingDay]) -> TrainingSet:
    """Join days into one training set; dates without events are kept, because their hours count."""
    if not days:
        raise ValueError(f"Expected at least one day of {symbol}, was none. Ingest data for the window first.")
    made = {(day.clock, day.feature_set) for day in days}
    if len(made) > 1:
        raise ValueError(f"Expected days of {symbol} of one clock and feature set, was {sorted(made)}. Sample the dates again.")
    ordered = sorted(days, key=lambda day: day.date)
    return TrainingSet(
        symbol=symbol,
        dates=tuple(day.date for day in ordered),
        ticks=tuple(day.ticks for day in ordered),
        date_index=np.repeat(np.arange(len(ordered), dtype=np.int32), [len(day.seq) for day in ordered]),
        ts_event_us=np.concatenate([day.ticks.ts_us[day.event_row] for day in ordered]),
        seq=np.concatenate([day.seq for day in ordered]),
        event_row=np.concatenate([day.event_row for day in ordered]),
        event_id=tuple(event_id(symbol, day.date, int(seq), day.clock) for day in ordered for seq in day.seq),
        features=np.ascontiguousarray(np.concatenate([day.features for day in ordered])),
        feature_names=feature_names(days[0].feature_set),
        sigma_points=np.concatenate([day.sigma_points for day in ordered]),
        label=np.concatenate([day.label for day in ordered]),
        long_net_bps=np.concatenate([day.long_net_bps for day in ordered]),
        short_net_bps=np.concatenate([day.short_net_bps for day in ordered]),
        ts_label_end_us=np.concatenate([day.ts_label_end_us for day in ordered]),
    )


def clean_rows_of(tick_seq: Int64Array, event_seq: Int64Array) -> Int64Array:
    """Return the clean row of each event from its raw rank; an event whose tick is missing is an error."""
    rows = np.searchsorted(tick_seq, event_seq).astype(np.int64)
    found = (rows < len(tick_seq)) & (tick_seq[np.minimum(rows, len(tick_seq) - 1)] == event_seq)
    if not bool(np.all(found)):
        raise ValueError(f"Expected the tick of every event, was {int(np.sum(~found))} missing. Publish ticks and features together.")
    return rows


def day_from_ticks(symbol: str, date: str, raw: Ticks, market: Market, strategy: Strategy, leader: Ticks | None = None) -> TrainingDay:
    """Clean, sample and label the raw rows of one date in process: what Spark does, without the lake.

    `leader` are the clean ticks of the symbol's leader on the date; a symbol that has one in the market file needs them.
    """
    instrument = market.instrument(symbol)
    if (leader is None) == bool(instrument.sampling.leader):
        raise ValueError(
            f"Expected clean ticks of the leader {instrument.sampling.leader or 'none'} of {symbol}, was {leader is not None}."
        )
    sampling = instrument.sampling
    batch = run_kernel(raw, instrument.price_factor, clock=sampling.clock, leader=leader, feature_set=sampling.feature_set)
    valid = batch.reason == 0
    clean = raw.take(valid)
    event_row = (np.cumsum(valid) - 1)[batch.event_row].astype(np.int64)
    labels = label_events(clean, event_row, batch.sigma_points, instrument, market, strategy)
    long_net_bps, short_net_bps = np.full((2, len(event_row)), np.nan)
    label, ts_label_end_us = np.zeros(len(event_row), np.int8), clean.ts_us[event_row]
    long_net_bps[labels.event], short_net_bps[labels.event] = labels.long_net_bps, labels.short_net_bps
    label[labels.event], ts_label_end_us[labels.event] = labels.label, labels.ts_label_end_us
    return TrainingDay(
        date=date,
        ticks=clean,
        seq=batch.event_row.astype(np.int64),
        event_row=event_row,
        features=batch.features,
        sigma_points=batch.sigma_points,
        label=label,
        long_net_bps=long_net_bps,
        short_net_bps=short_net_bps,
        ts_label_end_us=ts_label_end_us,
        clock=sampling.clock,
        feature_set=sampling.feature_set,
    )
