"""The history of a table: its versions, reading one of them, making one current again, and columns that come later.

What belongs here: what a person asks of a table's past, and what a change of it leaves inconsistent. What must not: datasets (they have
tags of their own), SQL.

Readers saw what `main` pointed at. PyIceberg's log of that also holds the first half of a replacement (rows deleted, new ones not yet
there), which no reader ever saw; the halves share the mark of their commit and are left out here. A gold view has no versions: Trino
ignores `FOR VERSION AS OF` on a view without a word (tried), so a view is refused and the tables behind it are named.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
from pyiceberg.exceptions import ValidationError

from tick_assets.lakehouse.catalog import MAIN, Filter, Lakehouse, whole_partitions
from tick_assets.lakehouse.commits import COMMIT_MARK
from tick_assets.lakehouse.row_filters import one_of
from tick_assets.lakehouse.tables import BY_SYMBOL_AND_DATE, TableDefinition, definition_of

if TYPE_CHECKING:
    from pyiceberg.table import Table
    from pyiceberg.table.snapshots import Snapshot
    from pyiceberg.types import IcebergType

PUBLICATIONS, TICKS = "evidence.publications", "silver.ticks"
GOLD = "gold"
_VERSIONED = re.compile(r"(?:from|join)\s+([\w.\"]+)\s+for\s+(?:version|timestamp)\s+as\s+of", re.IGNORECASE)
_REFERENCE = re.compile(r"\b(ref|source)\(\s*'(\w+)'(?:\s*,\s*'(\w+)')?\s*\)")


class ViewError(ValueError):
    """A version of a view was asked for."""


@dataclass(frozen=True)
class Version:
    """One snapshot of a table."""

    snapshot_id: int
    committed_at: datetime
    operation: str
    added_rows: int
    deleted_rows: int
    total_rows: int
    refs: tuple[str, ...]
    """Branches and tags that point at it."""
    was_current: bool
    """Readers of `main` saw it."""


@dataclass(frozen=True)
class Roll:
    """What making another snapshot current did. `changed` are the (symbol, date, rows before, rows after) that published views show."""

    table: str
    before: int | None
    after: int
    changed: tuple[tuple[str, date, int, int], ...]


# Looking.


def versions(lakehouse: Lakehouse, name: str) -> list[Version]:
    """Return the snapshots of a table, oldest first."""
    table = lakehouse.table(name)
    seen = {snapshot_id for _, snapshot_id in _shown(table)}
    refs: dict[int, list[str]] = {}
    for ref, value in table.refs().items():
        refs.setdefault(value.snapshot_id, []).append(ref)
    ordered = sorted(table.snapshots(), key=lambda snapshot: (snapshot.sequence_number or 0, snapshot.timestamp_ms))
    return [_version(snapshot, refs.get(snapshot.snapshot_id, []), snapshot.snapshot_id in seen) for snapshot in ordered]


def _version(snapshot: Snapshot, refs: Sequence[str], was_current: bool) -> Version:
    summary = snapshot.summary
    figures = summary.additional_properties if summary else {}
    return Version(
        snapshot.snapshot_id,
        _utc(snapshot.timestamp_ms),
        summary.operation.value if summary else "",
        int(figures.get("added-records", 0)),
        int(figures.get("deleted-records", 0)),
        int(figures.get("total-records", 0)),
        tuple(sorted(refs)),
        was_current,
    )


def _shown(table: Table) -> list[tuple[int, int]]:
    """Return (milliseconds since 1970, snapshot) of what readers saw, oldest first: the log without first halves of commits."""
    log = [(entry.timestamp_ms, entry.snapshot_id) for entry in table.history()]
    following = [snapshot_id for _, snapshot_id in log[1:]]
    halves = {one for (_, one), two in zip(log, following, strict=False) if _is_one_commit(table, one, two)}
    return [entry for entry in log if entry[1] not in halves]


def _is_one_commit(table: Table, one: int, two: int) -> bool:
    first, second = table.snapshot_by_id(one), table.snapshot_by_id(two)
    if first is None or second is None or second.parent_snapshot_id != one:
        return False
    marks = [snapshot.summary.additional_properties.get(COMMIT_MARK) if snapshot.summary else None for snapshot in (first, second)]
    return marks[0] is not None and marks[0] == marks[1]


def resolve_as_of(lakehouse: Lakehouse, name: str, as_of: str) -> int:
    """Return the snapshot of a tag, a branch, a snapshot id or a time with its zone, such as 2024-01-09T12:00:00Z."""
    table = lakehouse.table(name)
    if as_of in table.refs() or as_of.isdigit():
        found = lakehouse.resolve(name, as_of)
        assert found is not None
        return found
    at = _time(as_of, sorted(table.refs()))
    shown = _shown(table)
    earlier = [snapshot_id for stamp, snapshot_id in shown if stamp <= at.timestamp() * 1000]
    if not earlier:
        first = _utc(shown[0][0]).isoformat() if shown else "none: the table is empty"
        raise LookupError(f"Expected a time since the first version of {name} ({first}), was {as_of}. See `tick history {name}`.")
    return earlier[-1]


def _time(text: str, refs: Sequence[str]) -> datetime:
    """Parse a time with its zone."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise LookupError(
            f"Expected a tag or branch ({', '.join(refs) or 'none yet'}), a snapshot id, or a time with its zone such as "
            f"2024-01-09T12:00:00Z, was {text!r}."
        )
    return at


