"""One symbol's stream, without anything around it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from serving.predictor import Predictor
from serving.served_model import LIVE, ModelSlot, ServedModel
from serving.symbol_feed import SymbolFeed, split_days
from serving.testing import MORNING_US, SYMBOL, walk
from tick_assets.domain.instruments import Instrument
from tick_assets.domain.kernel import run_kernel
from tick_assets.domain.sampling import Sampling
from tick_assets.domain.signals import Strategy, event_id, features_sha256
from tick_assets.domain.ticks import DAY_US, Float64Array, Ticks

INSTRUMENT = Instrument(SYMBOL, "fx", 100_000, 5, 1e5, "EUR", "USD", 3.5, 0.3, 0.01, 0.01, 100.0, "EUR-USD")


class FixedPredictor(Predictor):
    """Says one probability about everything."""

    def __init__(self, probability: float) -> None:
        self.probability = probability

    def predict(self, features: Float64Array) -> Float64Array:
        return np.full(len(features), self.probability)


def slot(probability: float, strategy: Strategy | None = None) -> ModelSlot:
    bound = np.full(1, 1e12)
    passport = {"payload": {"verdict": {"passed": True}}}
    model = ServedModel(
        SYMBOL, strategy or Strategy(), "v1", "m", "0" * 64, "p", False, -bound, bound, FixedPredictor(probability), passport, 0
    )
    return ModelSlot(LIVE, model)


def views(probability: float) -> set[tuple[str, str]]:
    step = SymbolFeed(INSTRUMENT).take(walk(minutes=18), [slot(probability)], None)
    return {(signal.action, signal.view) for signal in step.signals if "KERNEL_NOT_WARM" not in signal.reasons}


@pytest.mark.parametrize(
    ("probability", "expected"),
    [
        (0.55, ("OPEN", "LONG")),
        (0.5499, ("NONE", "FLAT")),
        (0.4501, ("NONE", "FLAT")),
        (0.4499, ("OPEN", "SHORT")),
        (0.99, ("OPEN", "LONG")),
    ],
)
def test_view_follows_the_threshold(probability: float, expected: tuple[str, str]) -> None:
    assert views(probability) == {expected}


def test_feed_in_any_chunks_says_the_same() -> None:
    ticks = walk(minutes=26, step_s=1.0)
    at_once = SymbolFeed(INSTRUMENT).take(ticks, [slot(0.6)], None).signals
    feed, rng, start, pieces = SymbolFeed(INSTRUMENT), np.random.default_rng(3), 0, []
    while start < len(ticks):
        end = start + int(rng.integers(1, 200))
        pieces += feed.take(ticks.take(slice(start, end)), [slot(0.6)], None).signals
        start = end
    assert pieces == at_once
    assert [signal.action for signal in at_once].count("CLOSE") == 6


def test_one_by_one_says_the_same_as_at_once() -> None:
    ticks = walk(minutes=26)
    ticks.ask_points[5] = ticks.bid_points[5] - 1
    at_once, feed = SymbolFeed(INSTRUMENT).take(ticks, [slot(0.6)], None), SymbolFeed(INSTRUMENT)
    steps = [feed.take_one(row, [slot(0.6)], None) for row in zip(*(column.tolist() for column in ticks.columns), strict=True)]
    assert [signal for step in steps for signal in step.signals] == at_once.signals
    assert [(i, code) for i, step in enumerate(steps) for _, code in step.refused] == at_once.refused == [(5, "QUOTE_CROSSED")]


def test_every_open_closes_once_at_the_first_tick_past_exit_at() -> None:
    ticks = walk(minutes=40)
    signals = SymbolFeed(INSTRUMENT).take(ticks, [slot(0.6)], None).signals
    opens = {signal.event_id: signal for signal in signals if signal.action == "OPEN"}
    closes = [signal for signal in signals if signal.action == "CLOSE"]
    assert len({signal.event_id for signal in closes}) == len(closes)
    for close in closes:
        exit_at_us = opens[close.event_id].exit_at_us
        assert exit_at_us is not None
        assert close.ts_event_us == int(ticks.ts_us[np.searchsorted(ticks.ts_us, exit_at_us)])


def test_crossed_tick_closes_nothing() -> None:
    feed = SymbolFeed(INSTRUMENT)
    feed.take(walk(minutes=15.1), [slot(0.6)], None)
    exit_at_us = feed.pending[0].signal.exit_at_us or 0
    one = np.array([exit_at_us], np.int64)
    crossed = Ticks(one, np.array([110_009]), np.array([110_000]), np.ones(1), np.ones(1))
    step = feed.take(crossed, [slot(0.6)], None)
    assert (step.refused, [signal.action for signal in step.signals]) == ([(0, "QUOTE_CROSSED")], [])
    assert len(feed.pending) == 1


def test_new_date_begins_cold_with_seq_zero() -> None:
    feed = SymbolFeed(INSTRUMENT)
    feed.take(walk(minutes=20), [slot(0.6)], None)
    signals = feed.take(walk(MORNING_US + DAY_US, minutes=1), [slot(0.6)], None).signals
    assert [signal.action for signal in signals[:5]] == ["CLOSE"] * 5
    assert signals[-1].reasons == ("KERNEL_NOT_WARM",)
    assert feed.kernel.seq == 30


def test_split_days_cuts_at_midnight() -> None:
    ticks = walk((MORNING_US // DAY_US + 1) * DAY_US - 10_000_000, minutes=1)
    assert [len(part) for part in split_days(ticks)] == [5, 25]


def test_feed_of_a_tick_clock_speaks_at_the_ticks_that_batch_samples() -> None:
    instrument = replace(INSTRUMENT, sampling=Sampling("ticks_30"))
    ticks = walk(minutes=20)
    signals = SymbolFeed(instrument).take(ticks, [slot(0.5)], None).signals
    batch = run_kernel(ticks, 100_000, clock="ticks_30")
    warm = [signal for signal in signals if "KERNEL_NOT_WARM" not in signal.reasons]
    assert len(batch.event_row) > 3
    assert [signal.event_id for signal in warm] == [event_id(SYMBOL, "2026-03-04", int(row), "ticks_30") for row in batch.event_row]
    assert [signal.features_sha256 for signal in warm] == [features_sha256(row) for row in batch.features]


@pytest.mark.parametrize("one_by_one", [False, True])
def test_feed_of_another_feature_set_knows_what_batch_knows(one_by_one: bool) -> None:
    feed, ticks = SymbolFeed(replace(INSTRUMENT, sampling=Sampling("ticks_30", features="micro_v1"))), walk(minutes=20)
    rows = zip(*(column.tolist() for column in ticks.columns), strict=True)
    steps = [feed.take_one(row, [slot(0.5)], None) for row in rows] if one_by_one else [feed.take(ticks, [slot(0.5)], None)]
    said = [signal.features_sha256 for step in steps for signal in step.signals if signal.features_sha256]
    batch = run_kernel(ticks, 100_000, clock="ticks_30", feature_set="micro_v1")
    assert len(said) > 3
    assert said == [features_sha256(row) for row in batch.features]
