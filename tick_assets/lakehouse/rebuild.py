"""Whether the raw folder alone gives the lake again: what there is to rebuild, what a lake holds, and how two lakes differ.

What belongs here: the plan of a drill, the state of a lake as hashes by (date, symbol), their comparison, dropping what can be rebuilt.
What must not: starting servers or runs (`cli.drill`).

Tables are hashed by `content_hash`. Gold views are hashed by Trino itself: per (date, symbol) the number of rows and `checksum` over all
columns that count, so no row leaves the server. Evidence that no raw file holds (trials, verdicts, signals, orders) and side tables are
not part of a drill, and no drill touches them.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pyiceberg.expressions import AlwaysTrue

from tick_assets.lakehouse import datasets
from tick_assets.lakehouse.catalog import Filter, Lakehouse, partition_filter
from tick_assets.lakehouse.content_hash import PartitionHash, combine, differing_partitions, partition_hashes
from tick_assets.lakehouse.history import tables_behind
from tick_assets.lakehouse.raw_store import RawStore
from tick_assets.lakehouse.tables import TABLES, definition_of

if TYPE_CHECKING:
    from tick_assets.lakehouse.object_store import ObjectStore
    from tick_assets.lakehouse.query import TrinoQuery

HOUR_LEDGER, PUBLICATIONS = "evidence.hour_ledger", "evidence.publications"
SIDE_TABLES = frozenset({"raw.side_values"})
"""Made of delivered side files, not of ticks."""
ROW_TABLES = tuple(name for name in TABLES if name.partition(".")[0] in ("raw", "silver") and name not in SIDE_TABLES)
TABLES_FROM_RAW = (*ROW_TABLES, HOUR_LEDGER, PUBLICATIONS)
GAP_DAYS = 4
"""Dates further apart than a long weekend are two ranges, and two runs."""

Pair = tuple[str, date]
State = Mapping[str, Sequence[PartitionHash]]


class NothingToRebuildError(LookupError):
    """The raw folder holds nothing of what was asked for."""


@dataclass(frozen=True)
class DateRange:
    """One run: symbols and dates, both inclusive."""

    symbols: tuple[str, ...]
    first: date
    last: date

    @property
    def dates(self) -> tuple[date, ...]:
        return tuple(self.first + timedelta(days=i) for i in range((self.last - self.first).days + 1))


@dataclass(frozen=True)
class Plan:
    """What the raw folder holds of the asked symbols and dates (empty and none: all)."""

    pairs: frozenset[Pair]
    symbols: tuple[str, ...] = ()
    first: date | None = None
    last: date | None = None

    @property
    def condition(self) -> Filter:
        """The filter of what was asked for, whether the raw folder holds it or not."""
        narrowed = self.symbols or self.first or self.last
        return partition_filter(self.symbols, self.first, self.last) if narrowed else AlwaysTrue()

    @property
    def ranges(self) -> tuple[DateRange, ...]:
        """The fewest runs: symbols with the same stretch of dates go together."""
        stretches: dict[tuple[date, date], list[str]] = {}
        for symbol in sorted({symbol for symbol, _ in self.pairs}):
            for stretch in _stretches(sorted(day for name, day in self.pairs if name == symbol)):
                stretches.setdefault(stretch, []).append(symbol)
        return tuple(DateRange(tuple(symbols), *stretch) for stretch, symbols in sorted(stretches.items()))

    def asks_for(self, symbol: str, first: date, last: date) -> bool:
        """Tell whether all of a symbol's window was asked for."""
        return (not self.symbols or symbol in self.symbols) and (self.first or first) <= first and (self.last or last) >= last


@dataclass(frozen=True)
class Comparison:
    """One table or view before and after. `differing` names its partitions: date, symbol and rows of both."""

    name: str
    rows_before: int
    rows_after: int
    hash_before: str
    hash_after: str
    differing: tuple[Mapping[str, Any], ...] = ()

    @property
    def is_equal(self) -> bool:
        return self.hash_before == self.hash_after


