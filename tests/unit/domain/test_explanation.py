"""An explanation adds up to the probability that it explains."""

from collections.abc import Callable

import pytest

from tick_assets.domain.dataset import TrainingSet
from tick_assets.domain.explanation import explain, log_odds, probability_of
from tick_assets.domain.signals import Strategy
from tick_assets.domain.training import BoosterParams, feature_ranges, fit_final

Build = Callable[[float, int, int], TrainingSet]


def test_explain_contributions_sum_to_the_log_odds_largest_first(build_events: Build) -> None:
    events = build_events(2.0, 0, 3)
    model = fit_final(events, BoosterParams(rounds=10))
    made = explain(model, events.features[100], events.feature_names, feature_ranges(events), Strategy(), int(events.ts_event_us[100]))
    assert probability_of(log_odds(made)) == pytest.approx(made.probability, abs=1e-6)
    sizes = [abs(row.contribution) for row in made.contributions]
    assert sizes == sorted(sizes, reverse=True)
    assert {row.feature for row in made.contributions} == set(events.feature_names)


def test_explain_guards_say_what_makes_it_flat(build_events: Build) -> None:
    events = build_events(2.0, 0, 3)
    model = fit_final(events, BoosterParams(rounds=10))
    ranges = {**feature_ranges(events), "spread_bps": (1e6, 2e6)}
    late = int(events.ts_event_us[-1])
    made = explain(model, events.features[-1], events.feature_names, ranges, Strategy(threshold=0.99), late)
    assert [guard.reason for guard in made.guards if not guard.holds] == [
        "PROBABILITY_INSIDE_BAND",
        "FEATURE_OUT_OF_RANGE",
        "ENTRY_TOO_LATE",
    ]
    assert made.view == 0
    assert made.guards[1].detail == "spread_bps"
