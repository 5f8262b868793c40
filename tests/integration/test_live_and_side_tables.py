"""Live ticks and side tables on the real servers: posted over HTTP, recorded, ingested, clean, and joined as of their time.

What belongs here: what only the servers can show. What must not: rules that files and a local catalog show too.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import httpx
import polars as pl
import pytest

from serving.clock import parse_stamp
from serving.testing import to_json_ticks, walk
from tick_assets.domain.asof import join_as_of
from tick_assets.domain.kernel import FEATURE_NAMES, OnlineKernel
from tick_assets.domain.signals import event_id
from tick_assets.domain.ticks import DAY_US, Ticks
from tick_assets.lakehouse.catalog import Lakehouse, day_filter
from tick_assets.lakehouse.query import TrinoQuery
from tick_assets.lakehouse.side_tables import read_values
from tick_assets.settings import Settings

pytestmark = [pytest.mark.stack, pytest.mark.full]

SYMBOL, DAY = "EURUSD", date(2024, 1, 10)
MORNING_US = parse_stamp(f"{DAY}T08:00:00Z")
SILVER = ("ticks", "tick_rejects", "features", "labels", "bars_1s", "bars_1m", "bars_1h", "bars_ticks")
LIVE = ["raw/live_ticks_csv", "raw/replica", "raw/ticks", *(f"silver/{name}" for name in SILVER)]


@dataclass
class Posted:
    """What was sent and answered."""

    ticks: Ticks
    answers: list[dict[str, Any]]


@pytest.fixture(scope="module")
def lakehouse(stack_settings: Settings) -> Lakehouse:
    opened = Lakehouse.from_settings(stack_settings)
    opened.ensure_tables()
    return opened


@pytest.fixture(scope="module")
def posted(stack_settings: Settings) -> Posted:
    """Forty minutes of quotes, one of them crossed, then the next date's first tick, which closes the recording."""
    ticks = walk(MORNING_US, minutes=40)
    ticks.ask_points[500] = ticks.bid_points[500] - 1
    key = stack_settings.secrets.api_keys["trader"].get_secret_value()
    batches = [ticks.take(slice(i, i + 100)) for i in range(0, len(ticks), 100)] + [walk(MORNING_US + DAY_US, minutes=0.1)]
    with httpx.Client(base_url=stack_settings.service_address, headers={"X-API-Key": key}, timeout=30) as client:
        answers = [client.post("/v1/ticks", json=to_json_ticks(batch)).raise_for_status().json() for batch in batches]
    return Posted(ticks, answers)


@pytest.fixture(scope="module")
def ingested(stack_settings: Settings, posted: Posted) -> dg.ExecuteInProcessResult:
    """The recording through silver and the views, as the sensor asks for it."""
    from tick_assets.definitions import defs

    config = {"resources": {"scope": {"config": {"symbols": [SYMBOL]}}}}
    tags = {"dagster/asset_partition_range_start": str(DAY), "dagster/asset_partition_range_end": str(DAY)}
    views = dg.AssetSelection.groups("gold").resolve(defs.resolve_asset_graph())
    keys = [*(dg.AssetKey(key.split("/")) for key in LIVE), *views]
    return defs.resolve_job_def("ingest_ticks_job").execute_in_process(
        instance=dg.DagsterInstance.ephemeral(), tags=tags, run_config=config, asset_selection=keys
    )


def test_posted_ticks_are_clean_ticks_of_their_account(lakehouse: Lakehouse, posted: Posted, ingested: dg.ExecuteInProcessResult) -> None:
    rows = lakehouse.frame("silver.ticks", day_filter(SYMBOL, DAY)).sort("seq")
    valid = [i for i in range(len(posted.ticks)) if i != 500]
    assert set(rows["source"]) == {"live-trader"}
    assert rows["seq"].to_list() == valid
    assert rows["bid_points"].to_list() == posted.ticks.bid_points[valid].tolist()
    assert rows["ts_event"].dt.epoch("us").to_list() == posted.ticks.ts_us[valid].tolist()
    refused = lakehouse.frame("silver.tick_rejects", day_filter(SYMBOL, DAY))
    assert refused.select("seq", "reason_code").rows() == [(500, "QUOTE_CROSSED")]
    assert [check.check_name for check in ingested.get_asset_check_evaluations() if not check.passed] == []


