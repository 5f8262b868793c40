"""What is published: one row per symbol and date, written last, which gold and training join on.

What belongs here: `evidence.publications`. What must not: staging and auditing (`publishing`, `silver`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING

from tick_assets.domain.instruments import is_synthetic
from tick_assets.lakehouse.catalog import whole_partitions
from tick_assets.lakehouse.raw_store import Manifest, RawStore
from tick_assets.lakehouse.silver import DayKey, Partitions, RawFiles, publication_id
from tick_assets.lakehouse.tick_audit import DayCounts

if TYPE_CHECKING:
    from tick_assets.lakehouse.catalog import Lakehouse


def partitions_of(store: RawStore, symbols: Sequence[str], dates: Sequence[date], order: Sequence[str]) -> Partitions:
    """Return the partitions of all symbols and dates with what their raw files make of them, each manifest read once."""
    manifests = {(symbol, day): _current_manifest(store, symbol, day, order) for symbol in symbols for day in dates}
    return Partitions(
        tuple(symbols),
        tuple(dates),
        {key: publication_id(*key, _revisions(manifest)) for key, manifest in manifests.items()},
        {key: _raw_files(manifest) for key, manifest in manifests.items()},
    )


def _current_manifest(store: RawStore, symbol: str, day: date, order: Sequence[str]) -> Manifest | None:
    source = store.current_source(symbol, day, order)
    return store.manifest(source, symbol, day) if source else None


def _revisions(manifest: Manifest | None) -> list[str]:
    return [manifest.source, *(entry.sha256 for entry in manifest.revisions)] if manifest else []


def _raw_files(manifest: Manifest | None) -> RawFiles:
    if manifest is None:
        return RawFiles(None, {})
    folder = f"{manifest.source}/{manifest.symbol}"
    return RawFiles(manifest.source, {f"{folder}/{entry.file}": entry.rows for entry in manifest.revisions if entry.rows})


def record(
    lakehouse: Lakehouse,
    partitions: Partitions,
    counts: Sequence[DayCounts],
    hashes: Mapping[DayKey, str],
    published_at: datetime,
) -> None:
    """Write the publications of all partitions."""
    sources = {key: files.source for key, files in partitions.raw_files.items()}
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
