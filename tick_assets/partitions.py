"""Partitions: data by UTC date, models by strategy and symbol, and how the two map.

What belongs here: partition definitions and their keys. What must not: assets, or which symbols are active (run configuration).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import dagster as dg

FIRST_DATE = "2003-05-04"
"""The vendor's first tick of any currency pair lies on the next day."""

DAILY = dg.DailyPartitionsDefinition(start_date=FIRST_DATE, end_offset=1, timezone="UTC")
STRATEGIES = dg.StaticPartitionsDefinition(["direction"])
SYMBOLS = dg.DynamicPartitionsDefinition(name="symbol")
MODELS = dg.MultiPartitionsDefinition({"strategy": STRATEGIES, "symbol": SYMBOLS})

ALL_DATES = dg.AllPartitionMapping()
"""From daily data to a model: its window is configuration and part of the dataset id, so any date may matter."""

RANGE_START, RANGE_END = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"


def model_key(symbol: str, strategy: str) -> str:
    """Return the partition key of a model; Dagster sorts the dimensions by name."""
    return f"{strategy}|{symbol}"


def dates_of(partition_keys: Sequence[str]) -> tuple[date, ...]:
    """Return the dates of daily partition keys."""
    return tuple(date.fromisoformat(key) for key in partition_keys)


def models_of(partition_keys: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """Return (symbol, strategy) of each model partition key."""
    dimensions = [MODELS.get_partition_key_from_str(key).keys_by_dimension for key in partition_keys]
    return tuple((key["symbol"], key["strategy"]) for key in dimensions)
