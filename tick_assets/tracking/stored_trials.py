"""The trials of searches that have not handed their candidate on, in the object store, so that a killed training goes on.

What belongs here: names of the objects, and which code wrote them. What must not: the encoding of a trial or the key of a search
(`domain.trial_logs`).

    searches/<symbol>/<strategy>/<search key>/identity.json          dataset id and code commit, for the trial ledger
    searches/<symbol>/<strategy>/<search key>/<configuration>.json   one finished trial, completed, failed or pruned

A search whose candidate is kept has its trials in `evidence.trials`, and its log is removed: a repeated training computes everything
again. A log that nobody came back to stays; its trials were tried, so the next candidate enters them in the trial ledger and removes it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from importlib.resources import files
from typing import Any, Protocol

from tick_assets.domain.passports import canonical_json, sha256_hex
from tick_assets.domain.training import Trial, TrialLog
from tick_assets.domain.trial_logs import decode_trial, encode_trial

LIBRARIES = ("numba", "numpy", "optuna", "xgboost")
IDENTITY = "identity.json"


class TrialObjects(Protocol):
    """The part of an object store that a log needs."""

    def put_bytes(self, key: str, content: bytes) -> None: ...

    def get_bytes(self, key: str) -> bytes: ...

    def list_keys(self, prefix: str) -> Iterator[str]: ...

    def delete(self, key: str) -> None: ...


def running_code(commit: str) -> str:
    """Name the code that computes trials: the commit, the domain's files as they are, and the libraries' versions."""
    sources = sorted(path.name for path in files("tick_assets.domain").iterdir() if path.name.endswith(".py"))
    digest = sha256_hex(b"".join((files("tick_assets.domain") / name).read_bytes() for name in sources))
    return "|".join([commit, digest, *(f"{name} {version(name)}" for name in LIBRARIES)])


@dataclass(frozen=True)
class StoredTrialLog(TrialLog):
    """The log of one search."""

    objects: TrialObjects
    symbol: str
    strategy: str
    key: str

    @property
    def _prefix(self) -> str:
        return f"searches/{self.symbol}/{self.strategy}/{self.key}/"

    def begin(self, dataset_id: str, code_commit: str) -> None:
        """Write down what the search stands on, before its first trial."""
        self.objects.put_bytes(f"{self._prefix}{IDENTITY}", canonical_json({"dataset_id": dataset_id, "code_commit": code_commit}))

    def identity(self) -> dict[str, Any]:
        """Return what `begin` wrote."""
        found: dict[str, Any] = json.loads(self.objects.get_bytes(f"{self._prefix}{IDENTITY}"))
        return found

    def known(self) -> Mapping[str, Trial]:
        """Return the trials kept so far by the hash of their configuration."""
        keys = [key for key in self.objects.list_keys(self._prefix) if not key.endswith(IDENTITY)]
        trials = [decode_trial(self.objects.get_bytes(key)) for key in keys]
        return {trial.configuration.hash: trial for trial in trials}

    def append(self, trial: Trial) -> None:
        """Keep a trial as an object of its own: it is there whole or not at all."""
        self.objects.put_bytes(f"{self._prefix}{trial.configuration.hash}.json", encode_trial(trial))

    def remove(self) -> None:
        """Remove the log, what names it last."""
        for key in sorted(self.objects.list_keys(self._prefix), key=lambda key: key.endswith(IDENTITY)):
            self.objects.delete(key)


def logs_of(objects: TrialObjects, symbol: str, strategy: str) -> list[StoredTrialLog]:
    """Return the logs that there are of a symbol and strategy, in the order of their keys."""
    keys = sorted({name.split("/")[3] for name in objects.list_keys(f"searches/{symbol}/{strategy}/") if name.endswith(f"/{IDENTITY}")})
    return [StoredTrialLog(objects, symbol, strategy, key) for key in keys]
