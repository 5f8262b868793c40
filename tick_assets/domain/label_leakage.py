"""The leak firewall for labels: they live on the closed interval from event to label end, and no feature is made of one.

What belongs here: checks that rerun the labeller on other ticks, that make stored labels again, and that ask how much a feature tells of
the label. What must not: the labeller, features' own futures (`leakage`), folds (`fit_leakage`). The checks:
    label_interval      a label ends at or after its event, within its date's ticks and its UTC date
    label_end           without, or with absurd, ticks after a label's end, all labels that ended by then stay as they are
    label_start         with absurd ticks before an event, its label and all later ones stay as they are
    stored_labels       what is stored equals, bit for bit, what the labeller makes of the ticks
    label_in_feature    no feature alone tells more than TELLING of the label's entropy, nor a rotated label's most, whichever is larger
Purge and embargo trust the first three: an interval that lies lets outcomes cross folds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from tick_assets.domain.dataset import BoolArray, TrainingSet
from tick_assets.domain.instruments import Market
from tick_assets.domain.labels import LabelBatch, label_events
from tick_assets.domain.leak_findings import FEATURE, LABEL, Examination, LeakFinding
from tick_assets.domain.leakage import poison
from tick_assets.domain.signals import Strategy
from tick_assets.domain.splits import EMBARGO_US
from tick_assets.domain.ticks import DAY_US, Float64Array, Int64Array, Ticks

LABEL_NAMES = ("label", "long_net_bps", "short_net_bps", "ts_label_end")
Labeller = Callable[[Ticks, Int64Array, Float64Array], LabelBatch]
"""Labels of events at rows of one date's clean ticks, with the volatility that was known at each."""

TELLING = 0.5
"""Share of the label's entropy. A copy tells all of it; the best feature of the twin's largest edge (k = 3) tells 0.21 (measured)."""
MIN_EVENTS = 200
"""Labelled events below which the share is mostly chance, and is not asked for."""
BINS, ROTATIONS = 16, 20
MENDS: Mapping[str, str] = {
    "label_interval": "End the label at the first of barrier, horizon and the last tick of its date, and store that stamp.",
    "label_end": "Store the stamp of the last tick that the label looked at as its end, or look no further than that.",
    "label_start": "Make the label from ticks at and after the event; what is known earlier comes in as the event's own volatility.",
    "stored_labels": "Write the table from the labeller alone and materialize it again.",
    "label_in_feature": "Drop the feature or make it again from ticks up to the event: it tells nearly all of the outcome.",
}


def labeller_of(symbol: str, market: Market, strategy: Strategy) -> Labeller:
    """Return the labeller of one symbol."""
    instrument = market.instrument(symbol)
    return lambda ticks, rows, sigma: label_events(ticks, rows, sigma, instrument, market, strategy)


def examine_labels(events: TrainingSet, labeller: Labeller, places: Sequence[int], seed: int = 0, moments: int = 6) -> list[Examination]:
    """Examine the labels: intervals and stored values of all dates, and other pasts and futures on the dates at the given places."""
    ends, starts = [], []
    for place in places:
        rows = np.flatnonzero(events.date_index == place)
        drawn = _moments(events, rows, seed, moments)
        whole = _label(labeller, events.ticks[place], events.event_row[rows], events.sigma_points[rows])
        ends += [finding for i in drawn for finding in _look_after(events, labeller, whole, rows, place, i)]
        starts += [finding for i in drawn for finding in _look_before(events, labeller, whole, rows, place, i)]
    looks = moments * len(places)
    return [
        examine_intervals(events),
        Examination(LABEL, "label_end", LABEL_NAMES, 2 * looks, tuple(ends)),
        Examination(LABEL, "label_start", LABEL_NAMES, looks, tuple(starts)),
        examine_stored_labels(events, labeller),
    ]


