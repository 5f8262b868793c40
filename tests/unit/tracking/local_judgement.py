"""A judgement on a local lake and objects in memory: what tests of its stages begin with.

What belongs here: making benches, cases and candidates. What must not: assertions.
"""

from __future__ import annotations

from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path

from tests.unit.lakehouse.fake_s3 import FakeS3Client
from tests.unit.lakehouse.local_catalog import local_lakehouse
from tick_assets.domain import calibration, gates
from tick_assets.domain.dataset import TrainingSet
from tick_assets.domain.instruments import Market
from tick_assets.lakehouse.datasets import Dataset
from tick_assets.lakehouse.object_store import ObjectStore
from tick_assets.tracking import judgement
from tick_assets.tracking.judgement import Bench, Case

SYMBOL = calibration.SYMBOL
AT = datetime(2026, 1, 2, tzinfo=UTC)
POLICY = gates.parse_policy((files("tick_assets") / "policy.toml").read_text(encoding="utf-8"))


class Killed(RuntimeError):
    """Stands for the end of the process."""


def bench_on(folder: Path, market: Market) -> Bench:
    """Return a bench over a lake in a folder and an empty bucket."""
    return Bench(local_lakehouse(folder), ObjectStore(FakeS3Client(), "bucket"), market, POLICY, "commit")


def case_of(bench: Bench, events: TrainingSet, name: str = "one", version: str = "") -> Case:
    """Return a case whose dataset is in memory; its name stands for its content."""
    case = Case(bench, SYMBOL, "direction", version)
    manifest = {"symbols": [SYMBOL], "is_synthetic": True, "name": name, "completeness": [[SYMBOL, day, 24, 24] for day in events.dates]}
    vars(case).update(dataset=Dataset(manifest), events=events)
    return case


def keep(bench: Bench, events: TrainingSet, version: str, name: str = "one", at: datetime = AT) -> Case:
    """Make and keep a candidate, and return its case."""
    case = case_of(bench, events, name)
    judgement.keep_candidate(case, judgement.make_candidate(case, lambda trial: None), version, "run", at)
    return case_of(bench, events, name, version)
