"""The leak firewall's rows: one for each suspect that is cleared and for each finding, and the count that the gate reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from tick_assets.domain import calibration, training
from tick_assets.domain.dataset import TrainingSet
from tick_assets.domain.gates import parse_policy
from tick_assets.domain.instruments import Market
from tick_assets.domain.kernel import FEATURE_NAMES
from tick_assets.domain.leak_findings import count_leaks
from tick_assets.domain.signals import Strategy
from tick_assets.domain.splits import split_dates
from tick_assets.domain.training import BoosterParams, Configuration
from tick_assets.settings import Settings
from tick_assets.tracking import judgement
from tick_assets.tracking.judgement import Bench, Case

AT = datetime(2024, 1, 20, tzinfo=UTC)
CONFIGURATION = Configuration(BoosterParams(rounds=20), 0.55)


class KeptRows:
    """The lake's side: rows go to a list."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []

    def replace_keys(self, table: str, rows: Sequence[dict[str, Any]], _: object) -> None:
        assert table == "evidence.leak_findings"
        self.rows = list(rows)


def case_of(events: TrainingSet, market: Market) -> tuple[Case, KeptRows]:
    """Return a trained case with its parts at hand, and the rows that it will keep."""
    lake = KeptRows()
    bench = Bench(lake, None, market, parse_policy(Settings().policy_path.read_text()), "abc")  # type: ignore[arg-type]
    case, split = Case(bench, events.symbol, "direction", "1"), split_dates(events.dates)
    model = training.fit_final(events.on_dates(split.search), CONFIGURATION.booster, before=events.on_dates(split.test))
    strategy = replace(Strategy(), threshold=CONFIGURATION.threshold)
    record = {"configuration": asdict(CONFIGURATION), "strategy": asdict(strategy), "seed": 1}
    vars(case).update(events=events, model=model, record=record)
    return case, lake


@pytest.fixture(scope="module")
def drawn() -> tuple[TrainingSet, Market]:
    return calibration.draw_edge(2.0, 1, 3)


def test_clean_case_keeps_a_passing_row_for_every_suspect(drawn: tuple[TrainingSet, Market]) -> None:
    case, lake = case_of(*drawn)
    assert count_leaks(judgement.find_leaks(case, AT)) == 0
    assert all(row["passed"] for row in lake.rows)
    suspects = {row["feature"] for row in lake.rows}
    assert len(suspects) == len(lake.rows)
    assert suspects >= {*FEATURE_NAMES, "sampling_clock", "label", "ts_label_end", "model", "search", "fold 4", "cross_validation"}
    assert all("cleared in" in row["detail"] for row in lake.rows)


def test_leak_is_counted_once_by_check_and_its_row_holds_the_mend(drawn: tuple[TrainingSet, Market]) -> None:
    events, market = drawn
    features = events.features.copy()
    features[:, 3] = np.append(events.features[1:, 3], 0.0)
    case, lake = case_of(replace(events, features=features), market)
    assert count_leaks(judgement.find_leaks(case, AT)) == 1
    (row,) = [row for row in lake.rows if not row["passed"]]
    assert (row["check"], row["feature"], row["recorded_at"]) == ("stored_features", FEATURE_NAMES[3], AT)
    assert "Write the table from the kernel alone" in row["detail"]
