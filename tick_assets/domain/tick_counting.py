"""Counting: the hours of a symbol, their ticks and spreads, and the times without a tick.

What belongs here: from rows to counts per UTC hour. What must not: reading tables (`lakehouse.data_statistics`), rolling up
(`tick_statistics`).

Spreads are kept as counts of each value per hour. So ticks are read once and dropped, and the median of a session over three months is
exact, not an average of medians. Spreads in points are exact; in bps they are kept to three significant digits.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import polars as pl

from tick_assets.domain.hour_states import HourState
from tick_assets.domain.instruments import Instrument
from tick_assets.domain.market_calendar import open_hours

HOUR = timedelta(hours=1)
BPS_DIGITS = 3
SILENCES_PER_DATE = 20
"""So many of the longest gaps of a date are kept; a date with more long ones is a hole that the ledger shows."""
TICKS = ("date", "ts_event", "seq", "bid_points", "ask_points", "price_factor", "publication_id")
"""The columns of `silver.ticks` that are counted."""
KEPT_SILENCES = 200
GAP_DAYS = 4

Interval = tuple[datetime, datetime]
Schema = dict[str, "pl.DataType | type[pl.DataType]"]
UTC_STAMP = pl.Datetime("us", "UTC")
HOURS_SCHEMA: Schema = {
    "date": pl.Date,
    "hour": pl.Int64,
    "tick_count": pl.Int64,
    "spread_points_sum": pl.Int64,
    "spread_bps_sum": pl.Float64,
    "zero_spreads": pl.Int64,
    "equal_stamps": pl.Int64,
    "low": pl.Float64,
    "high": pl.Float64,
    "first_ts": UTC_STAMP,
    "last_ts": UTC_STAMP,
    "longest_silence_s": pl.Float64,
}
SPREADS_SCHEMA: Schema = {"date": pl.Date, "hour": pl.Int64, "unit": pl.String, "spread": pl.Float64, "tick_count": pl.Int64}
REJECTS_SCHEMA: Schema = {"date": pl.Date, "hour": pl.Int64, "reason_code": pl.String, "row_count": pl.Int64}


@dataclass(frozen=True)
class HourCell:
    """What the ledger says of one hour; `revision` is null where none holds it. `expected` says that the market was open."""

    date: date
    hour: int
    state: HourState
    expected: bool
    source: str
    revision: int | None
    checked_at: datetime | None

    @property
    def start(self) -> datetime:
        return datetime(self.date.year, self.date.month, self.date.day, self.hour, tzinfo=UTC)

    @property
    def is_hole(self) -> bool:
        return self.expected and self.state is not HourState.OK


@dataclass(frozen=True)
class Silence:
    """Time without a tick while the market was open; `states` are those of the hours that it touches."""

    start: datetime
    end: datetime
    states: tuple[str, ...]

    @property
    def seconds(self) -> float:
        return (self.end - self.start).total_seconds()

    @property
    def has_hole(self) -> bool:
        """Tell whether it lies in an hour that is missing, so that the ledger explains it."""
        return not set(self.states) <= {HourState.OK, HourState.CLOSED}


def in_time_order(ticks: pl.DataFrame) -> pl.DataFrame:
    """Return the ticks of one symbol (`TICKS`) by date and stamp; of equal stamps the vendor's order holds."""
    return ticks.sort("date", "ts_event", "seq")


