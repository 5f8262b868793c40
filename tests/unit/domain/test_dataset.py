"""The training set: order, slicing by dates, and events that have no label."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from tick_assets.domain.dataset import TrainingSet, clean_rows_of
from tick_assets.domain.signals import event_id

Build = Callable[[float, int, int], TrainingSet]


def test_training_set_events_stand_on_their_ticks(build_events: Build) -> None:
    events = build_events(2.0, 0, 3)
    for i in range(0, len(events), 211):
        assert events.ticks[events.date_index[i]].ts_us[events.event_row[i]] == events.ts_event_us[i]
        assert events.event_id[i] == event_id("SYN", events.dates[events.date_index[i]], int(events.seq[i]))


def test_on_dates_keeps_only_those_dates(build_events: Build) -> None:
    events = build_events(2.0, 0, 3)
    one = events.on_dates(events.dates[1:2])
    assert one.dates == events.dates[1:2]
    assert set(one.date_index.tolist()) == {0}
    assert one.event_id == tuple(np.array(events.event_id)[events.rows_of(events.dates[1:2])])


def test_on_dates_unknown_is_refused(build_events: Build) -> None:
    with pytest.raises(ValueError, match="Expected dates of the training set"):
        build_events(2.0, 0, 3).on_dates(["1999-01-01"])


def test_events_too_late_to_trade_have_no_label(build_events: Build) -> None:
    events = build_events(2.0, 0, 3)
    late = events.ts_event_us % 86_400_000_000 > (86_400 - 300) * 1_000_000
    assert not events.is_labelled[late].any()
    assert events.is_labelled.mean() > 0.99
    assert (events.ts_label_end_us[late] == events.ts_event_us[late]).all()


def test_training_set_out_of_order_is_refused(build_events: Build) -> None:
    events = build_events(2.0, 0, 3)
    with pytest.raises(ValueError, match="time order"):
        replace(events, ts_event_us=events.ts_event_us[::-1])


def test_clean_rows_of_finds_ranks_across_gaps() -> None:
    assert clean_rows_of(np.array([0, 2, 3, 7]), np.array([2, 7])).tolist() == [1, 3]


def test_clean_rows_of_a_missing_tick_is_an_error() -> None:
    with pytest.raises(ValueError, match="1 missing"):
        clean_rows_of(np.array([0, 2, 3]), np.array([2, 5]))
