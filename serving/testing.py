"""A small world for tests and benchmarks: a signed bundle with a tiny model, a quiet market, an application over fakes.

What must not live here: anything that the running service imports.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import xgboost as xgb
from fastapi import FastAPI

from serving.app import create_app
from serving.clock import ManualClock, iso_of, parse_stamp
from serving.dagster_client import DagsterClient
from serving.model_probe import ModelProbe
from serving.object_store import InMemoryObjectStore
from serving.predictor import BoosterPredictor
from serving.settings import ServiceSettings
from tick_assets.domain import passports
from tick_assets.domain.kernel import FEATURE_SET, SAMPLING_CLOCK, feature_names
from tick_assets.domain.signals import Strategy
from tick_assets.domain.ticks import Ticks

SYMBOL, PRICE_FACTOR = "EURUSD", 100_000
KEYS = {"pipeline": "key-of-the-pipeline", "trader": "key-of-the-trader", "viewer": "key-of-the-viewer"}
MORNING_US = parse_stamp("2026-03-04T08:00:00Z")


class TrustingProbe(ModelProbe):
    """Says that everything parses; counts how often it was asked."""

    def __init__(self) -> None:
        self.asked = 0

    def check(self, model_json: bytes) -> str:
        self.asked += 1
        return ""


def train_tiny_model(seed: int, feature_set: str = FEATURE_SET) -> bytes:
    """Return the JSON of a model that knows nothing."""
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(200, len(feature_names(feature_set)))).astype(np.float32)
    target = (rows[:, 0] + rng.normal(size=200) > 0).astype(np.float32)
    booster = xgb.train({"objective": "binary:logistic", "max_depth": 2, "nthread": 1, "seed": seed}, xgb.DMatrix(rows, target), 3)
    return bytes(booster.save_raw("json"))


@dataclass(frozen=True)
class BundleSpec:
    """What a bundle says of itself; `payload` overrides members of the passport's payload."""

    symbol: str = SYMBOL
    version: str = "v1"
    seed: int = 1
    is_passed: bool = True
    strategy: Strategy = field(default_factory=lambda: Strategy(threshold=0.5))
    feature_range: tuple[float, float] = (-1e12, 1e12)
    feature_set: str = FEATURE_SET
    payload: Mapping[str, Any] = field(default_factory=dict)


@dataclass
class ModelShop:
    """Makes bundles signed with its key, and puts them into an object store."""

    store: InMemoryObjectStore
    private_key: bytes
    public_key: bytes
    models: dict[tuple[int, str], bytes] = field(default_factory=dict)

    def model(self, seed: int, feature_set: str = FEATURE_SET) -> bytes:
        """Return a tiny model of a feature set, trained once a seed."""
        key = (seed, feature_set)
        if key not in self.models:
            self.models[key] = train_tiny_model(*key)
        return self.models[key]

    def files(self, spec: BundleSpec) -> dict[str, bytes]:
        """Return the three files of a bundle."""
        model = self.model(spec.seed, spec.feature_set)
        rows = np.random.default_rng(0).normal(size=(5, len(feature_names(spec.feature_set))))
        golden = {"rows": rows.tolist(), "probabilities": BoosterPredictor(model).predict(rows).tolist()}
        passport = passports.sign(_payload(spec, model), self.private_key)
        return {"model.json": model, "passport.json": json.dumps(passport).encode(), "golden.json": json.dumps(golden).encode()}

    def put(self, spec: BundleSpec, files: Mapping[str, bytes]) -> None:
        """Store a bundle's files without deploying it."""
        for name, content in files.items():
            self.store.put(f"models/{spec.symbol}/{spec.strategy.name}/{spec.version}/{name}", content)

    def deploy(self, spec: BundleSpec, files: Mapping[str, bytes] | None = None, pointer: str = "champion.json") -> str:
        """Store a bundle and point to it; return the model's sha-256."""
        files = files if files is not None else self.files(spec)
        self.put(spec, files)
        sha256 = passports.sha256_hex(files.get("model.json", b""))
        content = json.dumps({"version": spec.version, "sha256": sha256}).encode()
        self.store.put(f"models/{spec.symbol}/{spec.strategy.name}/{pointer}", content)
        return sha256


