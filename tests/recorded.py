"""Recorded quotes, which may not be committed: where they are, and a skip where they are not.

What belongs here: finding them. What must not: what is expected of them; a rule that only they would show, since fresh machines skip it.
"""

from __future__ import annotations

import os
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from tick_assets.domain.ticks import Ticks
from tick_assets.lakehouse.vendors.bi5 import bi5_path, decode_bi5
from tick_assets.settings import PROJECT_ROOT


def find_recorded(part: str) -> Path | None:
    """Return a folder of the recordings, `TICK_TEST_DATA` or `shared/data` beside the project. A folder that was named must be there."""
    named = os.environ.get("TICK_TEST_DATA")
    if named and not Path(named).is_dir():
        pytest.fail(f"Expected a folder of recordings at TICK_TEST_DATA, was none: {named}. Correct it or unset it.")
    folder = Path(named or PROJECT_ROOT.parent / "shared" / "data") / part
    return folder if folder.is_dir() else None


def require_recorded(part: str) -> Path:
    """Return a folder of the recordings, or skip the test."""
    folder = find_recorded(part)
    if folder is None:
        pytest.skip(f"no recordings of {part}; set TICK_TEST_DATA")
    return folder


def recorded_day(symbol: str, day: datetime) -> Ticks:
    """Return all ticks of a recorded vendor day, or skip the test."""
    root = require_recorded(f"vendor/bi5/{symbol}").parent
    hours = [day + timedelta(hours=hour) for hour in range(24)]
    decoded = [decode_bi5((root / bi5_path(symbol, hour).lstrip("/")).read_bytes(), hour) for hour in hours]
    return Ticks(*(np.concatenate(column) for column in zip(*(ticks.columns for ticks in decoded), strict=True)))
