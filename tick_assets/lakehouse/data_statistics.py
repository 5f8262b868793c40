"""Statistics of the published ticks, read once through PyIceberg and counted by Polars.

What belongs here: which rows are read, and in what pieces. What must not: figures (`domain.tick_statistics`), words, pictures.

Only rows of publications that `evidence.publications` lists are counted. A date is read whole; dates are read together until they hold
`ROWS_PER_READ` rows, so memory does not grow with the range.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from typing import TYPE_CHECKING

import polars as pl

from tick_assets.domain import tick_counting as counting
from tick_assets.domain.instruments import Market
from tick_assets.domain.tick_counting import Interval
from tick_assets.domain.tick_statistics import Publication, SymbolStatistics
from tick_assets.lakehouse.catalog import Filter, partition_filter

if TYPE_CHECKING:
    from tick_assets.lakehouse.catalog import Lakehouse

ROWS_PER_READ = 1_000_000
"""About 0.2 GB while a piece is counted."""
LEDGER, PUBLICATIONS = "evidence.hour_ledger", "evidence.publications"
LEDGER_COLUMNS = ("date", "hour", "state", "source", "revision", "checked_at")
PUBLICATION_COLUMNS = ("date", "publication_id", "source", "silver_rows", "reject_rows")
REJECT_COLUMNS = ("date", "ts_event", "reason_code", "publication_id")
KEYS = ["date", "publication_id"]


def symbols_with_data(lakehouse: Lakehouse) -> tuple[str, ...]:
    """Return the symbols of which an hour was asked or a date is published."""
    frames = (lakehouse.frame(table, columns=("symbol",)) for table in (LEDGER, PUBLICATIONS))
    return tuple(sorted({symbol for frame in frames for symbol in frame["symbol"].unique()}))


def read_statistics(
    lakehouse: Lakehouse,
    market: Market,
    symbols: Sequence[str],
    first: date | None = None,
    last: date | None = None,
) -> list[SymbolStatistics]:
    """Return the statistics of each symbol, over the dates that the lake knows within `first` to `last`, both inclusive."""
    return [read_symbol(lakehouse, market, symbol, first, last) for symbol in symbols]


def read_symbol(lakehouse: Lakehouse, market: Market, symbol: str, first: date | None = None, last: date | None = None) -> SymbolStatistics:
    """Return one symbol's statistics; of a symbol that the lake does not know, empty ones."""
    instrument, condition = market.instrument(symbol), partition_filter(symbol, first, last)
    published = lakehouse.frame(PUBLICATIONS, condition, columns=PUBLICATION_COLUMNS)
    ledger = lakehouse.frame(LEDGER, condition, columns=LEDGER_COLUMNS)
    ranges = counting.date_ranges([*ledger["date"], *published["date"]])
    cells = counting.hour_cells(instrument, ledger, ranges)
    hours, spreads, gaps = _count_ticks(lakehouse, symbol, published)
    return SymbolStatistics(
        instrument=instrument,
        cells=cells,
        publications=_publications(published, hours),
        hours=hours,
        spreads=spreads,
        rejects=_count_rejects(lakehouse, condition, published),
        silences=counting.find_silences(gaps, counting.date_edges(hours), cells),
    )


def _count_ticks(lakehouse: Lakehouse, symbol: str, published: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame, list[Interval]]:
    hours, spreads = [pl.DataFrame(schema=counting.HOURS_SCHEMA)], [pl.DataFrame(schema=counting.SPREADS_SCHEMA)]
    gaps: list[Interval] = []
    for first, last in _pieces(published):
        rows = lakehouse.frame("silver.ticks", partition_filter(symbol, first, last), columns=counting.TICKS)
        ticks = counting.in_time_order(rows.join(published.select(KEYS), on=KEYS, how="semi"))
        hours.append(counting.count_hours(ticks))
        spreads.append(counting.count_spreads(ticks))
        gaps += counting.longest_gaps(ticks)
    return pl.concat(hours).sort("date", "hour"), pl.concat(spreads), gaps


def _pieces(published: pl.DataFrame) -> Iterator[tuple[date, date]]:
    """Yield ranges of dates that hold about `ROWS_PER_READ` rows."""
    start: date | None = None
    rows = 0
    days = published.select("date", "silver_rows").sort("date").rows()
    for place, (day, count) in enumerate(days):
        start, rows = start or day, rows + count
        if rows >= ROWS_PER_READ or place == len(days) - 1:
            yield start, day
            start, rows = None, 0


def _count_rejects(lakehouse: Lakehouse, condition: Filter, published: pl.DataFrame) -> pl.DataFrame:
    rows = lakehouse.frame("silver.tick_rejects", condition, columns=REJECT_COLUMNS)
    return counting.count_rejects(rows.join(published.select(KEYS), on=KEYS, how="semi"))


def _publications(published: pl.DataFrame, hours: pl.DataFrame) -> tuple[Publication, ...]:
    found = dict(hours.group_by("date").agg(pl.col("tick_count").sum()).iter_rows())
    return tuple(
        Publication(
            date=row["date"],
            publication_id=row["publication_id"],
            source=row["source"] or "",
            silver_rows=row["silver_rows"],
            reject_rows=row["reject_rows"],
            found_rows=found.get(row["date"], 0),
        )
        for row in published.sort("date").iter_rows(named=True)
    )
