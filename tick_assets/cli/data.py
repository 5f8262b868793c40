"""`tick sql`, `tick dataset …` and `tick rollback-table`.

What belongs here: options and printing. What must not: SQL of the road, what a dataset is (`lakehouse.datasets`).
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tick_assets.cli.errors import CommandError
from tick_assets.cli.output import JsonOption, print_json, print_table, say

if TYPE_CHECKING:
    from tick_assets.lakehouse.datasets import Dataset, DatasetFolder
    from tick_assets.lakehouse.query import QueryResult
    from tick_assets.settings import Settings

DatasetId = Annotated[str, typer.Argument(help="The beginning of a dataset id.")]


class OutputFormat(StrEnum):
    """How rows are printed."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"


def app_commands(app: typer.Typer) -> None:
    """Register the commands of this module."""
    app.command("sql")(sql)
    app.command("rollback-table")(rollback_table)
    dataset = typer.Typer(no_args_is_help=True, help="Dataset versions.")
    for name, command in (("list", list_datasets), ("show", show_dataset), ("diff", diff_datasets), ("rollback", rollback_dataset)):
        dataset.command(name)(command)
    app.add_typer(dataset, name="dataset")


def sql(
    statement: Annotated[str, typer.Argument(help="One statement; the default catalog is `lakehouse`, the default schema `gold`.")],
    output: Annotated[OutputFormat, typer.Option("--format", help="How rows are printed.")] = OutputFormat.TABLE,
    as_json: JsonOption = False,
) -> None:
    """Run SQL on everything through Trino."""
    from tick_assets.lakehouse.query import QueryError, TrinoQuery

    try:
        result = TrinoQuery.from_settings(_settings()).query(statement)
    except QueryError as error:
        raise CommandError(str(error)) from error
    _print_rows(result, OutputFormat.JSON if as_json else output)


def _print_rows(result: QueryResult, output: OutputFormat) -> None:
    if output is OutputFormat.JSON:
        print_json(result.dicts())
    elif output is OutputFormat.CSV:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(result.columns)
        writer.writerows([_csv_cell(value) for value in row] for row in result.rows)
    else:
        print_table(result.dicts(), result.columns)
        say(f"({len(result.rows)} rows)")


def _csv_cell(value: Any) -> Any:
    return value.isoformat().replace("+00:00", "Z") if isinstance(value, (date, datetime)) else value


def list_datasets(as_json: JsonOption = False) -> None:
    """List the dataset versions of this state folder, oldest first."""
    folder = _folder(_settings())
    rows = [_summary(folder, dataset) for dataset in folder.all()]
    if as_json:
        print_json(rows)
    elif rows:
        short = ("id", "content_hash")
        print_table([{**row, "symbols": ",".join(row["symbols"])} | {name: row[name][:12] for name in short} for row in rows])
    else:
        say("no datasets yet; `tick train` makes one")


def show_dataset(dataset_id: DatasetId, as_json: JsonOption = False) -> None:
    """Show a manifest, its DVC revision, and whether its tables still hold what it says."""
    from tick_assets.lakehouse import datasets
    from tick_assets.lakehouse.catalog import Lakehouse

    settings = _settings()
    folder, dataset = _folder(settings), _load(settings, dataset_id)
    with _catalog_errors():
        lakehouse = Lakehouse.from_settings(settings)
        is_pinned = datasets.is_pinned(lakehouse, dataset)
        differing = datasets.check_content(lakehouse, dataset) if is_pinned else None
    document = _summary(folder, dataset) | {"is_pinned": is_pinned, "differing_tables": differing, "manifest": dict(dataset.manifest)}
    if as_json:
        print_json(document)
        return
    for name, value in document.items():
        if name != "manifest":
            say(f"{name:<18} {value}")
    print_table([{"table": table, **entry} for table, entry in dataset.manifest["tables"].items()])


def diff_datasets(before: DatasetId, after: DatasetId, as_json: JsonOption = False) -> None:
    """Show what differs between two dataset versions."""
    from tick_assets.lakehouse import datasets

    settings = _settings()
    found = datasets.difference(_load(settings, before), _load(settings, after))
    if as_json:
        print_json(found)
        return
    print_table([{"field": name, **values} for name, values in found["fields"].items()], ("field", "before", "after"))
    names = ("symbol", "date", "before", "after")
    print_table([dict(zip(names, row, strict=True)) for row in found["publications"]], names)


