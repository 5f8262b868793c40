"""Sizes of synthetic markets."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from benchmarks.market import hour_files, shape, weekdays


@pytest.mark.parametrize(
    ("ticks", "symbols", "days", "per_day"),
    [
        (2_000_000, 3, 7, 100_000),
        (20_000_000, 3, 67, 100_000),
        (300_000, 3, 1, 100_000),
        (100_000, 3, 1, 33_333),
        (1, 3, 1, 1),
    ],
)
def test_shape_keeps_the_density_of_a_day_from_one_date_on(ticks: int, symbols: int, days: int, per_day: int) -> None:
    assert shape(ticks, 100_000, ["S"] * symbols) == (weekdays(days), per_day)


def test_weekdays_leave_weekends_out() -> None:
    assert weekdays(6)[4:] == [date(2024, 1, 12), date(2024, 1, 15)]


def test_hour_files_are_in_order_and_their_months_count_from_zero(tmp_path: Path) -> None:
    for name in ("2019/01/04/01h_ticks.bi5", "2019/01/04/00h_ticks.bi5", "2018/11/31/23h_ticks.bi5"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    hours = ["2018-12-31T23:00:00+00:00", "2019-02-04T00:00:00+00:00", "2019-02-04T01:00:00+00:00"]
    assert [hour for _, hour in hour_files(tmp_path)] == hours
    assert [hour for _, hour in hour_files(tmp_path, [date(2019, 2, 4)])] == hours[1:]
