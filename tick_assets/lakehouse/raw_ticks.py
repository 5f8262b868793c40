"""`raw.ticks`: every row of every revision of every source, as the raw store holds it, partitioned by symbol and date.

What belongs here: which rows are current, their order, and the atomic replacement of partitions by PyIceberg. What must not: parsing
(`raw_csv`), cleaning (`silver`).

A partition is one file whose current rows come first, in vendor order; `silver` finds that order again from the columns. The rows are
counted against the manifests before the one commit that replaces whole partitions, so readers see the old rows or the new ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date

import polars as pl
import pyarrow as pa

from tick_assets.lakehouse.catalog import Lakehouse, whole_partitions
from tick_assets.lakehouse.raw_store import RawStore
from tick_assets.lakehouse.tables import definition_of

TABLE = "raw.ticks"

ROWS_PER_COMMIT = 4_000_000
"""About 1 GB of Arrow memory; a longer range is several commits, each of whole dates."""


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
    place = pl.col("ts_event").fill_null(strategy="forward").fill_null(strategy="backward").over("source", "revision")
    keys = rows.select("is_current", pl.col("source").rank("dense"), "revision", "source_row", "ts_event").with_row_index("row")
    by_file = keys.sort("source", "revision", "source_row").with_columns(place.alias("place"))
    order = by_file.sort("is_current", "place", descending=[True, False], maintain_order=True)["row"]
    # As this project writes them, rows are in order already: then the wide frame is not copied.
    return rows if order.is_sorted() else rows[order]


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
    schema = lakehouse.arrow_schema(TABLE)
    written: list[RawDay] = []
    with lakehouse.locks.hold([TABLE], symbols, dates, run, progress) as held:
        for days, frames in _chunks(store, symbols, dates, order):
            chunk_dates = sorted({day.date for day in days})
            arrow = pa.concat_tables([_to_arrow(frame, schema) for frame in frames]) if frames else schema.empty_table()
            held.require()
            lakehouse.replace_rows(TABLE, arrow, whole_partitions(symbols, chunk_dates))
            written += days
            progress(f"event=raw_ticks_written rows={arrow.num_rows} from={chunk_dates[0]} to={chunk_dates[-1]}")
    return written


def _chunks(
    store: RawStore, symbols: Sequence[str], dates: Sequence[date], order: Sequence[str]
) -> Iterator[tuple[list[RawDay], list[pl.DataFrame]]]:
    """Yield whole dates until they hold ROWS_PER_COMMIT rows."""
    days: list[RawDay] = []
    frames: list[pl.DataFrame] = []
    for day in dates:
        for symbol in symbols:
            found, rows = read_day(store, symbol, day, order)
            days.append(found)
            if len(rows):
                frames.append(rows)
        if sum(len(frame) for frame in frames) >= ROWS_PER_COMMIT:
            yield days, frames
            days, frames = [], []
    if days:
        yield days, frames


def _to_arrow(frame: pl.DataFrame, schema: pa.Schema) -> pa.Table:
    """Return the rows in the table's schema; a column that somebody added to the table is null."""
    added = [pl.lit(None).alias(name) for name in schema.names if name not in definition_of(TABLE).column_types]
    return frame.with_columns(added).select(schema.names).to_arrow().cast(schema)
