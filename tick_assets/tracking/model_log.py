"""What MLflow is told of a model: its run under the job's run, every trial, its files, its version and its verdict.

What belongs here: names of parameters, metrics, tags and artifacts. What must not: MLflow's client (`model_registry`) or figures.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tick_assets.domain.learning import LearningFigures
from tick_assets.domain.passports import canonical_json, finite
from tick_assets.domain.training import FAILED, PRUNED, Trial
from tick_assets.tracking.judgement import Fitted
from tick_assets.tracking.model_registry import ModelRegistry, TrialRecord

MODEL_FOLDER = "model"
ERROR_LIMIT = 2000
STATES = {FAILED: "FAIL", PRUNED: "PRUNED"}
"""What MLflow's records call a trial that did not complete."""


def log_candidate(registry: ModelRegistry, parent_run_id: str, symbol: str, strategy: str, fitted: Fitted) -> tuple[str, str]:
    """Log a fitted candidate and return (run id, version): the version is the registry's number for `<symbol>.<strategy>`."""
    name = f"{symbol}.{strategy}"
    with registry.run(name, parent_run_id, {"symbol": symbol, "strategy": strategy, "dataset_id": fitted.record["dataset_id"]}) as run:
        configuration = fitted.result.best.configuration
        run.log_params({**asdict(configuration.booster), "threshold": configuration.threshold, "seed": fitted.record["seed"]})
        best = fitted.result.best
        run.log_metrics({"cv_sharpe": best.sharpe, "cv_trades": best.n_trades, "cv_net_pnl": best.net_pnl, "cv_log_loss": best.log_loss})
        registry.log_trials(run, [_to_record(trial) for trial in fitted.result.trials])
        run.log_bytes(f"{MODEL_FOLDER}/model.json", fitted.model)
        run.log_bytes(f"{MODEL_FOLDER}/golden.json", canonical_json(fitted.golden))
        run.log_bytes("candidate.json", canonical_json(finite(fitted.record)))
        tags = {"model_sha256": fitted.record["model_sha256"], "is_synthetic": str(fitted.record["is_synthetic"]).lower()}
        version = registry.register(name, run.run_id, MODEL_FOLDER, tags)
        return run.run_id, version.version


def _to_record(trial: Trial) -> TrialRecord:
    params = {**asdict(trial.configuration.booster), "threshold": trial.configuration.threshold}
    metrics = {"sharpe": trial.sharpe, "n_trades": trial.n_trades, "net_pnl": trial.net_pnl, "log_loss": trial.log_loss}
    finite_metrics = {name: value for name, value in metrics.items() if value == value}
    tags = {"configuration": trial.configuration.hash} | ({"error": trial.error[:ERROR_LIMIT]} if trial.error else {})
    return TrialRecord(trial.number, params, finite_metrics, STATES.get(trial.state, "COMPLETE"), tags)


def log_learning(registry: ModelRegistry, run_id: str, figures: LearningFigures) -> None:
    """Attach what the validation dates say of the learning: the curve by boosting round, its figures and all of it as an artifact."""
    run = registry.attach(run_id)
    run.log_series("learning.train_log_loss", figures.curve.train)
    run.log_series("learning.validation_log_loss", figures.curve.validation)
    named = {"brier": figures.reliability.brier, "expected_calibration_error": figures.reliability.expected_calibration_error}
    named["abstained_share"] = figures.abstain.abstained_share
    run.log_metrics({f"validation.{name}": value for name, value in named.items()})
    run.log_bytes("learning.json", canonical_json(finite(figures.to_dict())))


def log_verdict(
    registry: ModelRegistry, symbol: str, strategy: str, verdict: Mapping[str, Any], gates: Mapping[str, Any], documents: Sequence[Path]
) -> None:
    """Attach a verdict to its model's run and version: figures as metrics; report, PDF, model card and the gates as artifacts."""
    run = registry.attach(verdict["mlflow_run_id"])
    figures = {f"gate.{gate['name']}": gate["figure"] for gate in gates["gates"] if gate["figure"] is not None}
    run.log_metrics({**figures, "passed": float(verdict["passed"])})
    run.set_tags(
        {"verdict": "PASSED" if verdict["passed"] else "REJECTED", "verdict_id": verdict["verdict_id"], "refused_by": verdict["refused_by"]}
    )
    run.log_bytes("gates.json", canonical_json(finite(gates)))
    for document in documents:
        run.log_file(document, "report")
    tags = {"verdict_id": verdict["verdict_id"], "passed": str(verdict["passed"]).lower()}
    registry.set_version_tags(f"{symbol}.{strategy}", verdict["version"], tags)
