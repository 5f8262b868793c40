"""The kernel beside a leader reads what was known of it, and what was known late by less than it waits; no more."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest

from tick_assets.domain import leakage
from tick_assets.domain.kernel import LEAD_FEATURE_SET, feature_names, run_features
from tick_assets.domain.leakage import History, KnownTicks
from tick_assets.domain.synthetic_market import SyntheticMarket, generate_day
from tick_assets.domain.ticks import Ticks

DATES = (date(2024, 1, 8), date(2024, 1, 9))
LEADER, SECOND_US = "SYNLEADER", 1_000_000
NAMES = feature_names(LEAD_FEATURE_SET)
LED = {name for name in NAMES if name.startswith("leader_")}


def ticks_of(symbol: str) -> tuple[Ticks, ...]:
    return tuple(generate_day(SyntheticMarket(k=1.0), 1, symbol, day).ticks for day in DATES)


@pytest.mark.parametrize(("late_us", "culprits"), [(0, set()), (2 * SECOND_US, set()), (10 * SECOND_US, LED)])
def test_kernel_beside_a_leader_reads_what_was_known_of_it(late_us: int, culprits: set[str]) -> None:
    leader = Ticks(*(np.concatenate(column) for column in zip(*(ticks.columns for ticks in ticks_of(LEADER)), strict=True)))
    history = History(tuple(day.isoformat() for day in DATES), ticks_of("SYN"), {LEADER: KnownTicks(leader, leader.ts_us + late_us)})
    kernel = leakage.by_date_led(lambda ticks, quotes: run_features(ticks, leader=quotes), LEADER)
    examined = leakage.examine_features(kernel, history, NAMES)
    assert {finding.culprit for each in examined for finding in each.findings} == culprits
