"""Datasets: one id for one content, tables read at their tags, later writes change nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from tests.unit.lakehouse.local_catalog import DAY, local_lakehouse, silver_rows
from tick_assets.domain.kernel import ALL_FEATURE_NAMES, FEATURE_NAMES, FEATURE_SET, SAMPLING_CLOCK, feature_names
from tick_assets.domain.labels import LABEL_SET
from tick_assets.domain.signals import event_id
from tick_assets.lakehouse import datasets
from tick_assets.lakehouse.catalog import Lakehouse, day_filter
from tick_assets.lakehouse.content_hash import content_hash
from tick_assets.lakehouse.dataset_folder import DatasetFolder, export, stored_ids, the_one
from tick_assets.lakehouse.datasets import DatasetError, DatasetRequest
from tick_assets.lakehouse.tables import PROPERTIES, TABLES


class MemoryObjects:
    """Objects in a dictionary."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}

    def put_bytes(self, key: str, content: bytes) -> None:
        self.objects[key] = content

    def get_bytes(self, key: str) -> bytes:
        return self.objects[key]

    def exists(self, key: str) -> bool:
        return key in self.objects

    def list_keys(self, prefix: str) -> Iterator[str]:
        yield from (key for key in sorted(self.objects) if key.startswith(prefix))


def _events(ticks: pl.DataFrame, clock: str, feature_set: str) -> pl.DataFrame:
    symbol, day = ticks["symbol"][0], ticks["date"][0]
    sampled = ticks[60::60].select("symbol", "date", "ts_event", "seq", "publication_id")
    ids = [event_id(symbol, day.isoformat(), seq, clock) for seq in sampled["seq"]]
    features = [(pl.col("seq") * (i + 1) / 7).alias(name) for i, name in enumerate(feature_names(feature_set))]
    return sampled.with_columns(pl.Series("event_id", ids), pl.lit(feature_set).alias("feature_set"), *features)


def _labels(events: pl.DataFrame) -> pl.DataFrame:
    return events[:-1].select(
        "symbol",
        "date",
        "event_id",
        "publication_id",
        pl.lit(LABEL_SET).alias("label_set"),
        (pl.col("ts_event") + timedelta(seconds=30)).alias("ts_label_end"),
        pl.lit(1, pl.Int32).alias("label"),
        pl.lit(0.5).alias("net_return_bps"),
        pl.lit(0.5).alias("long_net_bps"),
        pl.lit(-1.5).alias("short_net_bps"),
    )


def publish(
    lakehouse: Lakehouse,
    symbol: str = "SYNEDGE",
    day: date = DAY,
    publication_id: str = "p1",
    count: int = 200,
    clock: str = SAMPLING_CLOCK,
    feature_set: str = FEATURE_SET,
) -> None:
    """Publish one symbol-day with ticks, features and labels."""
    ticks = silver_rows(symbol, day, count, publication_id)
    events = _events(ticks, clock, feature_set)
    for table, rows in (("silver.ticks", ticks), ("silver.features", events), ("silver.labels", _labels(events))):
        lakehouse.replace_rows(table, rows, day_filter(symbol, day))
    at = datetime(2024, 1, 9, tzinfo=UTC)
    row = {"symbol": symbol, "date": day, "publication_id": publication_id, "silver_rows": count, "published_at": at}
    lakehouse.replace_partitions("evidence.publications", [row], [symbol], [day])


REQUEST = DatasetRequest(("SYNEDGE",))


def test_create_repeat_returns_the_same_id(tmp_path: Path) -> None:
    lakehouse, objects = local_lakehouse(tmp_path), MemoryObjects()
    publish(lakehouse)
    first = datasets.create(lakehouse, objects, REQUEST)
    publish(lakehouse, "SYNNULL")
    publish(lakehouse)
    assert datasets.create(lakehouse, objects, REQUEST).id == first.id
    assert datasets.fetch(objects, first.id).manifest == first.manifest
    assert first.rows == {"silver.ticks": 200, "silver.features": 3, "silver.labels": 2}


def test_create_changed_content_is_another_dataset(tmp_path: Path) -> None:
    lakehouse, objects = local_lakehouse(tmp_path), MemoryObjects()
    publish(lakehouse)
    before = datasets.create(lakehouse, objects, REQUEST)
    publish(lakehouse, publication_id="p2", count=260)
    after = datasets.create(lakehouse, objects, REQUEST)
    assert after.id != before.id
    found = datasets.difference(before, after)
    assert found["publications"] == [["SYNEDGE", "2024-01-08", "p1", "p2"]]
    assert "content_hash" in found["fields"]


