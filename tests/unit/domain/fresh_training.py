"""One small training in a process of its own, run by `test_reproducible`: prints the model's hash and every gate figure."""

from __future__ import annotations

import json
from dataclasses import asdict
from importlib.resources import files

from tick_assets.domain import calibration, gates, learning, splits
from tick_assets.domain.passports import finite, sha256_hex
from tick_assets.domain.signals import Strategy
from tick_assets.domain.training import golden


def train(k: float, seed: int, days: int, trials: int) -> dict[str, object]:
    """Judge a synthetic market and return what must not depend on the process; numbers as their exact decimals."""
    policy = gates.parse_policy((files("tick_assets") / "policy.toml").read_text(encoding="utf-8"))
    events, market = calibration.draw_edge(k, seed, days)
    outcome = calibration.judge(events, market, policy, seed, trials)
    split = splits.split_dates(events.dates)
    learned = learning.evaluate_learning(outcome.result, events.on_dates(split.search), split, Strategy(), market)
    return {
        "model_sha256": sha256_hex(outcome.model),
        "golden": golden(outcome.model, events.features, 8),
        "features": sha256_hex(events.features.tobytes()),
        "trials": [[trial.configuration.hash, trial.sharpe, sha256_hex(trial.hourly_pnl.tobytes())] for trial in outcome.result.trials],
        "gates": [[gate.name, gate.figure, gate.result] for gate in outcome.verdict.gates],
        "windows": [window.model_sha256 for window in outcome.windows],
        "validation": asdict(outcome.validation),
        "learning": learned.to_dict(),
    }


if __name__ == "__main__":
    print(json.dumps(finite(train(2.0, 9, 4, 5)), sort_keys=True))
