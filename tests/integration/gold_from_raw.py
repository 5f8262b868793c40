"""Bars and days made a second time, by Polars from the CSV files on disk: nothing of Spark, the kernel or dbt is used.

What belongs here: an own reading of raw files, own definitions of bars and days, and where gold differs from them. What must not: imports
of the code under test. Of the lake only its list of refused rows is used, and the plain refusals are found here again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl

Row = Mapping[str, Any]
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SECONDS = {"1s": 1, "1m": 60, "1h": 3600}
_OF_TICK_BARS = ("first_seq", "last_seq", "ts_last")
PLAIN_REASONS = ("ROW_DUPLICATED", "QUOTE_NON_POSITIVE", "QUOTE_CROSSED")
TOLERANCE = 1e-12
"""Of means; everything else is equal exactly."""


@dataclass(frozen=True)
class RawDay:
    """The rows of one raw file in their order (`seq`, `us`, `bid`, `ask`, `bid_size`, `ask_size`), prices in points."""

    rows: pl.DataFrame
    factor: int

    def plainly_refused(self) -> set[tuple[int, str]]:
        """Return the ranks that must be refused on sight, with the reason."""
        fields = ["us", "bid", "ask", "bid_size", "ask_size"]
        reason = (
            pl.when(~pl.struct(fields).is_first_distinct())
            .then(pl.lit("ROW_DUPLICATED"))
            .when((pl.col("bid") <= 0) | (pl.col("ask") <= 0))
            .then(pl.lit("QUOTE_NON_POSITIVE"))
            .when(pl.col("ask") < pl.col("bid"))
            .then(pl.lit("QUOTE_CROSSED"))
        )
        return set(self.rows.select("seq", reason.alias("reason")).filter(pl.col("reason").is_not_null()).rows())

    def without(self, refused: Iterable[int]) -> RawDay:
        """Return the day without refused ranks."""
        return RawDay(self.rows.filter(~pl.col("seq").is_in(list(refused))), self.factor)

    def bars(self, grain: str, bar_ticks: int) -> list[dict[str, Any]]:
        """Return the bars of the day under the names of gold, stamps in microseconds since 1970."""
        width = SECONDS.get(grain, 0) * 1_000_000
        bar = pl.col("us") // width * width if width else pl.int_range(pl.len()) // bar_ticks
        mid = pl.col("bid") + pl.col("ask")
        bars = self.rows.group_by(bar.alias("bar"), maintain_order=True).agg(
            pl.col("us").first().alias("ts_event"),
            mid.first().alias("open"),
            mid.max().alias("high"),
            mid.min().alias("low"),
            mid.last().alias("close"),
            pl.col("bid").last().alias("bid_close"),
            pl.col("ask").last().alias("ask_close"),
            pl.len().alias("tick_count"),
            ((pl.col("ask") - pl.col("bid")) / self.factor).mean().alias("spread_mean"),
            pl.col("seq").first().alias("first_seq"),
            pl.col("seq").last().alias("last_seq"),
            pl.col("us").last().alias("ts_last"),
        )
        if width:
            return [self._in_prices(row) for row in bars.with_columns(ts_event=pl.col("bar")).drop("bar", *_OF_TICK_BARS).to_dicts()]
        marked = bars.drop("bar").with_columns(bar_ticks=bar_ticks, is_complete=pl.col("tick_count") == bar_ticks)
        return [self._in_prices(row) for row in marked.to_dicts()]

    def _in_prices(self, bar: dict[str, Any]) -> dict[str, Any]:
        """Divide in Python, which rounds once: Polars multiplies by the reciprocal of a constant."""
        mids = {name: bar[name] / (2 * self.factor) for name in ("open", "high", "low", "close")}
        return bar | mids | {name: bar[name] / self.factor for name in ("bid_close", "ask_close")}

    def hours(self) -> int:
        """Return the number of hours with rows."""
        return (self.rows["us"] // 3_600_000_000).n_unique()

    def summary(self) -> dict[str, Any]:
        """Return what gold says of the day's valid rows."""
        spread = (self.rows["ask"] - self.rows["bid"]).median()
        return {
            "tick_count": len(self.rows),
            "first_ts": self.rows["us"].min(),
            "last_ts": self.rows["us"].max(),
            "spread_median": None if spread is None else spread / self.factor,
        }


def read_raw_day(folder: Path, symbol: str, day: str, factor: int) -> RawDay:
    """Read the one CSV file of a symbol's date."""
    (path,) = folder.glob(f"*/{symbol}/{day}.r*.csv")
    rows = pl.read_csv(path, schema_overrides={"bid_size": pl.String, "ask_size": pl.String})
    stamps = pl.col("ts_event").str.to_datetime(time_unit="us", time_zone="UTC").dt.epoch("us").alias("us")
    names = {"bid_points": "bid", "ask_points": "ask"}
    return RawDay(rows.rename(names).select(pl.int_range(pl.len()).alias("seq"), stamps, "bid", "ask", "bid_size", "ask_size"), factor)


def differences(ours: Iterable[Row], theirs: Iterable[Row]) -> list[tuple[Row, Row]]:
    """Return the pairs of rows that differ: exactly, but for means and medians."""
    return [(our, their) for our, their in zip(ours, theirs, strict=True) if not _is_same(our, their)]


def _is_same(ours: Row, theirs: Row) -> bool:
    pairs = ((name, value, _plain(theirs[name])) for name, value in ours.items())
    return all(_is_near(ours, theirs) if name.startswith("spread") else ours == theirs for name, ours, theirs in pairs)


def _is_near(ours: Any, theirs: Any) -> bool:
    return bool(ours == theirs) if ours is None or theirs is None else abs(ours - theirs) <= TOLERANCE


def _plain(value: Any) -> Any:
    """Return a stamp as microseconds since 1970."""
    return (value - EPOCH) // timedelta(microseconds=1) if isinstance(value, datetime) else value