def test_features_of_the_lake_are_those_of_the_live_kernel(
    lakehouse: Lakehouse, posted: Posted, ingested: dg.ExecuteInProcessResult
) -> None:
    kernel = OnlineKernel(SYMBOL, 100_000)
    steps = [kernel.push(*row) for row in zip(*(column.tolist() for column in posted.ticks.columns), strict=True)]
    live = [(step.seq, step.features.tobytes()) for step in steps if step.features is not None]
    lake = lakehouse.frame("silver.features", day_filter(SYMBOL, DAY)).sort("seq")
    values = lake.select(FEATURE_NAMES).to_numpy()
    assert len(live) > 20
    assert [(seq, values[i].tobytes()) for i, seq in enumerate(lake["seq"])] == live
    said = {signal["event_id"] for answer in posted.answers for signal in answer["signals"]}
    assert {event_id(SYMBOL, str(DAY), seq) for seq, _ in live} <= said


CALENDAR = "ts_event,known_at,currency,name,actual,forecast\n"
WHEN = datetime(2024, 1, 10, 8, 20, tzinfo=UTC)


def calendar_row(known_s: int, actual: str, forecast: str = "", minute: int = 0) -> str:
    event = WHEN + timedelta(minutes=minute)
    return f"{event.isoformat()},{(event + timedelta(seconds=known_s)).isoformat()},USD,CPI,{actual},{forecast}\n"


FILES = (
    CALENDAR + calendar_row(-86_400, "", "3.2") + calendar_row(2, "3.4") + calendar_row(2, "1.0", minute=-15),
    CALENDAR + calendar_row(600, "3.3") + calendar_row(1_080, "1.1", minute=-15) + calendar_row(2, "2.2", minute=12),
)


@pytest.fixture(scope="module")
def calendar(stack_settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """Two deliveries through the command, the second with corrections."""
    documents = []
    for number, text in enumerate(FILES):
        file: Path = tmp_path_factory.mktemp("calendar") / f"{number}.csv"
        file.write_text(text)
        command = [sys.executable, "-m", "tick_assets.cli.main", "side", "import", "calendar", str(file), "--json"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stderr
        documents.append(json.loads(done.stdout))
    return documents


def test_command_writes_the_table_and_the_asset_finds_it_whole(stack_settings: Settings, calendar: list[dict[str, Any]]) -> None:
    from tick_assets.definitions import defs

    assert [(document["values"], document["is_in_table"]) for document in calendar] == [(3, True), (3, True)]
    result = defs.resolve_job_def("ingest_side_values_job").execute_in_process(instance=dg.DagsterInstance.ephemeral())
    assert [(check.check_name, check.passed) for check in result.get_asset_check_evaluations()] == [("table_equals_files", True)]


AS_OF = """
    select e.event_id, max_by(s.value, row(s.ts_event, s.known_at, s.revision, s.source_row)) as value
    from gold.training_examples e
    left join gold.side_values s
        on s.feed = 'calendar' and s.name = '{name}'
        and s.key in ('*', e.symbol, substr(e.symbol, 1, 3), substr(e.symbol, 4, 3))
        and s.known_at <= e.ts_event
    where e.symbol = '{symbol}' and e.date = date '{day}'
    group by e.event_id, e.label_set
"""


@pytest.mark.parametrize(("name", "distinct"), [("CPI.actual", {1.0, 3.4, 3.3, 2.2}), ("CPI.forecast", {3.2})])
def test_sql_as_of_equals_the_domains(
    stack_settings: Settings,
    lakehouse: Lakehouse,
    ingested: dg.ExecuteInProcessResult,
    calendar: list[dict[str, Any]],
    name: str,
    distinct: set[float],
) -> None:
    sql = TrinoQuery.from_settings(stack_settings).rows(AS_OF.format(name=name, symbol=SYMBOL, day=DAY))
    events = lakehouse.frame("silver.features", day_filter(SYMBOL, DAY)).select("event_id", "ts_event", pl.lit("USD").alias("key"))
    values = read_values(lakehouse, "calendar").filter(pl.col("name") == name)
    ours = dict(join_as_of(events, values).select("event_id", "value").rows())
    theirs = {row[0]: row[1] for row in sql}
    assert len(theirs) > 10
    assert theirs == {event: ours[event] for event in theirs}
    assert distinct <= set(theirs.values())
