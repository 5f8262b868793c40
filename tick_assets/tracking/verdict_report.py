"""What a verdict's report is made of, collected from a case.

What belongs here: which rows are attributed and compared, and which facts go on the card. What must not: figures, words, files.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from tick_assets.domain.calibration import gates_sha256
from tick_assets.domain.drift import measure_drift
from tick_assets.domain.evaluation import ValidationFigures
from tick_assets.domain.feature_attribution import attribute
from tick_assets.domain.features import FEATURE_SETS
from tick_assets.domain.labels import LABEL_SET
from tick_assets.domain.leak_findings import Statement
from tick_assets.domain.model_card import CardFacts, ModelCard, make_card
from tick_assets.domain.report_data import GateErrors, Learned, ReportData
from tick_assets.domain.walk_forward import WindowRow
from tick_assets.tracking import judgement, robustness
from tick_assets.tracking.account_view import trade_together
from tick_assets.tracking.gate_calibration import published
from tick_assets.tracking.judgement import Case, Decision


def report_data(
    case: Case,
    decision: Decision,
    validation: ValidationFigures,
    windows: Sequence[WindowRow],
    issued_at: datetime,
    leaks: Sequence[Statement] = (),
) -> ReportData:
    """Collect what the report shows; the model is explained on its test events, and drift is that of test against training."""
    fitted, ahead = case.events.on_dates(case.split.search), case.events.on_dates(case.split.test)
    names = case.events.feature_names
    return ReportData(
        model_id=case.model_id,
        verdict=decision.verdict,
        result=case.search_result,
        validation=validation,
        test=case.test,
        windows=windows,
        dates=case.events.dates,
        account_currency=case.bench.market.account_currency,
        lots=case.strategy.max_position,
        is_synthetic=case.dataset.is_synthetic,
        issued_at=issued_at,
        identities=_identities(case, decision),
        gate_reasons={gate.name: gate.reason for gate in case.bench.policy.gates},
        attribution=attribute(case.model, ahead.features, names),
        drift=measure_drift(fitted.features, ahead.features, names),
        card=_card(case, decision, validation, int(fitted.is_labelled.sum()), len(ahead)),
        learned=Learned(judgement.learning_of(case), judgement.test_reliability(case), len(case.split.test)),
        surface=robustness.surface_of(case),
        superiority=robustness.superiority_of(case),
        account=trade_together([case], case.bench.market),
        leaks=leaks,
        gate_errors=_gate_errors(case),
    )


def _gate_errors(case: Case) -> GateErrors:
    found = published()
    if found is None:
        return GateErrors((), "", False)
    said = f"{found.calibrated_at}: {found.n_trials} trials on {found.days} days a market, bootstrap of {found.quotes}."
    return GateErrors(found.rows, said, found.gates_sha256 == gates_sha256(case.bench.policy))


def _identities(case: Case, decision: Decision) -> dict[str, str]:
    return {
        "verdict": decision.verdict_id,
        "model sha-256": case.record["model_sha256"],
        "dataset": case.dataset.id,
        "code": case.record["code_commit"],
        "MLflow run": case.record["mlflow_run_id"],
    }


def _card(case: Case, decision: Decision, validation: ValidationFigures, training_events: int, test_events: int) -> ModelCard:
    return make_card(
        CardFacts(
            model_id=case.model_id,
            verdict=decision.verdict,
            validation=validation,
            test=case.test.figures,
            dataset_id=case.dataset.id,
            code_commit=case.record["code_commit"],
            is_synthetic=case.dataset.is_synthetic,
            dates=case.events.dates,
            split=case.split,
            training_events=training_events,
            test_events=test_events,
            feature_names=case.events.feature_names,
            feature_set=case.record["feature_set"],
            sampling_clock=case.record["sampling_clock"],
            label_set=str(case.dataset.manifest.get("label_set", LABEL_SET)),
            strategy=case.strategy,
            configuration=case.configuration,
            instrument=case.bench.market.instrument(case.symbol),
            market=case.bench.market,
            seed=case.record.get("seed"),
            registry=FEATURE_SETS.get(case.record["feature_set"], ()),
        )
    )
