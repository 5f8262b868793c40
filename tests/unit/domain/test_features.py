"""The feature registry: what a line must say, how a feature is added, and that the first set stays what it was."""

from __future__ import annotations

import hashlib
import math
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from tick_assets.domain import features, kernel
from tick_assets.domain.features import BASE_V1, FEATURE_SETS, LEADER, MICRO, Feature, compile_row, longest_memory_s, names_of, observe
from tick_assets.domain.kernel_state import RING_S, accept, new_state, reset
from tick_assets.domain.synthetic_market import SyntheticMarket, generate_day

ALL = (*BASE_V1, *LEADER, *MICRO)
ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("feature", ALL, ids=lambda feature: feature.name)
def test_feature_says_unit_formula_memory_and_source(feature: Feature) -> None:
    assert all((feature.unit, feature.formula, feature.source))
    assert 0 <= feature.memory_s < RING_S
    assert 0 <= feature.memory_ticks < RING_S


def test_features_of_the_first_set_are_what_they_were_before_the_registry() -> None:
    """The digest is of the kernel that listed its features by hand; nine digits, as another processor may round the last one otherwise."""
    batch = kernel.run_kernel(generate_day(SyntheticMarket(k=2.0), 5, "SYNEDGE", date(2024, 1, 8)).ticks, 100_000, 19_730)
    text = "\n".join(f"{value:.9e}" for value in batch.features.ravel())
    assert batch.features.shape == (1425, 19)
    assert hashlib.sha256(text.encode()).hexdigest() == "d21c3ed77ebfb4cee352e39027c0d8d2ba214e22bd6f8db093c2f000eeca94e1"


def test_names_of_the_first_set_keep_their_places() -> None:
    assert kernel.FEATURE_NAMES[:3] == ("spread_bps", "spread_mean_5m_bps", "log_return_10s_bps")
    assert kernel.FEATURE_NAMES[-1] == "time_of_day_cos"
    assert (len(kernel.FEATURE_NAMES), kernel.FEATURE_NAMES[kernel.SIGMA_INDEX]) == (19, "sigma_horizon_points")


def test_warm_up_is_the_longest_memory() -> None:
    assert kernel.WARM_UP_S == max(feature.memory_s for feature in ALL) == 900


def test_set_with_a_leader_begins_with_the_first_set() -> None:
    assert names_of(FEATURE_SETS["lead_v1"])[:19] == kernel.FEATURE_NAMES
    assert kernel.feature_names("lead_v1")[19:] == ("leader_log_return_10s_bps", "leader_log_return_1m_bps", "leader_gap_1m_bps")


def test_unknown_feature_set_is_refused() -> None:
    with pytest.raises(ValueError, match="base_v1, lead_v1, micro_v1"):
        kernel.feature_names("base_v9")


def test_feature_listed_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="each feature once"):
        names_of((*BASE_V1, BASE_V1[0]))


def test_memory_beyond_the_grid_is_refused() -> None:
    with pytest.raises(ValueError, match=r"below 1024 s, was 2000 of spread_bps"):
        longest_memory_s((replace(BASE_V1[0], memory_s=2000), *BASE_V1[1:]))


@pytest.mark.parametrize("count", [1, 3, 4, 5, 9])
def test_row_of_any_length_holds_each_feature_in_its_place(count: int) -> None:
    integers, floats, grid, _, _ = new_state()
    reset(integers, floats, grid, 0)
    accept(integers, floats, grid, 21_600_000_000, 110_000, 110_010, 3.0, 1.0)
    event = observe(integers, floats, grid, 21_600_000_000, 110_000, 110_010, 3.0, 1.0)
    chosen = tuple(feature for feature in BASE_V1 if feature.name.startswith(("quote", "time", "tick", "spread")))[:count]
    out = np.full(count, math.nan)
    compile_row(chosen)(event, out)
    assert out.tolist() == [feature.function(event) for feature in chosen]


def test_part_of_a_row_has_a_name_of_its_own_that_is_the_same_in_each_process() -> None:
    """Numba's cache may not take one part for another: two of one name in two cached kernels were taken for one, and a value was lost."""
    names = [compile_row(part, place).py_func.__qualname__ for part, place in ((LEADER, 0), (LEADER, 1), (LEADER[1:], 1), (BASE_V1, 0))]
    assert len(set(names)) == 4
    assert names[0] == compile_row(LEADER, 0).py_func.__qualname__ == "fill_0_9f8633aa607fdc04"


def test_changed_text_of_a_module_is_another_compilation() -> None:
    assert kernel._text_of(features) != kernel._text_of(features, kernel)


def test_page_of_features_shows_the_registry() -> None:
    page = (ROOT / "docs" / "features.md").read_text()
    assert features.to_markdown() in page
