"""The small road on real servers: three synthetic dates of two symbols, from the vendor's hours to a verdict and a refused deployment.

What belongs here: what only the whole road can show. What must not: rules of one station (unit and contract tests).
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg
import httpx
import polars as pl
import pytest

from tests.integration import gold_from_raw
from tick_assets.asset_checks import count_contradictions
from tick_assets.domain.instruments import parse_market
from tick_assets.domain.kernel import FEATURE_NAMES, run_kernel
from tick_assets.domain.synthetic_market import SyntheticMarket
from tick_assets.lakehouse import datasets, tick_audit
from tick_assets.lakehouse.bars import GRAINS
from tick_assets.lakehouse.catalog import Lakehouse, partition_filter
from tick_assets.lakehouse.content_hash import content_hash, content_hashes
from tick_assets.lakehouse.query import TrinoQuery
from tick_assets.lakehouse.raw_store import RawStore
from tick_assets.lakehouse.raw_ticks import read_day
from tick_assets.lakehouse.silver import to_ticks
from tick_assets.lakehouse.vendors.faults import FaultScript
from tick_assets.lakehouse.vendors.synthetic import generate_folder
from tick_assets.lakehouse.vendors.twin import TwinFolder, TwinServer
from tick_assets.resources import DBT_EXECUTABLE, DBT_PROJECT
from tick_assets.settings import Settings

pytestmark = pytest.mark.stack

EDGE, NULL = "SYNEDGE", "SYNNULL"
SYMBOLS = (EDGE, NULL)
DATES = (date(2024, 1, 9), date(2024, 1, 10), date(2024, 1, 11))
BARS = tuple(f"silver.bars_{grain}" for grain in GRAINS)
SILVER = ("silver.ticks", "silver.tick_rejects", "silver.features", "silver.labels", *BARS)


@dataclass
class Road:
    """The road of this module: settings, the Dagster instance of all its runs, and the definitions."""

    settings: Settings
    instance: dg.DagsterInstance
    definitions: dg.Definitions

    @property
    def lakehouse(self) -> Lakehouse:
        return Lakehouse.from_settings(self.settings)

    @property
    def query(self) -> TrinoQuery:
        return TrinoQuery.from_settings(self.settings)

    def ingest(
        self, symbols: Sequence[str] = SYMBOLS, dates: Sequence[date] = DATES, assets: Sequence[dg.AssetKey] | None = None
    ) -> dg.ExecuteInProcessResult:
        """Run the data job over a range of dates, or some of its assets."""
        config = {"resources": {"scope": {"config": {"symbols": list(symbols)}}}}
        return self._run("ingest_ticks_job", dates[0].isoformat(), dates[-1].isoformat(), config, assets)

    def train(self, symbols: Sequence[str] = SYMBOLS) -> dg.ExecuteInProcessResult:
        """Run the model job for some symbols."""
        return self._run("train_models_job", f"direction|{symbols[0]}", f"direction|{symbols[-1]}")

    def _run(
        self, job: str, first: str, last: str, config: Any = None, assets: Sequence[dg.AssetKey] | None = None
    ) -> dg.ExecuteInProcessResult:
        tags = {"dagster/asset_partition_range_start": first, "dagster/asset_partition_range_end": last}
        return self.definitions.resolve_job_def(job).execute_in_process(
            instance=self.instance, tags=tags, run_config=config, asset_selection=assets, raise_on_error=True
        )

    def hashes(self, symbols: Sequence[str] = SYMBOLS) -> dict[str, dict[Any, str]]:
        """Return the content hash of every silver partition."""
        return {table: content_hashes(self.lakehouse, table, symbols, DATES) for table in SILVER}


@pytest.fixture(scope="module")
def vendor_folder(stack_settings: Settings, twin_port: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A synthetic market, served as the vendor would."""
    folder = tmp_path_factory.mktemp("vendor") / "files"
    generate_folder(folder, {EDGE: SyntheticMarket(k=2.0), NULL: SyntheticMarket(k=0.0)}, DATES, seed=7)
    market = parse_market(stack_settings.market_path.read_text())
    server = TwinServer(TwinFolder(folder, market), FaultScript(()), "127.0.0.1", twin_port)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield folder
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def road(stack_settings: Settings, vendor_folder: Path) -> Road:
    """The road after one data run over all dates."""
    from tick_assets.definitions import defs

    built = Road(stack_settings, dg.DagsterInstance.ephemeral(), defs)
    built.instance.add_dynamic_partitions("symbol", list(SYMBOLS))
    result = built.ingest()
    failed = [check for check in result.get_asset_check_evaluations() if not check.passed]
    assert not failed
    return built