def count_hours(ticks: pl.DataFrame) -> pl.DataFrame:
    """Return one row per date and hour of whole days of ticks in time order, by the stamp of the tick."""
    spread = pl.col("ask_points") - pl.col("bid_points")
    mid = (pl.col("ask_points") + pl.col("bid_points")) / 2
    stamp = pl.col("ts_event")
    start = stamp.first().dt.truncate("1h")
    edges = pl.max_horizontal((stamp.diff().dt.total_microseconds().max()).fill_null(0), (stamp.first() - start).dt.total_microseconds())
    longest = pl.max_horizontal(edges, (start + HOUR - stamp.last()).dt.total_microseconds()) / 1e6
    return (
        ticks.lazy()
        .with_columns(
            spread.alias("spread"), (mid / pl.col("price_factor")).alias("mid"), (stamp == stamp.shift().over("date")).alias("is_equal")
        )
        .group_by("date", stamp.dt.hour().cast(pl.Int64).alias("hour"), maintain_order=True)
        .agg(
            pl.len().cast(pl.Int64).alias("tick_count"),
            pl.col("spread").sum().alias("spread_points_sum"),
            (pl.col("spread") / mid * 1e4).sum().alias("spread_bps_sum"),
            (pl.col("spread") == 0).sum().cast(pl.Int64).alias("zero_spreads"),
            pl.col("is_equal").fill_null(False).sum().cast(pl.Int64).alias("equal_stamps"),
            pl.col("mid").min().alias("low"),
            pl.col("mid").max().alias("high"),
            stamp.first().cast(UTC_STAMP).alias("first_ts"),
            stamp.last().cast(UTC_STAMP).alias("last_ts"),
            longest.alias("longest_silence_s"),
        )
        .collect()
        .select(pl.col(name).cast(kind) for name, kind in HOURS_SCHEMA.items())
    )


def count_spreads(ticks: pl.DataFrame) -> pl.DataFrame:
    """Return how many ticks of each date and hour had each spread, in points and in bps."""
    points = (pl.col("ask_points") - pl.col("bid_points")).cast(pl.Float64)
    bps = points / ((pl.col("ask_points") + pl.col("bid_points")) / 2) * 1e4
    rows = ticks.lazy().select(
        "date",
        pl.col("ts_event").dt.hour().cast(pl.Int64).alias("hour"),
        points.alias("points"),
        bps.round_sig_figs(BPS_DIGITS).alias("bps"),
    )
    counted = [
        rows.group_by("date", "hour", pl.col(unit).alias("spread"))
        .agg(pl.len().cast(pl.Int64).alias("tick_count"))
        .with_columns(pl.lit(unit).alias("unit"))
        .select(*SPREADS_SCHEMA)
        for unit in ("points", "bps")
    ]
    return pl.concat(counted).sort("date", "hour", "unit", "spread").collect()


def count_rejects(rejects: pl.DataFrame) -> pl.DataFrame:
    """Return refused rows by date, hour of their stamp (none: null) and reason."""
    hour = pl.col("ts_event").dt.hour().cast(pl.Int64).alias("hour")
    return rejects.group_by("date", hour, "reason_code").agg(pl.len().cast(pl.Int64).alias("row_count")).select(*REJECTS_SCHEMA)


# Silences.


def longest_gaps(ticks: pl.DataFrame, per_date: int = SILENCES_PER_DATE) -> list[Interval]:
    """Return the longest intervals between ticks of each date; the ticks are in time order."""
    stamp, start = pl.col("ts_event"), pl.col("ts_event").shift().over("date").alias("start")
    pairs = ticks.lazy().select("date", "ts_event", start, (stamp - start).alias("length"))
    longest = pairs.group_by("date").agg(pl.col("start", "ts_event").top_k_by("length", per_date)).explode("start", "ts_event")
    return list(longest.drop_nulls().select("start", "ts_event").collect().iter_rows())


def date_edges(hours: pl.DataFrame) -> list[Interval]:
    """Return the first and the last tick of each date, in order, from its hours."""
    edges = hours.group_by("date").agg(pl.col("first_ts").min(), pl.col("last_ts").max()).sort("date")
    return list(edges.select("first_ts", "last_ts").iter_rows())


