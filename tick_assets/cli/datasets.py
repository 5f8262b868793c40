"""`tick dataset …`: versions of what training reads.

What belongs here: options and printing. What must not: what a dataset is (`lakehouse.datasets`), DVC (`tracking.dataset_versions`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tick_assets.cli.configuration import effective_settings
from tick_assets.cli.errors import CommandError
from tick_assets.cli.output import JsonOption, print_json, print_table, say
from tick_assets.cli.tables import catalog_errors

if TYPE_CHECKING:
    from tick_assets.lakehouse.dataset_folder import DatasetFolder
    from tick_assets.lakehouse.datasets import Dataset
    from tick_assets.lakehouse.object_store import ObjectStore
    from tick_assets.settings import Settings
    from tick_assets.tracking.dataset_versions import DatasetVersions

DatasetId = Annotated[str, typer.Argument(help="The beginning of a dataset id.")]


def app_commands(app: typer.Typer) -> None:
    """Register the commands of this module."""
    dataset = typer.Typer(no_args_is_help=True, help="Dataset versions.")
    commands: dict[str, Callable[..., None]] = {
        "list": list_datasets,
        "show": show_dataset,
        "diff": diff_datasets,
        "rollback": rollback_dataset,
        "release": release_symbol,
        "pull": pull_dataset,
        "push": push_dataset,
        "repin": repin_dataset,
    }
    for name, command in commands.items():
        dataset.command(name)(command)
    app.add_typer(dataset, name="dataset")


def list_datasets(
    remote: Annotated[bool, typer.Option("--remote", help="List what the object store has instead.")] = False,
    as_json: JsonOption = False,
) -> None:
    """List the dataset versions of this state folder, oldest first."""
    settings = effective_settings()
    folder = _folder(settings)
    with _dataset_errors():
        rows = [_summary(folder, dataset) for dataset in (_stored(settings) if remote else folder.all())]
    if as_json:
        print_json(rows)
    elif rows:
        short = ("id", "content_hash")
        print_table([{**row, "symbols": ",".join(row["symbols"])} | {name: row[name][:12] for name in short} for row in rows])
    else:
        say("no datasets yet; `tick train` makes one, `tick dataset pull ID` brings one of the object store")


def show_dataset(dataset_id: DatasetId, as_json: JsonOption = False) -> None:
    """Show a manifest, its DVC revision, and whether its tables still hold what it says."""
    from tick_assets.lakehouse import datasets
    from tick_assets.lakehouse.catalog import Lakehouse

    settings = effective_settings()
    folder, dataset = _folder(settings), _load(settings, dataset_id)
    with catalog_errors():
        lakehouse = Lakehouse.from_settings(settings)
        is_pinned = datasets.is_pinned(lakehouse, dataset)
        differing = datasets.check_content(lakehouse, dataset) if is_pinned else None
    complete = {symbol: dataset.completeness(symbol) for symbol in dataset.symbols}
    found = {"completeness": complete, "is_pinned": is_pinned, "differing_tables": differing}
    document = _summary(folder, dataset) | found | {"manifest": dict(dataset.manifest)}
    if as_json:
        print_json(document)
        return
    for name, value in document.items():
        if name != "manifest":
            say(f"{name:<18} {value}")
    print_table([{"table": table, **entry} for table, entry in dataset.manifest["tables"].items()])
    if not is_pinned:
        say(f"a tag is gone or moved; `tick dataset repin {dataset.id[:12]}` sets it again")


def diff_datasets(before: DatasetId, after: DatasetId, as_json: JsonOption = False) -> None:
    """Show what differs between two dataset versions."""
    from tick_assets.lakehouse import datasets

    settings = effective_settings()
    found = datasets.difference(_load(settings, before), _load(settings, after))
    if as_json:
        print_json(found)
        return
    print_table([{"field": name, **values} for name, values in found["fields"].items()], ("field", "before", "after"))
    names = ("symbol", "date", "before", "after")
    print_table([dict(zip(names, row, strict=True)) for row in found["publications"]], names)


def rollback_dataset(dataset_id: DatasetId, as_json: JsonOption = False) -> None:
    """Make a dataset version the one that training of its symbols reads until `release`, its files restored through DVC."""
    from tick_assets.lakehouse import datasets
    from tick_assets.lakehouse.catalog import Lakehouse
    from tick_assets.tracking.candidates import CandidateStore

    settings = effective_settings()
    dataset = _load(settings, dataset_id)
    with catalog_errors():
        datasets.require_content(Lakehouse.from_settings(settings), dataset)
    with _dataset_errors():
        objects = _objects(settings)
        _versions(settings).pull(dataset.id)
        for symbol in dataset.symbols:
            for strategy in settings.strategies:
                CandidateStore(objects, symbol, strategy).write_dataset(dataset.id)
    _folder(settings).select(dataset)
    if as_json:
        print_json({"id": dataset.id, "symbols": list(dataset.symbols), "selected": True})
    else:
        say(f"training of {', '.join(dataset.symbols)} reads dataset {dataset.id}")
        say(f"until `tick dataset release {dataset.symbols[0]}`")


def release_symbol(
    symbol: Annotated[str, typer.Argument(help="The symbol whose training was rolled back.")], as_json: JsonOption = False
) -> None:
    """End a rollback: the next training of the symbol pins what is published then."""
    before = _folder(effective_settings()).release(symbol)
    if as_json:
        print_json({"symbol": symbol, "released": before})
    else:
        say(f"training of {symbol} pins what is published" + (f"; it was rolled back to {before[:12]}" if before else " (it did already)"))


def pull_dataset(dataset_id: DatasetId, as_json: JsonOption = False) -> None:
    """Bring a dataset of the object store here through DVC: the exact bytes, checked against their hashes."""
    from tick_assets.lakehouse.dataset_folder import stored_ids, the_one

    settings = effective_settings()
    with _dataset_errors():
        found = the_one(dataset_id, stored_ids(_objects(settings), dataset_id), "in the object store")
        folder = _versions(settings).pull(found)
        dataset = _folder(settings).load(found)
    files = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}
    document = {"id": dataset.id, "folder": str(folder), "dvc_md5": _folder(settings).dvc_md5(dataset), "sha256": files}
    if as_json:
        print_json(document)
        return
    say(f"dataset {dataset.id} is in {folder} (DVC {document['dvc_md5']})")
    print_table([{"file": name, "sha256": digest} for name, digest in files.items()])


def push_dataset(dataset_id: DatasetId, as_json: JsonOption = False) -> None:
    """Send a dataset's files to the DVC remote again, should it have lost them."""
    settings = effective_settings()
    dataset = _load(settings, dataset_id)
    with _dataset_errors():
        md5 = _versions(settings).push(dataset.id)
    if as_json:
        print_json({"id": dataset.id, "dvc_md5": md5})
    else:
        say(f"dataset {dataset.id} is in the remote (DVC {md5})")


