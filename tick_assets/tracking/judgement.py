"""From a pinned training set to a verdict, stage by stage: domain functions fed from and written to the adapters.

What belongs here: what each stage reads, which domain function it calls and what it hands on. What must not: the functions themselves
(`domain`), Dagster, or the simulated terminal (`assets.backtests` brings its trades).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date, datetime
from functools import cached_property, partial
from typing import Any

from tick_assets.domain import evaluation, gates, leakage
from tick_assets.domain.dataset import TrainingSet
from tick_assets.domain.instruments import Market
from tick_assets.domain.kernel import FEATURE_NAMES, FEATURE_SET, run_kernel
from tick_assets.domain.passports import canonical_json, finite, sha256_hex
from tick_assets.domain.signals import Strategy, strategy_of
from tick_assets.domain.splits import DateSplit, split_dates
from tick_assets.domain.training import BoosterParams, Configuration, SearchResult, Trial, feature_ranges, fit_final, golden, search
from tick_assets.lakehouse import hour_ledger
from tick_assets.lakehouse.catalog import Lakehouse
from tick_assets.lakehouse.datasets import Dataset, fetch, read_training_set
from tick_assets.lakehouse.object_store import ObjectStore
from tick_assets.tracking.candidates import CandidateStore

VERDICT_INDEX = "verdicts/index.json"
N_TRIALS = 20
SEED = 20240108
LEAK_DATES = 2
"""Dates whose ticks the leak firewall reruns the kernel on: the first and the last of the window."""


@dataclass(frozen=True)
class Bench:
    """What every stage works with."""

    lakehouse: Lakehouse
    objects: ObjectStore
    market: Market
    policy: gates.Policy
    code_commit: str


@dataclass(frozen=True)
class Case:
    """One symbol and strategy under judgement, with its newest training set in memory."""

    bench: Bench
    symbol: str
    strategy_name: str
    wanted_version: str = ""
    """A version to look at; empty means the newest one under judgement."""

    @cached_property
    def store(self) -> CandidateStore:
        return CandidateStore(self.bench.objects, self.symbol, self.strategy_name)

    @property
    def _dataset_id(self) -> str:
        """A named version's own training set, else the newest one of the pair."""
        return str(self.record["dataset_id"]) if self.wanted_version else self.store.dataset_id()

    @cached_property
    def dataset(self) -> Dataset:
        return fetch(self.bench.objects, self._dataset_id)

    @cached_property
    def events(self) -> TrainingSet:
        return read_training_set(self.bench.lakehouse, self.dataset, self.symbol)

    @cached_property
    def split(self) -> DateSplit:
        return split_dates(self.events.dates)

    @cached_property
    def version(self) -> str:
        return self.wanted_version or self.store.latest_version()

    @cached_property
    def record(self) -> dict[str, Any]:
        """What `models/candidate` wrote down."""
        return self.store.read(self.version, "candidate")

    @property
    def model_id(self) -> str:
        return f"{self.symbol}.{self.strategy_name}@{self.version}"

    @cached_property
    def configuration(self) -> Configuration:
        chosen = self.record["configuration"]
        return Configuration(BoosterParams(**chosen["booster"]), chosen["threshold"])

    @cached_property
    def strategy(self) -> Strategy:
        """The strategy with the threshold that the search chose."""
        return Strategy(**self.record["strategy"])

    @cached_property
    def model(self) -> bytes:
        return self.store.model(self.version)

    @cached_property
    def search_result(self) -> SearchResult:
        return self.store.search_result(self.version, self.events.on_dates(self.split.search), self.strategy, self.bench.market)

    @cached_property
    def test(self) -> evaluation.TestResult:
        """The test dates traded by the fitted model: the same every time it is asked."""
        return evaluation.evaluate_test(
            self.events.on_dates(self.split.test),
            self.model,
            self.strategy,
            self.bench.market,
            self.bench.policy.scenarios,
            self.record["feature_ranges"],
        )


@dataclass(frozen=True)
class Fitted:
    """What the candidate stage made, before it has a version."""

    result: SearchResult
    model: bytes
    golden: Mapping[str, Any]
    record: dict[str, Any]


def make_candidate(case: Case, on_trial: Callable[[Trial], None]) -> Fitted:
    """Search on train and validation dates and fit the best configuration on both, purged against the test dates."""
    searched = case.events.on_dates(case.split.search)
    instrument = case.bench.market.instrument(case.symbol)
    strategy = strategy_of(instrument, case.strategy_name)
    result = search(searched, strategy, case.bench.market, N_TRIALS, SEED, on_trial)
    configuration = result.best.configuration
    model = fit_final(searched, configuration.booster, before=case.events.on_dates(case.split.test))
    record = {
        "symbol": case.symbol,
        "dataset_id": case.dataset.id,
        "code_commit": case.bench.code_commit,
        "model_sha256": sha256_hex(model),
        "configuration": asdict(configuration),
        "strategy": asdict(replace(strategy, threshold=configuration.threshold)),
        "split": asdict(case.split),
        "feature_set": FEATURE_SET,
        "features": list(FEATURE_NAMES),
        "feature_ranges": feature_ranges(searched),
        "sampling_clock": instrument.sampling.clock,
        "price_factor": instrument.price_factor,
        "digits": instrument.digits,
        "is_synthetic": case.dataset.is_synthetic,
        "completeness": completeness_of(case),
        "seed": SEED,
    }
    return Fitted(result, model, golden(model, searched.features), record)


