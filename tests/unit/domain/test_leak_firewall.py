"""The leak firewall finds every planted leak, names the right culprit, and clears what is clean."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from functools import partial

import numpy as np
import pytest

from tests.recorded import recorded_day
from tests.unit.domain import planted_leaks as plant
from tick_assets.domain import fit_leakage, label_leakage, leak_findings, leak_firewall, leakage, training
from tick_assets.domain.calibration import shuffle_labels
from tick_assets.domain.dataset import TrainingSet, day_from_ticks, training_set
from tick_assets.domain.fit_leakage import FitStep
from tick_assets.domain.instruments import Market
from tick_assets.domain.kernel import run_kernel
from tick_assets.domain.label_leakage import labeller_of
from tick_assets.domain.leak_findings import Examination, LeakFinding
from tick_assets.domain.leak_firewall import LeakCase, kernel_of_clean_ticks
from tick_assets.domain.leakage import History, HistoryKernel, KnownTicks
from tick_assets.domain.signals import Strategy
from tick_assets.domain.splits import DateSplit, split_dates
from tick_assets.domain.synthetic_market import SyntheticMarket, generate_day
from tick_assets.domain.ticks import Ticks
from tick_assets.domain.training import BoosterParams, Configuration

DATES = tuple(date(2024, 1, 8) + timedelta(days=i) for i in range(5))
CONFIGURATION = Configuration(BoosterParams(rounds=20), 0.55)
SHAPE = SyntheticMarket(k=2.0, mean_gap_s=12.0)
Build = Callable[[float, int, int], TrainingSet]


def drawn(market: Market, seed: int, shape: SyntheticMarket = SHAPE, days: int = 5) -> TrainingSet:
    """Return a generated market, a fifth of whose sizes are missing."""
    return training_set(
        "SYN", [day_from_ticks("SYN", day.isoformat(), _ticks(shape, seed, day), market, Strategy()) for day in DATES[:days]]
    )


def _ticks(shape: SyntheticMarket, seed: int, day: date) -> Ticks:
    ticks = generate_day(shape, seed, "SYN", day).ticks
    missing = np.random.default_rng(seed).random(len(ticks)) < 0.2
    return replace(ticks, bid_size=np.where(missing, np.nan, ticks.bid_size), ask_size=np.where(missing, np.nan, ticks.ask_size))


def other_symbol(seed: int, late_us: int) -> KnownTicks:
    """Return another symbol's quotes, each known a while after its stamp."""
    days = [generate_day(SHAPE, seed, plant.OTHER, day).ticks.columns for day in DATES]
    ticks = Ticks(*(np.concatenate(column) for column in zip(*days, strict=True)))
    return KnownTicks(ticks, ticks.ts_us + late_us)


@pytest.fixture(scope="module")
def events(syn_market: Market) -> TrainingSet:
    return drawn(syn_market, 1)


@pytest.fixture(scope="module")
def split(events: TrainingSet) -> DateSplit:
    return split_dates(events.dates)


@pytest.fixture(scope="module")
def clean(events: TrainingSet, split: DateSplit, syn_market: Market) -> LeakCase:
    """The case of an honestly trained model."""
    model = training.fit_final(events.on_dates(split.search), CONFIGURATION.booster, before=events.on_dates(split.test))
    case = leak_firewall.case_of(events, split, syn_market, Strategy(), CONFIGURATION, model, 0)
    return replace(case, others={plant.OTHER: other_symbol(1, 30_000_000)})


def findings_of(examined: Sequence[Examination]) -> list[LeakFinding]:
    return [finding for each in examined for finding in each.findings]


def suspect_of(case: LeakCase) -> LeakCase:
    """Return a case to plant in: no model is stored of events that are about to change, and no search is repeated."""
    return replace(case, steps=[replace(step, stored=None) for step in case.steps], recent_steps=(), scores={}, moments=5)


def with_kernel(kernel: HistoryKernel, case: LeakCase) -> LeakCase:
    """Return the case whose stored features that kernel made."""
    made = kernel(History(case.events.dates, case.events.ticks, case.others))
    return replace(case, kernel=kernel, events=replace(case.events, features=made.features))


