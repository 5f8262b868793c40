"""The leak firewall for features: they must not know what comes after them.

What belongs here: checks that rerun a kernel on another future and compare, and that make stored features again. What must not: the
kernel, labels (`label_leakage`), fits (`fit_leakage`). Each check must find a planted leak, else it proves nothing; the tests plant them.

A kernel is examined over a history: several dates of one symbol, and the quotes of others that it may read. An event is known at its own
row: earlier rows, the row itself, and other symbols' quotes that were known by its stamp. Checks, each of which changes only the rest:
    prefix_invariance   the rows after the event are gone (the idea of freqtrade's lookahead-analysis)
    future_poison       the rows after the event have absurd prices and no sizes, or one more quote comes a microsecond after it
    same_stamp          one more quote comes after the event's, with the same stamp
    other_symbols       what was known of other symbols only after the event's stamp is gone, or absurd, or one quote more
    later_days          the dates after the event's are gone, or absurd
and without another future:
    event_stamp         an event's stamp is that of its own row: a row that is sampled at a bar's close is not stamped at its open
    stored_features     what is stored equals, bit for bit, what the kernel makes of the ticks up to each event
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from tick_assets.domain.dataset import TrainingSet
from tick_assets.domain.kernel import FEATURE_NAMES, Kernel, KernelBatch
from tick_assets.domain.leak_findings import FEATURE, Examination, LeakFinding
from tick_assets.domain.ticks import DAY_US, Float64Array, Int64Array, Ticks

POISON_POINTS = 1_000_000_000
SAMPLING = "sampling_clock"
"""Stands for the choice and the stamps of events, which may leak as any feature may."""
MOMENTS = 12
MENDS: Mapping[str, str] = {
    "prefix_invariance": "Compute it from rows up to the event's own: look for a shift, a centred window or a whole-day statistic.",
    "future_poison": "Something after the event reaches it: look for a backward fill, a join on a later stamp or a global scaler.",
    "same_stamp": "Take the event's own row by its seq, not the last quote of its stamp: a stamp is no key.",
    "other_symbols": "Join the other symbol as it was known (known_at), at or before the event's stamp.",
    "later_days": "Use dates that have ended before the event: lag daily bars by one date, and fit scalers on train dates only.",
    "event_stamp": "Stamp the row with the tick at which it was complete: a bar is known at its close, not at its open.",
    "stored_features": "Write the table from the kernel alone and materialize it again: the stored value is not one of the ticks up to it.",
}


@dataclass(frozen=True)
class KnownTicks:
    """Another symbol's quotes of all dates, and when each of them was known here."""

    ticks: Ticks
    known_at_us: Int64Array


@dataclass(frozen=True)
class History:
    """One symbol's ticks by date, in time order, and what may be read of other symbols."""

    dates: tuple[str, ...]
    ticks: tuple[Ticks, ...]
    others: Mapping[str, KnownTicks] = field(default_factory=dict)


@dataclass(frozen=True)
class SampledHistory:
    """The m events that a kernel sampled from a history, by date and row, with their stamps and `features[m, k]`."""

    date_index: Int64Array
    event_row: Int64Array
    ts_event_us: Int64Array
    features: Float64Array

    def __len__(self) -> int:
        return len(self.event_row)


HistoryKernel = Callable[[History], SampledHistory]
LedKernel = Callable[[Ticks, Ticks], KernelBatch]
"""A kernel of one date that reads the clean quotes of another symbol beside its own."""


@dataclass(frozen=True)
class Moment:
    """One event: its place among all, its date, its row and its stamp."""

    place: int
    date_index: int
    row: int
    ts_us: int


Alteration = Callable[[History, Moment], History]


def by_date(kernel: Kernel, price_factor: int) -> HistoryKernel:
    """Return the kernel of a history that runs a kernel of one date over each of its dates."""
    return lambda history: _joined(history, [kernel(ticks, price_factor) for ticks in history.ticks])


