"""SQL on everything through Trino.

What belongs here: one connection's worth of reading, the rows as dictionaries or a Polars frame, and what a statement would read. What must
not: SQL of the road (dbt).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from tick_assets.settings import CATALOG, Settings

if TYPE_CHECKING:
    import polars as pl
    from trino.dbapi import Cursor


class QueryError(RuntimeError):
    """Trino refused a statement or could not be reached."""


@dataclass(frozen=True)
class QueryResult:
    """Column names, their Trino types and rows."""

    columns: tuple[str, ...]
    types: tuple[str, ...]
    rows: list[tuple[Any, ...]]

    def dicts(self) -> list[dict[str, Any]]:
        """Return the rows as dictionaries."""
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]

    def frame(self) -> pl.DataFrame:
        """Return the rows as a Polars frame; types are inferred from all rows."""
        import polars as pl

        return pl.DataFrame(self.rows, schema=list(self.columns), orient="row", infer_schema_length=None)


@dataclass(frozen=True)
class TableScan:
    """One table that a statement would read, and the constraints by which Trino leaves partitions out."""

    table: str
    ranges: Mapping[str, Sequence[tuple[str | None, str | None]]]
    """Lowest and highest value of each range of a constrained column."""

    def values(self, column: str) -> tuple[str, ...] | None:
        """Return the single values that a column is constrained to, None when it is not, or to ranges."""
        found = self.ranges.get(column, ())
        return tuple(str(low) for low, _ in found) if found and all(low is not None and low == high for low, high in found) else None


@dataclass(frozen=True)
class TrinoQuery:
    """A Trino coordinator and the catalog that names without a catalog are looked up in."""

    host: str
    port: int
    scheme: str = "http"
    user: str = "tick"
    schema: str = "gold"

    @classmethod
    def from_settings(cls, settings: Settings) -> TrinoQuery:
        """Return the reader of the coordinator that the settings name."""
        address = urlsplit(settings.trino_address)
        port = address.port or (443 if address.scheme == "https" else 80)
        return cls(address.hostname or settings.host, port, address.scheme, address.username or "tick")

    def query(self, sql: str, parameters: Sequence[Any] = ()) -> QueryResult:
        """Run one statement and return all its rows; parameters fill `?`."""
        with self._cursor(sql, parameters) as cursor:
            rows = [tuple(row) for row in cursor.fetchall()]
            description = cursor.description or []
            return QueryResult(tuple(item[0] for item in description), tuple(str(item[1]) for item in description), rows)

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Run one statement and return its rows as tuples."""
        return self.query(sql, parameters).rows

    def dicts(self, sql: str, parameters: Sequence[Any] = ()) -> list[dict[str, Any]]:
        """Run one statement and return its rows as dictionaries."""
        return self.query(sql, parameters).dicts()

    def frame(self, sql: str, parameters: Sequence[Any] = ()) -> pl.DataFrame:
        """Run one statement and return its rows as a Polars frame."""
        return self.query(sql, parameters).frame()

    def scalar(self, sql: str, parameters: Sequence[Any] = ()) -> Any:
        """Run one statement and return the first column of its only row."""
        rows = self.rows(sql, parameters)
        if len(rows) != 1:
            raise QueryError(f"Expected one row, was {len(rows)}, of: {sql}")
        return rows[0][0]

    def scans(self, sql: str, parameters: Sequence[Any] = ()) -> list[TableScan]:
        """Return what one statement would read, without running it; tables without a snapshot are left out by Trino."""
        plan = json.loads(self.scalar(f"explain (type io, format json) {sql}", parameters))
        return [_table_scan(found) for found in plan["inputTableColumnInfos"]]

    @contextmanager
    def _cursor(self, sql: str, parameters: Sequence[Any]) -> Iterator[Cursor]:
        import requests
        from trino.dbapi import connect
        from trino.exceptions import Error, TrinoConnectionError

        statement = sql.strip().rstrip(";")
        try:
            connection = connect(
                host=self.host,
                port=self.port,
                user=self.user,
                catalog=CATALOG,
                schema=self.schema,
                http_scheme=self.scheme,
                timezone="UTC",
                source="tick_assets",
            )
            cursor = connection.cursor()
            cursor.execute(statement, list(parameters) if parameters else None)
            yield cursor
        except (TrinoConnectionError, requests.ConnectionError) as error:
            raise QueryError(f"Expected Trino at {self.scheme}://{self.host}:{self.port}, was not reached. Run `tick up`.") from error
        except Error as error:
            raise QueryError(f"Expected a statement that Trino runs, was refused: {getattr(error, 'message', error)}") from error


def _table_scan(found: Mapping[str, Any]) -> TableScan:
    name = found["table"]["schemaTable"]
    ranges = {
        each["columnName"]: [(part["low"].get("value"), part["high"].get("value")) for part in each["domain"]["ranges"]]
        for each in found["constraint"]["columnConstraints"]
    }
    return TableScan(f"{name['schema']}.{name['table']}", ranges)
