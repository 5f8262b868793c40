"""Tables, gold views, datasets, DVC and MLflow on the real servers, with a symbol of their own.

What belongs here: what only the servers can show. What must not: rules that a local catalog shows too (`tests/unit/lakehouse`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner

from tests.integration.gold_views import build_gold_views, gold_names
from tests.unit.lakehouse.local_catalog import silver_rows
from tests.unit.lakehouse.test_datasets import publish
from tick_assets.cli.main import build_app
from tick_assets.lakehouse import datasets
from tick_assets.lakehouse.catalog import Lakehouse, partition_filter
from tick_assets.lakehouse.content_hash import content_hashes
from tick_assets.lakehouse.dataset_folder import DatasetFolder, export
from tick_assets.lakehouse.datasets import DatasetRequest
from tick_assets.lakehouse.object_store import ObjectStore
from tick_assets.lakehouse.query import QueryError, TrinoQuery
from tick_assets.lakehouse.tables import TABLES
from tick_assets.settings import Settings
from tick_assets.tracking import bundles
from tick_assets.tracking.dataset_versions import DatasetVersions
from tick_assets.tracking.model_registry import ModelRegistry, TrialRecord

pytestmark = pytest.mark.stack

SYMBOL = "SYNTESTF"
DAYS = (date(2001, 1, 1), date(2001, 1, 2))
BARS = ("bars_1s", "bars_1m", "bars_1h", "bars_ticks")
PRUNED = (*BARS, "symbol_days", "quality", "training_examples", "signals", "orders")
"""Every gold view of symbols and dates but those that follow."""
NOT_BY_DAY = ("verdicts", "side_values")
"""Verdicts are few, and their date is that of a stamp; side values are partitioned by feed, and their symbol is the feed's key."""
WITH_ONE_ROW = (*(f"silver.{name}" for name in BARS), "evidence.signals", "evidence.orders")
"""Trino names no table that never had a row."""


@pytest.fixture
def lakehouse(stack_settings: Settings) -> Iterator[Lakehouse]:
    """The catalog; rows of the test's symbol are removed afterwards."""
    opened = Lakehouse.from_settings(stack_settings)
    opened.ensure_tables()
    yield opened
    for name in (
        "raw.ticks",
        "silver.ticks",
        "silver.tick_rejects",
        "silver.features",
        "silver.labels",
        "evidence.publications",
        "evidence.hour_ledger",
        *WITH_ONE_ROW,
    ):
        opened.replace_rows(name, [], partition_filter(SYMBOL))


def _publish_with_evidence(lakehouse: Lakehouse) -> None:
    """Publish two dates with raw rows, rejects and ledger; a third date is in the ledger alone."""
    ticks = pl.concat([silver_rows(SYMBOL, DAYS[0]), silver_rows(SYMBOL, DAYS[1], 101)])
    raw = ticks.drop("seq", "publication_id").with_columns(pl.lit(True).alias("is_current"), pl.lit(0, pl.Int32).alias("revision"))
    rejects = raw.head(3).with_columns(pl.lit("QUOTE_CROSSED").alias("reason_code"), pl.lit("p1").alias("publication_id"))
    lakehouse.replace_rows("raw.ticks", pl.concat([raw, raw.head(3)]), partition_filter(SYMBOL))
    lakehouse.replace_rows("silver.tick_rejects", rejects, partition_filter(SYMBOL))
    for day, count in zip(DAYS, (200, 101), strict=True):
        publish(lakehouse, SYMBOL, day, "p1", count)
    hashes = content_hashes(lakehouse, "silver.ticks", [SYMBOL], DAYS)
    at = datetime(2001, 1, 3, tzinfo=UTC)
    counts = {DAYS[0]: (203, 200, 3), DAYS[1]: (101, 101, 0)}
    rows = [
        dict(zip(("raw_rows", "silver_rows", "reject_rows"), counts[day], strict=True))
        | {
            "symbol": SYMBOL,
            "date": day,
            "publication_id": "p1",
            "content_hash": hashes[SYMBOL, day],
            "published_at": at,
            "is_synthetic": True,
        }
        for day in DAYS
    ]
    lakehouse.replace_partitions("evidence.publications", rows, [SYMBOL], DAYS)
    dates = [*DAYS, DAYS[1] + timedelta(days=1)]
    hours = [
        {"symbol": SYMBOL, "date": day, "hour": hour, "source": "synthetic", "state": "ok" if hour == 0 and day in DAYS else "vendor_empty"}
        | {"revision": 0, "rows": 0, "checked_at": at}
        for day in dates
        for hour in range(24)
    ]
    lakehouse.replace_partitions("evidence.hour_ledger", hours, [SYMBOL], dates)


