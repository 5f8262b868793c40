"""Gold of recorded files with crossed quotes, from the import to the views, made a second time from the CSV files.

What belongs here: what the synthetic road has too little of: refused rows. What must not: formats (importers' unit tests).
"""

from __future__ import annotations

import shutil
from datetime import UTC, date, datetime
from typing import Any

import dagster as dg
import pytest

from tests.integration import gold_from_raw
from tests.recorded import require_recorded
from tick_assets.domain.instruments import parse_market
from tick_assets.lakehouse.bars import GRAINS
from tick_assets.lakehouse.importers.importing import import_path
from tick_assets.lakehouse.query import TrinoQuery
from tick_assets.lakehouse.raw_store import RawStore
from tick_assets.settings import Settings

pytestmark = [pytest.mark.full, pytest.mark.stack]

SYMBOL, DATES = "EURUSD", (date(2014, 5, 1), date(2014, 5, 2))
WHERE = f"symbol = '{SYMBOL}' and date = date '{DATES[1]}'"


@pytest.fixture(scope="module")
def query(stack_settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> TrinoQuery:
    """The lake of two recorded dates, imported and brought through to gold."""
    from tick_assets.definitions import defs

    folder = require_recorded("files/fxcm-quotes/eurusd")
    copied = tmp_path_factory.mktemp("recorded") / SYMBOL
    copied.mkdir()
    for day in DATES:
        shutil.copy(folder / f"{day:%Y%m%d}_quote.zip", copied)
    instrument = parse_market(stack_settings.market_path.read_text()).instrument(SYMBOL)
    import_path(copied, RawStore(stack_settings.raw_dir), instrument, now=datetime.now(UTC), first=DATES[0], last=DATES[1])
    tags = {"dagster/asset_partition_range_start": str(DATES[0]), "dagster/asset_partition_range_end": str(DATES[1])}
    config = {"resources": {"scope": {"config": {"symbols": [SYMBOL]}}}}
    instance = dg.DagsterInstance.ephemeral()
    defs.resolve_job_def("ingest_ticks_job").execute_in_process(instance=instance, tags=tags, run_config=config, raise_on_error=True)
    return TrinoQuery.from_settings(stack_settings)


@pytest.fixture(scope="module")
def raw(query: TrinoQuery, stack_settings: Settings) -> gold_from_raw.RawDay:
    """The rows of the second date's raw file."""
    factor = parse_market(stack_settings.market_path.read_text()).instrument(SYMBOL).price_factor
    return gold_from_raw.read_raw_day(stack_settings.raw_dir, SYMBOL, str(DATES[1]), factor)


@pytest.fixture(scope="module")
def refused(query: TrinoQuery) -> dict[int, str]:
    """The ranks that the lake refused, with their reasons."""
    return dict(query.rows(f"select seq, reason_code from silver.tick_rejects where {WHERE}"))


def test_plain_refusals_are_the_lakes(raw: gold_from_raw.RawDay, refused: dict[int, str]) -> None:
    plain = {(seq, reason) for seq, reason in refused.items() if reason in gold_from_raw.PLAIN_REASONS}
    assert raw.plainly_refused() == plain
    assert len(plain) > 0.05 * len(raw.rows)


@pytest.mark.parametrize("grain", GRAINS)
def test_bars_equal_bars_made_of_the_raw_file(
    query: TrinoQuery, raw: gold_from_raw.RawDay, refused: dict[int, str], stack_settings: Settings, grain: str
) -> None:
    order = "first_seq" if grain == "ticks" else "ts_event"
    theirs = query.dicts(f"select * from gold.bars_{grain} where {WHERE} order by {order}")
    ours = raw.without(refused).bars(grain, stack_settings.bar_ticks)
    assert len(theirs) == len(ours) > 10
    assert gold_from_raw.differences(ours, theirs) == []


def test_day_equals_the_day_made_of_the_raw_file(query: TrinoQuery, raw: gold_from_raw.RawDay, refused: dict[int, str]) -> None:
    (theirs,) = query.dicts(f"select * from gold.symbol_days where {WHERE}")
    ours: dict[str, Any] = raw.without(refused).summary()
    ours |= {"raw_rows": len(raw.rows), "reject_count": len(refused), "hours_ok": raw.hours(), "is_synthetic": False}
    assert gold_from_raw.differences([ours], [theirs]) == []
