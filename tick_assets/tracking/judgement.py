"""From a pinned training set to a verdict, stage by stage: domain functions fed from and written to the adapters.

What belongs here: what each stage reads, which domain function it calls and what it hands on. What must not: the functions themselves
(`domain`), Dagster, or the simulated terminal (`assets.backtests` brings its trades).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from tick_assets.domain import evaluation, gates, leak_firewall
from tick_assets.domain.dataset import TrainingSet
from tick_assets.domain.instruments import Market
from tick_assets.domain.leak_findings import Examination, Statement, state
from tick_assets.domain.leakage import KnownTicks
from tick_assets.domain.learning import LearningFigures, Reliability, evaluate_learning, reliability
from tick_assets.domain.passports import canonical_json, finite, sha256_hex
from tick_assets.domain.signals import Strategy, strategy_of
from tick_assets.domain.splits import DateSplit, split_dates
from tick_assets.domain.training import BoosterParams, Configuration, SearchResult, Trial, feature_ranges, fit_final, golden, search
from tick_assets.domain.trial_logs import search_key
from tick_assets.domain.vault import Opening, count_decisions
from tick_assets.domain.walk_forward import WindowRow, window_of
from tick_assets.lakehouse import hour_ledger
from tick_assets.lakehouse.catalog import Lakehouse
from tick_assets.lakehouse.datasets import Dataset, fetch, read_leader_ticks, read_training_set
from tick_assets.lakehouse.object_store import ObjectStore
from tick_assets.tracking.candidates import CandidateStore
from tick_assets.tracking.stored_trials import StoredTrialLog, logs_of, running_code
from tick_assets.tracking.vault_records import VaultRecords

VERDICT_INDEX = "verdicts/index.json"
N_TRIALS = 20
SEED = 20240108


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
    def trial_log(self) -> StoredTrialLog:
        """Where this very search keeps its finished trials until the candidate is kept."""
        code, strategy = running_code(self.bench.code_commit), strategy_of(self.bench.market.instrument(self.symbol), self.strategy_name)
        key = search_key(self.symbol, strategy, self.bench.market, self.dataset.id, code, SEED)
        return StoredTrialLog(self.bench.objects, self.symbol, self.strategy_name, key)

    @property
    def vault(self) -> VaultRecords:
        return VaultRecords(self.bench.objects, self.symbol, self.strategy_name)

    @cached_property
    def opening(self) -> Opening:
        """What this model opens; when it did so is on record alone (`vault`)."""
        record, dates = self.record, self.split.test
        names = (self.symbol, self.strategy_name, record["model_sha256"], dates, record["dataset_id"], record["code_commit"], self.version)
        return Opening(*names, opened_at=datetime.max.replace(tzinfo=UTC))

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
    """Search on train and validation dates and fit the best configuration on both, purged against the test dates.

    A search that was killed goes on where its log ends.
    """
    searched = case.events.on_dates(case.split.search)
    case.trial_log.begin(case.dataset.id, case.bench.code_commit)
    instrument = case.bench.market.instrument(case.symbol)
    strategy = strategy_of(instrument, case.strategy_name)
    result = search(searched, strategy, case.bench.market, N_TRIALS, SEED, on_trial, log=case.trial_log)
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
        "feature_set": case.dataset.feature_set,
        "features": list(case.events.feature_names),
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
    """Hand the candidate on under its version; the pointer to it is written last. Then the search's log has served."""
    case.store.write_model(version, fitted.model, fitted.golden)
    case.store.write_search(version, fitted.result)
    record = fitted.record | {
        "version": version,
        "model_id": f"{case.symbol}.{case.strategy_name}@{version}",
        "mlflow_run_id": mlflow_run_id,
    }
    case.store.write(version, "candidate", record)
    _record_trials(case, fitted.result.trials, version, (case.dataset.id, case.bench.code_commit), recorded_at)
    case.store.write_latest(version)
    _close_logs(case, recorded_at)


def _close_logs(case: Case, recorded_at: datetime) -> None:
    """Remove the logs of the symbol and strategy; what other, abandoned searches tried enters the trial ledger first."""
    for log in logs_of(case.bench.objects, case.symbol, case.strategy_name):
        if log.key != case.trial_log.key:
            identity = log.identity()
            tried = tuple(log.known().values())
            of = (identity["dataset_id"], identity["code_commit"])
            _record_trials(case, tried, f"abandoned-{log.key[:12]}", of, recorded_at)
        log.remove()


