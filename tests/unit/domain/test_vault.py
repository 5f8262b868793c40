"""The vault: who looked first looked at fresh dates, and only a new decision is a new look."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from tick_assets.domain.vault import Opening, count_decisions

AT = datetime(2026, 1, 2, tzinfo=UTC)
FIRST = Opening("EURUSD", "direction", "a" * 64, ("2024-01-18", "2024-01-19"), "d" * 64, "commit", "1", AT)


def other(model: str, hours: int, **more: object) -> Opening:
    return replace(FIRST, model_sha256=model * 64, opened_at=AT + timedelta(hours=hours), version="2", **more)  # type: ignore[arg-type]


def test_first_look_is_one_whatever_is_opened_later() -> None:
    assert count_decisions(FIRST, [FIRST, other("b", 1), other("c", 2)]) == 1


def test_second_model_on_the_same_dates_is_a_second_decision() -> None:
    assert count_decisions(other("b", 1), [FIRST, other("b", 1)]) == 2


def test_one_common_date_of_another_dataset_is_a_second_decision() -> None:
    later = other("b", 1, test_dates=("2024-01-19", "2024-01-22"), dataset_id="e" * 64)
    assert count_decisions(later, [FIRST, later]) == 2


@pytest.mark.parametrize("change", [{"test_dates": ("2024-01-22",)}, {"symbol": "GBPUSD"}, {"strategy": "reversal"}])
def test_other_dates_symbol_or_strategy_are_fresh(change: dict[str, object]) -> None:
    later = other("b", 1, **change)
    assert count_decisions(later, [FIRST, later]) == 1


def test_same_model_may_look_again_and_keeps_its_first_place() -> None:
    again = other("a", 5, test_dates=("2024-01-19",))
    assert count_decisions(again, [FIRST, other("b", 1), again]) == 1


def test_two_looks_at_one_instant_leave_one_of_them_fresh() -> None:
    pair = [FIRST, other("b", 0)]
    assert sorted(count_decisions(each, pair) for each in pair) == [1, 2]


def test_repeat_has_the_same_identity_and_plain_values_come_back() -> None:
    assert replace(FIRST, version="9", opened_at=AT + timedelta(days=3), code_commit="other").id == FIRST.id
    assert replace(FIRST, test_dates=("2024-01-18",)).id != FIRST.id
    assert Opening.from_dict(FIRST.to_dict()) == FIRST
