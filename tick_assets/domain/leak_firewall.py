"""The leak firewall in one call: every check over the features, labels and fits of one training set.

What belongs here: which checks run on what, within a bounded time. What must not: the checks themselves (`leakage`, `label_leakage`,
`fit_leakage`), tables, verdicts.

Stored features, stored labels, intervals and folds are examined whole. Reruns with other pasts and futures are drawn: random events of
the first, the middle and the last date; a leak is a rule of the code, so a few moments show it. Refits of the search use the newest dates.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field

import numpy as np
import numpy.typing as npt

from tick_assets.domain.dataset import TrainingSet
from tick_assets.domain.fit_leakage import FitStep, Score, examine_fits, examine_folds, examine_shuffled
from tick_assets.domain.instruments import Market
from tick_assets.domain.kernel import FEATURE_SET, SAMPLING_CLOCK, KernelBatch, feature_names, run_features
from tick_assets.domain.label_leakage import Labeller, examine_labels, examine_telling, labeller_of
from tick_assets.domain.leak_findings import Examination
from tick_assets.domain.leakage import History, HistoryKernel, KnownTicks, by_date, by_date_led, examine_features, examine_stored
from tick_assets.domain.passports import canonical_json
from tick_assets.domain.sampling import Sampling
from tick_assets.domain.signals import Strategy
from tick_assets.domain.splits import DateSplit, Fold, purged_folds, split_dates
from tick_assets.domain.ticks import Ticks
from tick_assets.domain.training import Configuration, SearchSpace, feature_ranges, fit_final, search

LOOKED_AT_DATES = 3
MOMENTS = 12
"""Events of each date that are looked at with other futures. A rule that leaks at one event in ten hides from 36 once in 44 times."""
REFIT_DATES = 6
"""Newest dates that the search is refitted on; the stored model and ranges are refitted on all."""
REFIT_EVENTS = 500
"""Labelled events that a search needs at least, for folds that hold something."""
REFIT_TRIALS = 2


@dataclass(frozen=True)
class LeakCase:
    """What is examined: stored events with what made them, and everything that is fitted on them.

    `steps` are refitted on `events` with other `test_dates`; `recent_steps` on the newest dates, with their own split's test dates.
    `folds` hold rows of `events`.
    """

    events: TrainingSet
    kernel: HistoryKernel
    labeller: Labeller
    test_dates: tuple[str, ...] = ()
    steps: Sequence[FitStep] = ()
    recent_steps: Sequence[FitStep] = ()
    folds: Mapping[str, Fold] = field(default_factory=dict)
    scores: Mapping[str, Score] = field(default_factory=dict)
    others: Mapping[str, KnownTicks] = field(default_factory=dict)
    seed: int = 0
    moments: int = MOMENTS


def examine(case: LeakCase) -> list[Examination]:
    """Run every check on a case."""
    recent = recent_dates(case.events)
    test_dates = split_dates(recent.dates).test if case.recent_steps else ()
    return [
        *examine_events(case.events, case.kernel, case.others, case.seed, case.moments),
        examine_telling(case.events, case.seed),
        *examine_labels(case.events, case.labeller, looked_at(case.events), case.seed),
        *(examine_fits(case.steps, case.events, case.test_dates) if case.steps else []),
        *(examine_fits(case.recent_steps, recent, test_dates) if case.recent_steps else []),
        *(examine_folds(case.events, case.folds) if case.folds else []),
        *(examine_shuffled(name, score, recent, case.seed) for name, score in case.scores.items()),
    ]


def examine_events(
    events: TrainingSet,
    kernel: HistoryKernel,
    others: Mapping[str, KnownTicks] | None = None,
    seed: int = 0,
    moments: int = MOMENTS,
) -> list[Examination]:
    """Run the checks of features: other futures on a few dates, and all stored values."""
    places, names = looked_at(events), events.feature_names
    history = History(tuple(events.dates[i] for i in places), tuple(events.ticks[i] for i in places), others or {})
    futures = examine_features(kernel, history, names, seed, moments) if places else []
    return [*futures, *examine_stored(events, kernel, others, names)]


def looked_at(events: TrainingSet, most: int = LOOKED_AT_DATES) -> list[int]:
    """Return the places of the first, the middle and the last date that have events."""
    there = np.unique(events.date_index)
    return sorted({int(there[i]) for i in np.linspace(0, len(there) - 1, min(most, len(there))).astype(int)}) if len(there) else []


def recent_dates(events: TrainingSet) -> TrainingSet:
    """Return the newest dates that have events: `REFIT_DATES`, more where those hold too little to search on."""
    there = np.unique(events.date_index)
    labelled = np.bincount(events.date_index[events.is_labelled], minlength=len(events.dates))[there]
    enough = int(np.argmax(np.append(np.cumsum(labelled[::-1]) >= REFIT_EVENTS, True))) + 1
    chosen = [events.dates[i] for i in there[-max(REFIT_DATES, enough) :]]
    return events.on_dates(chosen) if len(chosen) > 1 else events


def kernel_of_clean_ticks(clock: str = SAMPLING_CLOCK, feature_set: str = FEATURE_SET) -> HistoryKernel:
    """Return the kernel as it runs over clean ticks, date by date."""

    def run(ticks: Ticks, _: int) -> KernelBatch:
        return run_features(ticks, clock, feature_set=feature_set)

    return by_date(run, 1)


def kernel_of(sampling: Sampling) -> HistoryKernel:
    """Return the kernel of a symbol that is sampled so; one with a leader reads its quotes among the history's others."""
    if not sampling.leader:
        return kernel_of_clean_ticks(sampling.clock, sampling.feature_set)

    def run(ticks: Ticks, leader: Ticks) -> KernelBatch:
        return run_features(ticks, sampling.clock, leader)

    return by_date_led(run, sampling.leader)


