"""A symbol with a leader in the lake: its features are made beside the leader's published ticks, pinned with them, and checked by them."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from tests.unit.lakehouse.local_catalog import data_files, local_lakehouse
from tests.unit.lakehouse.test_datasets import MemoryObjects
from tick_assets.domain.instruments import Market
from tick_assets.domain.kernel import feature_names, run_features
from tick_assets.domain.leak_firewall import examine_events, kernel_of
from tick_assets.domain.leakage import KnownTicks
from tick_assets.domain.sampling import Sampling
from tick_assets.domain.synthetic_market import SyntheticMarket, generate_day
from tick_assets.domain.ticks import Ticks
from tick_assets.lakehouse import datasets
from tick_assets.lakehouse.catalog import Lakehouse, day_filter, whole_partitions
from tick_assets.lakehouse.content_hash import content_hash
from tick_assets.lakehouse.datasets import DatasetError, DatasetRequest
from tick_assets.lakehouse.day_files import in_this_process
from tick_assets.lakehouse.leak_samples import read_others, read_samples
from tick_assets.lakehouse.silver import FEATURES, LABELS, TICKS, Partitions, days_without_leader, event_files, to_ticks

FOLLOWER, LEADER, DAY = "SYNEDGE", "SYNWEAK", date(2024, 1, 9)
PARTITIONS = Partitions((FOLLOWER,), (DAY,), {})
REQUEST = DatasetRequest((FOLLOWER,), feature_set="lead_v1", leader=LEADER)
NAMES = feature_names("lead_v1")
SAMPLING = Sampling(leader=LEADER)


@pytest.fixture(scope="module")
def led(market: Market) -> Market:
    """The market file with a leader."""
    return replace(market, instruments={**market.instruments, FOLLOWER: replace(market.instrument(FOLLOWER), sampling=SAMPLING)})


def clean(symbol: str, seed: int, publication_id: str = "p1") -> pl.DataFrame:
    """Return the clean rows of a synthetic date."""
    ticks = generate_day(SyntheticMarket(k=2.0, mean_gap_s=6.0), seed, symbol, DAY).ticks
    names = ("bid_points", "ask_points", "bid_size", "ask_size")
    return pl.DataFrame(dict(zip(names, ticks.columns[1:], strict=True))).with_columns(
        pl.Series("ts_event", ticks.ts_us).cast(pl.Datetime("us", "UTC")),
        pl.int_range(pl.len(), dtype=pl.Int64).alias("seq"),
        pl.lit(symbol).alias("symbol"),
        pl.lit(DAY).alias("date"),
        pl.lit(100_000, pl.Int32).alias("price_factor"),
        pl.lit("synthetic-twin").alias("source"),
        pl.lit(publication_id).alias("publication_id"),
    )


def publish_ticks(lakehouse: Lakehouse, rows: pl.DataFrame) -> Ticks:
    symbol = rows["symbol"][0]
    lakehouse.replace_files(TICKS, data_files(lakehouse, TICKS, rows), whole_partitions([symbol], [DAY]))
    row = {"symbol": symbol, "date": DAY, "publication_id": rows["publication_id"][0], "silver_rows": len(rows)}
    lakehouse.replace_partitions("evidence.publications", [row], [symbol], [DAY])
    return to_ticks(rows)


def sample(lakehouse: Lakehouse, market: Market) -> pl.DataFrame:
    """Make the follower's features as the asset does, and return them."""
    files = event_files(in_this_process, lakehouse, PARTITIONS, market)
    for table in (FEATURES, LABELS):
        lakehouse.replace_files(table, files[table], PARTITIONS.row_filter)
    return lakehouse.frame(FEATURES, day_filter(FOLLOWER, DAY)).sort("seq")


@pytest.fixture
def lakehouse(tmp_path: Path) -> Lakehouse:
    return local_lakehouse(tmp_path)


def test_features_are_made_beside_the_leader_s_published_ticks(lakehouse: Lakehouse, led: Market) -> None:
    leader, follower = publish_ticks(lakehouse, clean(LEADER, 6, "of the leader")), publish_ticks(lakehouse, clean(FOLLOWER, 5))
    rows = sample(lakehouse, led)
    expected = run_features(follower, leader=leader).features
    assert np.isfinite(expected[-1]).all()
    assert np.ascontiguousarray(rows.select(NAMES).to_numpy()).tobytes() == expected.tobytes()
    assert rows["leader_publication_id"].unique().to_list() == ["of the leader"]
    assert rows["symbol"].unique().to_list() == [FOLLOWER]
    assert lakehouse.partition_rows(FEATURES) == {(FOLLOWER, DAY): len(expected)}
    assert days_without_leader(lakehouse, PARTITIONS, led) == []