def with_feature(column: plant.Column, case: LeakCase) -> LeakCase:
    return with_kernel(plant.planted(column), case)


def with_step(name: str, fit: Callable[[TrainingSet], bytes], case: LeakCase) -> LeakCase:
    return replace(case, steps=(*case.steps, FitStep(name, fit)))


def with_threshold_of_the_test(case: LeakCase) -> LeakCase:
    return with_step("threshold", plant.threshold_on(case.test_dates), case)


def with_label_in_feature(case: LeakCase) -> LeakCase:
    return replace(case, events=plant.label_in_a_feature(case.events))


def without_embargo(case: LeakCase) -> LeakCase:
    return replace(case, folds=plant.folds_without_embargo(case.events))


def with_stamp_at_open(case: LeakCase) -> LeakCase:
    return replace(case, kernel=plant.stamp_at_bar_open)


FOLDS = {f"fold {i}" for i in (1, 2, 3)}
"""Nothing follows the last fold."""
LEAKS: dict[str, tuple[Callable[[LeakCase], LeakCase], set[str], str]] = {
    "shift(-1)": (partial(with_feature, plant.shift_minus_one), {plant.CULPRIT}, "prefix_invariance"),
    "centred window": (partial(with_feature, plant.centred_window), {plant.CULPRIT}, "future_poison"),
    "back-fill": (partial(with_feature, plant.back_fill), {plant.CULPRIT}, "future_poison"),
    "full-sample scaler": (partial(with_step, "scaler", plant.scaler_on_all), {"scaler"}, "refit_without_test"),
    "global z-score": (partial(with_feature, plant.global_z_score), {plant.CULPRIT}, "later_days"),
    "label in a feature": (with_label_in_feature, {plant.CULPRIT}, "label_in_feature"),
    "same-millisecond future quote": (partial(with_feature, plant.same_millisecond), {plant.CULPRIT}, "same_stamp"),
    "tomorrow's daily bar": (partial(with_feature, plant.daily_bar_of_tomorrow), {plant.CULPRIT}, "later_days"),
    "threshold fitted on test": (with_threshold_of_the_test, {"threshold"}, "refit_without_test"),
    "cross-validation without embargo": (without_embargo, FOLDS, "fold_embargo"),
    "stamp at bar close": (with_stamp_at_open, {leakage.SAMPLING}, "event_stamp"),
    "cross-symbol value known later": (partial(with_feature, plant.other_symbol_by_stamp), {plant.CULPRIT}, "other_symbols"),
}


@pytest.mark.parametrize("name", LEAKS)
def test_planted_leak_is_caught_and_named(name: str, clean: LeakCase) -> None:
    plant_it, culprits, check = LEAKS[name]
    found = findings_of(leak_firewall.examine(plant_it(suspect_of(clean))))
    assert {finding.culprit for finding in found} == culprits
    assert check in {finding.check for finding in found}
    assert all(finding.mend.endswith(".") and finding.ts_event_us > 0 for finding in found)


def test_planted_leaks_are_the_issues_twelve() -> None:
    assert len(LEAKS) == 12


def test_clean_case_has_no_finding(clean: LeakCase) -> None:
    examined = leak_firewall.examine(clean)
    assert findings_of(examined) == []
    assert leak_findings.say_count(leak_findings.state(examined)) == "33 of 33 cleared (20 features, 4 labels, 9 steps)"


@pytest.mark.parametrize(("k", "seed"), [(0.0, 2), (0.8, 3), (2.0, 4), (3.0, 5)])
def test_clean_market_has_no_finding(syn_market: Market, k: float, seed: int) -> None:
    made = drawn(syn_market, seed, SyntheticMarket(k=k, mean_gap_s=12.0), 3)
    split = split_dates(made.dates)
    model = training.fit_final(made.on_dates(split.search), CONFIGURATION.booster, before=made.on_dates(split.test))
    assert findings_of(leak_firewall.examine(leak_firewall.case_of(made, split, syn_market, Strategy(), CONFIGURATION, model, seed))) == []


