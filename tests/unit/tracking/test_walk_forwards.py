"""The walk-forward stage on a local lake: a killed one goes on, and what it is bound to."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.unit.lakehouse.fake_s3 import FakeS3Client
from tests.unit.lakehouse.local_catalog import local_lakehouse
from tests.unit.tracking.local_judgement import AT, POLICY, SYMBOL, Killed, case_of, keep
from tick_assets.domain import calibration
from tick_assets.domain.dataset import TrainingSet
from tick_assets.domain.instruments import Market
from tick_assets.domain.walk_forward import WindowRow
from tick_assets.lakehouse.object_store import ObjectStore
from tick_assets.tracking import judgement, robustness, walk_forwards
from tick_assets.tracking.judgement import Bench, Case

SHORT = replace(POLICY, walk_forward_train_days=2)


@pytest.fixture(scope="module")
def drawn() -> tuple[TrainingSet, Market]:
    return calibration.draw_edge(2.0, 4, days=5)


@pytest.fixture
def case(tmp_path: Path, drawn: tuple[TrainingSet, Market], monkeypatch: pytest.MonkeyPatch) -> Case:
    monkeypatch.setattr(judgement, "N_TRIALS", 3)
    bench = Bench(local_lakehouse(tmp_path), ObjectStore(FakeS3Client(), "bucket"), drawn[1], SHORT, "commit")
    return keep(bench, drawn[0], "1")


def _second_start(case: Case, **changed: object) -> Case:
    """Return the case as a new process would see it, with a changed bench."""
    return case_of(replace(case.bench, **changed), case.events, "one", "1")  # type: ignore[arg-type]


def test_walk_forward_rows_hold_every_kind_of_window(case: Case) -> None:
    walk_forwards.run_walk_forward(case)
    rows = case.bench.lakehouse.frame("evidence.walk_forward_windows").sort("kind", "window")
    assert rows["kind"].to_list() == ["anchored"] * 3 + ["reselected"] * 3 + ["rolling"] * 3
    assert rows["test_from"].cast(str).to_list() == list(case.events.dates[2:]) * 3
    assert rows.filter(rows["kind"] == "rolling")["is_searched"].to_list() == [True, True, False]


def test_walk_forward_killed_stage_goes_on_and_ends_as_one_that_was_not(case: Case) -> None:
    finished: list[WindowRow] = []

    def kill_after_four(row: WindowRow) -> None:
        finished.append(row)
        if len(finished) == 4:
            raise Killed

    with pytest.raises(Killed):
        walk_forwards.run_walk_forward(case, kill_after_four)
    assert case.bench.lakehouse.frame("evidence.walk_forward_windows").is_empty()
    later: list[WindowRow] = []
    resumed = walk_forwards.run_walk_forward(_second_start(case), later.append)
    assert len(later) == 5
    assert [row.to_document() for row in resumed] == [row.to_document() for row in walk_forwards.walk_windows(case)]
    assert [row.to_document() for row in judgement.windows_of(case)] == [row.to_document() for row in resumed]


def test_walk_forward_of_another_policy_commit_or_market_begins_again(case: Case) -> None:
    harsher = replace(case.bench.market, latency_median_ms=500.0)
    others = [
        _second_start(case),
        _second_start(case, policy=replace(SHORT, sha256="other")),
        _second_start(case, code_commit="other"),
        _second_start(case, market=harsher),
    ]
    runs = [walk_forwards.run_of(other) for other in others]
    assert runs[0] == walk_forwards.run_of(case)
    assert len(set(runs)) == 4


def test_superiority_and_surface_are_handed_on_and_made_where_they_are_missing(case: Case) -> None:
    judgement.test(case, AT)
    made = robustness.superiority_of(case)
    assert [row.rival for row in made.rows] == ["flat", "always long", "momentum", "reversal", "quote imbalance"]
    assert robustness.superiority_of(_second_start(case)) == made
    cells = robustness.keep_surface(case)
    assert robustness.surface_of(_second_start(case)) == cells
    assert cells[0].net_pnl == case.test.figures.net_pnl
    assert case.symbol == SYMBOL
