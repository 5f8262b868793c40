"""Silver: what the domain kernel makes of whole symbol-days, by Spark.

What belongs here: rows of one table from the rows of another, day by day. What must not: rules about ticks (`domain.kernel`), reading and
writing files (`day_files`), audits (`tick_audit`), the branch protocol (`publishing`), bars (`bars`) or Dagster.

A day is put in order from its own columns before it is worked on, so the order of rows, files and tasks changes nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import partial
from typing import Any

import numpy as np
import polars as pl
from pyiceberg.expressions import BooleanExpression
from pyiceberg.manifest import DataFile

from tick_assets.domain.instruments import Market
from tick_assets.domain.kernel import REASONS, feature_names, run_features, run_kernel
from tick_assets.domain.labels import label_events, label_set_of
from tick_assets.domain.signals import Strategy, event_id, strategy_of
from tick_assets.domain.ticks import MALFORMED_TS, Ticks
from tick_assets.lakehouse.catalog import Lakehouse, whole_partitions
from tick_assets.lakehouse.day_files import DayKey, Files, Runner, files_by_day, write_days
from tick_assets.lakehouse.raw_ticks import in_vendor_order

CLEANING = "clean_v1"
TICKS, REJECTS, FEATURES, LABELS = "silver.ticks", "silver.tick_rejects", "silver.features", "silver.labels"


@dataclass(frozen=True)
class RawFiles:
    """What the raw store lists for one symbol and date: the current source (None: nothing recorded) and the rows of its files."""

    source: str | None
    rows: Mapping[str, int]


@dataclass(frozen=True)
class Partitions:
    """Whole partitions to write: the product of symbols and dates, the publication id of each, and the files that it stands for."""

    symbols: tuple[str, ...]
    dates: tuple[date, ...]
    publication_ids: Mapping[DayKey, str]
    raw_files: Mapping[DayKey, RawFiles] = field(default_factory=dict)

    @property
    def row_filter(self) -> BooleanExpression:
        return whole_partitions(self.symbols, self.dates)


def publication_id(symbol: str, day: date, revision_sha256s: Sequence[str]) -> str:
    """Name what a partition is made from: the same raw files and cleaning give the same id, so a re-run changes nothing."""
    return hashlib.sha256("|".join([symbol, day.isoformat(), CLEANING, *revision_sha256s]).encode()).hexdigest()[:32]


def to_ticks(frame: pl.DataFrame) -> Ticks:
    """Return the kernel's columns; a row that did not parse keeps its place under the malformed stamp."""
    stamps = frame["ts_event"].dt.epoch("us").fill_null(MALFORMED_TS).to_numpy()
    points = (frame[name].fill_null(0).to_numpy() for name in ("bid_points", "ask_points"))
    sizes = (frame[name].cast(pl.Float64).fill_null(np.nan).to_numpy() for name in ("bid_size", "ask_size"))
    return Ticks(stamps, *points, *sizes)


# What a task does with one day.


def clean_day(key: DayKey, rows: pl.DataFrame, publications: Mapping[DayKey, str]) -> dict[str, pl.DataFrame]:
    """Return the valid ones of a day's current raw rows with their `seq`, and the refused ones with their reason; any order will do."""
    rows = in_vendor_order(rows.filter("is_current"))
    day_number = (key[1] - date(1970, 1, 1)).days
    batch = run_kernel(to_ticks(rows), 1, day_number)
    numbered = rows.with_columns(
        pl.Series("seq", np.arange(len(rows), dtype=np.int64)),
        pl.Series("reason_code", np.asarray(REASONS)[batch.reason], pl.String),
        pl.lit(publications[key]).alias("publication_id"),
    )
    is_kept = pl.col("reason_code") == ""
    return {TICKS: numbered.filter(is_kept), REJECTS: numbered.filter(~is_kept)}


