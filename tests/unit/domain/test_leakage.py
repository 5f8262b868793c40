"""The leak firewall finds planted leaks and clears the kernel."""

from datetime import date

import numpy as np
import pytest

from tick_assets.domain import leakage
from tick_assets.domain.kernel import Kernel, KernelBatch, run_kernel
from tick_assets.domain.synthetic_market import SyntheticMarket, generate_day
from tick_assets.domain.ticks import Ticks


@pytest.fixture(scope="module")
def ticks() -> Ticks:
    return generate_day(SyntheticMarket(k=2.0, mean_gap_s=6.0), 1, "SYN", date(2024, 1, 9)).ticks


def test_kernel_has_no_leak(ticks: Ticks) -> None:
    assert leakage.find_leaks(run_kernel, ticks, 100_000) == []


def _shifted(ticks: Ticks, price_factor: int) -> KernelBatch:
    batch = run_kernel(ticks, price_factor)
    features = batch.features.copy()
    features[:-1, 3] = batch.features[1:, 3]
    return KernelBatch(batch.reason, batch.event_row, features)


def _whole_day_mean(ticks: Ticks, price_factor: int) -> KernelBatch:
    batch = run_kernel(ticks, price_factor)
    features = batch.features.copy()
    features[:, 5] -= ticks.ask_points.mean()
    return KernelBatch(batch.reason, batch.event_row, features)


def _next_size(ticks: Ticks, price_factor: int) -> KernelBatch:
    batch = run_kernel(ticks, price_factor)
    features = batch.features.copy()
    ahead = np.minimum(batch.event_row + 1, len(ticks) - 1)
    features[:, 11] = ticks.bid_size[ahead]
    return KernelBatch(batch.reason, batch.event_row, features)


@pytest.mark.parametrize(("kernel", "column"), [(_shifted, 3), (_whole_day_mean, 5), (_next_size, 11)])
def test_planted_leak_is_found_by_both_checks(ticks: Ticks, kernel: Kernel, column: int) -> None:
    findings = leakage.find_leaks(kernel, ticks, 100_000)
    assert {finding.check for finding in findings} >= {"prefix_invariance", "future_poison"}
    assert {finding.culprit for finding in findings} == {leakage.FEATURE_NAMES[column]}
    assert all(finding.mend for finding in findings)


def test_sampling_that_looks_ahead_is_found(ticks: Ticks) -> None:
    def every_other(rows: Ticks, price_factor: int) -> KernelBatch:
        batch = run_kernel(rows, price_factor)
        keep = slice(len(rows) % 2, None, 2)
        return KernelBatch(batch.reason, batch.event_row[keep], batch.features[keep])

    assert leakage.SAMPLING in {finding.culprit for finding in leakage.find_leaks(every_other, ticks, 100_000)}


def test_poison_leaves_the_past_alone(ticks: Ticks) -> None:
    poisoned = leakage.poison_after(ticks, 100)
    assert np.array_equal(poisoned.bid_points[:101], ticks.bid_points[:101])
    assert (poisoned.bid_points[101:] == leakage.POISON_POINTS).all()


def test_find_leaks_without_events_finds_nothing(ticks: Ticks) -> None:
    assert leakage.find_leaks(run_kernel, ticks.take(slice(0, 10)), 100_000) == []
