"""Figures of a symbol's ticks by date, UTC hour and session window, rolled up from counts, as people look at them.

What belongs here: medians, shares, completeness. What must not: counting (`tick_counting`), words and pictures (`data_report`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

import numpy as np
import polars as pl

from tick_assets.domain.hour_states import HourState
from tick_assets.domain.instruments import Instrument, is_synthetic
from tick_assets.domain.sessions import LABELS, day_sessions
from tick_assets.domain.tick_counting import HOURS_SCHEMA, REJECTS_SCHEMA, SPREADS_SCHEMA, HourCell, Silence


@dataclass(frozen=True)
class Publication:
    """One published date: what was promised to readers, and how many rows were found under it."""

    date: date
    publication_id: str
    source: str
    silver_rows: int
    reject_rows: int
    found_rows: int


@dataclass(frozen=True)
class Figures:
    """Figures of a group of hours. Spreads in points of the symbol and in bps of the mid price, prices are mid prices.

    `longest_silence_s` is the longest time without a tick within one of the hours that have ticks, their edges included.
    """

    tick_count: int = 0
    spread_median_points: float | None = None
    spread_mean_points: float | None = None
    spread_p95_points: float | None = None
    spread_median_bps: float | None = None
    spread_mean_bps: float | None = None
    spread_p95_bps: float | None = None
    hours_with_ticks: int = 0
    zero_spreads: int = 0
    equal_stamps: int = 0
    low: float | None = None
    high: float | None = None
    first_ts: datetime | None = None
    last_ts: datetime | None = None
    longest_silence_s: float | None = None

    @property
    def ticks_per_minute(self) -> float | None:
        """Ticks a minute over the hours that have any."""
        return self.tick_count / (60 * self.hours_with_ticks) if self.hours_with_ticks else None

    @property
    def zero_spread_share(self) -> float | None:
        return self.zero_spreads / self.tick_count if self.tick_count else None

    @property
    def equal_stamp_share(self) -> float | None:
        """Ticks that have the stamp of the tick before them, as a share of all."""
        return self.equal_stamps / self.tick_count if self.tick_count else None


@dataclass(frozen=True)
class SymbolStatistics:
    """All that is counted of one symbol. Frames have the schemas above; `cells` cover every hour from the first date to the last."""

    instrument: Instrument
    cells: tuple[HourCell, ...] = ()
    publications: tuple[Publication, ...] = ()
    hours: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=HOURS_SCHEMA))
    spreads: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=SPREADS_SCHEMA))
    rejects: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=REJECTS_SCHEMA))
    silences: tuple[Silence, ...] = ()

    @property
    def symbol(self) -> str:
        return self.instrument.symbol

    @property
    def dates(self) -> tuple[date, ...]:
        return tuple(sorted({cell.date for cell in self.cells}))

    @property
    def holes(self) -> tuple[HourCell, ...]:
        return tuple(cell for cell in self.cells if cell.is_hole)

    @property
    def expected(self) -> tuple[HourCell, ...]:
        return tuple(cell for cell in self.cells if cell.expected)

    @property
    def completeness(self) -> float:
        """Share of the hours in which the market was open that are `ok`; without such hours 0.0."""
        expected = self.expected
        return 1.0 - len(self.holes) / len(expected) if expected else 0.0

    @property
    def sources(self) -> tuple[str, ...]:
        found = {cell.source for cell in self.cells if cell.state is HourState.OK} | {each.source for each in self.publications}
        return tuple(sorted(source for source in found if source))

    @property
    def is_synthetic(self) -> bool:
        return any(is_synthetic(self.symbol, source) for source in self.sources)

    @property
    def dates_not_published(self) -> tuple[date, ...]:
        """Dates of which the ledger has `ok` hours and that no reader sees."""
        published = {each.date for each in self.publications}
        return tuple(sorted({cell.date for cell in self.cells if cell.state is HourState.OK} - published))

    @property
    def dates_torn(self) -> tuple[date, ...]:
        """Dates whose rows are not those that were published: they were replaced while they were read."""
        return tuple(each.date for each in self.publications if each.found_rows != each.silver_rows)

    def reject_counts(self) -> dict[str, int]:
        """Return refused rows by reason, the most frequent first."""
        rows = (
            self.rejects.group_by("reason_code").agg(pl.col("row_count").sum()).sort(["row_count", "reason_code"], descending=[True, False])
        )
        return dict(zip(rows["reason_code"], rows["row_count"], strict=True))

    def states(self) -> dict[HourState, int]:
        """Return the number of hours in each state."""
        counts = dict.fromkeys(HourState, 0)
        for cell in self.cells:
            counts[cell.state] += 1
        return counts


def total(statistics: SymbolStatistics) -> Figures:
    """Return the figures of all ticks."""
    return _figures(statistics.hours, statistics.spreads)


def by_date(statistics: SymbolStatistics) -> dict[date, Figures]:
    """Return the figures of each date from the first to the last; one without ticks has empty figures."""
    found = _by_key(statistics.hours, statistics.spreads, ["date"])
    return {day: found.get((day,), Figures()) for day in statistics.dates}


def by_hour(statistics: SymbolStatistics) -> dict[int, Figures]:
    """Return the figures of each UTC hour of the day, over all dates."""
    found = _by_key(statistics.hours, statistics.spreads, ["hour"])
    return {hour: found.get((hour,), Figures()) for hour in range(24)}


def by_session(statistics: SymbolStatistics) -> dict[str, Figures]:
    """Return the figures of each session window that has ticks; windows overlap, so they must not be added up."""
    hours, spreads = _in_sessions(statistics)
    found = _by_key(hours, spreads, ["session"])
    return {name: found[name,] for name in LABELS if (name,) in found}


def by_date_and_session(statistics: SymbolStatistics) -> dict[tuple[date, str], Figures]:
    """Return the figures of each date and session window that has ticks."""
    found = _by_key(*_in_sessions(statistics), ["date", "session"])
    return {(day, name): found[day, name] for day in statistics.dates for name in LABELS if (day, name) in found}


def _in_sessions(statistics: SymbolStatistics) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the counts once for each window that their hour lies in."""
    members = pl.DataFrame(
        [(day, hour, name) for day in statistics.dates for hour, names in enumerate(day_sessions(day)) for name in names],
        schema={"date": pl.Date, "hour": pl.Int64, "session": pl.String},
        orient="row",
    )
    return (
        statistics.hours.join(members, on=["date", "hour"], how="inner"),
        statistics.spreads.join(members, on=["date", "hour"], how="inner"),
    )


