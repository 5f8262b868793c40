"""Conditions on one column, as PyIceberg's expressions.

What belongs here: the constructors that mypy can't type: its pydantic plugin makes up an `__init__` from the fields, and PyIceberg's
own takes (column, literal). What must not: filters of whole partitions or keys (`catalog`).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pyiceberg.expressions import BooleanExpression, EqualTo, GreaterThanOrEqual, In, LessThanOrEqual


def one_of(column: str, values: Iterable[Any]) -> BooleanExpression:
    """Return the filter of the rows whose column holds one of these values."""
    return In(column, tuple(values))  # type: ignore[misc, call-arg]  # see above


def equal_to(column: str, value: Any) -> BooleanExpression:
    """Return the filter of the rows whose column holds this value."""
    return EqualTo(column, value)  # type: ignore[misc, call-arg]  # see above


def at_least(column: str, value: Any) -> BooleanExpression:
    """Return the filter of the rows whose column is not below this value."""
    return GreaterThanOrEqual(column, value)  # type: ignore[misc, call-arg]  # see above


def at_most(column: str, value: Any) -> BooleanExpression:
    """Return the filter of the rows whose column is not above this value."""
    return LessThanOrEqual(column, value)  # type: ignore[misc, call-arg]  # see above