def repin_dataset(dataset_id: DatasetId, as_json: JsonOption = False) -> None:
    """Set the tags of a dataset that are gone or moved, at the rows that its manifest states and at no others."""
    from tick_assets.lakehouse import datasets
    from tick_assets.lakehouse.catalog import Lakehouse

    settings = effective_settings()
    dataset = _load(settings, dataset_id)
    with catalog_errors():
        tagged = datasets.repin(Lakehouse.from_settings(settings), dataset)
    if as_json:
        print_json({"id": dataset.id, "tagged": tagged})
    else:
        say(f"dataset {dataset.id[:12]}: " + (f"tags set on {', '.join(tagged)}" if tagged else "every tag was in its place"))


@contextmanager
def _dataset_errors() -> Iterator[None]:
    """Turn what DVC and the object store refuse into the command line's errors."""
    from botocore.exceptions import BotoCoreError, ClientError

    from tick_assets.lakehouse.datasets import DatasetError
    from tick_assets.tracking.dataset_versions import DatasetVersionError

    try:
        yield
    except (DatasetError, DatasetVersionError, FileNotFoundError) as error:
        raise CommandError(str(error)) from error
    except (BotoCoreError, ClientError) as error:
        raise CommandError(f"Expected the object store to answer, was: {error}. Run `tick up`, or correct TICK_S3_ENDPOINT.") from error


def _folder(settings: Settings) -> DatasetFolder:
    from tick_assets.lakehouse.dataset_folder import DatasetFolder

    return DatasetFolder(settings.datasets_dir)


def _objects(settings: Settings) -> ObjectStore:
    from tick_assets.lakehouse.object_store import ObjectStore

    return ObjectStore.from_settings(settings)


def _versions(settings: Settings) -> DatasetVersions:
    from tick_assets.tracking.dataset_versions import DatasetVersions

    return DatasetVersions.from_settings(settings, _objects(settings))


def _load(settings: Settings, prefix: str) -> Dataset:
    with _dataset_errors():
        return _folder(settings).load(prefix)


def _stored(settings: Settings) -> list[Dataset]:
    from tick_assets.lakehouse.dataset_folder import stored_ids
    from tick_assets.lakehouse.datasets import fetch

    objects = _objects(settings)
    return [fetch(objects, name) for name in stored_ids(objects)]


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