def test_read_later_append_changes_nothing(tmp_path: Path) -> None:
    lakehouse, objects = local_lakehouse(tmp_path), MemoryObjects()
    publish(lakehouse)
    dataset = datasets.create(lakehouse, objects, REQUEST)
    before = datasets.read_examples(lakehouse, dataset)
    publish(lakehouse, publication_id="p2", count=150)
    publish(lakehouse, day=DAY + timedelta(days=1))
    assert datasets.read_examples(lakehouse, dataset).equals(before)
    assert datasets.check_content(lakehouse, dataset) == {}


def test_read_training_set_event_without_label_is_kept(tmp_path: Path) -> None:
    lakehouse, objects = local_lakehouse(tmp_path), MemoryObjects()
    publish(lakehouse)
    events = datasets.read_training_set(lakehouse, datasets.create(lakehouse, objects, REQUEST), "SYNEDGE")
    assert events.is_labelled.tolist() == [True, True, False]
    assert events.event_row.tolist() == [60, 120, 180]
    assert events.ts_event_us.tolist() == events.ticks[0].ts_us[[60, 120, 180]].tolist()
    assert events.event_id[0] == event_id("SYNEDGE", "2024-01-08", 60)
    assert len(events.ticks[0]) == 200


def test_create_another_clock_is_another_dataset_that_reads_its_own_ids(tmp_path: Path) -> None:
    lakehouse, objects = local_lakehouse(tmp_path), MemoryObjects()
    publish(lakehouse)
    usual = datasets.create(lakehouse, objects, REQUEST)
    request = replace(REQUEST, sampling_clock="ticks_60")
    with pytest.raises(
        DatasetError, match=r"Expected events of ticks_60 with labels triple_barrier_v1, was other on 1 days, first SYNEDGE"
    ):
        datasets.create(lakehouse, objects, request)
    publish(lakehouse, clock="ticks_60")
    dataset = datasets.create(lakehouse, objects, request)
    assert "sampling_clock" not in usual.manifest
    assert (dataset.sampling_clock, dataset.id != usual.id) == ("ticks_60", True)
    assert datasets.current_content_key(lakehouse, dataset) == dataset.content_key
    events = datasets.read_training_set(lakehouse, dataset, "SYNEDGE")
    assert events.event_id[0] == event_id("SYNEDGE", "2024-01-08", 60, "ticks_60")
    assert events.is_labelled.tolist() == [True, True, False]


def test_create_another_feature_set_is_another_dataset_that_reads_its_own_columns(tmp_path: Path) -> None:
    lakehouse, objects = local_lakehouse(tmp_path), MemoryObjects()
    publish(lakehouse)
    usual = datasets.create(lakehouse, objects, REQUEST)
    request = replace(REQUEST, feature_set="micro_v1")
    with pytest.raises(DatasetError, match=r"features of micro_v1, was other on 1 days, first SYNEDGE 2024-01-08 with base_v1"):
        datasets.create(lakehouse, objects, request)
    publish(lakehouse, feature_set="micro_v1")
    with pytest.raises(DatasetError, match="features of base_v1, was other on 1 days"):
        datasets.create(lakehouse, objects, REQUEST)
    dataset = datasets.create(lakehouse, objects, request)
    assert datasets.current_content_key(lakehouse, dataset) == dataset.content_key != usual.content_key
    events = datasets.read_training_set(lakehouse, dataset, "SYNEDGE")
    assert (events.feature_names, events.features.shape) == (feature_names("micro_v1"), (3, 26))
    assert events.features[0, -1] == pytest.approx(60 * 26 / 7, rel=1e-12)
    assert datasets.read_training_set(lakehouse, usual, "SYNEDGE").feature_names == FEATURE_NAMES


def test_examples_of_a_set_have_its_columns_alone(tmp_path: Path) -> None:
    lakehouse, objects = local_lakehouse(tmp_path), MemoryObjects()
    publish(lakehouse)
    examples = datasets.read_examples(lakehouse, datasets.create(lakehouse, objects, REQUEST))
    named = [name for name in examples.columns if name in ALL_FEATURE_NAMES]
    assert named == list(FEATURE_NAMES)