def spread_distribution(statistics: SymbolStatistics) -> list[tuple[int, int]]:
    """Return (spread in points, ticks), narrowest first."""
    rows = statistics.spreads.filter(pl.col("unit") == "points").group_by("spread").agg(pl.col("tick_count").sum()).sort("spread")
    return [(int(spread), count) for spread, count in rows.iter_rows()]


def pip_points(instrument: Instrument) -> int | None:
    """Return the points of one pip: a currency pair's fourth decimal, with yen its second. Other instruments have no agreed pip."""
    return 10 ** (instrument.digits % 2) if instrument.asset_class == "fx" else None


def _by_key(hours: pl.DataFrame, spreads: pl.DataFrame, keys: list[str]) -> dict[tuple[Any, ...], Figures]:
    counted = spreads.partition_by(keys, as_dict=True)
    return {key: _figures(rows, counted[key]) for key, rows in hours.partition_by(keys, as_dict=True).items()}


def _figures(hours: pl.DataFrame, spreads: pl.DataFrame) -> Figures:
    count = int(hours["tick_count"].sum())
    if not count:
        return Figures()
    points, bps = (spreads.filter(pl.col("unit") == unit) for unit in ("points", "bps"))
    # mypy can't know that these columns hold numbers and stamps.
    rows: Any = hours
    return Figures(
        tick_count=count,
        spread_median_points=quantile(points, 50),
        spread_mean_points=rows["spread_points_sum"].sum() / count,
        spread_p95_points=quantile(points, 95),
        spread_median_bps=quantile(bps, 50),
        spread_mean_bps=rows["spread_bps_sum"].sum() / count,
        spread_p95_bps=quantile(bps, 95),
        hours_with_ticks=len(hours),
        zero_spreads=rows["zero_spreads"].sum(),
        equal_stamps=rows["equal_stamps"].sum(),
        low=rows["low"].min(),
        high=rows["high"].max(),
        first_ts=rows["first_ts"].min(),
        last_ts=rows["last_ts"].max(),
        longest_silence_s=rows["longest_silence_s"].max(),
    )


def quantile(spreads: pl.DataFrame, percent: int) -> float:
    """Return the smallest spread that at least this percentage of the ticks does not exceed.

    The median (50) of an even number of ticks is the mean of the two middle ones.
    """
    rows = spreads.group_by("spread").agg(pl.col("tick_count").sum()).sort("spread")
    values, ends = rows["spread"].to_numpy(), rows["tick_count"].cum_sum().to_numpy()
    count = int(ends[-1])
    rank = -(-count * percent // 100)
    place = int(np.searchsorted(ends, rank))
    if percent == 50 and count % 2 == 0 and ends[place] == rank:
        return float(values[place] + values[place + 1]) / 2
    return float(values[place])
