"""DVC versions of datasets: `TICK_HOME/datasets`, a remote in S3, and the pointer of each dataset beside it in S3.

What belongs here: configuration of DVC's folder, `add`, `push`, `pull`. What must not: what a dataset holds (`lakehouse.datasets`).

DVC runs as a process of its own: its settings, caches and logging stay out of the pipeline's process. The folder is made with `no_scm`,
so no git repository is needed around it; the keys are in `.dvc/config.local`, readable by the owner alone.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import yaml  # type: ignore[import-untyped]  # no stubs in its wheel

from tick_assets.lakehouse.durable_files import write_file

if TYPE_CHECKING:
    from tick_assets.settings import Settings


TIMEOUT_S = 600
_RUN = """
import json, sys
from dvc.cli import main
for command in json.loads(sys.argv[1]):
    code = main(command)
    if code:
        sys.exit(code)
"""


class DatasetVersionError(RuntimeError):
    """DVC failed, or a pointer is missing."""


class PointerStore(Protocol):
    """The part of an object store that pointers need."""

    def put_bytes(self, key: str, content: bytes) -> None: ...

    def get_bytes(self, key: str) -> bytes: ...

    def exists(self, key: str) -> bool: ...

    def delete(self, key: str) -> None: ...


@dataclass(frozen=True)
class DvcRemote:
    """The S3 folder that DVC pushes to."""

    url: str
    endpoint: str
    region: str
    access_key: str
    secret_key: str


@dataclass(frozen=True)
class DatasetVersions:
    """The versions of one state folder."""

    root: Path
    remote: DvcRemote
    pointers: PointerStore

    @classmethod
    def from_settings(cls, settings: Settings, object_store: PointerStore) -> DatasetVersions:
        """Return the versions that the settings name; nothing is written before the first `add`."""
        secrets = settings.secrets
        remote = DvcRemote(
            f"s3://{settings.s3_bucket}/dvc",
            settings.s3_address,
            settings.s3_region,
            secrets.s3_access_key,
            secrets.s3_secret_key.get_secret_value(),
        )
        return cls(settings.datasets_dir, remote, object_store)

    def add(self, dataset_id: str) -> str:
        """Version the folder `<id>`, push it, store its pointer in S3, and return its md5; a repeat returns the same at once."""
        if not (self.root / dataset_id).is_dir():
            raise DatasetVersionError(f"Expected the folder {self.root / dataset_id}, was none. Export the dataset first.")
        return self.md5(dataset_id) if self._is_stored(dataset_id) else self.push(dataset_id)

    def _is_stored(self, dataset_id: str) -> bool:
        """Tell whether the pointer lies here and, with the same bytes, in S3: it gets there last."""
        pointer, key = self._pointer(dataset_id), _pointer_key(dataset_id)
        return pointer.exists() and self.pointers.exists(key) and self.pointers.get_bytes(key) == pointer.read_bytes()

    def pull(self, dataset_id: str) -> Path:
        """Bring a dataset's folder here through its pointer in S3, and return the folder."""
        self._prepare()
        key = _pointer_key(dataset_id)
        if not self._pointer(dataset_id).exists():
            if not self.pointers.exists(key):
                raise DatasetVersionError(f"Expected a pointer at {key}, was none. Check the id with `tick dataset list`.")
            write_file(self._pointer(dataset_id), self.pointers.get_bytes(key))
        try:
            self._dvc(["pull", "--force", f"{dataset_id}.dvc"])
        except DatasetVersionError as error:
            raise DatasetVersionError(
                f"Expected the bytes of dataset {dataset_id[:12]} in {self.remote.url}, was at least one file missing or changed. "
                f"Restore that folder of the bucket, or `tick dataset push {dataset_id[:12]}` where a copy is. DVC says: {error}"
            ) from error
        return self.root / dataset_id

    def push(self, dataset_id: str) -> str:
        """Send a dataset's folder again, to a remote that lost it, and return its md5."""
        self._prepare()
        self._forget_remote(dataset_id)
        self._dvc(["add", dataset_id], ["push", f"{dataset_id}.dvc"])
        self.pointers.put_bytes(_pointer_key(dataset_id), self._pointer(dataset_id).read_bytes())
        return self.md5(dataset_id)

    def _forget_remote(self, dataset_id: str) -> None:
        """Let DVC look at every file: it believes a folder whose list is in the remote, or was seen there, to be there whole."""
        shutil.rmtree(self.root / ".dvc" / "site", ignore_errors=True)
        if self._pointer(dataset_id).exists():
            md5, folder = self.md5(dataset_id), self.remote.url.removeprefix("s3://").partition("/")[2]
            self.pointers.delete(f"{folder}/files/md5/{md5[:2]}/{md5[2:]}")

    def md5(self, dataset_id: str) -> str:
        """Return the DVC revision of a dataset."""
        pointer = self._pointer(dataset_id)
        if not pointer.exists():
            raise DatasetVersionError(f"Expected the pointer {pointer}, was none. Add or pull the dataset first.")
        return str(yaml.safe_load(pointer.read_text())["outs"][0]["md5"])

    def _pointer(self, dataset_id: str) -> Path:
        return self.root / f"{dataset_id}.dvc"

    def _prepare(self) -> None:
        self.root.mkdir(parents=True, exist_ok=True)
        if not (self.root / ".dvc").is_dir():
            self._dvc(["init", "--no-scm", "--quiet"])
        _write(self.root / ".dvc" / "config", _config(self.remote), 0o644)
        _write(self.root / ".dvc" / "config.local", _local_config(self.remote), 0o600)

    def _dvc(self, *commands: list[str]) -> None:
        """Run DVC's commands one after another in one process: its start is most of what they cost."""
        environment = os.environ | {
            "DVC_SITE_CACHE_DIR": str(self.root / ".dvc" / "site"),
            "DVC_GLOBAL_CONFIG_DIR": str(self.root / ".dvc" / "global"),
            "DVC_SYSTEM_CONFIG_DIR": str(self.root / ".dvc" / "system"),
            "DVC_NO_ANALYTICS": "1",
        }
        done = subprocess.run(
            [sys.executable, "-c", _RUN, json.dumps(commands)],
            check=False,
            cwd=self.root,
            env=environment,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
        )
        if done.returncode:
            names = ", ".join(command[0] for command in commands)
            raise DatasetVersionError(f"Expected DVC ({names}) to succeed, was exit code {done.returncode}: {done.stderr.strip()[-800:]}")


def _pointer_key(dataset_id: str) -> str:
    return f"datasets/{dataset_id}/{dataset_id}.dvc"


def _config(remote: DvcRemote) -> str:
    return (
        "[core]\n    no_scm = True\n    analytics = false\n    remote = s3\n    autostage = false\n"
        f"['remote \"s3\"']\n    url = {remote.url}\n    endpointurl = {remote.endpoint}\n    region = {remote.region}\n"
        # Without it DVC believes the remote: bytes that were changed there would come through.
        "    verify = true\n"
    )


def _local_config(remote: DvcRemote) -> str:
    return f"['remote \"s3\"']\n    access_key_id = {remote.access_key}\n    secret_access_key = {remote.secret_key}\n"


def _write(path: Path, text: str, mode: int) -> None:
    if not path.exists() or path.read_text() != text:
        path.touch(mode=mode)
        path.chmod(mode)
        path.write_text(text)
