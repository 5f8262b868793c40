"""A symbol's own clock and barriers: how they are read, and that labels, levels and ids follow them."""

from __future__ import annotations

from dataclasses import replace
from importlib import resources
from typing import Any

import numpy as np
import pytest

from execution.market import parse_market_file
from tick_assets.domain.dataset import day_from_ticks, training_set
from tick_assets.domain.instruments import Market, parse_market
from tick_assets.domain.labels import label_set_of
from tick_assets.domain.sampling import Sampling, parse_sampling
from tick_assets.domain.signals import Strategy, event_id, levels, strategy_of
from tick_assets.domain.synthetic_market import SyntheticMarket, generate_day

TEXT = (resources.files("execution") / "market.toml").read_text()
OWN = """
[symbols.EURUSD.sampling]
clock = "ticks_500"
[symbols.EURUSD.labels]
horizon_s = 600
stop_sigmas = 2.0
target_sigmas = 4.5
"""


def test_symbol_without_sections_has_the_defaults() -> None:
    market = parse_market(TEXT)
    assert {each.sampling for each in market.instruments.values()} == {Sampling("time_60s", 300, 3.0, 3.0, "")}
    assert market.sampling_of("NEVER") == Sampling()
    assert strategy_of(market.instrument("EURUSD"), "direction") == Strategy()
    assert label_set_of(Strategy()) == "triple_barrier_v1"


def test_symbol_s_own_clock_and_barriers_are_read_and_execution_ignores_them() -> None:
    market = parse_market(TEXT + OWN)
    assert market.sampling_of("EURUSD") == Sampling("ticks_500", 600, 2.0, 4.5)
    assert market.sampling_of("GBPUSD") == Sampling()
    assert parse_market_file(TEXT + OWN) == parse_market_file(TEXT)


@pytest.mark.parametrize(
    ("section", "expected"),
    [
        ({}, "base_v1"),
        ({"sampling": {"features": "micro_v1"}}, "micro_v1"),
        ({"leader": "GBPUSD"}, "lead_v1"),
        ({"leader": "GBPUSD", "sampling": {"features": "lead_v1"}}, "lead_v1"),
    ],
)
def test_symbol_has_the_features_of_its_section_or_of_its_leader(section: dict[str, Any], expected: str) -> None:
    assert parse_sampling("EURUSD", section).feature_set == expected


def test_leader_beside_other_features_is_refused() -> None:
    with pytest.raises(ValueError, match="lead_v1 beside a leader of EURUSD, was micro_v1"):
        parse_sampling("EURUSD", {"leader": "GBPUSD", "sampling": {"features": "micro_v1"}})


@pytest.mark.parametrize(
    ("added", "message"),
    [
        ('[symbols.EURUSD.sampling]\nfeatures = "base_v9"', "feature set of base_v1, lead_v1, micro_v1, was 'base_v9'"),
        ('[symbols.EURUSD.sampling]\nfeatures = "lead_v1"', "leader of EURUSD for the features lead_v1, was none"),
        ('[symbols.EURUSD.sampling]\nclock = "often"', "sampling clock"),
        ('[symbols.EURUSD.sampling]\nperiod = "time_60s"', r"\['period'\]"),
        ("[symbols.EURUSD.labels]\nhorizon_s = 0", "horizon_s from 1"),
        ("[symbols.EURUSD.labels]\nhorizon_s = 1.5", "horizon_s from 1"),
        ("[symbols.EURUSD.labels]\nstop_sigmas = 0", "above zero"),
        ("[symbols.EURUSD.labels]\nstops = 2", r"\['stops'\]"),
    ],
)
def test_section_that_is_wrong_is_refused(added: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_market(f"{TEXT}\n{added}\n")


def test_strategy_and_label_set_follow_the_section() -> None:
    strategy = strategy_of(parse_market(TEXT + OWN).instrument("EURUSD"), "trend")
    assert strategy == Strategy("trend", 600, 2.0, 4.5)
    assert label_set_of(strategy) == "triple_barrier_v1_h600_s2_t4.5"


def test_levels_grow_with_the_root_of_the_horizon() -> None:
    assert levels(1, 100_000, 100_010, 20.0, Strategy()) == (99_940, 100_060)
    assert levels(1, 100_000, 100_010, 20.0, Strategy(horizon_s=1200)) == (99_880, 100_120)


def test_events_have_the_clock_in_their_ids_and_the_symbol_s_horizon_in_their_labels(syn_market: Market) -> None:
    instrument = replace(syn_market.instrument("SYN"), sampling=Sampling("ticks_200", 60))
    market = replace(syn_market, instruments={"SYN": instrument})
    raw = generate_day(SyntheticMarket(k=2.0), 1, "SYN", np.datetime64("2024-01-08").item()).ticks
    events = training_set("SYN", [day_from_ticks("SYN", "2024-01-08", raw, market, strategy_of(instrument))])
    assert np.diff(events.seq).tolist() == [200] * (len(events) - 1)
    assert events.event_id[5] == event_id("SYN", "2024-01-08", int(events.seq[5]), "ticks_200")
    assert events.event_id[5] != event_id("SYN", "2024-01-08", int(events.seq[5]))
    held_us = (events.ts_label_end_us - events.ts_event_us)[events.is_labelled]
    assert 0 < int(np.median(held_us)) <= 75_000_000
