"""The benchmarks of models at a tiny size, without the rivals' environment: that sides agree and figures are whole, never how fast."""

from __future__ import annotations

import sys
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest

from benchmarks import backtest, backtest_nautilus, predict_one, quotes, walkforward
from benchmarks.backtest_hftbacktest import NAME as HFTBACKTEST
from benchmarks.baseline import regressions
from benchmarks.findings import FIELDS, Finding
from benchmarks.plan import Plan
from benchmarks.registry import BENCHMARKS, chosen
from benchmarks.turns import Measured, Round
from tick_assets.domain.backtest import run_orders
from tick_assets.settings import load_settings

COMPARISONS = {"kernel.online": 3, "predict.one": 1, "backtest": 2, "walkforward": 1}
SIZES = {"kernel.online": 12_000, "predict.one": 50, "backtest": 20_000, "walkforward": 3_000}


def findings_of(name: str, folder: Path, *, has_rivals: bool = False) -> list[Finding]:
    """Run a benchmark; quotes are the test session's, and the rivals' environment that of the cache."""
    plan = Plan(folder, folder / "work", lambda line: None, (SIZES[name],), rounds=2, has_rivals=has_rivals)
    plan.work.mkdir(parents=True)
    return BENCHMARKS[name].run(plan)


@pytest.mark.parametrize(("name", "comparisons"), COMPARISONS.items())
def test_benchmark_of_models_at_a_tiny_size_fills_every_field(name: str, comparisons: int, tmp_path: Path) -> None:
    findings = findings_of(name, tmp_path)
    assert len(findings) == comparisons
    for row in (finding.row() for finding in findings):
        assert tuple(row) == FIELDS
        assert row["name"] == name
        assert row["value"] > 0
        assert row["peak_mb"] > 10
        assert row["note"]
        assert (row["rival"] is None) == (row["ratio"] is None)
    assert any(finding.met is not None for finding in findings)
    assert len({finding.key for finding in findings if finding.ratio is not None}) == sum(f.ratio is not None for f in findings)


@pytest.mark.full
@pytest.mark.parametrize(
    ("name", "rivals"),
    [
        ("predict.one", {"xgboost inplace_predict", "onnxruntime"}),
        ("backtest", {HFTBACKTEST, backtest_nautilus.NAME, *backtest.NUMPY.values()}),
    ],
)
def test_rivals_of_models_at_a_tiny_size_take_part(name: str, rivals: set[str], tmp_path: Path) -> None:
    made = load_settings().cache / "model_rivals"
    if made.is_dir():
        (tmp_path / "model_rivals").symlink_to(made)
    findings = findings_of(name, tmp_path, has_rivals=True)
    assert {finding.rival for finding in findings} == rivals
    for finding in findings:
        if finding.rival in backtest.RATIOS:
            assert "none of them ours" not in finding.note


def test_group_of_models_is_the_four_benchmarks() -> None:
    assert [each.name for each in chosen("models")] == list(COMPARISONS)