def sample_day(
    key: DayKey, rows: pl.DataFrame, market: Market, strategy: Strategy | None = None, beside: pl.DataFrame | None = None
) -> dict[str, pl.DataFrame]:
    """Return the features of a clean day's sampled events, and the labels of those that could be traded; any order will do.

    Clock, feature set and barriers are the symbol's in the market file; a strategy that is given brings other barriers. `beside` are the
    clean rows of the symbol's leader on the date; none of them means that the leader is not published, and its features are NaN.
    """
    instrument = market.instrument(key[0])
    sampling, strategy = instrument.sampling, strategy or strategy_of(instrument)
    names = feature_names(sampling.feature_set)
    rows = rows.sort("seq")
    ticks = to_ticks(rows)
    leader = None if beside is None else to_ticks(beside.sort("seq"))
    batch = run_features(ticks, sampling.clock, leader, sampling.feature_set)
    events = rows[batch.event_row].select("symbol", "date", "ts_event", "seq", "publication_id")
    ids = [event_id(key[0], key[1].isoformat(), seq, sampling.clock) for seq in events["seq"]]
    labels = label_events(ticks, batch.event_row, batch.sigma_points, instrument, market, strategy)
    labelled = pl.DataFrame(
        {
            "event": labels.event,
            "ts_label_end": pl.Series(labels.ts_label_end_us).cast(pl.Datetime("us", "UTC")),
            "label": labels.label.astype(np.int32),
            "net_return_bps": labels.net_return_bps,
            "long_net_bps": labels.long_net_bps,
            "short_net_bps": labels.short_net_bps,
        }
    )
    features = pl.DataFrame(batch.features, schema=list(names)) if len(ids) else pl.DataFrame(schema=dict.fromkeys(names, pl.Float64))
    named = events.with_columns(
        pl.Series("event_id", ids, pl.String), pl.lit(sampling.feature_set).alias("feature_set"), _leader_publication(beside)
    )
    numbered = named.select("symbol", "date", "event_id", "publication_id", pl.int_range(pl.len(), dtype=pl.Int64).alias("event"))
    tradable = numbered.join(labelled, on="event", how="inner", maintain_order="left").drop("event")
    return {
        FEATURES: pl.concat([named, features], how="horizontal"),
        LABELS: tradable.with_columns(pl.lit(label_set_of(strategy)).alias("label_set")),
    }


def _leader_publication(beside: pl.DataFrame | None) -> pl.Expr:
    """Return what the leader's rows were published as, null without any."""
    listed = beside["publication_id"][0] if beside is not None and len(beside) else None
    return pl.lit(listed, pl.String).alias("leader_publication_id")


# Files to stage, by table.


def tick_files(runner: Runner, lakehouse: Lakehouse, partitions: Partitions, raw_snapshot: int | None) -> dict[str, list[DataFile]]:
    """Write `silver.ticks` and `silver.tick_rejects` of the current raw rows of a snapshot, in one pass."""
    work = partial(clean_day, publications=dict(partitions.publication_ids))
    return write_days(runner, lakehouse, "raw.ticks", partitions.row_filter, raw_snapshot, work, (TICKS, REJECTS))


def event_files(
    runner: Runner, lakehouse: Lakehouse, partitions: Partitions, market: Market, strategy: Strategy | None = None
) -> dict[str, list[DataFile]]:
    """Write `silver.features` and `silver.labels` of the published ticks, in one pass; only events that could be traded have a label.

    The task of a symbol that has a leader reads the leader's published ticks of its date, of the same snapshot.
    """
    snapshot = lakehouse.snapshot_id(TICKS)
    beside = _files_of_leaders(lakehouse, partitions, market, snapshot)
    work = partial(sample_day, market=market, strategy=strategy)
    return write_days(runner, lakehouse, TICKS, partitions.row_filter, snapshot, work, (FEATURES, LABELS), beside)


def _leaders_of(partitions: Partitions, market: Market) -> dict[str, str]:
    return {symbol: leader for symbol in partitions.symbols if (leader := market.sampling_of(symbol).leader)}


def _files_of_leaders(lakehouse: Lakehouse, partitions: Partitions, market: Market, snapshot: int | None) -> dict[DayKey, Files]:
    """Return the files of the leader's date for each date of a symbol that has one, none where that is not published."""
    leaders = _leaders_of(partitions, market)
    if not leaders:
        return {}
    found = files_by_day(lakehouse, TICKS, whole_partitions(tuple(set(leaders.values())), partitions.dates), snapshot)
    return {(symbol, day): found.get((leader, day), ()) for symbol, leader in leaders.items() for day in partitions.dates}


def days_without_leader(lakehouse: Lakehouse, partitions: Partitions, market: Market) -> list[dict[str, Any]]:
    """Return the published dates of symbols with a leader on which the leader has no published ticks: its features are NaN there."""
    leaders = _leaders_of(partitions, market)
    names = tuple({*leaders, *leaders.values()})
    rows = lakehouse.partition_rows(TICKS, row_filter=whole_partitions(names, partitions.dates)) if leaders else {}
    return [
        {"symbol": symbol, "date": day, "leader": leader}
        for symbol, leader in leaders.items()
        for day in partitions.dates
        if rows.get((symbol, day)) and not rows.get((leader, day))
    ]


def count_days(lakehouse: Lakehouse, tables: Sequence[str], partitions: Partitions) -> list[dict[str, Any]]:
    """Return the published rows of each table, symbol and date, zeros included."""
    found = {name: lakehouse.partition_rows(name, row_filter=partitions.row_filter) for name in tables}
    return [
        {"table": name, "symbol": symbol, "date": day, "rows": found[name].get((symbol, day), 0)}
        for name in tables
        for symbol in partitions.symbols
        for day in partitions.dates
    ]
