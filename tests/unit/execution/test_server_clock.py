"""Server wall time and UTC, over clock changes on both continents."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest

from execution.adapters.mt5.server_clock import (
    server_clock_from,
    to_server_us,
    to_server_us_array,
    to_utc_us,
    to_utc_us_array,
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