def find_silences(
    gaps: Sequence[Interval], edges: Sequence[Interval], cells: Sequence[HourCell], limit: int = KEPT_SILENCES
) -> tuple[Silence, ...]:
    """Return the longest times without a tick inside open hours, longest first; `limit` of those with holes and of those without.

    `gaps` lie between ticks of one date; what lies between the last tick of a date and the first of the next (`edges`), before the first
    tick of all and after the last one is silent too. A silence over closed hours is cut there.
    """
    opened = open_stretches(cells)
    if not opened:
        return ()
    outer = [opened[0][0], *(edge for pair in edges for edge in pair), opened[-1][1]]
    silent = sorted([*gaps, *zip(outer[::2], outer[1::2], strict=True)])
    states = {cell.start: str(cell.state) for cell in cells}
    found = [Silence(start, end, _states_between(states, start, end)) for start, end in _overlaps(silent, opened) if start < end]
    longest = sorted(found, key=lambda silence: (-silence.seconds, silence.start))
    counts: Counter[bool] = Counter()
    kept = []
    for silence in longest:
        counts[silence.has_hole] += 1
        if counts[silence.has_hole] <= limit:
            kept.append(silence)
    return tuple(kept)


def _overlaps(left: Sequence[Interval], right: Sequence[Interval]) -> Iterator[Interval]:
    """Yield what two sorted lists of separate intervals have in common."""
    first = 0
    for start, end in left:
        while first < len(right) and right[first][1] <= start:
            first += 1
        place = first
        while place < len(right) and right[place][0] < end:
            yield max(start, right[place][0]), min(end, right[place][1])
            place += 1


def open_stretches(cells: Sequence[HourCell]) -> list[tuple[datetime, datetime]]:
    """Return the times in which the market is open without a break, from the calendar."""
    stretches: list[tuple[datetime, datetime]] = []
    for start in sorted(cell.start for cell in cells if cell.expected):
        if stretches and stretches[-1][1] == start:
            stretches[-1] = (stretches[-1][0], start + HOUR)
        else:
            stretches.append((start, start + HOUR))
    return stretches


def _states_between(states: dict[datetime, str], start: datetime, end: datetime) -> tuple[str, ...]:
    hour = start.replace(minute=0, second=0, microsecond=0)
    count = math.ceil((end - hour) / HOUR)
    return tuple(sorted({states[hour + i * HOUR] for i in range(count)}))


# Cells.


def date_ranges(dates: Iterable[date]) -> list[tuple[date, date]]:
    """Return runs of dates as (first, last). Dates further apart than a long weekend are two runs: between them nobody asked for ticks."""
    ranges: list[tuple[date, date]] = []
    for day in sorted(set(dates)):
        if ranges and (day - ranges[-1][1]).days <= GAP_DAYS:
            ranges[-1] = (ranges[-1][0], day)
        else:
            ranges.append((day, day))
    return ranges


def hour_cells(instrument: Instrument, ledger: pl.DataFrame, ranges: Sequence[tuple[date, date]]) -> tuple[HourCell, ...]:
    """Return every hour of every date of these ranges, ends included; an hour that no ledger row names is `pending`.

    Where the ledger names an hour twice the newer revision counts, then the later look.
    """
    newest = ledger.sort("revision", "checked_at", nulls_last=False).unique(["date", "hour"], keep="last")
    rows = {(row["date"], row["hour"]): row for row in newest.iter_rows(named=True)}
    dates = [first + timedelta(days=i) for first, last in ranges for i in range((last - first).days + 1)]
    return tuple(_cell(instrument, day, hour, rows.get((day, hour), {})) for day in dates for hour in range(24))


def _cell(instrument: Instrument, day: date, hour: int, row: Mapping[str, Any]) -> HourCell:
    return HourCell(
        date=day,
        hour=hour,
        state=HourState(row.get("state", HourState.PENDING)),
        expected=open_hours(instrument.asset_class, day)[hour],
        source=row.get("source") or "",
        revision=row.get("revision"),
        checked_at=row.get("checked_at"),
    )