def rollback_dataset(dataset_id: DatasetId, as_json: JsonOption = False) -> None:
    """Make a dataset version the one that training of its symbols reads, its files restored through DVC; no table changes."""
    from tick_assets.lakehouse import datasets
    from tick_assets.lakehouse.catalog import Lakehouse

    settings = _settings()
    dataset = _load(settings, dataset_id)
    with _catalog_errors():
        lakehouse = Lakehouse.from_settings(settings)
        is_pinned = datasets.is_pinned(lakehouse, dataset)
        differing = datasets.check_content(lakehouse, dataset) if is_pinned else {}
    if not is_pinned:
        raise CommandError(f"Expected the tags of dataset {dataset.id[:12]}, was at least one gone or moved. Make the dataset again.")
    if differing:
        tables = ", ".join(differing)
        raise CommandError(f"Expected the content that dataset {dataset.id[:12]} states, was other in {tables}. Run `tick drill`.")
    _restore(settings, dataset)
    _folder(settings).select(dataset)
    document = {"id": dataset.id, "symbols": list(dataset.symbols), "selected": True}
    if as_json:
        print_json(document)
    else:
        say(f"training of {', '.join(dataset.symbols)} reads dataset {dataset.id}")


def rollback_table(
    table: Annotated[str, typer.Argument(help="A table such as silver.ticks.")],
    snapshot: Annotated[int, typer.Option("--to", help="The snapshot to make current.")],
    as_json: JsonOption = False,
) -> None:
    """Make an earlier snapshot of a table what readers see; later snapshots stay and can be rolled forward to."""
    from tick_assets.lakehouse.catalog import Lakehouse

    with _catalog_errors():
        before = Lakehouse.from_settings(_settings()).rollback(table, snapshot)
    document = {"table": table, "before": str(before), "after": str(snapshot)}
    if as_json:
        print_json(document)
    else:
        say(f"{table}: {before} -> {snapshot}; undo with `tick rollback-table {table} --to {before}`")


@contextmanager
def _catalog_errors() -> Iterator[None]:
    """Turn what the catalog refuses, or a stack that is down, into the command line's errors."""
    from pyiceberg.exceptions import NoSuchTableError, ValidationError
    from sqlalchemy.exc import OperationalError

    try:
        yield
    except OperationalError as error:
        raise CommandError("Expected the catalog's Postgres, was not reached. Run `tick up`.") from error
    except NoSuchTableError as error:
        raise CommandError(f"Expected a table such as silver.ticks, was unknown: {error}.") from error
    except (LookupError, FileNotFoundError, ValidationError) as error:
        raise CommandError(str(error)) from error


def _settings() -> Settings:
    from tick_assets.cli.configuration import effective_settings

    return effective_settings()


def _folder(settings: Settings) -> DatasetFolder:
    from tick_assets.lakehouse.datasets import DatasetFolder

    return DatasetFolder(settings.datasets_dir)


def _load(settings: Settings, prefix: str) -> Dataset:
    from tick_assets.lakehouse.datasets import DatasetError

    try:
        return _folder(settings).load(prefix)
    except DatasetError as error:
        raise CommandError(str(error)) from error


def _restore(settings: Settings, dataset: Dataset) -> None:
    """Bring the dataset's files back and name it as the newest training set of its models."""
    from tick_assets.lakehouse.object_store import ObjectStore
    from tick_assets.tracking.candidates import CandidateStore
    from tick_assets.tracking.dataset_versions import DatasetVersionError, DatasetVersions

    objects = ObjectStore.from_settings(settings)
    try:
        DatasetVersions.from_settings(settings, objects).pull(dataset.id)
    except DatasetVersionError as error:
        raise CommandError(str(error)) from error
    for symbol in dataset.symbols:
        for strategy in settings.strategies:
            CandidateStore(objects, symbol, strategy).write_dataset(dataset.id)


def _summary(folder: DatasetFolder, dataset: Dataset) -> dict[str, Any]:
    return {
        "id": dataset.id,
        "symbols": list(dataset.symbols),
        "from": dataset.first.isoformat(),
        "to": dataset.last.isoformat(),
        "ticks": dataset.rows["silver.ticks"],
        "events": dataset.rows["silver.features"],
        "labels": dataset.rows["silver.labels"],
        "content_hash": str(dataset.manifest["content_hash"]),
        "is_synthetic": dataset.is_synthetic,
        "is_selected": folder.is_selected(dataset),
        "dvc_md5": folder.dvc_md5(dataset),
    }
