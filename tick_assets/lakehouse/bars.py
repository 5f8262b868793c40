"""Bars by Spark: what a clean symbol-day looks like by second, minute, hour and number of ticks, in price units.

What belongs here: bars of published ticks. What must not: rules about ticks (`domain.kernel`), the branch protocol
(`publishing`) or Dagster.

All bars of a day come from one reading of its ticks: seconds from ticks, minutes from seconds, hours from minutes. They are rolled up as
integers (points) and divided once at the end, so the order of rows and the size of batches change no bit.
"""

from __future__ import annotations

from functools import partial

import numpy as np
import polars as pl
from pyiceberg.manifest import DataFile

from tick_assets.lakehouse.catalog import Lakehouse
from tick_assets.lakehouse.day_files import DayKey, Runner, write_days
from tick_assets.lakehouse.silver import TICKS, Partitions

TIME_GRAINS = ("1s", "1m", "1h")
TICK_GRAIN = "ticks"
GRAINS = (*TIME_GRAINS, TICK_GRAIN)

# What a bar is made of: twice the mid price and the sum of spreads are integers.
_FIRST = ("symbol", "date", "publication_id", "price_factor", "ts_event", "first_seq", "open")
_LAST = ("last_seq", "ts_last", "close", "bid_close", "ask_close")


def table_of(grain: str) -> str:
    """Return the table that holds the bars of a grain."""
    return f"silver.bars_{grain}"


TABLES = tuple(table_of(grain) for grain in GRAINS)


def bars_of_day(key: DayKey, rows: pl.DataFrame, bar_ticks: int) -> dict[str, pl.DataFrame]:
    """Return the bars of a clean day by table, one for each grain; ties within a stamp go by `seq`."""
    finer = _one_tick_bars(rows)
    made = {table_of(TICK_GRAIN): _tick_bars(finer, bar_ticks)}
    for every in TIME_GRAINS:
        finer = _time_bars(finer, every)
        made[table_of(every)] = _in_prices(finer).drop("first_seq", "last_seq", "ts_last")
    return made


def _one_tick_bars(rows: pl.DataFrame) -> pl.DataFrame:
    """Return each tick as a bar of its own, in order of time and rank, prices in half points."""
    mid = pl.col("bid_points") + pl.col("ask_points")
    return rows.sort("ts_event", "seq").select(
        "symbol",
        "date",
        "publication_id",
        "price_factor",
        "ts_event",
        *(pl.col("seq").alias(name) for name in ("first_seq", "last_seq")),
        *(mid.alias(name) for name in ("open", "high", "low", "close")),
        pl.col("ts_event").alias("ts_last"),
        pl.col("bid_points").alias("bid_close"),
        pl.col("ask_points").alias("ask_close"),
        pl.lit(1, pl.Int64).alias("tick_count"),
        (pl.col("ask_points") - pl.col("bid_points")).alias("spread_sum"),
    )


def _rolled_up(bars: pl.DataFrame, group: pl.Expr) -> pl.DataFrame:
    """Return the bars that consecutive finer bars make up, one for each value of `group`, which they keep as `bar`."""
    return bars.group_by(group.alias("bar"), maintain_order=True).agg(
        pl.col(*_FIRST).first(),
        pl.col("high").max(),
        pl.col("low").min(),
        pl.col(*_LAST).last(),
        pl.col("tick_count", "spread_sum").sum(),
    )


def _time_bars(finer: pl.DataFrame, every: str) -> pl.DataFrame:
    """Return bars of a length of time, stamped with its beginning."""
    return _rolled_up(finer, pl.col("ts_event").dt.truncate(every)).with_columns(pl.col("bar").alias("ts_event")).drop("bar")


def _tick_bars(ticks: pl.DataFrame, bar_ticks: int) -> pl.DataFrame:
    """Return bars of `bar_ticks` ticks each, stamped with their first tick; the last one of the day holds what is left."""
    return _in_prices(_rolled_up(ticks, pl.int_range(pl.len()) // bar_ticks).drop("bar")).with_columns(
        pl.lit(bar_ticks, pl.Int32).alias("bar_ticks"),
        (pl.col("tick_count") == bar_ticks).alias("is_complete"),
    )


def _in_prices(bars: pl.DataFrame) -> pl.DataFrame:
    """Return the bars in price units: points divided by the factor, each number rounded once.

    NumPy divides: Polars multiplies by the reciprocal where a divisor is one value for all rows, which is wrong in the last bit of 40 %.
    """
    factor = bars["price_factor"].to_numpy().astype(np.int64)
    divisors = dict.fromkeys(("open", "high", "low", "close"), 2 * factor) | dict.fromkeys(("bid_close", "ask_close"), factor)
    prices = [pl.Series(name, bars[name].to_numpy() / divisor) for name, divisor in divisors.items()]
    spread = pl.Series("spread_mean", bars["spread_sum"].to_numpy() / (bars["tick_count"].to_numpy() * factor))
    return bars.with_columns(*prices, spread).drop("price_factor", "spread_sum")


def bar_files(runner: Runner, lakehouse: Lakehouse, partitions: Partitions, bar_ticks: int) -> dict[str, list[DataFile]]:
    """Write the bars of published ticks at all grains, in one pass over the ticks."""
    work = partial(bars_of_day, bar_ticks=bar_ticks)
    return write_days(runner, lakehouse, TICKS, partitions.row_filter, lakehouse.snapshot_id(TICKS), work, TABLES)