def open_shop(store: InMemoryObjectStore) -> ModelShop:
    """Return a shop with a new key pair."""
    return ModelShop(store, *passports.new_key_pair())


def _payload(spec: BundleSpec, model: bytes) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "symbol": spec.symbol,
        "strategy": vars(spec.strategy),
        "version": spec.version,
        "model_id": f"{spec.symbol}.{spec.strategy.name}@{spec.version}",
        "model_sha256": passports.sha256_hex(model),
        "feature_set": spec.feature_set,
        "features": list(feature_names(spec.feature_set)),
        "feature_ranges": {name: list(spec.feature_range) for name in feature_names(spec.feature_set)},
        "sampling_clock": SAMPLING_CLOCK,
        "price_factor": PRICE_FACTOR,
        "digits": 5,
        "is_synthetic": False,
        "dataset_id": passports.sha256_hex(b"dataset"),
        "dvc_md5": "0" * 32,
        "code_commit": "0" * 40,
        "mlflow_run_id": "run",
        "verdict": {"id": "verdict-1", "passed": spec.is_passed, "gates": []},
        "raw_manifests": [],
        "issued_at": "2026-03-04T00:00:00Z",
        **spec.payload,
    }
    chained = ("raw_manifests", "dataset_id", "code_commit", "mlflow_run_id", "verdict", "model_sha256")
    return {**facts, "chain": passports.model_chain(**{name: facts[name] for name in chained})}


@dataclass
class World:
    """An application and everything it touches."""

    settings: ServiceSettings
    clock: ManualClock
    store: InMemoryObjectStore
    shop: ModelShop
    probe: ModelProbe
    app: FastAPI

    def again(self) -> FastAPI:
        """Return a second application over the same state, as after a restart."""
        self.app = create_app(self.settings, self.clock, self.store, self.probe, KEYS)
        return self.app


def make_world(home: Path, dagster: DagsterClient | None = None, probe: ModelProbe | None = None, **settings: Any) -> World:
    """Return an application over a state folder, a standing clock and an object store in memory."""
    store = InMemoryObjectStore()
    shop = open_shop(store)
    key_file = home / "keys" / "passport_ed25519.pub"
    key_file.parent.mkdir(parents=True, exist_ok=True)
    key_file.write_text(base64.b64encode(shop.public_key).decode())
    effective = ServiceSettings(home=home, service_poll_s=3600.0, **settings)
    clock, probe = ManualClock(MORNING_US), probe or TrustingProbe()
    return World(effective, clock, store, shop, probe, create_app(effective, clock, store, probe, KEYS, dagster))


def walk(start_us: int = MORNING_US, minutes: float = 25, seed: int = 7, step_s: float = 2.0) -> Ticks:
    """Return a random walk of quotes, one every `step_s`."""
    n = int(minutes * 60 / step_s)
    rng = np.random.default_rng(seed)
    ts_us = start_us + (np.arange(n) * step_s * 1e6).astype(np.int64)
    bid = 110_000 + np.cumsum(rng.integers(-3, 4, n))
    sizes = rng.integers(1, 9, (2, n)).astype(np.float64) * 1e5
    return Ticks(ts_us, bid, bid + rng.integers(1, 9, n), sizes[0], sizes[1])


def to_json_ticks(ticks: Ticks, symbol: str = SYMBOL, price_factor: int = PRICE_FACTOR) -> list[dict[str, Any]]:
    """Return ticks as a client posts them."""
    return [
        {
            "symbol": symbol,
            "ts_event": iso_of(ts_us),
            "bid_price": bid / price_factor,
            "ask_price": ask / price_factor,
            "bid_size": bid_size,
            "ask_size": ask_size,
        }
        for ts_us, bid, ask, bid_size, ask_size in zip(*(column.tolist() for column in ticks.columns), strict=True)
    ]


def auth(name: str) -> dict[str, str]:
    """Return the header of a named key."""
    return {"X-API-Key": KEYS[name]}


def opened(signals: Sequence[Mapping[str, Any]], action: str = "OPEN") -> list[Mapping[str, Any]]:
    """Return the signals of one action."""
    return [signal for signal in signals if signal["action"] == action]
