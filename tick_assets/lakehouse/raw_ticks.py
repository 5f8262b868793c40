"""`raw.ticks`: every row of every revision of every source, as the raw store holds it, partitioned by symbol and date.

What belongs here: which rows are current, their order, and the atomic replacement of partitions by PyIceberg. What must not: parsing
(`raw_csv`), cleaning (`silver`).

A partition is one file whose current rows come first, in vendor order; `silver` finds that order again from the columns. The rows are
counted against the manifests before the one commit that replaces whole partitions, so readers see the old rows or the new ones. Several
threads make the files, a symbol-day each: parsing, hashing and writing let other threads run. Memory holds the days under way, not the
range.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date

import polars as pl
from pyiceberg.io import FileIO
from pyiceberg.manifest import DataFile
from pyiceberg.table.metadata import TableMetadata

from tick_assets.lakehouse import day_parquet
from tick_assets.lakehouse.catalog import Lakehouse, whole_partitions
from tick_assets.lakehouse.raw_store import RawStore

TABLE = "raw.ticks"

ROWS_PER_COMMIT = 20_000_000
"""A longer range is several commits, each of whole dates: what a killed run has to do again."""
WORKERS = 2
"""Symbol-days under way at the same time."""
Made = tuple["RawDay", list[DataFile]]


class RawRowsError(RuntimeError):
    """The rows that were read are not the rows that the manifests promise."""


@dataclass(frozen=True)
class RawDay:
    """What one symbol and date came to. `source` is the current one, empty where nothing was recorded."""

    symbol: str
    date: date
    source: str
    rows: int
    current_rows: int


def read_day(store: RawStore, symbol: str, day: date, order: Sequence[str]) -> tuple[RawDay, pl.DataFrame]:
    """Return the rows of all sources of one symbol and date, current ones first and in vendor order."""
    current = store.current_source(symbol, day, order)
    frames = [
        _source_rows(store, source, symbol, day, source == current) for source in store.sources() if store.revisions(source, symbol, day)
    ]
    if not frames:
        return RawDay(symbol, day, "", 0, 0), pl.DataFrame()
    rows = in_vendor_order(pl.concat(frames))
    promised = sum(entry.rows for source in store.sources() for entry in store.revisions(source, symbol, day))
    if len(rows) != promised:
        raise RawRowsError(f"Expected {promised} rows of {symbol} {day} as the manifests say, was {len(rows)}. Run `tick raw verify`.")
    return RawDay(symbol, day, current or "", len(rows), int(rows["is_current"].sum())), rows


def _source_rows(store: RawStore, source: str, symbol: str, day: date, is_current: bool) -> pl.DataFrame:
    rows = store.read_date(source, symbol, day)
    return rows.with_columns(
        pl.lit(symbol).alias("symbol"),
        pl.lit(day).alias("date"),
        pl.concat_str(pl.lit(f"{source}/{symbol}/"), "source_file").alias("source_file"),
        pl.col("is_current") & is_current,
    )


def in_vendor_order(rows: pl.DataFrame) -> pl.DataFrame:
    """Sort the rows of one symbol and date: current ones first, by stamp, and within a stamp as the vendor's files have them.

    The order follows from the columns alone, whatever the order of the rows, files and tasks that brought them. A row that did not parse
    keeps the place of the row before it in its file, the first one that of the row after it.
    """
    if _is_in_order(rows):
        return rows
    place = pl.col("ts_event").fill_null(strategy="forward").fill_null(strategy="backward").over("source", "revision")
    keys = rows.select("is_current", pl.col("source").rank("dense"), "revision", "source_row", "ts_event").with_row_index("row")
    by_file = keys.sort("source", "revision", "source_row").with_columns(place.alias("place"))
    order = by_file.sort("is_current", "place", descending=[True, False], maintain_order=True)["row"]
    # As this project writes them, rows are in order already: then the wide frame is not copied.
    return rows if order.is_sorted() else rows[order]


def _is_in_order(rows: pl.DataFrame) -> bool:
    """Tell whether rows are of one file, all or none of them current, every one parsed, and rise in stamp and place: the usual day."""
    one_file = all(rows[name].n_unique() <= 1 for name in ("is_current", "source", "revision"))
    place, stamp = rows["source_row"], rows["ts_event"]
    return one_file and not stamp.has_nulls() and stamp.is_sorted() and bool((place.diff().drop_nulls() > 0).all())


def write_days(
    lakehouse: Lakehouse,
    store: RawStore,
    symbols: Sequence[str],
    dates: Sequence[date],
    order: Sequence[str],
    progress: Callable[[str], None],
    run: str = "unnamed",
) -> list[RawDay]:
    """Replace the partitions of all symbols and dates with what the raw store holds; an empty day empties its partition.

    The partitions are locked before the raw store is read: of two writes the later one reads the newer files. See `partition_locks`.
    """
    written: list[RawDay] = []
    with lakehouse.locks.hold([TABLE], symbols, dates, run, progress) as held:
        for days, files in _chunks(write_day_files(lakehouse, store, [(symbol, day) for day in dates for symbol in symbols], order)):
            chunk_dates = sorted({day.date for day in days})
            held.require()
            lakehouse.replace_files(TABLE, files, whole_partitions(symbols, chunk_dates))
            written += days
            progress(f"event=raw_ticks_written rows={sum(day.rows for day in days)} from={chunk_dates[0]} to={chunk_dates[-1]}")
    return written


def write_day_files(lakehouse: Lakehouse, store: RawStore, days: Sequence[tuple[str, date]], order: Sequence[str]) -> Iterator[Made]:
    """Write a data file for each (symbol, date) that has rows, and yield what each came to, in order; the files are in no table yet.

    `RawRowsError` and errors of the raw store rise where they are met; what was written until then belongs to no table.
    """
    table = lakehouse.table(TABLE)
    ahead = deque(days)
    under_way: deque[Future[Made]] = deque()
    with ThreadPoolExecutor(WORKERS, thread_name_prefix="raw_ticks") as pool:
        while ahead or under_way:
            while ahead and len(under_way) <= WORKERS:
                under_way.append(pool.submit(_make_day, store, *ahead.popleft(), order, table.metadata, table.io))
            yield under_way.popleft().result()


def _make_day(store: RawStore, symbol: str, day: date, order: Sequence[str], target: TableMetadata, io: FileIO) -> Made:
    found, rows = read_day(store, symbol, day, order)
    return found, [day_parquet.write_day(rows, symbol, day, target, io)] if len(rows) else []


def _chunks(made: Iterator[Made]) -> Iterator[tuple[list[RawDay], list[DataFile]]]:
    """Yield whole dates once they hold ROWS_PER_COMMIT rows; what is made comes date by date."""
    days: list[RawDay] = []
    files: list[DataFile] = []
    for day, written in made:
        if days and day.date != days[-1].date and sum(each.rows for each in days) >= ROWS_PER_COMMIT:
            yield days, files
            days, files = [], []
        days.append(day)
        files += written
    if days:
        yield days, files
