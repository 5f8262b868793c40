"""What a revision changed: a report beside it, derived from the write-once files alone.

What belongs here: comparing the hours of a revision with what was current before, the report's file. What must not: making revisions.

    raw/<source>/<SYMBOL>/<date>.r<NNN>.diff.json    beside `<date>.r<NNN>.csv`, for every revision after r000

A row that both sides hold in every field is unchanged. Of the rest, the n-th row of a stamp before and the n-th after are one changed row;
what finds no partner was removed or added. Hours that had no rows before count as added only: such an hour came late, it was not revised.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import polars as pl

from tick_assets.lakehouse import raw_csv
from tick_assets.lakehouse.durable_files import write_file
from tick_assets.lakehouse.raw_store import HOUR_US, Manifest, RawStore, RevisionEntry

DIFF_SUFFIX = ".diff.json"
_FIELDS = list(raw_csv.ROW_SCHEMA)


@dataclass(frozen=True)
class HourDiff:
    """One hour's difference. Stamps are the first and last that differ, ISO-8601 UTC; `max_price_move_points` is over changed rows, null
    where there are none; `is_reordered` says that the rows are the same and only the order within a stamp is not.
    """

    hour: int
    rows_before: int
    rows_after: int
    added: int
    removed: int
    changed: int
    is_reordered: bool
    first_difference: str | None
    last_difference: str | None
    max_price_move_points: int | None


@dataclass(frozen=True)
class RevisionDiff:
    """What one revision changed against the hours that it replaced."""

    source: str
    symbol: str
    date: str
    revision: int
    known_at: str
    hours: tuple[HourDiff, ...]

    @property
    def totals(self) -> dict[str, Any]:
        """Sums and extremes over the hours."""
        firsts = [hour.first_difference for hour in self.hours if hour.first_difference]
        lasts = [hour.last_difference for hour in self.hours if hour.last_difference]
        moves = [hour.max_price_move_points for hour in self.hours if hour.max_price_move_points is not None]
        return {
            "added": sum(hour.added for hour in self.hours),
            "removed": sum(hour.removed for hour in self.hours),
            "changed": sum(hour.changed for hour in self.hours),
            "first_difference": min(firsts, default=None),
            "last_difference": max(lasts, default=None),
            "max_price_move_points": max(moves, default=None),
        }

    def to_json(self) -> bytes:
        return (json.dumps({**asdict(self), "schema": 1, "totals": self.totals}, indent=1, sort_keys=True) + "\n").encode()

    def to_event(self) -> str:
        """Return one line of key=value fields for a log."""
        hours = ",".join(f"{hour.hour:02d}" for hour in self.hours)
        totals = " ".join(f"{name}={value}" for name, value in self.totals.items())
        return f"event=hours_revised symbol={self.symbol} date={self.date} revision={self.revision} hours={hours} {totals}"


def diff_path(store: RawStore, source: str, symbol: str, entry: RevisionEntry) -> Path:
    """Return where a revision's report is."""
    csv_path = store.revision_path(source, symbol, entry)
    return csv_path.with_name(csv_path.name.removesuffix(".csv") + DIFF_SUFFIX)


def write_missing_diffs(store: RawStore, source: str, symbol: str, day: date) -> list[RevisionDiff]:
    """Write the report of every revision after r000 that has none, and return those: also the one that a crash left out."""
    manifest = store.manifest(source, symbol, day)
    if manifest is None:
        return []
    written = []
    for entry in manifest.revisions[1:]:
        path = diff_path(store, source, symbol, entry)
        if not path.is_file():
            found = compare_revision(store, manifest, entry)
            write_file(path, found.to_json(), is_read_only=True)
            written.append(found)
    return written


def compare_revision(store: RawStore, manifest: Manifest, entry: RevisionEntry) -> RevisionDiff:
    """Compare the hours that a revision holds with the newest earlier revision that holds each."""
    after = _hours_of(store, manifest, entry)
    hours = []
    for hour in entry.hours:
        earlier = max(
            (each for each in manifest.revisions if each.revision < entry.revision and hour in each.hours), key=_number, default=None
        )
        before = _hours_of(store, manifest, earlier) if earlier else raw_csv.ROW_SCHEMA.to_frame()
        hours.append(compare_hour(hour, _of_hour(before, manifest, hour), _of_hour(after, manifest, hour)))
    return RevisionDiff(manifest.source, manifest.symbol, manifest.date, entry.revision, entry.written_at, tuple(hours))


def _number(entry: RevisionEntry) -> int:
    return entry.revision


def _hours_of(store: RawStore, manifest: Manifest, entry: RevisionEntry) -> pl.DataFrame:
    return raw_csv.to_raw_rows(store.read_rows(store.revision_path(manifest.source, manifest.symbol, entry)))


def _of_hour(rows: pl.DataFrame, manifest: Manifest, hour: int) -> pl.DataFrame:
    start = raw_csv.midnight_us(manifest.date) + hour * HOUR_US
    return rows.filter(pl.col("ts_us").is_between(start, start + HOUR_US, closed="left"))


def compare_hour(hour: int, before: pl.DataFrame, after: pl.DataFrame) -> HourDiff:
    """Compare two versions of an hour's rows (`raw_csv.ROW_SCHEMA`, sorted by stamp)."""
    gone, come = _not_in(before, after), _not_in(after, before)
    pairs = _ranked(gone).join(_ranked(come), on=["ts_us", "rank"], how="full", coalesce=True, suffix="_after")
    changed = pairs.filter(pl.col("is_there") & pl.col("is_there_after"))
    stamps = pairs["ts_us"]
    moves = changed.select(
        pl.max_horizontal(*((pl.col(f"{side}_points_after") - pl.col(f"{side}_points")).abs() for side in ("ask", "bid")))
        .max()
        .alias("move")
    )["move"]
    return HourDiff(
        hour=hour,
        rows_before=len(before),
        rows_after=len(after),
        added=len(come) - len(changed),
        removed=len(gone) - len(changed),
        changed=len(changed),
        is_reordered=pairs.is_empty() and not before.equals(after),
        first_difference=_iso(stamps.min()),
        last_difference=_iso(stamps.max()),
        max_price_move_points=moves[0],
    )


def _not_in(rows: pl.DataFrame, other: pl.DataFrame) -> pl.DataFrame:
    """Return the rows without a partner of equal fields in `other`; of equal rows each needs a partner of its own."""
    counted, others = (frame.select(_FIELDS).with_columns(pl.int_range(pl.len()).over(_FIELDS).alias("copy")) for frame in (rows, other))
    return counted.join(others, on=[*_FIELDS, "copy"], how="anti", nulls_equal=True, maintain_order="left").drop("copy")


def _ranked(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.with_columns(pl.int_range(pl.len()).over("ts_us").alias("rank"), pl.lit(True).alias("is_there"))


def _iso(ts_us: Any) -> str | None:
    if ts_us is None:
        return None
    return datetime.fromtimestamp(ts_us // 1_000_000, UTC).replace(microsecond=ts_us % 1_000_000).isoformat().replace("+00:00", "Z")


def reports(store: RawStore, source: str, symbol: str, day: date) -> Iterator[dict[str, Any]]:
    """Yield the reports of a date as they were written, oldest first."""
    for entry in store.revisions(source, symbol, day)[1:]:
        path = diff_path(store, source, symbol, entry)
        if path.is_file():
            yield json.loads(path.read_bytes())