def completeness_of(case: Case) -> float:
    """Return the share of expected hours that the case's dataset holds, as pinned with it; of one made without, from the ledger now."""
    pinned = case.dataset.completeness(case.symbol)
    if pinned is not None:
        return pinned
    return hour_ledger.window_completeness(case.bench.lakehouse, case.bench.market, case.symbol, *case.dataset.window)


def keep_candidate(case: Case, fitted: Fitted, version: str, mlflow_run_id: str, recorded_at: datetime) -> None:
    """Hand the candidate on under its version; the pointer to it is written last."""
    case.store.write_model(version, fitted.model, fitted.golden)
    case.store.write_search(version, fitted.result)
    record = fitted.record | {
        "version": version,
        "model_id": f"{case.symbol}.{case.strategy_name}@{version}",
        "mlflow_run_id": mlflow_run_id,
    }
    case.store.write(version, "candidate", record)
    case.bench.lakehouse.replace_keys("evidence.trials", _trial_rows(case, fitted, version, recorded_at), ("symbol", "strategy", "version"))
    case.store.write_latest(version)


def _trial_rows(case: Case, fitted: Fitted, version: str, recorded_at: datetime) -> list[dict[str, Any]]:
    return [
        {
            "symbol": case.symbol,
            "strategy": case.strategy_name,
            "version": version,
            "trial": trial.number,
            "params_json": canonical_json(asdict(trial.configuration)).decode(),
            "state": trial.state,
            "config_sha256": evaluation.ledger_hash(trial.configuration, case.dataset.id, case.bench.code_commit),
            "dataset_id": case.dataset.id,
            "code_commit": case.bench.code_commit,
            "sharpe": trial.sharpe,
            "n_trades": trial.n_trades,
            "threshold": trial.configuration.threshold,
            "recorded_at": recorded_at,
        }
        for trial in fitted.result.trials
    ]


def trial_ledger(case: Case) -> list[str]:
    """Return the hash of every distinct configuration ever tried for this symbol and strategy family."""
    trials = case.bench.lakehouse.frame(
        "evidence.trials", f"symbol == '{case.symbol}' and strategy == '{case.strategy_name}'", columns=("config_sha256",)
    )
    return sorted(trials["config_sha256"].unique())


def validate(case: Case) -> evaluation.ValidationFigures:
    """Compute the figures of the search and hand them on."""
    figures = evaluation.evaluate_validation(case.search_result, trial_ledger(case))
    case.store.write(case.version, "validation", asdict(figures))
    return figures


def test(case: Case) -> evaluation.TestFigures:
    """Open the test dates for the fitted model and hand the figures on."""
    figures = case.test.figures
    case.store.write(case.version, "test", asdict(figures))
    return figures


def walk_forward(case: Case) -> tuple[evaluation.WindowRow, ...]:
    """Refit the frozen configuration window by window, and hand the rows on."""
    windows = evaluation.walk_forward(
        case.events, case.configuration, case.strategy, case.bench.market, case.bench.policy.walk_forward_train_days
    )
    rows = [
        {
            "symbol": case.symbol,
            "strategy": case.strategy_name,
            "version": case.version,
            "window": window.window,
            "train_from": date.fromisoformat(window.train_from),
            "train_to": date.fromisoformat(window.train_to),
            "test_from": date.fromisoformat(window.test_date),
            "test_to": date.fromisoformat(window.test_date),
            "n_trades": window.n_trades,
            "net_pnl": window.net_pnl,
            "sharpe": window.sharpe,
        }
        for window in windows
    ]
    case.bench.lakehouse.replace_keys("evidence.walk_forward_windows", rows, ("symbol", "strategy", "version"))
    handed_on = [{**window.to_row(), "hourly_pnl": window.hourly_pnl.tolist()} for window in windows]
    case.store.write(case.version, "walk_forward", {"windows": handed_on})
    return windows


def windows_of(case: Case) -> tuple[evaluation.WindowRow, ...]:
    """Return the windows that the walk-forward stage handed on."""
    return tuple(evaluation.WindowRow(**row) for row in case.store.read(case.version, "walk_forward")["windows"])