def case_of(
    events: TrainingSet,
    split: DateSplit,
    market: Market,
    strategy: Strategy,
    configuration: Configuration,
    model: bytes,
    seed: int,
    kernel: HistoryKernel | None = None,
    others: Mapping[str, KnownTicks] | None = None,
) -> LeakCase:
    """Return the case of a trained model: its kernel, labels, refits, folds and cross-validation as training runs them.

    `others` are the quotes of the symbol's leader; `kernel` is what made the features, if not the symbol's own (`kernel_of`).
    """
    space, sampling = _only(configuration), market.instrument(events.symbol).sampling
    if kernel is None and events.features.shape[1] != len(feature_names(sampling.feature_set)):
        raise ValueError(
            f"Expected events of {sampling.feature_set}, which {events.symbol} has in the market file, was {events.features.shape[1]} "
            "features. Train on a dataset of that set, or give the symbol the set of the dataset again."
        )

    def score(shuffled: TrainingSet) -> npt.NDArray[np.floating]:
        return search(shuffled, strategy, market, 1, seed, space=space).out_of_fold

    def fit_model(everything: TrainingSet) -> bytes:
        return fit_final(everything.on_dates(split.search), configuration.booster, before=everything.on_dates(split.test))

    return LeakCase(
        events=events,
        kernel=kernel or kernel_of(sampling),
        labeller=labeller_of(events.symbol, market, strategy),
        test_dates=split.test,
        steps=(
            FitStep("model", fit_model, model),
            FitStep("feature_ranges", lambda everything: canonical_json(feature_ranges(everything.on_dates(split.search)))),
        ),
        recent_steps=(FitStep("search", lambda everything: _search_state(everything, strategy, market, seed)),),
        folds=folds_of(events, split),
        scores={"cross_validation": score},
        others=others or {},
        seed=seed,
    )


def _only(configuration: Configuration) -> SearchSpace:
    """Return the space that holds one configuration."""
    booster = {name: (value,) for name, value in asdict(configuration.booster).items()}
    return SearchSpace(**booster, threshold=(configuration.threshold,))


def _search_state(everything: TrainingSet, strategy: Strategy, market: Market, seed: int) -> bytes:
    """Search anew on all but the newest dates and return what it decided: every trial's score and the best threshold among them."""
    dates = split_dates(everything.dates)
    result = search(everything.on_dates(dates.search), strategy, market, REFIT_TRIALS, seed)
    scores = [[trial.configuration.hash, trial.sharpe, trial.net_pnl] for trial in result.trials]
    return canonical_json({"scores": scores, "best": asdict(result.best.configuration)})


def folds_of(events: TrainingSet, split: DateSplit) -> dict[str, Fold]:
    """Return the folds of the search dates and the split before the test dates, as rows of all events."""
    searched = np.flatnonzero(events.rows_of(split.search) & events.is_labelled)
    tested = np.flatnonzero(events.rows_of(split.test) & events.is_labelled)
    cut = purged_folds(events.ts_event_us[searched], events.ts_label_end_us[searched])
    folds = {f"fold {i + 1}": Fold(searched[fold.train], searched[fold.test], fold.overlaps) for i, fold in enumerate(cut)}
    return folds | {"train and test dates": Fold(searched, tested, 0)}