def test_every_engine_counts_the_same_rows(road: Road) -> None:
    lines = sum(path.read_bytes().count(b"\n") - 1 for path in road.settings.raw_dir.glob("synthetic-twin/*/*.csv"))
    frame = road.lakehouse.frame("silver.ticks")
    assert lines > 100_000
    assert road.query.scalar("select count(*) from raw.ticks where is_current") == lines
    assert road.query.scalar("select (select count(*) from silver.ticks) + (select count(*) from silver.tick_rejects)") == lines
    assert road.query.scalar("select sum(raw_rows) from gold.symbol_days") == lines
    assert len(frame) == road.query.scalar("select sum(tick_count) from gold.symbol_days")


def test_gold_bars_equal_bars_that_polars_makes_of_silver(road: Road) -> None:
    ticks = road.lakehouse.frame("silver.ticks", partition_filter(EDGE, DATES[0], DATES[0])).sort("seq")
    mid = (pl.col("bid_points") + pl.col("ask_points")) / (2 * pl.col("price_factor"))
    ours = ticks.group_by(pl.col("ts_event").dt.truncate("1m").alias("start"), maintain_order=True).agg(
        mid.first().alias("open"), mid.max().alias("high"), mid.min().alias("low"), mid.last().alias("close"), pl.len().alias("tick_count")
    )
    first_date = f"symbol = '{EDGE}' and date = date '{DATES[0]}'"
    theirs = road.query.rows(f"select open, high, low, close, tick_count from gold.bars_1m where {first_date} order by ts_event")
    assert [tuple(row) for row in theirs] == ours.select("open", "high", "low", "close", "tick_count").rows()


def raw_day_and_refused(road: Road, symbol: str, day: date) -> tuple[gold_from_raw.RawDay, set[tuple[int, str]]]:
    """Return the rows of the raw file, and the ranks that the lake refused with their reasons."""
    factor = parse_market(road.settings.market_path.read_text()).instrument(symbol).price_factor
    refused = road.query.rows(f"select seq, reason_code from silver.tick_rejects where symbol = '{symbol}' and date = date '{day}'")
    return gold_from_raw.read_raw_day(road.settings.raw_dir, symbol, str(day), factor), {(seq, reason) for seq, reason in refused}


@pytest.mark.parametrize("grain", GRAINS)
@pytest.mark.parametrize(("symbol", "day"), [(EDGE, DATES[1]), (NULL, DATES[2])])
def test_gold_bars_equal_bars_made_of_the_raw_files(road: Road, grain: str, symbol: str, day: date) -> None:
    raw, refused = raw_day_and_refused(road, symbol, day)
    order = "first_seq" if grain == "ticks" else "ts_event"
    theirs = road.query.dicts(f"select * from gold.bars_{grain} where symbol = '{symbol}' and date = date '{day}' order by {order}")
    ours = raw.without(seq for seq, _ in refused).bars(grain, road.settings.bar_ticks)
    assert len(theirs) == len(ours) > 10
    assert gold_from_raw.differences(ours, theirs) == []