def test_features_of_an_unpublished_leader_are_unknown_and_the_day_is_named(lakehouse: Lakehouse, led: Market) -> None:
    publish_ticks(lakehouse, clean(FOLLOWER, 5))
    rows = sample(lakehouse, led)
    assert rows.select(pl.col(NAMES[19:]).is_nan().all()).row(0) == (True, True, True)
    assert rows["leader_publication_id"].null_count() == len(rows) > 500
    assert days_without_leader(lakehouse, PARTITIONS, led) == [{"symbol": FOLLOWER, "date": DAY, "leader": LEADER}]


def test_dataset_pins_the_leader_s_publication_and_reads_its_ticks(lakehouse: Lakehouse, led: Market) -> None:
    leader, follower = publish_ticks(lakehouse, clean(LEADER, 6, "p6")), publish_ticks(lakehouse, clean(FOLLOWER, 5))
    sample(lakehouse, led)
    dataset = datasets.create(lakehouse, MemoryObjects(), REQUEST)
    assert dataset.manifest["leader"] == {"symbol": LEADER, "publications": [["2024-01-09", "p6"]]}
    assert datasets.current_content_key(lakehouse, dataset) == dataset.content_key
    publish_ticks(lakehouse, clean(LEADER, 7, "p7"))
    events = datasets.read_training_set(lakehouse, dataset, FOLLOWER)
    assert (events.feature_names, events.features.tobytes()) == (NAMES, run_features(follower, leader=leader).features.tobytes())
    assert [column.tobytes() for column in datasets.read_leader_ticks(lakehouse, dataset).columns] == [
        column.tobytes() for column in leader.columns
    ]


def test_training_set_of_an_unpublished_leader_holds_the_kernel_s_bits(lakehouse: Lakehouse, led: Market) -> None:
    follower = publish_ticks(lakehouse, clean(FOLLOWER, 5))
    sample(lakehouse, led)
    dataset = datasets.create(lakehouse, MemoryObjects(), REQUEST)
    assert dataset.manifest["leader"]["publications"] == []
    events = datasets.read_training_set(lakehouse, dataset, FOLLOWER)
    nobody = follower.take(slice(0, 0))
    assert events.features.tobytes() == run_features(follower, leader=nobody).features.tobytes()
    known = {LEADER: KnownTicks(datasets.read_leader_ticks(lakehouse, dataset), nobody.ts_us)}
    assert [each.findings for each in examine_events(events, kernel_of(SAMPLING), known, moments=2) if each.findings] == []


@pytest.mark.parametrize("begins_published", [True, False])
def test_features_beside_another_publication_of_the_leader_are_refused(lakehouse: Lakehouse, led: Market, begins_published: bool) -> None:
    publish_ticks(lakehouse, clean(FOLLOWER, 5))
    if begins_published:
        publish_ticks(lakehouse, clean(LEADER, 6, "p6"))
    sample(lakehouse, led)
    publish_ticks(lakehouse, clean(LEADER, 7, "p7"))
    with pytest.raises(DatasetError, match="beside the published ticks of SYNWEAK, was other on 1 days, first SYNEDGE 2024-01-09"):
        datasets.create(lakehouse, MemoryObjects(), REQUEST)
    sample(lakehouse, led)
    assert datasets.create(lakehouse, MemoryObjects(), REQUEST).leader == LEADER


def test_same_leader_under_another_publication_id_is_the_same_content(lakehouse: Lakehouse, led: Market) -> None:
    publish_ticks(lakehouse, clean(FOLLOWER, 5))
    publish_ticks(lakehouse, clean(LEADER, 6, "p6"))
    sample(lakehouse, led)
    before = content_hash(lakehouse, FEATURES)
    publish_ticks(lakehouse, clean(LEADER, 6, "p7"))
    assert sample(lakehouse, led)["leader_publication_id"].unique().to_list() == ["p7"]
    assert content_hash(lakehouse, FEATURES) == before


def test_firewall_clears_features_made_beside_the_published_leader_and_finds_others(lakehouse: Lakehouse, led: Market) -> None:
    publish_ticks(lakehouse, clean(FOLLOWER, 5))
    publish_ticks(lakehouse, clean(LEADER, 6, "p6"))
    sample(lakehouse, led)
    (events,) = read_samples(lakehouse, led, [FOLLOWER], [DAY])
    others = read_others(lakehouse, led, events)
    examined = examine_events(events, kernel_of(SAMPLING), others, moments=4)
    assert "other_symbols" in {each.check for each in examined}
    assert [finding for each in examined for finding in each.findings] == []
    publish_ticks(lakehouse, clean(LEADER, 7, "p7"))
    changed = examine_events(events, kernel_of(SAMPLING), read_others(lakehouse, led, events), moments=1)
    assert {finding.culprit for each in changed for finding in each.findings} == set(NAMES[19:])