def read(lakehouse: Lakehouse, name: str, as_of: str, row_filter: Filter, limit: int | None = None) -> pl.DataFrame:
    """Return rows of a table as of a tag, snapshot or time, with the columns that it had then; at most `limit` of them."""
    snapshot = None if as_of == MAIN else resolve_as_of(lakehouse, name, as_of)
    scan = lakehouse.table(name).scan(row_filter=row_filter, snapshot_id=snapshot, limit=limit)
    result = pl.from_arrow(scan.to_arrow())
    assert isinstance(result, pl.DataFrame)
    return result


# Views.


def refuse_view(name: str, dbt_project: Path) -> None:
    """Raise `ViewError` for a gold view, naming the tables behind it."""
    if name.partition(".")[0] == GOLD:
        behind = ", ".join(tables_behind(dbt_project, name.partition(".")[2])) or "none known"
        raise ViewError(f"Expected a table, was the view {name}: views have no versions. Name its tables: {behind}.")


def refuse_versioned_views(statement: str, dbt_project: Path) -> None:
    """Raise `ViewError` where a statement asks for a version of a view: Trino would answer with the present rows."""
    for found in _VERSIONED.findall(statement):
        parts = found.replace('"', "").lower().split(".")
        refuse_view(".".join(([GOLD, *parts] if len(parts) == 1 else parts)[-2:]), dbt_project)


def tables_behind(dbt_project: Path, view: str) -> tuple[str, ...]:
    """Return the tables that a gold view reads, by the references of its models."""
    files = {path.stem: path for path in (dbt_project / "models").rglob("*.sql")}

    def walk(model: str) -> Iterator[str]:
        for kind, one, two in _REFERENCE.findall(files[model].read_text()) if model in files else ():
            if kind == "source":
                yield f"{one}.{two}"
            else:
                yield from walk(one)

    return tuple(sorted(set(walk(view))))


# Rolling back and forward.


def roll(lakehouse: Lakehouse, name: str, as_of: str) -> Roll:
    """Make a version that readers saw before current again (a tag, snapshot or time), and say which published dates that changes.

    Later snapshots stay, so rolling forward works the same way. A snapshot that was never current, such as the branch of a failed
    audit, is refused with a `LookupError`. What a tag names was: tags outlive the log, which expiry cuts.
    """
    target = resolve_as_of(lakehouse, name, as_of)
    if target not in {*(snapshot_id for _, snapshot_id in _shown(lakehouse.table(name))), *lakehouse.tags(name).values()}:
        known = [version.snapshot_id for version in versions(lakehouse, name) if version.was_current][-5:]
        raise LookupError(
            f"Expected a version of {name} that was current once, was snapshot {target}, which was not published. The last were {known}."
        )
    before = lakehouse.snapshot_id(name)
    changed = _visible_changes(lakehouse, name, before, target)
    lakehouse.rollback(name, target)
    return Roll(name, before, target, changed)