def test_gold_days_equal_days_made_of_the_raw_files(road: Road) -> None:
    keys = [(symbol, day) for symbol in SYMBOLS for day in DATES]
    days = {(row["symbol"], row["date"]): row for row in road.query.dicts("select * from gold.symbol_days")}
    for symbol, day in keys:
        raw, refused = raw_day_and_refused(road, symbol, day)
        assert raw.plainly_refused() == {(seq, reason) for seq, reason in refused if reason in gold_from_raw.PLAIN_REASONS}
        ours = raw.without(seq for seq, _ in refused).summary()
        ours |= {"raw_rows": len(raw.rows), "reject_count": len(refused), "hours_ok": raw.hours(), "hours_missing": 0, "is_synthetic": True}
        assert gold_from_raw.differences([ours], [days[symbol, day]]) == []


@pytest.mark.parametrize("view", ["bars_1s", "bars_1m", "bars_1h", "bars_ticks", "symbol_days", "quality", "training_examples"])
def test_gold_view_of_one_symbol_and_date_reads_that_partition_alone(road: Road, view: str) -> None:
    where = f"symbol = '{EDGE}' and date = date '{DATES[1]}'"
    scans = road.query.scans(f"select * from gold.{view} where {where}")
    assert any(scan.table.startswith("silver.") for scan in scans)
    assert {(scan.table, scan.values("symbol"), scan.values("date")) for scan in scans} == {
        (scan.table, (EDGE,), (str(DATES[1]),)) for scan in scans
    }


def test_condition_on_a_transform_of_the_stamp_reads_every_date(road: Road) -> None:
    scans = road.query.scans(f"select * from gold.bars_1m where symbol = '{EDGE}' and date_trunc('day', ts_event) = date '{DATES[1]}'")
    assert {scan.values("date") for scan in scans} == {None}


def test_rows_without_a_publication_are_contradictions(road: Road) -> None:
    symbol, day = "ORPHAN", date(2024, 1, 9)
    where = f"symbol = '{symbol}' and date = date '{day}'"
    assert road.query.rows(count_contradictions(where)) == []
    for table, columns, values in (("raw.ticks", "is_current", "true"), ("silver.ticks", "publication_id", "'nobody'")):
        road.query.rows(f"insert into {table} (symbol, date, {columns}) values ('{symbol}', date '{day}', {values})")
        assert len(road.query.rows(count_contradictions(where))) == 1
        road.query.rows(f"delete from {table} where {where}")
    assert road.query.rows(count_contradictions(where)) == []


def test_dbt_unit_tests_pass(road: Road, tmp_path: Path) -> None:
    done = run_dbt("test", "--select", "test_type:unit", folder=tmp_path)
    assert done.returncode == 0, done.stdout
    results = json.loads((tmp_path / "run_results.json").read_text())["results"]
    assert {result["status"] for result in results} == {"pass"}
    assert len(results) > 10


@pytest.mark.full
def test_dbt_docs_describe_every_column_of_gold(road: Road, tmp_path: Path) -> None:
    done = run_dbt("docs", "generate", folder=tmp_path)
    assert done.returncode == 0, done.stdout
    described = json.loads((tmp_path / "manifest.json").read_text())["nodes"]
    shown = {
        key: node
        for key, node in json.loads((tmp_path / "catalog.json").read_text())["nodes"].items()
        if node["metadata"]["schema"] == "gold"
    }
    assert {node["metadata"]["name"] for node in shown.values()} >= {"bars_1s", "bars_ticks", "symbol_days", "training_examples"}
    bare = {
        f"{node['metadata']['name']}.{name}"
        for key, node in shown.items()
        for name in node["columns"]
        if not described[key]["columns"].get(name, {}).get("description")
    }
    assert bare == set()


