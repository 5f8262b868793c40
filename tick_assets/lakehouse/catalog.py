"""The Iceberg catalog through PyIceberg: tables, snapshots, tags, branches and small writes.

What belongs here: the one plain object around `SqlCatalog`. What must not: definitions of tables (`tables`), large writes (Spark) or SQL.

PyIceberg's `overwrite` makes two snapshots in one commit, so readers see the old rows or the new ones. Commits that lose a race or the
catalog's answer are the business of `commits`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

import pyarrow as pa
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.expressions import AlwaysTrue, And, BooleanExpression, Or
from pyiceberg.io.pyarrow import schema_to_pyarrow
from pyiceberg.table import Table

from tick_assets.lakehouse.commits import commit, new_mark
from tick_assets.lakehouse.partition_files import key_of
from tick_assets.lakehouse.partition_locks import PartitionLocks
from tick_assets.lakehouse.row_filters import at_least, at_most, equal_to, one_of
from tick_assets.lakehouse.tables import NAMESPACES, PROPERTIES, TABLES, TableDefinition, definition_of
from tick_assets.settings import CATALOG, Settings

if TYPE_CHECKING:
    import polars as pl
    from pyiceberg.manifest import DataFile

_T = TypeVar("_T")
MAIN = "main"
Filter = str | BooleanExpression


def partition_filter(
    symbols: tuple[str, ...] | list[str] | str,
    first: date | None = None,
    last: date | None = None,
) -> BooleanExpression:
    """Return the filter of symbols and of dates from `first` to `last`, both inclusive."""
    names = (symbols,) if isinstance(symbols, str) else tuple(symbols)
    expression = one_of("symbol", names) if names else AlwaysTrue()
    if first is not None:
        expression = And(expression, at_least("date", first.isoformat()))
    if last is not None:
        expression = And(expression, at_most("date", last.isoformat()))
    return expression


def whole_partitions(symbols: Sequence[str], dates: Sequence[date]) -> BooleanExpression:
    """Return the filter of every one of these symbols on every one of these dates, and of nothing between them."""
    return And(one_of("symbol", symbols), one_of("date", (day.isoformat() for day in dates)))


def day_filter(symbol: str, day: date) -> BooleanExpression:
    """Return the filter of one partition."""
    return And(equal_to("symbol", symbol), equal_to("date", day.isoformat()))


@dataclass(frozen=True)
class Lakehouse:
    """The tables of one catalog."""

    catalog: SqlCatalog
    locks: PartitionLocks = field(default_factory=PartitionLocks, compare=False)
    """Who writes which partition; by default among the threads of this process only."""

    @classmethod
    def from_settings(cls, settings: Settings) -> Lakehouse:
        """Connect to the catalog that the settings name; the catalog's own tables are made when missing."""
        secrets = settings.secrets
        properties = {
            "uri": settings.postgres_database_url("catalog"),
            "warehouse": settings.warehouse,
            "init_catalog_tables": "true",
            # A connection that a restart of Postgres ended is replaced before it is used.
            "pool_pre_ping": "true",
            "s3.endpoint": settings.s3_address,
            "s3.access-key-id": secrets.s3_access_key,
            "s3.secret-access-key": secrets.s3_secret_key.get_secret_value(),
            "s3.region": settings.s3_region,
            "s3.force-virtual-addressing": "false",
        }
        return cls(SqlCatalog(CATALOG, **properties), PartitionLocks.of_postgres(properties["uri"]))

    # Definitions.

    def ensure_tables(self) -> list[str]:
        """Create namespaces and missing tables, add missing columns; return the names of what changed. A repeat changes nothing."""
        for namespace in NAMESPACES:
            self.catalog.create_namespace_if_not_exists(namespace)
        existing = {".".join(name) for namespace in NAMESPACES for name in self.catalog.list_tables(namespace)}
        return [name for name, definition in TABLES.items() if self._ensure(definition, name in existing)]

    def _ensure(self, definition: TableDefinition, exists: bool) -> bool:
        if not exists:
            self.catalog.create_table(
                definition.name, definition.schema, partition_spec=definition.partition_spec, properties=dict(PROPERTIES)
            )
            return True
        table = self.table(definition.name)
        missing = set(definition.column_types) - {column.name for column in table.schema().fields}
        properties = {key: value for key, value in PROPERTIES.items() if key != "format-version" and table.properties.get(key) != value}
        if not missing and not properties:
            return False
        with table.transaction() as transaction:
            if missing:
                with transaction.update_schema() as update:
                    update.union_by_name(definition.schema)
            if properties:
                transaction.set_properties(properties)
        return True

    def table(self, name: str) -> Table:
        """Load a table's newest metadata."""
        return self.catalog.load_table(name)

    def arrow_schema(self, name: str) -> pa.Schema:
        """Return the Arrow schema of rows to write."""
        return schema_to_pyarrow(self.table(name).schema(), include_field_ids=False)

    # References.

    def snapshot_id(self, name: str, ref: str = MAIN) -> int | None:
        """Return the snapshot of a branch or tag; None where it does not exist (an empty table has no `main`)."""
        snapshot = self.table(name).snapshot_by_name(ref)
        return snapshot.snapshot_id if snapshot else None

    def branches(self, name: str) -> list[str]:
        """Return the names of a table's branches."""
        return sorted(ref for ref, value in self.table(name).refs().items() if value.snapshot_ref_type == "branch")

    def tags(self, name: str) -> dict[str, int]:
        """Return a table's tags and their snapshots."""
        return {ref: value.snapshot_id for ref, value in self.table(name).refs().items() if value.snapshot_ref_type == "tag"}

    def tag(self, name: str, tag: str, snapshot_id: int | None = None) -> int | None:
        """Tag a snapshot (default: main's) and return it; a tag that exists already at another snapshot is a `ValueError`."""

        def attempt() -> int | None:
            table = self.table(name)
            target = snapshot_id if snapshot_id is not None else self.snapshot_id(name)
            existing = self.tags(name).get(tag)
            if existing is not None and target != existing:
                raise ValueError(
                    f"Expected tag {tag} of {name} at snapshot {target}, was {existing}. Tags don't move: choose another name."
                )
            if target is not None and existing is None:
                table.manage_snapshots().create_tag(target, tag).commit()
            return target

        return self._commit(name, attempt)

    def keep_branch(self, name: str, branch: str, snapshot_id: int, kept_for: timedelta) -> None:
        """Make a branch of a snapshot; once it is older, expiry of the table's snapshots may drop it."""
        age_ms = int(kept_for.total_seconds() * 1000)

        def attempt() -> None:
            if self.snapshot_id(name, branch) != snapshot_id:
                self.table(name).manage_snapshots().create_branch(snapshot_id, branch, max_ref_age_ms=age_ms).commit()

        self._commit(name, attempt)

    def begin_branch(self, name: str, branch: str) -> None:
        """Let a branch begin where `main` is, in the place of an earlier one; a table without snapshots gets an empty one first."""
        self.drop_branch(name, branch)

        def attempt() -> None:
            if self.snapshot_id(name) is None:
                with self.table(name).transaction() as transaction:
                    transaction.update_snapshot().fast_append().commit()
            tip = self.snapshot_id(name)
            if tip is not None and branch not in self.branches(name):
                self.table(name).manage_snapshots().create_branch(tip, branch).commit()

        self._commit(name, attempt)

    def drop_branch(self, name: str, branch: str) -> None:
        """Drop a branch; one that is gone already is no error."""

        def attempt() -> None:
            if branch in self.branches(name):
                self.table(name).manage_snapshots().remove_branch(branch).commit()

        self._commit(name, attempt)

    def drop_tag(self, name: str, tag: str) -> None:
        """Drop a tag; one that is gone already is no error."""

        def attempt() -> None:
            if tag in self.tags(name):
                self.table(name).manage_snapshots().remove_tag(tag).commit()

        self._commit(name, attempt)

    def rollback(self, name: str, snapshot_id: int) -> int | None:
        """Make another snapshot what readers see, and return the one that was current before; see `history.roll` for what may follow."""
        table = self.table(name)
        before = self.snapshot_id(name)
        if table.snapshot_by_id(snapshot_id) is None:
            known = [snapshot.snapshot_id for snapshot in table.snapshots()][-10:]
            raise LookupError(f"Expected a snapshot of {name}, was {snapshot_id}. The newest are {known}.")
        self._commit(name, lambda: self.table(name).manage_snapshots().set_current_snapshot(snapshot_id).commit())
        return before

    def resolve(self, name: str, ref: str = MAIN) -> int | None:
        """Return the snapshot of a branch, a tag or a snapshot id in digits; None only for `main` of an empty table."""
        return _resolve(self.table(name), name, ref)

    def columns_at(self, name: str, snapshot_id: int | None) -> tuple[str, ...]:
        """Return the column names that a snapshot was written with; None means the table's present ones."""
        table = self.table(name)
        snapshot = table.snapshot_by_id(snapshot_id) if snapshot_id is not None else None
        schema = table.schemas()[snapshot.schema_id] if snapshot and snapshot.schema_id is not None else table.schema()
        return tuple(column.name for column in schema.fields)

    # Rows.

    def partition_rows(self, name: str, ref: str = MAIN, row_filter: BooleanExpression = AlwaysTrue()) -> dict[tuple[str, date], int]:  # noqa: B008
        """Return the rows of each (symbol, date) that the filter of whole partitions names, from the metadata of a branch or tag.

        None where the reference is missing. Manifests of other partitions are not read.
        """
        table = self.table(name)
        snapshot = table.snapshot_by_name(ref)
        if snapshot is None:
            return {}
        counted: dict[tuple[str, date], int] = defaultdict(int)
        for task in table.scan(row_filter=row_filter, snapshot_id=snapshot.snapshot_id).plan_files():
            counted[key_of(task.file.partition)] += task.file.record_count
        return dict(counted)

    def scan(self, name: str, row_filter: Filter = AlwaysTrue(), ref: str = MAIN, columns: tuple[str, ...] = ("*",)) -> pa.Table:  # noqa: B008
        """Read rows of a branch, a tag or (a number in digits) a snapshot as Arrow; a table without `main` has no rows."""
        # One load of the metadata: a scan of a snapshot that it does not know yet finds no rows and says nothing (tried).
        table = self.table(name)
        snapshot = _resolve(table, name, ref)
        if snapshot is None:
            empty = schema_to_pyarrow(table.schema(), include_field_ids=False).empty_table()
            return empty if columns == ("*",) else empty.select(list(columns))
        # With a snapshot's id the columns are those of its time; `main` has a column from the moment it is added.
        at = None if ref == MAIN else snapshot
        return table.scan(row_filter=row_filter, selected_fields=columns, snapshot_id=at).to_arrow()

    def frame(self, name: str, row_filter: Filter = AlwaysTrue(), ref: str = MAIN, columns: tuple[str, ...] = ("*",)) -> pl.DataFrame:  # noqa: B008
        """Read rows as a Polars frame; see `scan`."""
        import polars as pl

        result = pl.from_arrow(self.scan(name, row_filter, ref, columns))
        assert isinstance(result, pl.DataFrame)
        return result

    def append(self, name: str, rows: Any) -> int:
        """Append rows (Arrow, Polars or dictionaries) and return how many."""
        arrow = self.to_arrow(name, rows)
        if arrow.num_rows:
            mark = new_mark()
            self._commit(name, lambda: self.table(name).append(arrow, snapshot_properties=mark), mark)
        return arrow.num_rows

    def replace_rows(self, name: str, rows: Any, row_filter: Filter) -> int:
        """Replace the rows that the filter names by these, in one commit; an empty frame empties them. Return how many were written.

        Rows outside the filter would be appended beside their old selves: give a filter that covers the rows.
        """
        import warnings

        arrow = self.to_arrow(name, rows)
        mark = new_mark()

        def attempt() -> None:
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", message="Delete operation did not match any records")
                table = self.table(name)
                if arrow.num_rows:
                    table.overwrite(arrow, overwrite_filter=row_filter, snapshot_properties=mark)
                elif table.current_snapshot() is not None:
                    table.delete(row_filter, snapshot_properties=mark)

        self._commit(name, attempt, mark)
        return arrow.num_rows

    def replace_partitions(self, name: str, rows: Any, symbols: Sequence[str], dates: Sequence[date]) -> int:
        """Replace the rows of all these symbols and dates, in one commit; a pair without rows ends up empty."""
        return self.replace_rows(name, rows, whole_partitions(symbols, dates))

    def replace_files(self, name: str, files: Sequence[DataFile], row_filter: BooleanExpression, branch: str = MAIN) -> None:
        """Put data files that exist in the place of those that hold the rows which the filter names, in one commit to a branch.

        The filter must name whole partitions, and the files hold rows of them only. Other partitions may change meanwhile.
        """
        mark = new_mark()

        def attempt() -> None:
            table = self.table(name)
            tip = table.snapshot_by_name(branch)
            present = [task.file for task in table.scan(row_filter=row_filter, snapshot_id=tip.snapshot_id).plan_files()] if tip else []
            if not present and not files and branch == MAIN:
                return
            with table.transaction() as transaction, transaction.update_snapshot(mark, branch).overwrite() as overwrite:
                overwrite.delete_by_predicate(row_filter)
                for file in present:
                    overwrite.delete_data_file(file)
                for file in files:
                    overwrite.append_data_file(file)

        self._commit(name, attempt, mark)

    def replace_keys(self, name: str, rows: Any, keys: tuple[str, ...]) -> int:
        """Replace the rows that agree with these in all `keys` (an upsert of a small table), in one commit."""
        arrow = self.to_arrow(name, rows)
        if not arrow.num_rows:
            return 0
        distinct = arrow.select(list(keys)).group_by(list(keys)).aggregate([]).to_pylist()
        return self.replace_rows(name, arrow, _any_of(distinct, keys))

    def to_arrow(self, name: str, rows: Any) -> pa.Table:
        """Bring rows into a table's schema: missing columns are null, columns in another order are moved, unknown ones refused."""
        schema = self.arrow_schema(name)
        if isinstance(rows, list):
            unknown = {key for row in rows for key in row} - set(schema.names)
            arrow = pa.Table.from_pylist([{key: row.get(key) for key in schema.names} for row in rows], schema=schema)
        else:
            given = rows if isinstance(rows, pa.Table) else rows.to_arrow()
            unknown = set(given.schema.names) - set(schema.names)
            columns = [
                given.column(column.name).cast(column.type) if column.name in given.schema.names else pa.nulls(given.num_rows, column.type)
                for column in schema
            ]
            arrow = pa.Table.from_arrays(columns, schema=schema)
        if unknown:
            raise ValueError(
                f"Expected columns of {name}, was also {sorted(unknown)}. Add them to tables.py: {definition_of(name).columns}"
            )
        return arrow

    def _commit(self, name: str, attempt: Callable[[], _T], mark: Mapping[str, str] | None = None) -> _T | None:
        """Commit with repeats; see `commits`."""
        return commit(self.catalog, name, attempt, mark)


def _resolve(table: Table, name: str, ref: str) -> int | None:
    found = table.snapshot_by_id(int(ref)) if ref.lstrip("-").isdigit() else table.snapshot_by_name(ref)
    if found is None and ref != MAIN:
        raise LookupError(f"Expected a branch, tag or snapshot {ref!r} of {name}, found {sorted(table.refs())}.")
    return found.snapshot_id if found else None


def _any_of(rows: list[dict[str, Any]], keys: tuple[str, ...]) -> BooleanExpression:
    """Return the filter of these key tuples: the values of the last key are collected under each combination of the others."""
    groups: dict[tuple[Any, ...], list[Any]] = {}
    for row in rows:
        groups.setdefault(tuple(_literal(row[key]) for key in keys[:-1]), []).append(_literal(row[keys[-1]]))
    parts: list[BooleanExpression] = []
    for head, tail in groups.items():
        part = one_of(keys[-1], tail)
        for key, value in zip(keys[:-1], head, strict=True):
            part = And(equal_to(key, value), part)
        parts.append(part)
    return parts[0] if len(parts) == 1 else Or(*parts)


def _literal(value: Any) -> Any:
    return value.isoformat() if isinstance(value, date) else value
