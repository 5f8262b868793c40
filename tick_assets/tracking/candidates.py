"""What a model under judgement hands from stage to stage, in the object store.

What belongs here: names of the objects and their encoding. What must not: judging, or Dagster.

    candidates/<symbol>/<strategy>/dataset.json              the newest training set of the pair
    candidates/<symbol>/<strategy>/latest.json               the newest version under judgement; written last by its first stage
    candidates/<symbol>/<strategy>/<version>/model.json      the booster
    candidates/<symbol>/<strategy>/<version>/search.npz      profit of every trial, out-of-fold predictions (arrays only, no pickle)
    candidates/<symbol>/<strategy>/<version>/<stage>.json    figures of one stage
    candidates/<symbol>/<strategy>/<version>/card.md         the model card of its verdict
"""

from __future__ import annotations

import io
import json
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from tick_assets.domain.dataset import TrainingSet
from tick_assets.domain.instruments import Market
from tick_assets.domain.orders import draw_fills
from tick_assets.domain.passports import canonical_json, finite
from tick_assets.domain.signals import Strategy
from tick_assets.domain.training import BoosterParams, Configuration, SearchResult, Trial, trade
from tick_assets.lakehouse.object_store import ObjectStore


class NoCandidateError(LookupError):
    """A stage was asked for before the one that feeds it."""


@dataclass(frozen=True)
class CandidateStore:
    """The hand-over folder of one symbol and strategy."""

    objects: ObjectStore
    symbol: str
    strategy: str

    @property
    def _prefix(self) -> str:
        return f"candidates/{self.symbol}/{self.strategy}"

    def write_dataset(self, dataset_id: str) -> None:
        """Name the newest training set."""
        self.objects.put_bytes(f"{self._prefix}/dataset.json", canonical_json({"id": dataset_id}))

    def dataset_id(self) -> str:
        """Return the newest training set's id."""
        return str(self._read(f"{self._prefix}/dataset.json", "datasets/training_set")["id"])

    def write_latest(self, version: str) -> None:
        """Name the newest version under judgement."""
        self.objects.put_bytes(f"{self._prefix}/latest.json", canonical_json({"version": version}))

    def latest_version(self) -> str:
        """Return the newest version under judgement."""
        return str(self._read(f"{self._prefix}/latest.json", "models/candidate")["version"])

    def write(self, version: str, stage: str, figures: Any) -> None:
        """Keep the figures of one stage; NaN and infinities become null."""
        self.objects.put_bytes(f"{self._prefix}/{version}/{stage}.json", canonical_json(finite(figures)))

    def read(self, version: str, stage: str) -> dict[str, Any]:
        """Return the figures of one stage."""
        return self._read(f"{self._prefix}/{version}/{stage}.json", f"models/{stage}")

    def write_model(self, version: str, model: bytes, golden: Any) -> None:
        """Keep the booster and its golden rows."""
        self.objects.put_bytes(f"{self._prefix}/{version}/model.json", model)
        self.objects.put_bytes(f"{self._prefix}/{version}/golden.json", canonical_json(golden))

    def model(self, version: str) -> bytes:
        """Return the booster's bytes."""
        return self.objects.get_bytes(f"{self._prefix}/{version}/model.json")

    def golden(self, version: str) -> dict[str, Any]:
        """Return the golden rows."""
        return self._read(f"{self._prefix}/{version}/golden.json", "models/candidate")

    def write_card(self, version: str, card: bytes) -> None:
        """Keep the model card beside the booster."""
        self.objects.put_bytes(f"{self._prefix}/{version}/card.md", card, content_type="text/markdown; charset=utf-8")

    def write_search(self, version: str, result: SearchResult) -> None:
        """Keep every trial with its profit series."""
        buffer = io.BytesIO()
        np.savez_compressed(buffer, profit=result.profit_series, hours=result.hours, out_of_fold=result.out_of_fold)
        self.objects.put_bytes(f"{self._prefix}/{version}/search.npz", buffer.getvalue())
        trials = [{name: value for name, value in asdict(trial).items() if name != "hourly_pnl"} for trial in result.trials]
        self.write(version, "search", {"trials": trials, "best": result.best.number, "overlaps": result.overlaps})

    def search_result(self, version: str, events: TrainingSet, strategy: Strategy, market: Market) -> SearchResult:
        """Return the search as it was; the best configuration's trades are made again from its predictions."""
        document = self.read(version, "search")
        arrays = np.load(io.BytesIO(self.objects.get_bytes(f"{self._prefix}/{version}/search.npz")), allow_pickle=False)
        trials = tuple(_to_trial(entry, arrays["profit"][:, i]) for i, entry in enumerate(document["trials"]))
        best = next(trial for trial in trials if trial.number == document["best"])
        draws = draw_fills(events.event_id, market.instrument(events.symbol), market)
        trades = trade(events, arrays["out_of_fold"], strategy, market, draws)
        return SearchResult(trials, best, arrays["hours"], arrays["out_of_fold"], trades, document["overlaps"])

    def _read(self, key: str, made_by: str) -> dict[str, Any]:
        if not self.objects.exists(key):
            pair = f"{self.strategy}|{self.symbol}"
            raise NoCandidateError(
                f"Expected {key}, found none. Materialize {made_by} for {pair} first (`tick train {self.symbol}` runs all)."
            )
        document: dict[str, Any] = json.loads(self.objects.get_bytes(key))
        return document


def _to_trial(entry: dict[str, Any], profit: Any) -> Trial:
    configuration = entry["configuration"]
    return Trial(
        number=entry["number"],
        configuration=Configuration(BoosterParams(**configuration["booster"]), configuration["threshold"]),
        state=entry["state"],
        n_trades=entry["n_trades"],
        sharpe=entry["sharpe"],
        log_loss=float("nan") if entry["log_loss"] is None else entry["log_loss"],
        net_pnl=entry["net_pnl"],
        hourly_pnl=profit,
        error=entry["error"],
    )
