"""What is published: one row per symbol and date, written last, which gold and training join on.

What belongs here: `evidence.publications`. What must not: staging and auditing (`publishing`, `silver`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING

from tick_assets.domain.instruments import is_synthetic
from tick_assets.lakehouse.catalog import whole_partitions
from tick_assets.lakehouse.raw_store import RawStore
from tick_assets.lakehouse.silver import DayCounts, DayKey, Partitions, publication_id

if TYPE_CHECKING:
    from tick_assets.lakehouse.catalog import Lakehouse


def ids_of(store: RawStore, symbols: Sequence[str], dates: Sequence[date], order: Sequence[str]) -> dict[DayKey, str]:
    """Return the publication id of each symbol and date: what its raw files and the cleaning make of it."""
    return {(symbol, day): publication_id(symbol, day, _revisions(store, symbol, day, order)) for symbol in symbols for day in dates}


def sources_of(store: RawStore, symbols: Sequence[str], dates: Sequence[date], order: Sequence[str]) -> dict[DayKey, str | None]:
    """Return the current source of each symbol and date."""
    return {(symbol, day): store.current_source(symbol, day, order) for symbol in symbols for day in dates}


def _revisions(store: RawStore, symbol: str, day: date, order: Sequence[str]) -> list[str]:
    source = store.current_source(symbol, day, order)
    if source is None:
        return []
    return [source, *(entry.sha256 for entry in store.revisions(source, symbol, day))]


def record(
    lakehouse: Lakehouse,
    partitions: Partitions,
    counts: Sequence[DayCounts],
    hashes: Mapping[DayKey, str],
    sources: Mapping[DayKey, str | None],
    published_at: datetime,
) -> None:
    """Write the publications of all partitions."""
    rows = [
        {
            "symbol": found.symbol,
            "date": found.date,
            "publication_id": partitions.publication_ids[found.symbol, found.date],
            "raw_rows": found.raw_rows,
            "silver_rows": found.silver_rows,
            "reject_rows": found.reject_rows,
            "content_hash": hashes[found.symbol, found.date],
            "published_at": published_at,
            "source": sources.get((found.symbol, found.date)),
            "is_synthetic": is_synthetic(found.symbol, sources.get((found.symbol, found.date)) or ""),
        }
        for found in counts
    ]
    lakehouse.replace_rows("evidence.publications", rows, whole_partitions(partitions.symbols, partitions.dates))