def test_symbol_days_show_published_and_empty_days(lakehouse: Lakehouse, stack_settings: Settings, gold_views: None) -> None:
    _publish_with_evidence(lakehouse)
    rows = TrinoQuery.from_settings(stack_settings).rows(
        "select date, tick_count, raw_rows, reject_count, hours_ok, hours_missing, spread_median, is_synthetic "
        f"from gold.symbol_days where symbol = '{SYMBOL}' order by date"
    )
    assert rows == [
        (DAYS[0], 200, 203, 3, 1, 23, 3e-05, True),
        (DAYS[1], 101, 101, 0, 1, 23, 3e-05, True),
        (DAYS[1] + timedelta(days=1), 0, 0, 0, 0, 24, None, True),
    ]


@pytest.mark.parametrize("view", PRUNED)
def test_gold_view_reads_one_symbol_and_date_of_each_table(
    lakehouse: Lakehouse, stack_settings: Settings, gold_views: None, view: str
) -> None:
    _publish_with_evidence(lakehouse)
    for name in WITH_ONE_ROW:
        lakehouse.replace_rows(name, [{"symbol": SYMBOL, "date": DAYS[0]}], partition_filter(SYMBOL))
    sql = f"select * from gold.{view} where symbol = '{SYMBOL}' and date = date '{DAYS[0]}'"
    scans = TrinoQuery.from_settings(stack_settings).scans(sql)
    assert scans
    assert {(scan.values("symbol"), scan.values("date")) for scan in scans} == {((SYMBOL,), (str(DAYS[0]),))}


def test_gold_views_that_are_not_shown_to_prune_are_named(stack_settings: Settings, gold_views: None) -> None:
    assert gold_names(TrinoQuery.from_settings(stack_settings), "symbol", "date") == sorted((*PRUNED, *NOT_BY_DAY))


def test_dataset_tag_is_what_trino_reads_and_dvc_brings_elsewhere(lakehouse: Lakehouse, stack_settings: Settings, tmp_path: Path) -> None:
    objects = ObjectStore.from_settings(stack_settings)
    _publish_with_evidence(lakehouse)
    dataset = datasets.create(lakehouse, objects, DatasetRequest((SYMBOL,)))
    publish(lakehouse, SYMBOL, DAYS[0], "p2", 50)
    trino = TrinoQuery.from_settings(stack_settings)
    counts = [
        trino.scalar(f"select count(*) from silver.ticks {version} where symbol = '{SYMBOL}'")
        for version in ("", f"for version as of '{dataset.tag('silver.ticks')}'")
    ]
    assert counts == [151, 301]
    here, there = (
        DatasetVersions(tmp_path / name, DatasetVersions.from_settings(stack_settings, objects).remote, objects)
        for name in ("here", "there")
    )
    export(lakehouse, dataset, DatasetFolder(here.root))
    md5 = here.add(dataset.id)
    assert here.add(dataset.id) == md5
    there.pull(dataset.id)
    assert there.md5(dataset.id) == md5
    assert DatasetFolder(there.root).load(dataset.id).manifest == dataset.manifest
    for table in datasets.PINNED:
        lakehouse.drop_tag(table, dataset.tag(table))


@pytest.fixture(scope="module")
def pinned(stack_settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[datasets.Dataset, Path]]:
    """A dataset that the first state folder has made and pushed, with that folder's files of it."""
    lakehouse, objects = Lakehouse.from_settings(stack_settings), ObjectStore.from_settings(stack_settings)
    lakehouse.ensure_tables()
    publish(lakehouse, SYMBOL, DAYS[0], "p1")
    dataset = datasets.create(lakehouse, objects, DatasetRequest((SYMBOL,)))
    versions = DatasetVersions(tmp_path_factory.mktemp("first"), DatasetVersions.from_settings(stack_settings, objects).remote, objects)
    folder = export(lakehouse, dataset, DatasetFolder(versions.root))
    versions.add(dataset.id)
    yield dataset, folder
    for table in datasets.PINNED:
        lakehouse.drop_tag(table, dataset.tag(table))
        lakehouse.replace_rows(table, [], partition_filter(SYMBOL))


