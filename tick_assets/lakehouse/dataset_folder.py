"""The datasets of one state folder: manifests and exported examples, and which of them training reads.

What belongs here: `TICK_HOME/datasets`, finding a dataset by the beginning of its id. What must not: what a manifest is (`datasets`), DVC
(`tracking.dataset_versions`).

    <id>/manifest.json, <id>/examples.parquet    what DVC versions
    selected.json                                {symbol: id} where training was rolled back; other symbols pin what is published
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import yaml  # type: ignore[import-untyped]  # no stubs in its wheel

from tick_assets.domain.passports import canonical_json
from tick_assets.lakehouse.datasets import Dataset, DatasetError, checked, read_examples
from tick_assets.lakehouse.durable_files import TEMPORARY_PREFIX, write_file

if TYPE_CHECKING:
    from tick_assets.lakehouse.catalog import Lakehouse

_ID_DIGITS = 64


class KeyList(Protocol):
    """The part of an object store that finding manifests needs."""

    def list_keys(self, prefix: str) -> Iterator[str]: ...


@dataclass(frozen=True)
class DatasetFolder:
    """The manifests of one state folder."""

    root: Path

    def save(self, dataset: Dataset) -> Path:
        """Write a manifest, once, and return its folder."""
        folder = self.root / dataset.id
        path = folder / "manifest.json"
        if not path.exists():
            write_file(path, canonical_json(dataset.manifest))
        return folder

    def select(self, dataset: Dataset) -> None:
        """Make a dataset the one that training of its symbols reads, until `release`."""
        self._choose(self._chosen() | dict.fromkeys(dataset.symbols, dataset.id))

    def release(self, symbol: str) -> str | None:
        """Let training of a symbol pin what is published again; return the dataset that was selected."""
        chosen = self._chosen()
        before = chosen.pop(symbol, None)
        self._choose(chosen)
        return before

    def selected(self, symbol: str) -> Dataset | None:
        """Return the dataset that training of a symbol was rolled back to, if any."""
        name = self._chosen().get(symbol)
        if name is not None and not (self.root / name / "manifest.json").exists():
            raise DatasetError(
                f"Expected the dataset {name[:12]} that {symbol} was rolled back to, was none here. "
                f"`tick dataset pull {name[:12]}` brings it, `tick dataset release {symbol}` goes on without it."
            )
        return self._read(name) if name is not None else None

    def is_selected(self, dataset: Dataset) -> bool:
        """Tell whether training of all its symbols was rolled back to this dataset."""
        chosen = self._chosen()
        return all(chosen.get(symbol) == dataset.id for symbol in dataset.symbols)

    def dvc_md5(self, dataset: Dataset) -> str | None:
        """Return the DVC revision of a dataset, or None before it has one."""
        pointer = self.root / f"{dataset.id}.dvc"
        return str(yaml.safe_load(pointer.read_text())["outs"][0]["md5"]) if pointer.exists() else None

    def ids(self) -> list[str]:
        """Return the ids, oldest manifest first."""
        paths = sorted(self.root.glob("*/manifest.json"), key=lambda path: (path.stat().st_mtime_ns, path))
        return [path.parent.name for path in paths]

    def all(self) -> list[Dataset]:
        """Return all datasets, oldest first."""
        return [self._read(name) for name in self.ids()]

    def load(self, prefix: str) -> Dataset:
        """Return the dataset whose id begins with these digits; `DatasetError` when none or several do."""
        return self._read(the_one(prefix, self.ids(), "in this state folder", "`tick dataset pull ID` brings one of the object store."))

    def _read(self, name: str) -> Dataset:
        return checked(Dataset(json.loads((self.root / name / "manifest.json").read_text())), name)

    def _chosen(self) -> dict[str, str]:
        path = self.root / "selected.json"
        return dict(json.loads(path.read_text())) if path.exists() else {}

    def _choose(self, chosen: dict[str, str]) -> None:
        write_file(self.root / "selected.json", canonical_json(chosen))


def the_one(prefix: str, ids: Iterable[str], where: str, remedy: str = "") -> str:
    """Return the only id that begins with these digits; `DatasetError` lists those that do."""
    found = [name for name in ids if name.startswith(prefix)] if prefix else []
    if len(found) == 1:
        return found[0]
    some = ": " + ", ".join(name[:16] for name in found[:5]) if found else ""
    what = "Give more of its digits." if found else f"See `tick dataset list`. {remedy}".rstrip()
    raise DatasetError(f"Expected the beginning of one dataset id {where}, was {prefix!r} ({len(found)} match{some}). {what}")


def stored_ids(objects: KeyList, prefix: str = "") -> list[str]:
    """Return the ids of the manifests in the object store that begin with these digits."""
    keys = (key.split("/") for key in objects.list_keys(f"datasets/{prefix}"))
    return sorted({parts[1] for parts in keys if parts[-1] == "manifest.json" and len(parts[1]) == _ID_DIGITS})


def export(lakehouse: Lakehouse, dataset: Dataset, folder: DatasetFolder) -> Path:
    """Write what DVC versions, once: the manifest and the training examples as Parquet; return their folder."""
    place = folder.root / dataset.id
    examples = place / "examples.parquet"
    # DVC versions the whole folder: what a killed export was writing must not get into it.
    for leftover in place.glob(f"{TEMPORARY_PREFIX}*"):
        leftover.unlink()
    if not examples.exists():
        place.mkdir(parents=True, exist_ok=True)
        staged = place / ".examples.tmp"
        read_examples(lakehouse, dataset).write_parquet(staged, compression="zstd", row_group_size=200_000, statistics=False)
        staged.replace(examples)
    return folder.save(dataset)