def test_columns_of_later_sets_change_no_hash_and_no_dataset(tmp_path: Path) -> None:
    """A lake from before micro_v1 is brought up to date; rows, their hash and the dataset stay, and so they do when written again."""
    lakehouse, objects = local_lakehouse(tmp_path), MemoryObjects()
    definition = TABLES["silver.features"]
    before = replace(definition, columns=definition.columns[: definition.columns.index(", leader_log_return_10s_bps")])
    lakehouse.catalog.drop_table("silver.features")
    lakehouse.catalog.create_table("silver.features", before.schema, partition_spec=before.partition_spec, properties=dict(PROPERTIES))
    publish(lakehouse)
    old, dataset = content_hash(lakehouse, "silver.features"), datasets.create(lakehouse, objects, REQUEST)
    examples = datasets.read_examples(lakehouse, dataset)
    assert lakehouse.ensure_tables() == ["silver.features"]
    assert content_hash(lakehouse, "silver.features") == old
    publish(lakehouse)
    assert lakehouse.frame("silver.features")["day_of_week_sin"].null_count() == 3
    assert content_hash(lakehouse, "silver.features") == old
    again = datasets.pin(lakehouse, REQUEST)
    assert again.content_key == dataset.content_key
    assert datasets.read_examples(lakehouse, again).equals(examples)
    assert datasets.read_examples(lakehouse, again).columns == examples.columns


def test_create_labels_of_other_barriers_are_refused(tmp_path: Path) -> None:
    lakehouse = local_lakehouse(tmp_path)
    publish(lakehouse)
    with pytest.raises(DatasetError, match="Materialize silver/features and silver/labels"):
        datasets.create(lakehouse, MemoryObjects(), replace(REQUEST, label_set="triple_barrier_v1_h600_s2_t3"))


def test_create_features_of_another_publication_are_refused(tmp_path: Path) -> None:
    lakehouse = local_lakehouse(tmp_path)
    publish(lakehouse)
    lakehouse.replace_rows("silver.ticks", silver_rows(publication_id="p2"), day_filter("SYNEDGE", DAY))
    row = {"symbol": "SYNEDGE", "date": DAY, "publication_id": "p2"}
    lakehouse.replace_partitions("evidence.publications", [row], ["SYNEDGE"], [DAY])
    with pytest.raises(DatasetError, match=r"silver\.features"):
        datasets.create(lakehouse, MemoryObjects(), REQUEST)


def test_create_nothing_published_names_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="tick backfill"):
        datasets.create(local_lakehouse(tmp_path), MemoryObjects(), REQUEST)


def test_folder_altered_manifest_is_refused(tmp_path: Path) -> None:
    lakehouse, folder = local_lakehouse(tmp_path), DatasetFolder(tmp_path / "datasets")
    publish(lakehouse)
    dataset = datasets.create(lakehouse, MemoryObjects(), REQUEST)
    place = export(lakehouse, dataset, folder)
    folder.select(dataset)
    assert [folder.load(dataset.id[:8]).id, folder.selected("SYNEDGE").id] == [dataset.id] * 2
    assert len(pl.read_parquet(place / "examples.parquet")) == 3
    manifest = place / "manifest.json"
    manifest.chmod(0o644)
    manifest.write_text(manifest.read_text().replace("SYNEDGE", "SYNNULL"))
    with pytest.raises(DatasetError, match="altered"):
        folder.load(dataset.id[:8])


def test_export_repeat_has_the_same_bytes(tmp_path: Path) -> None:
    lakehouse = local_lakehouse(tmp_path)
    publish(lakehouse)
    dataset = datasets.create(lakehouse, MemoryObjects(), REQUEST)
    one, two = (export(lakehouse, dataset, DatasetFolder(tmp_path / name)) for name in ("one", "two"))
    assert (one / "examples.parquet").read_bytes() == (two / "examples.parquet").read_bytes()


def test_load_ambiguous_prefix_lists_what_it_may_mean() -> None:
    ids = ["ab" * 32, "ac" * 32, "b" * 64]
    with pytest.raises(DatasetError, match=r"was 'a' \(2 match: abababababababab, acacacacacacacac\)\. Give more of its digits"):
        the_one("a", ids, "in this state folder")
    assert the_one("ac", ids, "in this state folder") == ids[1]


@pytest.mark.parametrize("prefix", ["", "f"])
def test_load_unknown_prefix_names_the_remedy(tmp_path: Path, prefix: str) -> None:
    with pytest.raises(DatasetError, match="tick dataset pull ID"):
        DatasetFolder(tmp_path).load(prefix)


def test_stored_ids_are_those_of_manifests_in_the_object_store(tmp_path: Path) -> None:
    lakehouse, objects = local_lakehouse(tmp_path), MemoryObjects()
    publish(lakehouse)
    dataset = datasets.create(lakehouse, objects, REQUEST)
    assert stored_ids(objects) == stored_ids(objects, dataset.id[:5]) == [dataset.id]
    assert stored_ids(objects, "0" * 64) == []