@pytest.fixture
def elsewhere(stack_settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A second state folder: it shares the addresses of Postgres and S3 and the keys of the bucket, and nothing else."""
    secrets = stack_settings.secrets
    home = tmp_path / "elsewhere" / ".tick"
    home.mkdir(parents=True)
    keys = {"s3_access_key": secrets.s3_access_key, "s3_secret_key": secrets.s3_secret_key.get_secret_value()}
    (home / "secrets.json").write_text(json.dumps(keys | {"postgres_password": "of its own", "api_keys": {}}))
    monkeypatch.setenv("TICK_HOME", str(home))
    monkeypatch.setenv("TICK_POSTGRES_URL", stack_settings.postgres_address)
    monkeypatch.setenv("TICK_S3_ENDPOINT", stack_settings.s3_address)
    for name in ("TICK_POSTGRES_PORT", "TICK_S3_PORT"):
        monkeypatch.delenv(name, raising=False)
    return home


def tick(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(build_app(), ["dataset", *arguments])
    return result.exit_code, result.stdout, str(result.exception or "")


def test_second_state_folder_pulls_the_exact_bytes(pinned: tuple[datasets.Dataset, Path], elsewhere: Path) -> None:
    dataset, folder = pinned
    code, out, error = tick("pull", dataset.id[:10], "--json")
    assert code == 0, error
    there = elsewhere / "datasets" / dataset.id
    assert {path.name: path.read_bytes() for path in there.iterdir()} == {path.name: path.read_bytes() for path in folder.iterdir()}
    assert json.loads(out)["sha256"] == {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}
    shown = json.loads(tick("show", dataset.id[:10], "--json")[1])
    assert (shown["id"], shown["is_pinned"], shown["differing_tables"]) == (dataset.id, True, {})


def test_pull_from_a_remote_that_lost_or_changed_bytes_is_refused_and_push_mends_it(
    pinned: tuple[datasets.Dataset, Path], elsewhere: Path, stack_settings: Settings
) -> None:
    dataset, folder = pinned
    objects = ObjectStore.from_settings(stack_settings)
    examples = (folder / "examples.parquet").read_bytes()
    (key,) = [name for name in objects.list_keys("dvc/") if objects.get_bytes(name) == examples]
    for damage in (lambda: objects.delete(key), lambda: objects.put_bytes(key, examples[:-1] + b"x")):
        damage()
        code, _, error = tick("pull", dataset.id)
        assert code == 1
        assert "at least one file missing or changed" in error
        assert not (elsewhere / "datasets" / dataset.id / "examples.parquet").exists()
    first = DatasetVersions(folder.parent, DatasetVersions.from_settings(stack_settings, objects).remote, objects)
    objects.delete(key)
    first.push(dataset.id)
    code, _, error = tick("pull", dataset.id)
    assert code == 0, error
    assert (elsewhere / "datasets" / dataset.id / "examples.parquet").read_bytes() == examples


def test_pull_unknown_id_names_the_remedy(pinned: tuple[datasets.Dataset, Path], elsewhere: Path) -> None:
    code, _, error = tick("pull", "0" * 20)
    assert code == 1
    assert "in the object store" in error


def test_model_registry_version_alias_and_bytes(stack_settings: Settings) -> None:
    registry = ModelRegistry.from_settings(stack_settings, "tests")
    name = f"{SYMBOL}.direction"
    try:
        with registry.run("parent") as parent, registry.run("model", parent.run_id) as run:
            registry.log_trials(
                run, [TrialRecord(i, {"max_depth": i}, {"sharpe": i / 10}, "FAIL" if i == 1 else "COMPLETE") for i in range(3)]
            )
            run.log_bytes("model/model.json", b"{}")
        version = registry.register(name, run.run_id)
        assert registry.register(name, run.run_id).version == version.version
        registry.set_alias(name, version.version)
        champion = registry.by_alias(name)
        assert champion is not None
        assert champion.run_id == run.run_id
        assert registry.read_artifact(champion.run_id, "model/model.json") == b"{}"
        assert registry.by_alias(name, "nobody") is None
    finally:
        registry.client.delete_registered_model(name)


def test_bundle_on_the_object_store_is_write_once(stack_settings: Settings) -> None:
    store = ObjectStore.from_settings(stack_settings)
    model = b"{}"
    bundle = bundles.Bundle(SYMBOL, "direction", "1", model, {"payload": {"model_sha256": bundles.sha256_hex(model)}}, {"rows": []})
    try:
        bundles.write_bundle(store, bundle)
        bundles.write_bundle(store, bundle)
        bundles.write_pointer(store, SYMBOL, "direction", bundles.Pointer("1", bundle.model_sha256), bundles.SHADOW)
        assert bundles.deployed(store)[SYMBOL, "direction", "shadow"].version == "1"
    finally:
        for key in store.list_keys(f"models/{SYMBOL}/"):
            store.delete(key)


def test_query_refused_statement_names_the_reason(stack_settings: Settings) -> None:
    with pytest.raises(QueryError, match="mismatched input"):
        TrinoQuery.from_settings(stack_settings).query("selec 1")


def test_ensure_tables_on_the_stack_repeat_changes_nothing(lakehouse: Lakehouse) -> None:
    assert lakehouse.ensure_tables() == []
    assert all(lakehouse.catalog.table_exists(name) for name in TABLES)


@pytest.fixture(scope="session")
def gold_views(stack_settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Build the gold views by dbt, as the asset does; the tests of the project run with the road."""
    Lakehouse.from_settings(stack_settings).ensure_tables()
    build_gold_views(stack_settings, tmp_path_factory.mktemp("dbt"))
