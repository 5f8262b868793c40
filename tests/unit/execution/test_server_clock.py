"""Server wall time and UTC, over clock changes on both continents."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest

from execution.adapters.mt5.server_clock import (
    server_clock_from,
    server_range,
    to_server_us,
    to_server_us_array,
    to_utc_us,
    to_utc_us_array,
    to_utc_us_in_order,
)
from execution.orders import to_us


def us(text: str) -> int:
    return to_us(datetime.fromisoformat(text).replace(tzinfo=UTC))


@pytest.mark.parametrize(
    ("section", "utc", "server"),
    [
        ({"kind": "ny_plus_7"}, "2024-01-10T12:00", "2024-01-10T14:00"),
        ({"kind": "ny_plus_7"}, "2024-03-10T06:59", "2024-03-10T08:59"),
        ({"kind": "ny_plus_7"}, "2024-03-10T07:00", "2024-03-10T10:00"),
        ({"kind": "ny_plus_7"}, "2024-07-01T12:00", "2024-07-01T15:00"),
        ({"kind": "zoneinfo", "zone": "Europe/Athens"}, "2024-03-20T12:00", "2024-03-20T14:00"),
        ({"kind": "zoneinfo", "zone": "Europe/Athens"}, "2024-04-01T12:00", "2024-04-01T15:00"),
        ({"kind": "fixed", "offset_hours": 3}, "2024-04-01T12:00", "2024-04-01T15:00"),
    ],
)
def test_clock_literal_moment_goes_both_ways(section: dict[str, object], utc: str, server: str) -> None:
    clock = server_clock_from(section)
    assert to_server_us(clock, us(utc)) == us(server)
    assert to_utc_us(clock, us(server)) == us(utc)


def test_clock_arrays_equal_scalars_around_a_change() -> None:
    clock = server_clock_from({"kind": "ny_plus_7"})
    moments = us("2024-03-10T00:00") + np.arange(200, dtype=np.int64) * 420_000_000
    servers = to_server_us_array(clock, moments)
    assert servers.tolist() == [to_server_us(clock, int(moment)) for moment in moments]
    assert to_utc_us_array(clock, servers).tolist() == moments.tolist()


def test_clock_unknown_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="Expected server_clock kind"):
        server_clock_from({"kind": "auto"})


def test_clock_stamps_in_order_tell_the_passes_of_the_repeated_hour_apart() -> None:
    clock = server_clock_from({"kind": "ny_plus_7"})
    moments = us("2024-11-03T04:00") + np.arange(180, dtype=np.int64) * 60_000_000  # set back at 06:00 UTC
    assert to_utc_us_in_order(clock, to_server_us_array(clock, moments)).tolist() == moments.tolist()


def test_clock_repeated_hour_without_a_step_back_is_the_first_pass() -> None:
    clock = server_clock_from({"kind": "ny_plus_7"})
    server = np.array([us("2024-11-03T08:10"), us("2024-11-03T08:20")])
    assert to_utc_us_in_order(clock, server).tolist() == [us("2024-11-03T05:10"), us("2024-11-03T05:20")]


@pytest.mark.parametrize(
    ("start", "end", "first", "last"),
    [
        ("2024-01-10T00:00", "2024-01-11T00:00", "2024-01-10T02:00", "2024-01-11T02:00"),
        ("2024-11-03T00:00", "2024-11-03T06:00", "2024-11-03T03:00", "2024-11-03T09:00"),  # an hour more beside the change
        ("2024-11-03T06:00", "2024-11-03T12:00", "2024-11-03T07:00", "2024-11-03T14:00"),
    ],
)
def test_server_range_holds_the_range_and_an_hour_more_beside_a_change(start: str, end: str, first: str, last: str) -> None:
    clock = server_clock_from({"kind": "ny_plus_7"})
    assert server_range(clock, us(start), us(end)) == (us(first) // 1_000_000, us(last) // 1_000_000)