def _record_trials(case: Case, trials: Sequence[Trial], version: str, of: tuple[str, str], recorded_at: datetime) -> None:
    """Write trials to the ledger; `of` is the dataset and the code commit that they were tried with."""
    rows = _trial_rows(case, trials, version, *of, recorded_at)
    case.bench.lakehouse.replace_keys("evidence.trials", rows, ("symbol", "strategy", "version"))


def _trial_rows(
    case: Case, trials: Sequence[Trial], version: str, dataset_id: str, code_commit: str, recorded_at: datetime
) -> list[dict[str, Any]]:
    return [
        {
            "symbol": case.symbol,
            "strategy": case.strategy_name,
            "version": version,
            "trial": trial.number,
            "params_json": canonical_json(asdict(trial.configuration)).decode(),
            "state": trial.state,
            "config_sha256": evaluation.ledger_hash(trial.configuration, dataset_id, code_commit),
            "dataset_id": dataset_id,
            "code_commit": code_commit,
            "sharpe": trial.sharpe,
            "n_trades": trial.n_trades,
            "threshold": trial.configuration.threshold,
            "recorded_at": recorded_at,
        }
        for trial in trials
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


def learn(case: Case) -> LearningFigures:
    """Compute learning curve, degradation, reliability and abstain band from train and validation dates, and hand them on."""
    searched = case.events.on_dates(case.split.search)
    figures = evaluate_learning(case.search_result, searched, case.split, case.strategy, case.bench.market)
    case.store.write(case.version, "learning", figures.to_dict())
    return figures


def learning_of(case: Case) -> LearningFigures:
    """Return the figures that the validation stage handed on."""
    return LearningFigures.from_dict(case.store.read(case.version, "learning"))


def test_reliability(case: Case) -> Reliability:
    """Return the reliability of the fitted model on the opened test dates."""
    return reliability(case.events.on_dates(case.split.test), case.test.probability)


def test(case: Case, opened_at: datetime) -> evaluation.TestFigures:
    """Record the opening of the test dates, look at them with the fitted model, and hand the figures on."""
    case.vault.record(replace(case.opening, opened_at=opened_at))
    figures = case.test.figures
    case.store.write(case.version, "test", asdict(figures))
    return figures


def windows_of(case: Case) -> tuple[WindowRow, ...]:
    """Return the windows that the walk-forward stage (`walk_forwards`) handed on."""
    return tuple(window_of(row) for row in case.store.read(case.version, "walk_forward")["windows"])


def examine_leaks(case: Case) -> list[Examination]:
    """Run the leak firewall over the case's features, labels and fits; nothing is written."""
    found = case.configuration
    made = leak_firewall.case_of(
        case.events, case.split, case.bench.market, case.strategy, found, case.model, case.record["seed"], others=_leader_quotes(case)
    )
    return leak_firewall.examine(made)


def _leader_quotes(case: Case) -> dict[str, KnownTicks]:
    """Return the quotes of the symbol's leader as the dataset pins them; they were known at their own stamps."""
    leader = case.bench.market.sampling_of(case.symbol).leader
    if not leader:
        return {}
    ticks = read_leader_ticks(case.bench.lakehouse, case.dataset)
    return {leader: KnownTicks(ticks, ticks.ts_us)}


def find_leaks(case: Case, recorded_at: datetime) -> list[Examination]:
    """Run the leak firewall, keep a row for each finding and for each suspect that is cleared, and return what was examined."""
    examined = examine_leaks(case)
    shared = {"symbol": case.symbol, "strategy": case.strategy_name, "version": case.version, "threshold": 0.0, "recorded_at": recorded_at}
    rows = [shared | _leak_row(statement) for statement in state(examined)]
    case.bench.lakehouse.replace_keys("evidence.leak_findings", rows, ("symbol", "strategy", "version"))
    return examined


def _leak_row(statement: Statement) -> dict[str, Any]:
    return {
        "check": statement.check,
        "feature": statement.suspect,
        "figure": statement.figure,
        "passed": statement.passed,
        "detail": statement.detail,
    }


def test_openings(case: Case) -> int | None:
    """Count the models that had opened any of these test dates up to this one's first look; none where its look is not on record."""
    own = case.vault.find(case.opening.id)
    return count_decisions(own, case.vault.all()) if own else None


@dataclass(frozen=True)
class Decision:
    """A verdict with its identity and the figures it stands on."""

    verdict_id: str
    verdict: gates.GateVerdict
    figures: dict[str, Any]


def decide(
    case: Case,
    validation: evaluation.ValidationFigures,
    windows: Sequence[WindowRow],
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