def run_dbt(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run dbt on the project against this road's servers; what it writes goes to a folder."""
    project = str(DBT_PROJECT.project_dir)
    command = [DBT_EXECUTABLE, "--no-use-colors", *arguments, "--project-dir", project, "--profiles-dir", project]
    command += ["--target-path", str(folder), "--log-path", str(folder)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


def test_second_materialization_has_equal_content(road: Road) -> None:
    before = road.hashes()
    road.ingest()
    assert road.hashes() == before


def test_one_symbol_leaves_the_other_untouched(road: Road) -> None:
    condition = f"where symbol = '{NULL}' order by date"
    before = road.query.rows(f"select date, publication_id, content_hash, published_at from evidence.publications {condition}")
    files = _files_of(road, NULL)
    road.ingest([EDGE], DATES[:1])
    assert road.query.rows(f"select date, publication_id, content_hash, published_at from evidence.publications {condition}") == before
    assert _files_of(road, NULL) == files


def _files_of(road: Road, symbol: str) -> set[str]:
    """Return the data files that hold a symbol's ticks."""
    return {row[0] for row in road.query.rows(f"select distinct \"$path\" from silver.ticks where symbol = '{symbol}'")}


def test_no_branch_is_left(road: Road) -> None:
    assert {table: road.lakehouse.branches(table) for table in SILVER} == {table: ["main"] for table in SILVER}


def test_failed_audit_turns_the_check_red_and_publishes_nothing(road: Road, monkeypatch: pytest.MonkeyPatch) -> None:
    before = road.hashes()
    monkeypatch.setattr(tick_audit, "MAXIMUM_REJECT_SHARE", -1.0)  # no share of rejects is low enough
    keys = [dg.AssetKey(["silver", "tick_rejects"]), dg.AssetKey(["silver", "ticks"])]
    tags = {"dagster/asset_partition_range_start": str(DATES[0]), "dagster/asset_partition_range_end": str(DATES[0])}
    result = road.definitions.resolve_job_def("ingest_ticks_job").execute_in_process(
        instance=road.instance, tags=tags, asset_selection=keys, raise_on_error=False
    )
    assert not result.success
    assert [(check.check_name, check.passed) for check in result.get_asset_check_evaluations()] == [("no_row_is_lost", False)]
    assert road.hashes() == before
    kept = [branch for branch in road.lakehouse.branches("silver.ticks") if branch != "main"]
    assert [branch.split("_")[0] for branch in kept] == ["failed"]


def test_features_of_the_lake_equal_the_kernel_over_raw_rows(road: Road) -> None:
    _, rows = read_day(RawStore(road.settings.raw_dir), EDGE, DATES[1], road.settings.sources_in_order)
    batch = run_kernel(to_ticks(rows), 100_000)
    lake = road.lakehouse.frame("silver.features", partition_filter(EDGE, DATES[1], DATES[1])).sort("seq")
    assert lake["seq"].to_list() == batch.event_row.tolist()
    assert lake.select(FEATURE_NAMES).to_numpy().tobytes() == batch.features.tobytes()


@pytest.fixture(scope="module")
def verdicts(road: Road) -> dict[str, dict[str, Any]]:
    """The verdicts of both symbols, trained in one run."""
    road.train()
    return {row["symbol"]: row for row in road.lakehouse.frame("evidence.verdicts").to_dicts()}


def test_null_market_is_rejected_by_name(verdicts: dict[str, dict[str, Any]]) -> None:
    verdict = verdicts[NULL]
    assert not verdict["passed"]
    assert verdict["refused_by"]
    assert verdict["first_line"].startswith(f"REJECTED by {verdict['refused_by'].split(',')[0]}: {NULL}.direction@1")


def test_edge_market_agrees_with_the_terminal_and_leaks_nothing(road: Road, verdicts: dict[str, dict[str, Any]]) -> None:
    gate_rows = "unnest(cast(json_parse(gates_json) as array(row(name varchar, result varchar, figure double))))"
    found = road.query.dicts(
        f"select name, result, figure from gold.verdicts cross join {gate_rows} as t(name, result, figure) where symbol = '{EDGE}'"
    )
    gates = {row["name"]: row for row in found}
    passed = ("completeness", "leak_firewall", "label_overlaps", "terminal_agreement", "dsr", "test_psr", "break_even_spread")
    assert {name: gates[name]["result"] for name in passed} == dict.fromkeys(passed, "pass")


def test_report_begins_with_the_answer(road: Road, verdicts: dict[str, dict[str, Any]]) -> None:
    page = (road.settings.reports_dir / f"{EDGE}.direction@1.html").read_text()
    assert verdicts[EDGE]["first_line"].split(":")[0] in page
    assert "synthetic" in page


def test_training_again_gives_the_same_model(road: Road, verdicts: dict[str, dict[str, Any]]) -> None:
    road.train([EDGE])
    rows = road.lakehouse.frame("evidence.verdicts", f"symbol == '{EDGE}'").sort("version")
    assert rows["version"].to_list() == ["1", "2"]
    assert rows["model_sha256"].n_unique() == 1
    assert rows["dataset_id"].n_unique() == 1
    assert rows["n_trials"].n_unique() == 1


def test_dataset_does_not_change_when_a_date_is_added(road: Road, verdicts: dict[str, dict[str, Any]], vendor_folder: Path) -> None:
    from tick_assets.lakehouse.object_store import ObjectStore

    dataset = datasets.fetch(ObjectStore.from_settings(road.settings), verdicts[EDGE]["dataset_id"])
    before = datasets.read_training_set(road.lakehouse, dataset, EDGE)
    later = date(2024, 1, 12)
    generate_folder(vendor_folder, {EDGE: SyntheticMarket(k=2.0), NULL: SyntheticMarket(k=0.0)}, [later], seed=7)
    road.ingest([EDGE], [later])
    after = datasets.read_training_set(road.lakehouse, dataset, EDGE)
    assert content_hash(road.lakehouse, "silver.features", partition_filter(EDGE, later, later)) != content_hash(
        road.lakehouse, "silver.features", partition_filter("ABSENT")
    )
    assert after.dates == before.dates
    assert after.features.tobytes() == before.features.tobytes()
    assert after.long_net_bps.tobytes() == before.long_net_bps.tobytes()
    assert datasets.check_content(road.lakehouse, dataset) == {}


def test_rejected_model_is_not_deployed(road: Road, verdicts: dict[str, dict[str, Any]]) -> None:
    job = road.definitions.resolve_job_def("deploy_champion_job")
    result = job.execute_in_process(instance=road.instance, partition_key=f"direction|{NULL}", raise_on_error=False)
    assert not result.success
    key = road.settings.secrets.api_keys["viewer"].get_secret_value()
    live = httpx.get(f"{road.settings.service_address}/v1/models", headers={"X-API-Key": key}).json()["models"]
    assert [model for model in live if model["symbol"] == NULL] == []


def test_service_and_terminal_repeat_the_batch_path(road: Road, verdicts: dict[str, dict[str, Any]]) -> None:
    command = [sys.executable, "-m", "tick_assets.cli.main", "replay", "--symbol", EDGE, "--date", DATES[1].isoformat(), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    counts = json.loads(done.stdout)
    assert counts["features_compared"] == counts["events"] > 1000
    assert counts["trades"] > 50
    assert (counts["feature_mismatches"], counts["signal_mismatches"], counts["trade_mismatches"]) == (0, 0, 0)


def test_day_that_becomes_empty_empties(road: Road) -> None:
    folder = road.settings.raw_dir / "synthetic-twin" / NULL
    for path in folder.glob(f"{DATES[2]}.*"):
        path.unlink()
    keys = [dg.AssetKey(key.split("/")) for key in ("raw/ticks", "silver/ticks", "silver/tick_rejects", "silver/features", "silver/labels")]
    keys += [dg.AssetKey(table.split(".")) for table in BARS]
    road.ingest([NULL], DATES[2:], keys)
    where = f"symbol = '{NULL}' and date = date '{DATES[2]}'"
    assert {table: road.query.scalar(f"select count(*) from {table} where {where}") for table in ("raw.ticks", *SILVER)} == dict.fromkeys(
        ("raw.ticks", *SILVER), 0
    )
    assert road.query.scalar(f"select raw_rows from evidence.publications where {where}") == 0
    assert road.query.scalar(f"select count(*) from silver.ticks where symbol = '{NULL}' and date = date '{DATES[1]}'") > 0