def test_recorded_day_has_no_finding(syn_market: Market) -> None:
    ticks = recorded_day("EURUSD", datetime(2019, 2, 4, tzinfo=UTC))
    made = training_set("SYN", [day_from_ticks("SYN", "2019-02-04", ticks, syn_market, Strategy())])
    case = LeakCase(made, kernel_of_clean_ticks(), labeller_of("SYN", syn_market, Strategy()))
    examined = leak_firewall.examine(case)
    assert len(made) > 1000
    assert findings_of(examined) == []
    assert leak_findings.say_count(leak_findings.state(examined)) == "24 of 24 cleared (20 features, 4 labels, 0 steps)"
    assert leakage.find_leaks(run_kernel, ticks, 100_000) == []


def test_date_without_events_is_cleared(syn_market: Market) -> None:
    quiet = training_set(
        "SYN", [day_from_ticks("SYN", "2024-01-08", _ticks(SHAPE, 1, DATES[0]).take(slice(0, 50)), syn_market, Strategy())]
    )
    examined = leak_firewall.examine(LeakCase(quiet, kernel_of_clean_ticks(), labeller_of("SYN", syn_market, Strategy())))
    assert len(quiet) == 0
    assert findings_of(examined) == []


# Features, beyond the twelve.


def test_bar_close_in_the_row_of_its_open_is_caught(clean: LeakCase) -> None:
    found = findings_of(leak_firewall.examine(with_feature(plant.bar_close_at_its_open, suspect_of(clean))))
    assert {finding.culprit for finding in found} == {plant.CULPRIT}


def test_other_symbol_as_it_was_known_is_cleared(clean: LeakCase) -> None:
    case = with_feature(plant.other_symbol_as_known, suspect_of(clean))
    assert findings_of(leak_firewall.examine(case)) == []


@pytest.mark.parametrize(("seconds", "culprits"), [(0, set()), (-3, set()), (1, {plant.CULPRIT})])
def test_kernel_beside_a_leader_may_read_what_was_known(clean: LeakCase, seconds: int, culprits: set[str]) -> None:
    kernel = leakage.by_date_led(plant.beside_a_leader(seconds), plant.OTHER)
    history = History(clean.events.dates[:2], clean.events.ticks[:2], {plant.OTHER: other_symbol(1, 0)})
    assert {finding.culprit for finding in findings_of(leakage.examine_features(kernel, history))} == culprits


def test_one_stored_bit_that_differs_is_found(events: TrainingSet) -> None:
    features = events.features.copy()
    features[700, 5] = np.nextafter(features[700, 5], np.inf)
    (finding,) = findings_of(leakage.examine_stored(replace(events, features=features), kernel_of_clean_ticks()))
    assert (finding.check, finding.culprit) == ("stored_features", leakage.FEATURE_NAMES[5])
    assert finding.ts_event_us == events.ts_event_us[700]


def test_stored_events_that_lack_one_are_found(events: TrainingSet) -> None:
    fewer = fit_leakage.thin_events(events, events.dates[-1:])
    assert {finding.culprit for finding in findings_of(leakage.examine_stored(fewer, kernel_of_clean_ticks()))} == {leakage.SAMPLING}


def test_strong_edge_tells_less_than_the_bound(syn_market: Market) -> None:
    made = drawn(syn_market, 6, SyntheticMarket(k=3.0), 3)
    rows = made.is_labelled
    told = [
        label_leakage.told_share(label_leakage._codes(made.features[rows, i]), made.target[rows]) for i in range(made.features.shape[1])
    ]
    assert max(told) < label_leakage.TELLING / 1.5


def test_function_of_the_label_that_ranks_nothing_is_found(events: TrainingSet) -> None:
    features = events.features.copy()
    side = np.random.default_rng(3).choice((-1.0, 1.0), len(events))
    features[:, 2] = np.where(events.target == 1, side, 0.1 * side)
    (finding,) = label_leakage.examine_telling(replace(events, features=features)).findings
    assert finding.culprit == leakage.FEATURE_NAMES[2]


