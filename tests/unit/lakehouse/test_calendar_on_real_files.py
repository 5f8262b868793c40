"""The market calendar against hours that the vendor served: every hour that contradicts it is counted and explained here.

What belongs here: counts of real files, where they are. What must not: the calendar's own edges (`test_market_calendar`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from tick_assets.domain.market_calendar import is_open

PRESIDENTS_DAY = date(2018, 2, 19)


def served_hours(folder: Path) -> Iterator[tuple[datetime, bool]]:
    """Yield each hour of a vendor folder and whether it holds ticks; months of the path count from 0."""
    for path in folder.rglob("*h_ticks.bi5"):
        year, month, day = path.parts[-4:-1]
        yield datetime(int(year), int(month) + 1, int(day), int(path.name[:2]), tzinfo=UTC), path.stat().st_size > 0


@pytest.mark.parametrize(
    ("symbol", "asset_class", "hours", "with_ticks", "open_without_ticks"),
    [
        ("EURUSD", "fx", 48, 48, {}),
        ("BTCUSD", "crypto", 2, 2, {}),
        # The first hour of the UTC day is a hole of these files, on each of 65 weekdays.
        ("USDSGD", "fx", 2160, 1492, {0: 65}),
        # The same hole on 20 weekdays; 19 to 21 h are Presidents' Day, on which silver closes early: a hole, not modelled.
        ("XAGUSD", "metal", 672, 437, {0: 20, 19: 1, 20: 1, 21: 1}),
    ],
)
def test_served_hours_contradict_the_calendar_only_where_explained(
    real_data: Path, symbol: str, asset_class: str, hours: int, with_ticks: int, open_without_ticks: dict[int, int]
) -> None:
    served = dict(served_hours(real_data / "vendor" / "bi5" / symbol))
    empty_while_open = [hour for hour, has_ticks in served.items() if is_open(asset_class, hour) and not has_ticks]
    ticks_while_closed = [hour for hour, has_ticks in served.items() if not is_open(asset_class, hour) and has_ticks]
    assert (len(served), sum(served.values())) == (hours, with_ticks)
    assert Counter(hour.hour for hour in empty_while_open) == open_without_ticks
    assert ticks_while_closed == []
    assert {hour.date() for hour in empty_while_open if hour.hour} <= {PRESIDENTS_DAY}


def test_first_ticks_after_new_year_come_when_the_calendar_opens(real_data: Path) -> None:
    """Two other feeds, 2013 and 2020: the first quote of the year is of 17:00 in New York."""
    truefx = (real_data / "files" / "truefx" / "usdjpy-ticks.csv").read_text().splitlines()[1]
    histdata = (real_data / "files" / "histdata" / "DAT_ASCII_EURUSD_T_202001.csv").read_text().splitlines()[0]
    assert (truefx[:16], histdata[:13]) == ("2013-01-01 22:00", "20200101 1700")
    for year in (2013, 2020):
        opening = [is_open("fx", datetime(year, 1, 1, hour, tzinfo=UTC)) for hour in (21, 22)]
        assert opening == [False, True]