def test_selected_until_released(tmp_path: Path) -> None:
    lakehouse, folder = local_lakehouse(tmp_path), DatasetFolder(tmp_path / "datasets")
    publish(lakehouse)
    dataset = datasets.create(lakehouse, MemoryObjects(), REQUEST)
    export(lakehouse, dataset, folder)
    assert folder.selected("SYNEDGE") is None
    folder.select(dataset)
    assert folder.selected("SYNEDGE") == dataset
    assert (folder.release("SYNEDGE"), folder.release("SYNEDGE")) == (dataset.id, None)
    assert folder.selected("SYNEDGE") is None


def test_selected_dataset_that_is_not_here_names_the_remedies(tmp_path: Path) -> None:
    lakehouse, folder = local_lakehouse(tmp_path), DatasetFolder(tmp_path / "datasets")
    publish(lakehouse)
    dataset = datasets.create(lakehouse, MemoryObjects(), REQUEST)
    folder.select(dataset)
    with pytest.raises(DatasetError, match=rf"tick dataset pull {dataset.id[:12]}.*tick dataset release SYNEDGE"):
        folder.selected("SYNEDGE")


# Tags that somebody removed, and tables that were built again.


def test_read_removed_tag_names_dataset_and_remedy(tmp_path: Path) -> None:
    lakehouse = local_lakehouse(tmp_path)
    publish(lakehouse)
    dataset = datasets.create(lakehouse, MemoryObjects(), REQUEST)
    lakehouse.drop_tag("silver.labels", dataset.tag("silver.labels"))
    assert not datasets.is_pinned(lakehouse, dataset)
    for read in (datasets.read_examples, datasets.check_content, datasets.require_content):
        with pytest.raises(DatasetError, match=rf"pins? dataset {dataset.id[:12]}.*tick dataset repin {dataset.id[:12]}"):
            read(lakehouse, dataset)


def test_repin_removed_and_moved_tags_stand_at_their_snapshots_again(tmp_path: Path) -> None:
    lakehouse = local_lakehouse(tmp_path)
    publish(lakehouse)
    dataset = datasets.create(lakehouse, MemoryObjects(), REQUEST)
    before = datasets.read_examples(lakehouse, dataset)
    publish(lakehouse, publication_id="p2", count=150)
    lakehouse.drop_tag("silver.labels", dataset.tag("silver.labels"))
    lakehouse.drop_tag("silver.ticks", dataset.tag("silver.ticks"))
    lakehouse.tag("silver.ticks", dataset.tag("silver.ticks"))
    assert datasets.repin(lakehouse, dataset) == ["silver.labels", "silver.ticks"]
    assert datasets.repin(lakehouse, dataset) == []
    assert datasets.require_content(lakehouse, dataset) == dataset
    assert datasets.read_examples(lakehouse, dataset).equals(before)


def _build_again(lakehouse: Lakehouse) -> None:
    """Drop the tables that a dataset pins and make them anew, empty: other snapshots, no tags."""
    for table in datasets.PINNED:
        lakehouse.catalog.drop_table(table)
    lakehouse.ensure_tables()


def test_repin_rebuilt_tables_with_the_same_rows_is_the_same_dataset(tmp_path: Path) -> None:
    lakehouse, objects = local_lakehouse(tmp_path), MemoryObjects()
    publish(lakehouse)
    dataset = datasets.create(lakehouse, objects, REQUEST)
    before = datasets.read_examples(lakehouse, dataset)
    _build_again(lakehouse)
    publish(lakehouse, "SYNNULL")
    publish(lakehouse)
    assert datasets.current_content_key(lakehouse, dataset) == dataset.content_key
    assert datasets.repin(lakehouse, dataset) == sorted(datasets.PINNED)
    assert datasets.read_examples(lakehouse, dataset).equals(before)
    assert datasets.create(lakehouse, objects, REQUEST).id == dataset.id


def test_repin_rebuilt_tables_with_other_rows_is_refused_and_tags_nothing(tmp_path: Path) -> None:
    lakehouse = local_lakehouse(tmp_path)
    publish(lakehouse)
    dataset = datasets.create(lakehouse, MemoryObjects(), REQUEST)
    _build_again(lakehouse)
    publish(lakehouse, count=150)
    assert datasets.current_content_key(lakehouse, dataset) != dataset.content_key
    with pytest.raises(DatasetError, match="nor the same rows now"):
        datasets.repin(lakehouse, dataset)
    assert lakehouse.tags("silver.ticks") == {}