# Labels.


@pytest.mark.parametrize(
    ("leak", "check", "culprit"),
    [
        (plant.outcome_of_the_day, "label_end", "long_net_bps"),
        (plant.end_too_early, "label_end", "ts_label_end"),
        (plant.scaled_by_the_past, "label_start", "short_net_bps"),
    ],
)
def test_label_that_looks_beyond_its_interval_is_found(
    events: TrainingSet, syn_market: Market, leak: Callable[[plant.Labeller], plant.Labeller], check: str, culprit: str
) -> None:
    labeller = leak(labeller_of("SYN", syn_market, Strategy()))
    found = findings_of(label_leakage.examine_labels(events, labeller, [0]))
    assert (check, culprit) in {(finding.check, finding.culprit) for finding in found}


def test_label_that_ends_after_its_date_is_found(events: TrainingSet) -> None:
    ends = events.ts_label_end_us.copy()
    ends[900] += 86_400_000_000
    (finding,) = label_leakage.examine_intervals(replace(events, ts_label_end_us=ends)).findings
    assert (finding.culprit, finding.ts_event_us) == ("ts_label_end", events.ts_event_us[900])


def test_stored_label_of_other_ticks_is_found(events: TrainingSet, syn_market: Market) -> None:
    labeller = labeller_of("SYN", syn_market, Strategy())
    found = label_leakage.examine_stored_labels(shuffle_labels(events, 1), labeller).findings
    assert {finding.culprit for finding in found} == {"label", "long_net_bps", "short_net_bps"}


# Fits.


def test_scaler_and_choice_of_features_on_train_dates_are_cleared(events: TrainingSet, split: DateSplit) -> None:
    honest = (
        FitStep("scaler", plant.scaler_on_train(split.search)),
        FitStep("threshold", plant.threshold_on(split.search)),
        FitStep("features", plant.choice_of_features_on(split.search)),
    )
    assert findings_of(fit_leakage.examine_fits(honest, events, split.test)) == []


def test_choice_of_features_on_all_dates_is_found(events: TrainingSet, split: DateSplit) -> None:
    step = FitStep("features", plant.choice_of_features_on(events.dates))
    (finding,) = findings_of(fit_leakage.examine_fits([step], events, split.test))
    assert (finding.culprit, finding.check) == ("features", "refit_without_test")


def test_stored_model_of_other_dates_is_found(events: TrainingSet, split: DateSplit, syn_market: Market) -> None:
    model = training.fit_final(events, CONFIGURATION.booster)
    case = leak_firewall.case_of(events, split, syn_market, Strategy(), CONFIGURATION, model, 0)
    (finding,) = findings_of(fit_leakage.examine_fits(case.steps, events, split.test))
    assert (finding.culprit, finding.check) == ("model", "refit_equals_stored")


def test_folds_without_purge_overlap(events: TrainingSet) -> None:
    overlap, _ = fit_leakage.examine_folds(events, plant.folds_without_purge(events))
    assert {finding.culprit for finding in overlap.findings} == {"fold 1", "fold 2", "fold 3", "fold 4"}


def test_cross_validation_of_shuffled_labels_that_predicts_is_found(events: TrainingSet) -> None:
    (finding,) = fit_leakage.examine_shuffled("cross_validation", plant.fit_on_what_it_predicts, events).findings
    assert (finding.culprit, finding.check) == ("cross_validation", "shuffled_labels")
    assert finding.figure > 10


def test_rank_score_of_noise_is_standard() -> None:
    random = np.random.default_rng(0)
    everything = np.ones(600, np.bool_)
    group = np.repeat(np.arange(3), 200)
    scores = [
        fit_leakage.rank_score(random.integers(0, 9, 600).astype(float), random.integers(0, 2, 600), group, everything) for _ in range(400)
    ]
    assert abs(float(np.mean(scores))) < 0.15
    assert 0.9 < float(np.std(scores)) < 1.1
