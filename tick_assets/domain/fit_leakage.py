"""The leak firewall for fits: nothing that is fitted may depend on what it is tested on.

What belongs here: refits with other test dates, folds, and cross-validation of shuffled labels. What must not: the fits themselves
(`training`), features and labels (`leakage`, `label_leakage`). The checks:
    refit_without_test  a fitted state (model, ranges, threshold, scaler, chosen features) is equal, byte for byte, when the test dates'
                        events have other values, or are mostly gone
    refit_equals_stored the state that is stored is the one that train dates give
    fold_overlap        no closed label interval of a fold's train events meets one of its test events
    fold_embargo        no train event lies within the embargo behind a test label
    shuffled_labels     labels shuffled within each date leave cross-validation nothing to predict
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

from tick_assets.domain.calibration import shuffle_labels
from tick_assets.domain.dataset import BoolArray, TrainingSet
from tick_assets.domain.leak_findings import STEP, Examination, LeakFinding
from tick_assets.domain.splits import EMBARGO_US, Fold, is_embargoed, meets_any
from tick_assets.domain.ticks import Int64Array

CHANCE_Z = 4.5
"""Standard errors above chance; honest labels come that far once in 300,000 shuffles."""
MENDS: Mapping[str, str] = {
    "refit_without_test": "Fit it on train dates alone, and hand the fitted value to the test dates.",
    "refit_equals_stored": "Fit the stored configuration on the pinned train dates again: what is stored was fitted on something else.",
    "fold_overlap": "Purge the train events whose label interval meets a test label's, both ends included.",
    "fold_embargo": "Leave out train events that follow a test label within the embargo, the longest memory of a feature.",
    "shuffled_labels": "Put every fitted part inside the fold: something carries a test event's own label to its prediction.",
}
Score = Callable[[TrainingSet], npt.NDArray[np.floating]]
"""Out-of-fold predictions of a whole cross-validation, one for each event; NaN where there is none."""


@dataclass(frozen=True)
class FitStep:
    """One thing that is fitted: `fit` returns its whole state; `stored` is the state that was kept, where it was."""

    name: str
    fit: Callable[[TrainingSet], bytes]
    stored: bytes | None = None


def examine_fits(steps: Sequence[FitStep], events: TrainingSet, test_dates: Sequence[str]) -> list[Examination]:
    """Fit every step again with changed, and with mostly removed, test events; the state must not differ in one byte."""
    others = (change_events(events, test_dates), thin_events(events, test_dates))
    at = int(events.ts_event_us[events.rows_of(test_dates)].min(initial=np.iinfo(np.int64).max))
    found, strange = [], []
    for step in steps:
        honest = step.fit(events)
        differing = sum(step.fit(other) != honest for other in others)
        found += [_finding("refit_without_test", step.name, at, float(differing))] if differing else []
        is_stored = step.stored is None or step.stored == honest
        strange += [] if is_stored else [_finding("refit_equals_stored", step.name, at, 1.0)]
    stored = tuple(step.name for step in steps if step.stored is not None)
    return [
        Examination(STEP, "refit_without_test", tuple(step.name for step in steps), len(others), tuple(found)),
        *([Examination(STEP, "refit_equals_stored", stored, 1, tuple(strange))] if stored else []),
    ]


def change_events(events: TrainingSet, dates: Sequence[str]) -> TrainingSet:
    """Return the training set with other features and opposite outcomes on some dates; stamps and label ends stay."""
    there = events.rows_of(dates)
    return replace(
        events,
        features=np.where(there[:, None], 1.0 - 3.0 * events.features, events.features),
        label=np.where(there, -events.label, events.label).astype(np.int8),
        long_net_bps=np.where(there, events.short_net_bps, events.long_net_bps),
        short_net_bps=np.where(there, events.long_net_bps, events.short_net_bps),
    )


def thin_events(events: TrainingSet, dates: Sequence[str]) -> TrainingSet:
    """Return the training set with the first and the last event alone on some dates: a purge against them drops the same train events."""
    there = events.rows_of(dates)
    new_date = np.diff(events.date_index, prepend=-1) != 0
    is_edge = new_date | np.append(new_date[1:], True)
    return _take(events, np.flatnonzero(~there | is_edge))


def _take(events: TrainingSet, rows: Int64Array) -> TrainingSet:
    """Return some events on the same dates and ticks."""
    arrays: dict[str, Any] = {
        each.name: getattr(events, each.name)[rows] for each in fields(events) if isinstance(getattr(events, each.name), np.ndarray)
    }
    return replace(events, event_id=tuple(events.event_id[i] for i in rows), **arrays)


# Folds.


def examine_folds(events: TrainingSet, folds: Mapping[str, Fold], embargo_us: int = EMBARGO_US) -> list[Examination]:
    """Compare the label intervals of each fold's train and test events, which are rows of `events`."""
    start, end = events.ts_event_us, events.ts_label_end_us
    overlaps = {
        name: meets_any(start[fold.train], end[fold.train], start[fold.test], end[fold.test]) | np.isin(fold.train, fold.test)
        for name, fold in folds.items()
    }
    embargoed = {name: is_embargoed(start[fold.train], end[fold.test], embargo_us) for name, fold in folds.items()}
    return [_examine_folds(check, start, folds, hit) for check, hit in (("fold_overlap", overlaps), ("fold_embargo", embargoed))]


def _examine_folds(check: str, start: Int64Array, folds: Mapping[str, Fold], hit: Mapping[str, BoolArray]) -> Examination:
    found = tuple(
        _finding(check, name, int(start[folds[name].train[np.argmax(rows)]]), float(rows.sum())) for name, rows in hit.items() if rows.any()
    )
    looks = sum(len(fold.train) for fold in folds.values()) // max(1, len(folds))
    return Examination(STEP, check, tuple(folds), looks, found)


# Shuffled labels.


def examine_shuffled(name: str, score: Score, events: TrainingSet, seed: int = 0) -> Examination:
    """Cross-validate labels that were shuffled within each date; the predictions must not rank them better than chance."""
    shuffled = shuffle_labels(events, seed)
    z = rank_score(score(shuffled), shuffled.target, shuffled.date_index, shuffled.is_labelled)
    found = (_finding("shuffled_labels", name, int(events.ts_event_us[0]), z),) if z > CHANCE_Z else ()
    return Examination(STEP, "shuffled_labels", (name,), 1, found)


def rank_score(
    prediction: npt.NDArray[np.floating], target: npt.NDArray[np.integer], group: npt.NDArray[np.integer], rows: BoolArray
) -> float:
    """Return the rank sum of positives above its expectation, in standard errors, over groups (van Elteren's unweighted sum).

    Labels that are exchangeable within a group give mean 0 and variance 1 (Mann-Whitney, ties corrected by mid-ranks' own variance).
    """
    used = rows & np.isfinite(prediction)
    excess, variance = 0.0, 0.0
    for each in np.unique(group[used]):
        here = used & (group == each)
        ranks, positive = rankdata(prediction[here]), target[here] == 1
        n, m = len(ranks), int(positive.sum())
        if 0 < m < n:
            excess += float(ranks[positive].sum()) - m * (n + 1) / 2
            variance += m * (n - m) / n * float(ranks.var(ddof=1))
    return excess / variance**0.5 if variance > 0 else 0.0


def _finding(check: str, culprit: str, ts_event_us: int, figure: float) -> LeakFinding:
    return LeakFinding(check, culprit, ts_event_us, figure, MENDS[check])
