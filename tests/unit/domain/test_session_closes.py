"""Orders before a close, on hours read off the calendar by hand."""

from datetime import UTC, datetime

import numpy as np
import pytest

from tick_assets.domain.backtest import Orders
from tick_assets.domain.session_closes import NEVER_US, SessionRule, before_closes, next_close_us


def stamp(text: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1_000_000


def order(exit_at_us: int, side: int = 1) -> Orders:
    whole = np.zeros(1, np.int64)
    return Orders(np.zeros(1, np.int32), whole, np.array([side], np.int8), whole, whole, np.array([exit_at_us]), whole, whole, whole, whole)


@pytest.mark.parametrize(
    ("asset_class", "at", "close"),
    [
        ("fx", "2024-01-08T12:00:00", "2024-01-12T22:00:00"),
        ("fx", "2024-07-08T12:00:00", "2024-07-12T21:00:00"),
        ("fx", "2024-01-12T21:59:59", "2024-01-12T22:00:00"),
        ("fx", "2024-01-13T12:30:00", "2024-01-13T12:00:00"),
        ("metal", "2024-01-08T12:00:00", "2024-01-08T22:00:00"),
        ("metal", "2024-01-08T23:00:00", "2024-01-09T22:00:00"),
        ("index_europe", "2024-01-08T12:00:00", "2024-01-08T21:00:00"),
    ],
)
def test_next_close(asset_class: str, at: str, close: str) -> None:
    assert next_close_us(asset_class, np.array([stamp(at)])).tolist() == [stamp(close)]


def test_next_close_of_a_market_that_never_closes() -> None:
    assert next_close_us("crypto", np.array([stamp("2024-01-13T12:00:00")])).tolist() == [NEVER_US]


@pytest.mark.parametrize(("at", "is_late"), [("2024-01-12T21:29:59", False), ("2024-01-12T21:30:00", True), ("2024-01-11T21:45:00", False)])
def test_before_closes_last_half_hour_sends_nothing(at: str, is_late: bool) -> None:
    _, late = before_closes(order(stamp(at)), np.array([stamp(at)]), "fx", SessionRule(30, 5))
    assert late.tolist() == [is_late]


@pytest.mark.parametrize(
    ("wanted", "changed"),
    [("2024-01-12T22:20:00", "2024-01-12T21:55:00"), ("2024-01-12T21:30:00", "2024-01-12T21:30:00")],
)
def test_before_closes_exit_comes_before_the_close(wanted: str, changed: str) -> None:
    orders, _ = before_closes(order(stamp(wanted)), np.array([stamp("2024-01-12T21:20:00")]), "fx", SessionRule(30, 5))
    assert orders.exit_at_us.tolist() == [stamp(changed)]
