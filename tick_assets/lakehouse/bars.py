"""Bars by Spark: what a clean symbol-day looks like by time, in price units.

What belongs here: bars of published ticks and their staging. What must not: rules about ticks (`domain.kernel`), the branch protocol
(`publishing`) or Dagster.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import polars as pl

from tick_assets.lakehouse.publishing import Staged, stage
from tick_assets.lakehouse.silver import DayKey, Partitions, map_days, table_schema
from tick_assets.lakehouse.spark import read_partitions

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


def bar_day(key: DayKey, rows: pl.DataFrame, every: str) -> pl.DataFrame:
    """Return the bars of a clean day in price units, stamped with their start; ties within a stamp go by `seq`."""
    factor = pl.col("price_factor")
    bid, ask = pl.col("bid_points") / factor, pl.col("ask_points") / factor
    mid = (pl.col("bid_points") + pl.col("ask_points")) / (2 * factor)
    return (
        rows.sort("ts_event", "seq")
        .with_columns(bid.alias("bid"), ask.alias("ask"), mid.alias("mid"), pl.col("ts_event").dt.truncate(every).alias("start"))
        .group_by("start", maintain_order=True)
        .agg(
            pl.col("symbol", "date", "publication_id").first(),
            pl.col("mid").first().alias("open"),
            pl.col("mid").max().alias("high"),
            pl.col("mid").min().alias("low"),
            pl.col("mid").last().alias("close"),
            pl.col("bid").last().alias("bid_close"),
            pl.col("ask").last().alias("ask_close"),
            pl.len().cast(pl.Int64).alias("tick_count"),
            ((pl.col("ask_points") - pl.col("bid_points")) / factor).mean().alias("spread_mean"),
        )
        .rename({"start": "ts_event"})
    )


def minute_bars(spark: SparkSession, partitions: Partitions) -> DataFrame:
    """Return the minute bars of published ticks."""
    source = read_partitions(spark, "silver.ticks", partitions.condition)
    return map_days(source, partial(bar_day, every="1m"), table_schema(spark, "silver.bars_1m"))


def hour_bars(spark: SparkSession, minutes: DataFrame) -> DataFrame:
    """Return the hour bars that minute bars make up; a mean spread is weighted by ticks."""
    from pyspark.sql import functions as f

    hour = f.date_trunc("hour", f.col("ts_event"))
    bars = minutes.groupBy("symbol", "date", hour.alias("ts_event"), "publication_id").agg(
        f.min_by("open", "ts_event").alias("open"),
        f.max("high").alias("high"),
        f.min("low").alias("low"),
        f.max_by("close", "ts_event").alias("close"),
        f.max_by("bid_close", "ts_event").alias("bid_close"),
        f.max_by("ask_close", "ts_event").alias("ask_close"),
        f.sum("tick_count").alias("tick_count"),
        (f.sum(f.col("spread_mean") * f.col("tick_count")) / f.sum("tick_count")).alias("spread_mean"),
    )
    return bars.select(*table_schema(spark, "silver.bars_1h").names).sortWithinPartitions("symbol", "date", "ts_event")


def stage_bars(spark: SparkSession, partitions: Partitions, grain: str, bars: DataFrame, run: str) -> Staged:
    """Stage `silver.bars_<grain>`; `grain` is 1m or 1h."""
    return stage(spark, f"silver.bars_{grain}", bars, partitions.symbols, partitions.dates, run)