def _visible_changes(lakehouse: Lakehouse, name: str, before: int | None, after: int) -> tuple[tuple[str, date, int, int], ...]:
    """Return the dates whose visible rows differ between two snapshots of a table."""
    definition = definition_of(name)
    if before is None or not set(BY_SYMBOL_AND_DATE) <= set(definition.column_types):
        return ()
    condition = _differing_partitions(lakehouse.table(name), definition, before, after)
    one, two = (_visible_rows(lakehouse, name, snapshot, condition) for snapshot in (before, after))
    keys = sorted(key for key in one.keys() | two.keys() if one.get(key, 0) != two.get(key, 0))
    return tuple((*key, one.get(key, 0), two.get(key, 0)) for key in keys)


def _differing_partitions(table: Table, definition: TableDefinition, before: int, after: int) -> Filter:
    """Return a filter of the partitions whose files differ, from metadata alone: a roll of one date reads one date."""
    one, two = (
        {task.file.file_path: task.file.partition for task in table.scan(snapshot_id=snapshot).plan_files()} for snapshot in (before, after)
    )
    changed = [(one.get(path) or two[path]) for path in one.keys() ^ two.keys()]
    symbols = sorted({partition[0] for partition in changed})
    if definition.partitions != BY_SYMBOL_AND_DATE:
        return one_of("symbol", symbols)
    return whole_partitions(symbols, sorted({date(1970, 1, 1) + timedelta(days=partition[1]) for partition in changed}))


def _visible_rows(lakehouse: Lakehouse, name: str, snapshot: int, condition: Filter) -> dict[tuple[str, date], int]:
    """Count by symbol and date what the publications let readers see of a table; all rows where a table is not published by date."""
    columns = definition_of(name).column_types
    published_at = str(snapshot) if name == PUBLICATIONS else MAIN
    published = lakehouse.frame(PUBLICATIONS, condition, published_at, (*BY_SYMBOL_AND_DATE, "publication_id"))
    if name == PUBLICATIONS:
        rows = lakehouse.frame(TICKS, condition, columns=(*BY_SYMBOL_AND_DATE, "publication_id"))
    elif "publication_id" in columns:
        rows = lakehouse.frame(name, condition, str(snapshot), (*BY_SYMBOL_AND_DATE, "publication_id"))
    else:
        flags = ("is_current",) if "is_current" in columns else ()
        rows = lakehouse.frame(name, condition, str(snapshot), (*BY_SYMBOL_AND_DATE, *flags))
        return _counts(rows.filter("is_current") if flags else rows)
    return _counts(rows.join(published.unique(), on=[*BY_SYMBOL_AND_DATE, "publication_id"], how="semi"))


def _counts(rows: pl.DataFrame) -> dict[tuple[str, date], int]:
    return {(row["symbol"], row["date"]): row["len"] for row in rows.group_by(BY_SYMBOL_AND_DATE).len().to_dicts()}


# Columns.


def add_column(lakehouse: Lakehouse, name: str, column: str, type_word: str) -> int:
    """Add a column at the end and return its field id. No data file is rewritten: rows that are there have null in it.

    A column that exists is refused. What writes the table leaves the column null until the table's definition names it.
    """
    with lakehouse.table(name).update_schema() as update:
        update.add_column(column, _type_of(type_word))
    return lakehouse.table(name).schema().find_field(column).field_id


def widen_column(lakehouse: Lakehouse, name: str, column: str, type_word: str) -> int:
    """Give a column a wider type (int to long) and return its field id, without rewriting a file; a narrower one is a `ValidationError`."""
    try:
        with lakehouse.table(name).update_schema() as update:
            update.update_column(column, field_type=_type_of(type_word))
    except ValidationError as error:
        raise ValidationError(f"Expected a wider type for {name}.{column}, was {type_word}: {error}. Only an int widens.") from error
    return lakehouse.table(name).schema().find_field(column).field_id


def _type_of(word: str) -> IcebergType:
    """Return the Iceberg type of a word as `tables.py` uses them."""
    try:
        return TableDefinition("", f"column {word}", ()).schema.fields[0].field_type
    except KeyError:
        raise LookupError(f"Expected a type such as string, long, int, double, bool, date or timestamp, was {word!r}.") from None


def files_at(lakehouse: Lakehouse, name: str, ref: str) -> Mapping[str, Any]:
    """Return {path: rows} of the data files of a version."""
    snapshot = lakehouse.resolve(name, ref)
    entries = lakehouse.table(name).inspect.files(snapshot_id=snapshot).to_pylist() if snapshot is not None else []
    return {entry["file_path"]: entry["record_count"] for entry in entries}


def _utc(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)
