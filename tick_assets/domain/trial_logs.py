"""Finished trials as text, and the key that binds a log of them to one search.

What belongs here: encoding without loss, what makes two searches the same, and a log in memory. What must not: where logs are kept
(`tracking.stored_trials`), or trying a configuration (`training`).
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from tick_assets.domain.instruments import Market
from tick_assets.domain.passports import canonical_json, finite, sha256_hex
from tick_assets.domain.signals import Strategy
from tick_assets.domain.splits import EMBARGO_US, FOLDS
from tick_assets.domain.training import MAX_BIN, BoosterParams, Configuration, SearchSpace, Trial, TrialLog


def search_key(
    symbol: str, strategy: Strategy, market: Market, dataset_id: str, code: str, seed: int, space: SearchSpace | None = None
) -> str:
    """Return the identity of a search: two with one key try the same configurations in the same order with the same results.

    `code` names the code that computes, exactly: a commit alone does not while files are changed.
    """
    identity = {
        "symbol": symbol,
        "strategy": asdict(strategy),
        "market": {**asdict(market), "instruments": asdict(market.instrument(symbol))},
        "dataset_id": dataset_id,
        "code": code,
        "seed": seed,
        "space": asdict(space or SearchSpace()),
        "fixed": {"folds": FOLDS, "embargo_us": EMBARGO_US, "max_bin": MAX_BIN},
    }
    return sha256_hex(canonical_json(identity))


def encode_trial(trial: Trial) -> bytes:
    """Return a trial as JSON: numbers as their shortest exact decimals, the profit series as its bytes (float64, little-endian)."""
    plain = {name: value for name, value in asdict(trial).items() if name != "hourly_pnl"}
    series = base64.b64encode(np.ascontiguousarray(trial.hourly_pnl, "<f8").tobytes()).decode()
    return canonical_json({**finite(plain), "hourly_pnl": series})


def decode_trial(content: bytes) -> Trial:
    """Return the trial that was encoded, equal in every bit."""
    entry: dict[str, Any] = json.loads(content)
    configuration = entry["configuration"]
    series = np.frombuffer(base64.b64decode(entry["hourly_pnl"]), "<f8").astype(np.float64)
    chosen = Configuration(BoosterParams(**configuration["booster"]), configuration["threshold"])
    loss = math.nan if entry["log_loss"] is None else entry["log_loss"]
    return Trial(**{**entry, "configuration": chosen, "hourly_pnl": series, "log_loss": loss})


@dataclass
class MemoryTrialLog(TrialLog):
    """A log that lasts as long as the process, encoded as a durable one is."""

    entries: dict[str, bytes] = field(default_factory=dict)

    def known(self) -> Mapping[str, Trial]:
        """Return the trials by the hash of their configuration."""
        return {key: decode_trial(content) for key, content in self.entries.items()}

    def append(self, trial: Trial) -> None:
        """Keep a trial."""
        self.entries[trial.configuration.hash] = encode_trial(trial)