def find_leaks(case: Case, recorded_at: datetime) -> int:
    """Run the leak firewall on the first and last date of the window; return the number of findings, which are kept as rows."""
    places = sorted({0, len(case.events.dates) - 1})[:LEAK_DATES]
    factor = case.bench.market.instrument(case.symbol).price_factor
    kernel = partial(run_kernel, clock=case.record["sampling_clock"])
    findings = [finding for place in places for finding in leakage.find_leaks(kernel, case.events.ticks[place], factor)]
    stated = [_leak_statement(finding) for finding in findings] or [_no_leak_statement(len(places))]
    shared = {"symbol": case.symbol, "strategy": case.strategy_name, "version": case.version, "threshold": 0.0, "recorded_at": recorded_at}
    rows = [shared | statement for statement in stated]
    case.bench.lakehouse.replace_keys("evidence.leak_findings", rows, ("symbol", "strategy", "version"))
    return len(findings)


def _leak_statement(finding: leakage.LeakFinding) -> dict[str, Any]:
    detail = f"{finding.ts_event_us}: {finding.suggested_fix}"
    return {"check": finding.check, "feature": finding.feature, "figure": finding.delta, "passed": False, "detail": detail}


def _no_leak_statement(n_dates: int) -> dict[str, Any]:
    """Return the statement that stands for all checks where none found anything."""
    return {"check": "prefix_invariance, future_poison", "feature": "all", "figure": 0.0, "passed": True, "detail": f"{n_dates} dates"}


def test_openings(case: Case) -> int:
    """Count the distinct models, this one among them, whose verdict opened the same test dates of the same data."""
    rows = case.bench.lakehouse.frame(
        "evidence.verdicts",
        f"symbol == '{case.symbol}' and strategy == '{case.strategy_name}' and dataset_id == '{case.dataset.id}'",
        columns=("model_sha256",),
    )
    return len({*rows["model_sha256"].to_list(), case.record["model_sha256"]})


@dataclass(frozen=True)
class Decision:
    """A verdict with its identity and the figures it stands on."""

    verdict_id: str
    verdict: gates.GateVerdict
    figures: dict[str, Any]


def decide(
    case: Case,
    validation: evaluation.ValidationFigures,
    windows: Sequence[evaluation.WindowRow],
    completeness: float | None,
    leaks: int | None,
    terminal_mismatches: int | None,
) -> Decision:
    """Compare every figure with the policy. The id names model, data and figures, so the same judgement has the same id."""
    figures = evaluation.gate_figures(
        validation, case.search_result, case.test, windows, completeness, leaks, terminal_mismatches, test_openings(case)
    )
    verdict = gates.evaluate(case.bench.policy, figures, case.model_id)
    identity = {
        "model_id": case.model_id,
        "model_sha256": case.record["model_sha256"],
        "dataset_id": case.dataset.id,
        "verdict": verdict.to_dict(),
    }
    return Decision(sha256_hex(canonical_json(finite(identity))), verdict, dict(figures))


def keep_decision(
    case: Case, decision: Decision, validation: evaluation.ValidationFigures, report_url: str, decided_at: datetime
) -> dict[str, Any]:
    """Keep the verdict as a row and for deployment, and return it."""
    row = _verdict_row(case, decision, validation, report_url, decided_at)
    gate_rows = decision.verdict.to_dict()["gates"]
    case.bench.lakehouse.replace_keys("evidence.verdicts", [row], ("model_id",))
    case.store.write(case.version, "gate_verdict", row | {"decided_at": decided_at.isoformat(), "gates": gate_rows})
    write_verdict_index(case.bench)
    return row


def write_verdict_index(bench: Bench) -> None:
    """Write every verdict, oldest first, where the service's page reads them."""
    verdicts = bench.lakehouse.frame("evidence.verdicts").sort("decided_at")
    index = [
        {
            "model_id": row["model_id"],
            "passed": row["passed"],
            "answer": row["first_line"],
            "refused_by": row["refused_by"].split(",") if row["refused_by"] else [],
            "decided_at": row["decided_at"].isoformat(),
            "gates": json.loads(row["gates_json"]),
        }
        for row in verdicts.to_dicts()
    ]
    bench.objects.put_bytes(VERDICT_INDEX, canonical_json(index))


def _verdict_row(
    case: Case, decision: Decision, validation: evaluation.ValidationFigures, report_url: str, decided_at: datetime
) -> dict[str, Any]:
    return {
        "model_id": case.model_id,
        "symbol": case.symbol,
        "strategy": case.strategy_name,
        "version": case.version,
        "verdict_id": decision.verdict_id,
        "passed": decision.verdict.passed,
        "refused_by": ",".join(decision.verdict.refused_by),
        "first_line": decision.verdict.answer,
        "gates_json": canonical_json(finite(decision.verdict.to_dict()["gates"])).decode(),
        "dataset_id": case.dataset.id,
        "model_sha256": case.record["model_sha256"],
        "mlflow_run_id": case.record["mlflow_run_id"],
        "trial_ledger_sha256": validation.ledger_sha256,
        "n_trials": validation.n_configurations,
        "trial_variance": validation.trials_variance,
        "test_openings": test_openings(case),
        "is_synthetic": case.dataset.is_synthetic,
        "decided_at": decided_at,
        "report_url": report_url,
    }
