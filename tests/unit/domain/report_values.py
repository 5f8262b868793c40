"""A small judged market with everything that a report shows, made once per process."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from functools import lru_cache
from importlib.resources import files

from tick_assets.domain import calibration, gates
from tick_assets.domain.drift import measure_drift
from tick_assets.domain.feature_attribution import attribute
from tick_assets.domain.kernel import FEATURE_SET, SAMPLING_CLOCK
from tick_assets.domain.labels import LABEL_SET
from tick_assets.domain.model_card import CardFacts, make_card
from tick_assets.domain.report_data import ReportData
from tick_assets.domain.signals import Strategy
from tick_assets.domain.splits import split_dates

POLICY = gates.parse_policy((files("tick_assets") / "policy.toml").read_text(encoding="utf-8"))
ISSUED_AT = datetime(2024, 1, 20, 12, tzinfo=UTC)
MODEL_ID = "SYNCAL.direction@1"


def made_report(k: float, seed: int, days: int, n_trials: int) -> ReportData:
    """Judge a generated market and put its report together."""
    events, market = calibration.draw_edge(k, seed, days)
    made = calibration.judge(events, market, POLICY, seed, n_trials)
    split, strategy = split_dates(events.dates), Strategy()
    seen, ahead = events.on_dates(split.search), events.on_dates(split.test)
    facts = CardFacts(
        model_id=MODEL_ID,
        verdict=made.verdict,
        validation=made.validation,
        test=made.test.figures,
        dataset_id="d5" * 32,
        code_commit="c0ffee",
        is_synthetic=True,
        dates=events.dates,
        split=split,
        training_events=int(seen.is_labelled.sum()),
        test_events=len(ahead),
        feature_names=events.feature_names,
        feature_set=FEATURE_SET,
        sampling_clock=SAMPLING_CLOCK,
        label_set=LABEL_SET,
        strategy=replace(strategy, threshold=made.result.best.configuration.threshold),
        configuration=made.result.best.configuration,
        instrument=market.instrument(events.symbol),
        market=market,
        seed=seed,
    )
    return ReportData(
        model_id=MODEL_ID,
        verdict=made.verdict,
        result=made.result,
        validation=made.validation,
        test=made.test,
        windows=made.windows,
        dates=events.dates,
        account_currency="USD",
        lots=strategy.max_position,
        is_synthetic=True,
        issued_at=ISSUED_AT,
        identities={"verdict": "ab" * 32, "dataset": "d5" * 32, "code": "c0ffee"},
        gate_reasons={rule.name: rule.reason for rule in POLICY.gates},
        attribution=attribute(made.model, ahead.features, events.feature_names),
        drift=measure_drift(seen.features, ahead.features, events.feature_names),
        card=make_card(facts),
    )


@lru_cache(maxsize=1)
def small_report() -> ReportData:
    """Return the report of four generated days."""
    return made_report(2.0, 5, 4, 3)