def by_date_led(kernel: LedKernel, leader: str) -> HistoryKernel:
    """Return the kernel of a history that runs over each date beside another symbol's quotes of that date, none where it has none."""
    return lambda history: _joined(history, [kernel(ticks, _same_date(history.others[leader].ticks, ticks)) for ticks in history.ticks])


def _same_date(other: Ticks, ticks: Ticks) -> Ticks:
    days = np.unique(ticks.ts_us // DAY_US)
    return other.take(np.isin(other.ts_us // DAY_US, days))


def _joined(history: History, batches: Sequence[KernelBatch]) -> SampledHistory:
    """Return the events of all dates, in time order."""
    return SampledHistory(
        np.repeat(np.arange(len(batches)), [len(batch.event_row) for batch in batches]),
        np.concatenate([batch.event_row for batch in batches]),
        np.concatenate([ticks.ts_us[batch.event_row] for ticks, batch in zip(history.ticks, batches, strict=True)]),
        np.concatenate([batch.features for batch in batches]),
    )


def find_leaks(
    kernel: Kernel,
    ticks: Ticks,
    price_factor: int,
    seed: int = 0,
    moments: int = MOMENTS,
    feature_names: Sequence[str] = FEATURE_NAMES,
) -> list[LeakFinding]:
    """Examine a kernel of one date over that date; return every finding."""
    history = History(("",), (ticks,))
    examined = examine_features(by_date(kernel, price_factor), history, feature_names, seed, moments)
    return [finding for each in examined for finding in each.findings]


def examine_features(
    kernel: HistoryKernel,
    history: History,
    feature_names: Sequence[str] = FEATURE_NAMES,
    seed: int = 0,
    moments: int = MOMENTS,
) -> list[Examination]:
    """Rerun the kernel on other futures, at so many random events of each date, and compare bit for bit all that was known by then."""
    whole = kernel(history)
    chosen = _moments(whole, len(history.dates), seed, moments)
    checks = [_examine(check, kernel, history, whole, chosen, feature_names) for check in _checks_of(history)]
    ends = _ends_of_dates(whole, len(history.dates) - 1)
    later = _examine("later_days", kernel, history, whole, ends, feature_names)
    return [*checks, *([later] if ends else []), examine_stamps(history, whole)]


def examine_stored(
    events: TrainingSet, kernel: HistoryKernel, others: Mapping[str, KnownTicks] | None = None, feature_names: Sequence[str] = FEATURE_NAMES
) -> list[Examination]:
    """Make every stored event and feature of a training set again from its ticks and compare bit for bit."""
    history = History(events.dates, events.ticks, others or {})
    stored = SampledHistory(events.date_index.astype(np.int64), events.event_row, events.ts_event_us, events.features)
    again = kernel(history)
    found = _differences("stored_features", stored, again, len(stored), feature_names)
    if not found and len(again) != len(stored):
        found = [_sampling_finding("stored_features", again, len(stored))]
    examined = Examination(FEATURE, "stored_features", (*feature_names, SAMPLING), len(stored), tuple(found))
    return [examined, examine_stamps(history, stored)]


def examine_stamps(history: History, sampled: SampledHistory) -> Examination:
    """Compare each event's stamp with that of its own row."""
    stamps = np.array([history.ticks[i].ts_us[row] for i, row in zip(sampled.date_index, sampled.event_row, strict=True)], np.int64)
    early = stamps - sampled.ts_event_us
    wrong = np.flatnonzero(early)
    found = []
    if len(wrong):
        worst = int(wrong[np.argmax(np.abs(early[wrong]))])
        seconds = float(early[worst]) / 1e6
        found = [LeakFinding("event_stamp", SAMPLING, int(sampled.ts_event_us[worst]), seconds, MENDS["event_stamp"])]
    return Examination(FEATURE, "event_stamp", (SAMPLING,), len(sampled), tuple(found))


# Other futures.


def poison_after(ticks: Ticks, row: int) -> Ticks:
    """Return the ticks with absurd prices and no sizes after a row; stamps stay."""
    return poison(ticks, np.arange(len(ticks)) > row)


def poison(ticks: Ticks, rows: npt.NDArray[np.bool_]) -> Ticks:
    """Return the ticks with absurd prices and no sizes in the masked rows; stamps stay."""
    bid, ask = (np.where(rows, POISON_POINTS + extra, prices) for extra, prices in ((0, ticks.bid_points), (1, ticks.ask_points)))
    bid_size, ask_size = (np.where(rows, np.nan, sizes) for sizes in (ticks.bid_size, ticks.ask_size))
    return Ticks(ticks.ts_us, bid, ask, bid_size, ask_size)


def add_quote(ticks: Ticks, place: int, ts_us: int) -> Ticks:
    """Return the ticks with one more quote at a place: like the one before it with a spread that cleaning believes, and other sizes."""
    like = max(place - 1, 0)
    more = (ts_us, ticks.bid_points[like] - 3, ticks.ask_points[like] + 5, 7e6, 1e6)
    return Ticks(*(np.insert(column, place, value) for column, value in zip(ticks.columns, more, strict=True)))


def _with_date(history: History, moment: Moment, ticks: Ticks) -> History:
    return replace(history, ticks=(*history.ticks[: moment.date_index], ticks, *history.ticks[moment.date_index + 1 :]))


def _cut(history: History, moment: Moment) -> History:
    return _with_date(history, moment, history.ticks[moment.date_index].take(slice(0, moment.row + 1)))


def _poisoned(history: History, moment: Moment) -> History:
    return _with_date(history, moment, poison_after(history.ticks[moment.date_index], moment.row))


def _one_more(history: History, moment: Moment) -> History:
    ticks = history.ticks[moment.date_index]
    return _with_date(history, moment, add_quote(ticks, moment.row + 1, int(ticks.ts_us[moment.row])))


def _one_soon(history: History, moment: Moment) -> History:
    """Add a quote a microsecond later: where quotes are rare, hardly an event has one of its own so soon."""
    ticks = history.ticks[moment.date_index]
    stamp = int(ticks.ts_us[moment.row])
    return _with_date(history, moment, add_quote(ticks, int(np.searchsorted(ticks.ts_us, stamp, side="right")), stamp + 1))


def _others_cut(history: History, moment: Moment) -> History:
    def known(other: KnownTicks) -> KnownTicks:
        rows = other.known_at_us <= moment.ts_us
        return KnownTicks(other.ticks.take(rows), other.known_at_us[rows])

    return replace(history, others={symbol: known(other) for symbol, other in history.others.items()})


def _others_poisoned(history: History, moment: Moment) -> History:
    return replace(
        history,
        others={
            symbol: replace(other, ticks=poison(other.ticks, other.known_at_us > moment.ts_us)) for symbol, other in history.others.items()
        },
    )


def _others_one_soon(history: History, moment: Moment) -> History:
    """Add a quote that is known a microsecond later; stamps and times of knowing stay in order."""

    def soon(other: KnownTicks) -> KnownTicks:
        place = int(np.searchsorted(other.known_at_us, moment.ts_us, side="right"))
        following = int(other.ticks.ts_us[place]) if place < len(other.ticks) else moment.ts_us + 1
        added = add_quote(other.ticks, place, min(moment.ts_us + 1, following))
        return KnownTicks(added, np.insert(other.known_at_us, place, moment.ts_us + 1))

    return replace(history, others={symbol: soon(other) if len(other.ticks) else other for symbol, other in history.others.items()})


def _later_cut(history: History, moment: Moment) -> History:
    kept = moment.date_index + 1
    return replace(history, dates=history.dates[:kept], ticks=history.ticks[:kept])


def _later_poisoned(history: History, moment: Moment) -> History:
    kept = moment.date_index + 1
    return replace(history, ticks=(*history.ticks[:kept], *(poison_after(ticks, -1) for ticks in history.ticks[kept:])))


ALTERATIONS: Mapping[str, tuple[Alteration, ...]] = {
    "prefix_invariance": (_cut,),
    "future_poison": (_poisoned, _one_soon),
    "same_stamp": (_one_more,),
    "other_symbols": (_others_cut, _others_poisoned, _others_one_soon),
    "later_days": (_later_cut, _later_poisoned),
}


def _checks_of(history: History) -> list[str]:
    """Return the checks of random moments: other symbols only where there are any; whole dates have moments of their own."""
    return [check for check in ALTERATIONS if check != "later_days" and (history.others or check != "other_symbols")]


# Comparing.


def _moments(whole: SampledHistory, dates: int, seed: int, moments: int) -> list[Moment]:
    """Draw so many events of each date."""
    random = np.random.default_rng(seed)
    of_dates = (np.flatnonzero(whole.date_index == i) for i in range(dates))
    return [_moment(whole, int(p)) for places in of_dates for p in np.sort(random.choice(places, min(moments, len(places)), replace=False))]


def _ends_of_dates(whole: SampledHistory, dates: int) -> list[Moment]:
    """Return the last event of each of the first dates that have one."""
    places = (np.flatnonzero(whole.date_index == i) for i in range(dates))
    return [_moment(whole, int(found[-1])) for found in places if len(found)]


def _moment(whole: SampledHistory, place: int) -> Moment:
    return Moment(place, int(whole.date_index[place]), int(whole.event_row[place]), int(whole.ts_event_us[place]))


def _examine(
    check: str,
    kernel: HistoryKernel,
    history: History,
    whole: SampledHistory,
    moments: Sequence[Moment],
    feature_names: Sequence[str],
) -> Examination:
    """Rerun the kernel on each other future of one check; events up to the moment must stay as they are."""
    findings = tuple(_found(check, kernel, history, whole, moments, feature_names))
    return Examination(FEATURE, check, (*feature_names, SAMPLING), len(moments) * len(ALTERATIONS[check]), findings)


def _found(
    check: str,
    kernel: HistoryKernel,
    history: History,
    whole: SampledHistory,
    moments: Sequence[Moment],
    feature_names: Sequence[str],
) -> Iterator[LeakFinding]:
    for moment in moments:
        for alter in ALTERATIONS[check]:
            yield from _differences(check, whole, kernel(alter(history, moment)), moment.place + 1, feature_names)


def _differences(check: str, whole: SampledHistory, again: SampledHistory, known: int, feature_names: Sequence[str]) -> list[LeakFinding]:
    """Compare the first `known` events; of each feature that changed, return the last event at which it did."""
    if len(again) < known:
        return [_sampling_finding(check, whole, len(again))]
    moved = np.flatnonzero(
        (whole.date_index[:known] != again.date_index[:known])
        | (whole.event_row[:known] != again.event_row[:known])
        | (whole.ts_event_us[:known] != again.ts_event_us[:known])
    )
    if len(moved):
        return [_sampling_finding(check, whole, int(moved[0]))]
    before, after = whole.features[:known], again.features[:known]
    changed = ~((before == after) | (np.isnan(before) & np.isnan(after)))
    last = {i: int(np.flatnonzero(changed[:, i])[-1]) for i in np.flatnonzero(changed.any(axis=0)).tolist()}
    return [
        LeakFinding(check, feature_names[i], int(whole.ts_event_us[place]), float(after[place, i] - before[place, i]), MENDS[check])
        for i, place in last.items()
    ]


def _sampling_finding(check: str, sampled: SampledHistory, place: int) -> LeakFinding:
    """Return the finding that the events themselves changed, from one event on."""
    return LeakFinding(check, SAMPLING, int(sampled.ts_event_us[place]), float(place), MENDS[check])