def dates_of(ticks: int, seed: int, gap_ms: int = 80) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return stamps, bid and ask of a wandering market with a wandering spread; a few stamps are shared, a few gaps are long."""
    random = np.random.default_rng(seed)
    gaps = random.exponential(gap_ms, ticks) * random.choice([0, 1, 1, 1, 40], ticks, p=[0.1, 0.3, 0.3, 0.29, 0.01])
    ts_us = 1_704_672_000_000_000 + np.cumsum(gaps).astype(np.int64) * 1_000
    bid = 110_000 + np.cumsum(random.integers(-2, 3, ticks))
    return ts_us, bid, bid + random.integers(0, 12, ticks)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("pace", [quotes.Pace("tight", 7, 1.0), quotes.Pace("wide", 60, 30.0)])
def test_numpy_rival_makes_the_trades_of_the_engine(seed: int, pace: quotes.Pace) -> None:
    date = dates_of(4_000, seed)
    arguments = quotes.orders(date, pace, seed).arguments
    ours, theirs = run_orders(*date, *arguments, 1_000_000), backtest._numpy_date(*date, *arguments, 1_000_000)
    assert len(ours[0]) > 20
    assert [column.tolist() for column in ours] == [column.tolist() for column in theirs]


def test_numpy_rival_meets_every_end_of_a_trade() -> None:
    met: set[int] = set()
    for seed in range(6):
        date = dates_of(4_000, seed)
        for pace in (quotes.Pace("tight", 7, 1.0), quotes.Pace("wide", 60, 30.0)):
            met |= set(backtest._numpy_date(*date, *quotes.orders(date, pace, seed).arguments, 200_000)[5].tolist())
    assert met == {1, 2, 3, 4, 5, 6}


def test_orders_of_a_pace_straddle_the_market_and_end_at_the_horizon() -> None:
    date = dates_of(1_000, 1)
    orders = quotes.orders(date, quotes.Pace("few", 100, 30.0), 0)
    assert orders.row.tolist() == [50, 150, 250, 350, 450, 550, 650, 750, 850, 950]
    assert set(orders.side.tolist()) == {-1, 1}
    anchor = np.where(orders.side > 0, date[1][orders.row], date[2][orders.row])
    assert np.all((orders.stop - anchor) * orders.side == -14)
    assert np.all((orders.target - anchor) * orders.side == 19)
    assert np.all(orders.exit_at_us - date[0][orders.row] == 30_000_000)


def test_quotes_are_read_up_to_the_size_that_was_asked_for(tmp_path: Path) -> None:
    for day, ticks in (("a", 30), ("b", 30)):
        columns = [np.arange(ticks)] * 5
        np.savez(tmp_path / f"{day}.npz", **dict(zip(quotes.COLUMNS, columns, strict=True)))
    dates = quotes.read([str(tmp_path / "a.npz"), str(tmp_path / "b.npz")], 45, 5)
    assert [[len(column) for column in date] for date in dates] == [[30] * 5, [15] * 5]


def side_of(name: str, seconds: float, **detail: float) -> Measured:
    return Measured(name, (Round(seconds, seconds, 1_000_000, MappingProxyType(detail)),), 100.0)


def test_other_trades_than_numpys_are_an_error() -> None:
    found = {
        backtest.OURS["dense"]: side_of(backtest.OURS["dense"], 0.01, digest=1.0, trades=10.0),
        backtest.NUMPY["dense"]: side_of(backtest.NUMPY["dense"], 0.10, digest=2.0, trades=10.0),
    }
    with pytest.raises(RuntimeError, match="Expected the trades of numpy"):
        backtest._pace_findings(found, "dense", 1_000_000)


def test_slower_backtest_beside_numpy_is_a_regression() -> None:
    found = {
        backtest.OURS["dense"]: side_of(backtest.OURS["dense"], 0.02, digest=1.0, trades=10.0),
        backtest.NUMPY["dense"]: side_of(backtest.NUMPY["dense"], 0.10, digest=1.0, trades=10.0),
    }
    accepted = {"ratios": {"backtest | numpy per trade, dense": {"ratio": 0.1, "ticks": 1_000_000}}}
    (regression,) = regressions(backtest._pace_findings(found, "dense", 1_000_000), accepted)
    assert regression.found == pytest.approx(0.2)


def test_likeness_pairs_trades_by_their_order(tmp_path: Path) -> None:
    ours, theirs = tmp_path / "ours.json", tmp_path / "theirs.json"
    ours.write_text("[[0, 10.0, 20.0], [1, 30.0, 40.0], [3, 1.0, 1.0]]")
    theirs.write_text("[[0, 11.0, 20.0], [1, 30.0, 36.0], [2, 5.0, 5.0]]")
    assert backtest._likeness(ours, theirs) == "3 trades, 2 of our orders; mean distance of entries 0.5, of exits 2.0 points"
    theirs.write_text("[[7, 1.0, 1.0]]")
    assert backtest._likeness(ours, theirs) == "1 trades, none of them ours"


def test_windows_of_walkforward_keep_test_rows_behind_their_train_rows() -> None:
    windows = walkforward._windows(1_000)
    assert len(windows) == 12
    for train, test in windows:
        assert (len(train), len(test)) == (400, 50)
        assert train[-1] + 1 == test[0]
    assert windows[-1][1][-1] == 999


@pytest.mark.parametrize("difference", [2e-6, float("nan")])
def test_probability_beyond_the_tolerance_is_an_error(difference: float) -> None:
    with pytest.raises(RuntimeError, match="Expected the Booster's probabilities within 1e-06"):
        predict_one._require_equal(difference)


def test_difference_is_the_largest_from_the_booster(tmp_path: Path) -> None:
    np.save(tmp_path / f"{predict_one.BOOSTER}.npy", np.array([0.5, 0.25], np.float32))
    np.save(tmp_path / f"{predict_one.OURS}.npy", np.array([0.5, 0.375]))
    assert predict_one._difference(tmp_path, predict_one.OURS) == 0.125


def test_modules_of_rivals_import_nothing_but_the_standard_library() -> None:
    """A rival's interpreter has none of the project's packages."""
    import subprocess

    names = ", ".join(f"benchmarks.{name}" for name in ("backtest_hftbacktest", "backtest_nautilus", "predict_one"))
    code = f"import sys, {names}; print(sorted(sys.modules))"
    root = Path(backtest.__file__).parents[1]
    done = subprocess.run([sys.executable, "-S", "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert "'numpy'" not in done.stdout
    assert "'benchmarks.backtest_nautilus'" in done.stdout