def plan_of(store: RawStore, symbols: Sequence[str] = (), first: date | None = None, last: date | None = None) -> Plan:
    """Return what the raw folder holds of these symbols and dates."""
    pairs = {
        (symbol, day)
        for source in store.sources()
        for symbol in store.symbols(source)
        if not symbols or symbol in symbols
        for day in store.dates(source, symbol)
        if (first or day) <= day <= (last or day)
    }
    if not pairs:
        raise NothingToRebuildError(f"Expected raw files of {', '.join(symbols) or 'any symbol'} in {store.root}, was none.")
    return Plan(frozenset(pairs), tuple(symbols), first, last)


def _stretches(days: Sequence[date]) -> list[tuple[date, date]]:
    stretches: list[tuple[date, date]] = []
    for day in days:
        if stretches and (day - stretches[-1][1]).days <= GAP_DAYS:
            stretches[-1] = (stretches[-1][0], day)
        else:
            stretches.append((day, day))
    return stretches


def link_raw(store: RawStore, target: Path, plan: Plan) -> int:
    """Give another folder the same raw files by hard links (copies across file systems), and return how many.

    A raw file is never changed in place, so the two folders can't harm each other.
    """
    count = 0
    for source in store.sources():
        for symbol, day in plan.pairs:
            manifest = store.manifest(source, symbol, day)
            if manifest is None:
                continue
            names = [store.manifest_path(source, symbol, day), *(store.revision_path(source, symbol, each) for each in manifest.revisions)]
            responses = {store.response_path(source, symbol, hour) for hour in manifest.hours if hour.response_sha256}
            for path in [*names, *sorted(path for path in responses if path.is_file())]:
                _link(path, target / path.relative_to(store.root))
            count += len(names)
    return count


