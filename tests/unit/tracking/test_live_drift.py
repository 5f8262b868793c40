"""`tick drift`: later published events against the pinned training events, over a lake in a folder."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl
import pytest

from tests.unit.lakehouse.local_catalog import DAY, local_lakehouse
from tests.unit.lakehouse.test_datasets import REQUEST, MemoryObjects, publish
from tick_assets.cli.drift import headline
from tick_assets.domain.drift import STRONG, TOO_FEW, FeatureDrift
from tick_assets.domain.kernel import FEATURE_NAMES, FEATURE_SET
from tick_assets.domain.signals import event_id
from tick_assets.lakehouse import datasets
from tick_assets.lakehouse.catalog import Lakehouse, day_filter
from tick_assets.tracking.live_drift import LiveDrift, NoEventsError, drift_since

LATER = date(2024, 1, 9)
EVENTS = 1_000


@pytest.fixture
def lakehouse(tmp_path: Path) -> Lakehouse:
    return local_lakehouse(tmp_path)


def case_of(lakehouse: Lakehouse) -> Any:
    """Return what drift asks of a case: the dataset of the first date, all of which the model was fitted on."""
    dataset = datasets.create(lakehouse, MemoryObjects(), REQUEST)
    split = {"train": [DAY.isoformat()], "validation": [], "test": []}
    record = {"features": list(FEATURE_NAMES), "feature_set": FEATURE_SET, "split": split}
    bench = SimpleNamespace(lakehouse=lakehouse)
    return SimpleNamespace(symbol="SYNEDGE", model_id="SYNEDGE.direction@1", record=record, dataset=dataset, bench=bench)


def add_events(lakehouse: Lakehouse, day: date, shifts: dict[str, float], source: str = "dukascopy", publication_id: str = "n1") -> None:
    """Publish a date of normal features, some of them shifted."""
    random = np.random.default_rng(day.day)
    rows = pl.DataFrame(
        {
            "symbol": ["SYNEDGE"] * EVENTS,
            "date": [day] * EVENTS,
            "ts_event": [datetime(day.year, day.month, day.day, tzinfo=UTC)] * EVENTS,
            "seq": range(EVENTS),
            "event_id": [event_id("SYNEDGE", day.isoformat(), i) for i in range(EVENTS)],
            "feature_set": [FEATURE_SET] * EVENTS,
            "publication_id": [publication_id] * EVENTS,
            **{name: random.normal(size=EVENTS) + shifts.get(name, 0.0) for name in FEATURE_NAMES},
        }
    ).with_columns(pl.col("ts_event").cast(pl.Datetime("us", "UTC")))
    lakehouse.replace_rows("silver.features", rows, day_filter("SYNEDGE", day))
    row = {"symbol": "SYNEDGE", "date": day, "publication_id": "n1", "silver_rows": EVENTS, "source": source}
    lakehouse.replace_partitions("evidence.publications", [row], ["SYNEDGE"], [day])


def test_drift_since_names_the_feature_that_moved(lakehouse: Lakehouse) -> None:
    publish(lakehouse, publication_id="n1")
    add_events(lakehouse, DAY, {})
    case = case_of(lakehouse)
    add_events(lakehouse, LATER, {"spread_bps": 2.0})
    found = drift_since(case)
    assert (found.dates, found.sources) == ((LATER,), ("dukascopy",))
    assert (found.drift.reference_events, found.drift.new_events) == (1_000, 1_000)
    assert (found.drift.alarms, found.drift.features[0].feature) == (("spread_bps",), "spread_bps")
    assert headline(found) == "STRONG drift of 1 of 19 features since SYNEDGE.direction@1 was fitted: spread_bps."


def test_drift_since_live_takes_recorded_dates_only(lakehouse: Lakehouse) -> None:
    publish(lakehouse, publication_id="n1")
    add_events(lakehouse, DAY, {})
    case = case_of(lakehouse)
    add_events(lakehouse, LATER, {"spread_bps": 2.0})
    add_events(lakehouse, date(2024, 1, 10), {}, source="live-12345")
    found = drift_since(case, is_live=True)
    assert (found.dates, found.sources, found.drift.alarms) == ((date(2024, 1, 10),), ("live-12345",), ())
    assert headline(found) == "Drift since SYNEDGE.direction@1 was fitted: stable."


def test_drift_since_leaves_replaced_publications_out(lakehouse: Lakehouse) -> None:
    publish(lakehouse, publication_id="n1")
    add_events(lakehouse, DAY, {})
    case = case_of(lakehouse)
    add_events(lakehouse, LATER, {}, publication_id="stale")
    with pytest.raises(NoEventsError, match="Expected published events of SYNEDGE from 2024-01-09 on, was none"):
        drift_since(case)


def test_drift_since_of_few_events_raises_no_alarm(lakehouse: Lakehouse) -> None:
    publish(lakehouse)
    case = case_of(lakehouse)
    publish(lakehouse, day=LATER, count=260)
    found = drift_since(case, LATER, LATER)
    assert (found.drift.reference_events, found.drift.new_events, found.drift.worst) == (3, 4, TOO_FEW)
    assert found.drift.alarms == ()


def test_drift_since_without_later_dates_says_what_to_run(lakehouse: Lakehouse) -> None:
    publish(lakehouse)
    with pytest.raises(NoEventsError, match="Run `tick backfill --symbols SYNEDGE --from 2024-01-09"):
        drift_since(case_of(lakehouse))


def test_headline_counts_strong_features_only() -> None:
    rows = tuple(FeatureDrift(name, 0.3, 0.1, 0.0, 0.0, 0.0, 0.0, word) for name, word in (("a", STRONG), ("b", "moderate")))
    drift = SimpleNamespace(features=rows, alarms=("a",))
    assert headline(LiveDrift("M.d@1", (), (), drift)) == "STRONG drift of 1 of 2 features since M.d@1 was fitted: a."  # type: ignore[arg-type]