def examine_intervals(events: TrainingSet) -> Examination:
    """Compare every label's end with its event, the last tick of its date and the end of its UTC date."""
    last_tick = np.array([ticks.ts_us[-1] if len(ticks) else 0 for ticks in events.ticks], np.int64)[events.date_index]
    end = events.ts_label_end_us
    limit = np.minimum(last_tick, (events.ts_event_us // DAY_US + 1) * DAY_US - 1)
    excess = np.maximum(end - limit, events.ts_event_us - end)
    wrong = np.flatnonzero(events.is_labelled & (excess > 0))
    found = []
    if len(wrong):
        worst = int(wrong[np.argmax(excess[wrong])])
        found = [_finding("label_interval", "ts_label_end", int(events.ts_event_us[worst]), float(excess[worst]) / 1e6)]
    return Examination(LABEL, "label_interval", ("ts_label_end",), int(events.is_labelled.sum()), tuple(found))


def examine_stored_labels(events: TrainingSet, labeller: Labeller) -> Examination:
    """Make every stored label again from its date's ticks and compare bit for bit."""
    found: list[LeakFinding] = []
    for place, ticks in enumerate(events.ticks):
        rows = np.flatnonzero(events.date_index == place)
        again = _label(labeller, ticks, events.event_row[rows], events.sigma_points[rows])
        found += _differences("stored_labels", _stored(events, rows), again, np.ones(len(rows), np.bool_), events.ts_event_us[rows])
    return Examination(LABEL, "stored_labels", LABEL_NAMES, len(events), tuple(found))


# How much a feature tells.


def examine_telling(events: TrainingSet, seed: int = 0) -> Examination:
    """Ask of every feature alone which share of the label's entropy it tells; rotated labels say how much is chance.

    A label is rotated by more events than the embargo holds, so that its own neighbourhood, which features rightly foretell, is away.
    """
    rows = np.flatnonzero(events.is_labelled)
    target, names = events.target[rows], events.feature_names
    if len(rows) < MIN_EVENTS or len(np.unique(target)) < 2:
        return Examination(FEATURE, "label_in_feature", (), 0, ())
    nulls = [np.roll(target, shift) for shift in _shifts(events.ts_event_us[rows], seed)]
    found = []
    for i, name in enumerate(names):
        codes = _codes(events.features[rows, i])
        told = told_share(codes, target)
        if told > TELLING and told > max((told_share(codes, null) for null in nulls), default=0.0):
            found.append(_finding("label_in_feature", name, int(events.ts_event_us[rows[0]]), told))
    return Examination(FEATURE, "label_in_feature", tuple(names), len(rows), tuple(found))


def told_share(codes: Int64Array, target: npt.NDArray[np.integer]) -> float:
    """Return mutual information of two codes as a share of the target's entropy, in 0..1; 0 for a target that never changes."""
    joint = np.bincount(codes * 2 + target, minlength=2 * (int(codes.max()) + 1)).reshape(-1, 2) / len(codes)
    entropy = _entropy(joint.sum(axis=0))
    return (entropy + _entropy(joint.sum(axis=1)) - _entropy(joint.ravel())) / entropy if entropy > 0 else 0.0


def _entropy(shares: Float64Array) -> float:
    positive = shares[shares > 0]
    return float(-np.sum(positive * np.log(positive)))


def _codes(values: Float64Array) -> Int64Array:
    """Return the quantile bin of each value; NaN is a bin of its own."""
    known = values[np.isfinite(values)]
    edges = np.unique(np.quantile(known, np.linspace(0, 1, BINS + 1)[1:-1])) if len(known) else np.empty(0)
    bins = np.searchsorted(edges, values, side="right")
    return np.where(np.isnan(values), len(edges) + 1, bins).astype(np.int64)


def _shifts(ts_event_us: Int64Array, seed: int) -> Int64Array:
    nearest = int(np.max(np.searchsorted(ts_event_us, ts_event_us + EMBARGO_US, side="right") - np.arange(len(ts_event_us)))) + 1
    if 2 * nearest >= len(ts_event_us):
        return np.empty(0, np.int64)
    return np.random.default_rng(seed).integers(nearest, len(ts_event_us) - nearest, ROTATIONS)


# Other pasts and futures.


def _look_after(events: TrainingSet, labeller: Labeller, whole: Float64Array, rows: Int64Array, place: int, i: int) -> list[LeakFinding]:
    """Take away, then poison, what comes after the end of the date's i-th label; every label that ended by then must stay."""
    ticks, at = events.ticks[place], events.event_row[rows]
    end = whole[i, LABEL_NAMES.index("ts_label_end")]
    ended = whole[:, LABEL_NAMES.index("ts_label_end")] <= end
    later = ticks.ts_us > end
    kept = at < len(ticks) - int(later.sum())
    cut = np.full_like(whole, np.nan)
    cut[kept] = _label(labeller, ticks.take(~later), at[kept], events.sigma_points[rows[kept]])
    poisoned = _label(labeller, poison(ticks, later), at, events.sigma_points[rows])
    stamps = events.ts_event_us[rows]
    return [finding for again in (cut, poisoned) for finding in _differences("label_end", whole, again, ended, stamps)]


def _look_before(events: TrainingSet, labeller: Labeller, whole: Float64Array, rows: Int64Array, place: int, i: int) -> list[LeakFinding]:
    """Poison what comes before the date's i-th event; its label and all later ones must stay."""
    ticks, at = events.ticks[place], events.event_row[rows]
    poisoned = poison(ticks, np.arange(len(ticks)) < at[i])
    again = np.full_like(whole, np.nan)
    again[i:] = _label(labeller, poisoned, at[i:], events.sigma_points[rows[i:]])
    return _differences("label_start", whole, again, np.arange(len(whole)) >= i, events.ts_event_us[rows])


def _moments(events: TrainingSet, rows: Int64Array, seed: int, moments: int) -> Int64Array:
    """Draw labelled events of one date, as places among its events."""
    labelled = np.flatnonzero(events.is_labelled[rows])
    return np.sort(np.random.default_rng(seed).choice(labelled, min(moments, len(labelled)), replace=False)).astype(np.int64)


def _label(labeller: Labeller, ticks: Ticks, rows: Int64Array, sigma_points: Float64Array) -> Float64Array:
    """Return LABEL_NAMES as columns, one row for each event; NaN where it got no label. Stamps are exact in 53 bits."""
    batch = labeller(ticks, rows, sigma_points)
    table = np.full((len(rows), len(LABEL_NAMES)), np.nan)
    table[batch.event] = np.column_stack([batch.label, batch.long_net_bps, batch.short_net_bps, batch.ts_label_end_us])
    return table


def _stored(events: TrainingSet, rows: Int64Array) -> Float64Array:
    columns = (events.label[rows], events.long_net_bps[rows], events.short_net_bps[rows], events.ts_label_end_us[rows])
    table = np.column_stack(columns).astype(np.float64)
    table[~events.is_labelled[rows]] = np.nan
    return table


def _differences(check: str, before: Float64Array, after: Float64Array, known: BoolArray, ts_event_us: Int64Array) -> list[LeakFinding]:
    """Compare the known rows; of each column that changed, return the last event at which it did."""
    changed = ~((before == after) | (np.isnan(before) & np.isnan(after))) & known[:, None]
    last = {i: int(np.flatnonzero(changed[:, i])[-1]) for i in np.flatnonzero(changed.any(axis=0)).tolist()}
    return [_finding(check, LABEL_NAMES[i], int(ts_event_us[row]), float(after[row, i] - before[row, i])) for i, row in last.items()]


def _finding(check: str, culprit: str, ts_event_us: int, figure: float) -> LeakFinding:
    return LeakFinding(check, culprit, ts_event_us, figure, MENDS[check])