def _link(path: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.exists():  # a delivery of several dates
        return
    try:
        os.link(path, target)
    except OSError:
        shutil.copy2(path, target)


# What a lake holds.


def state_of(lakehouse: Lakehouse, query: TrinoQuery, plan: Plan, dbt_project: Path) -> dict[str, list[PartitionHash]]:
    """Return the hashes of every table and view that the raw folder gives, by (date, symbol).

    Ledger, publications and views of them are looked at for the pairs that the raw folder has: a run over a range also states
    dates that were never recorded, and says nothing about them. Rows of tables count wherever they are; a lost table has none.
    """
    state = {name: _table_hashes(lakehouse, name, plan) for name in ROW_TABLES}
    state |= {name: _known(_table_hashes(lakehouse, name, plan), plan) for name in (HOUR_LEDGER, PUBLICATIONS)}
    return state | {view: _known(_view_hashes(query, view, plan), plan) for view in views_from_raw(dbt_project)}


def snapshots(lakehouse: Lakehouse) -> dict[str, int | None]:
    """Return what readers see of every table that the raw folder gives; none for one that is empty or lost."""
    return {name: lakehouse.snapshot_id(name) if lakehouse.catalog.table_exists(name) else None for name in TABLES_FROM_RAW}


def _table_hashes(lakehouse: Lakehouse, name: str, plan: Plan) -> list[PartitionHash]:
    return partition_hashes(lakehouse, name, plan.condition) if lakehouse.catalog.table_exists(name) else []


def views_from_raw(dbt_project: Path) -> tuple[str, ...]:
    """Return the gold views that read nothing but tables which the raw folder gives."""
    names = sorted(path.stem for path in (dbt_project / "models" / "gold").glob("*.sql"))
    return tuple(f"gold.{name}" for name in names if set(tables_behind(dbt_project, name)) <= set(TABLES_FROM_RAW))


def _known(parts: Iterable[PartitionHash], plan: Plan) -> list[PartitionHash]:
    return [part for part in parts if (part.symbol, date.fromisoformat(part.date)) in plan.pairs]


def _view_hashes(query: TrinoQuery, view: str, plan: Plan) -> list[PartitionHash]:
    schema, _, name = view.partition(".")
    names = query.rows(f"select column_name from information_schema.columns where table_schema = '{schema}' and table_name = '{name}'")
    skipped = definition_of(PUBLICATIONS).not_content
    columns = sorted(column for (column,) in names if column not in skipped)
    if not columns:
        return []
    counted = ", ".join(f'"{column}"' for column in columns)
    rows = query.rows(
        f"select cast(date as varchar), symbol, count(*), lower(to_hex(checksum(row({counted})))) from {view} {_where(plan)} group by 1, 2"
    )
    return sorted(PartitionHash(*row) for row in rows)


def _where(plan: Plan) -> str:
    terms = [f"symbol in ({', '.join(_quoted(symbol) for symbol in plan.symbols)})"] if plan.symbols else []
    terms += [f"date >= date '{plan.first}'"] if plan.first else []
    terms += [f"date <= date '{plan.last}'"] if plan.last else []
    return f"where {' and '.join(terms)}" if terms else ""


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def to_document(state: State) -> dict[str, Any]:
    """Return a state as plain values for a file."""
    return {name: [asdict(part) for part in parts] for name, parts in state.items()}


def from_document(document: Mapping[str, Any]) -> dict[str, list[PartitionHash]]:
    """Return the state of such a file."""
    return {name: [PartitionHash(**part) for part in parts] for name, parts in document.items()}


# How two lakes differ.


def compare(before: State, after: State) -> list[Comparison]:
    """Compare two states table by table; one that a state lacks has no rows in it."""
    found = []
    for name in dict.fromkeys([*before, *after]):
        one, two = before.get(name, ()), after.get(name, ())
        differing = tuple(differing_partitions(one, two))
        found.append(Comparison(name, _rows(one), _rows(two), combine(name, one), combine(name, two), differing))
    return found


def _rows(parts: Sequence[PartitionHash]) -> int:
    return sum(part.rows for part in parts)


def compare_datasets(pinned: Sequence[datasets.Dataset], rebuilt: Lakehouse, plan: Plan) -> list[Comparison]:
    """Compare what datasets state with what the rebuilt tables would be pinned as: the same key means the same training set."""
    return [
        Comparison(f"dataset {each.id[:12]}", each.rows["silver.features"], rows, each.content_key, key)
        for each in pinned
        if all(plan.asks_for(symbol, *each.window) for symbol in each.symbols)
        for key, rows in [_key_and_rows(rebuilt, each)]
    ]


def _key_and_rows(lakehouse: Lakehouse, dataset: datasets.Dataset) -> tuple[str, int]:
    condition = partition_filter(dataset.symbols, *dataset.window)
    rows = _rows(partition_hashes(lakehouse, "silver.features", condition))
    try:
        return datasets.current_content_key(lakehouse, dataset), rows
    except datasets.DatasetError:
        return "", rows


def up_to_date(lakehouse: Lakehouse, known: Sequence[datasets.Dataset]) -> list[datasets.Dataset]:
    """Return the datasets whose content is what the lake holds now; an older one pins rows that raw revisions have replaced since."""
    if not all(lakehouse.catalog.table_exists(name) for name in datasets.PINNED):
        return []
    return [each for each in known if _key_and_rows(lakehouse, each)[0] == each.content_key]


# Dropping.


def drop(lakehouse: Lakehouse, objects: ObjectStore) -> list[str]:
    """Drop every table that the raw folder gives, with its files, and return their names. Evidence and side tables stay."""
    dropped = []
    for name in TABLES_FROM_RAW:
        if not lakehouse.catalog.table_exists(name):
            continue
        location = lakehouse.table(name).location()
        lakehouse.catalog.drop_table(name)
        prefix = location.removeprefix(f"s3://{objects.bucket}/").rstrip("/") + "/"
        for key in list(objects.list_keys(prefix)):
            objects.delete(key)
        dropped.append(name)
    return dropped
