"""The leak firewall's asset checks as Dagster runs them, over a local lake: what is clean passes, a leak blocks what follows.

What belongs here: reading, reporting and blocking. What must not: which leaks are found (`tests/unit/domain/test_leak_firewall`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest

from tests.unit.lakehouse.local_catalog import local_lakehouse
from tick_assets.asset_checks import features_know_no_future, labels_know_no_future
from tick_assets.domain.instruments import Market, parse_market
from tick_assets.domain.kernel import FEATURE_NAMES, feature_names
from tick_assets.domain.label_leakage import LABEL_NAMES
from tick_assets.domain.sampling import Sampling
from tick_assets.domain.signals import Strategy
from tick_assets.domain.synthetic_market import SyntheticMarket, generate_day
from tick_assets.lakehouse.catalog import Lakehouse, day_filter
from tick_assets.lakehouse.leak_samples import read_samples, spread
from tick_assets.lakehouse.silver import FEATURES, LABELS, TICKS, sample_day
from tick_assets.partitions import DAILY
from tick_assets.resources import Road, Scope
from tick_assets.settings import Settings

SYMBOL, DAY = "SYNEDGE", date(2024, 1, 9)
Change = Callable[[pl.DataFrame], pl.DataFrame]
CULPRIT = "quote_imbalance"


def silver_day(market: Market) -> dict[str, pl.DataFrame]:
    """Return ticks, features and labels of one generated day, as silver has them."""
    ticks = generate_day(SyntheticMarket(k=2.0, mean_gap_s=6.0), 3, SYMBOL, DAY).ticks
    names = ("bid_points", "ask_points", "bid_size", "ask_size")
    rows = pl.DataFrame(dict(zip(names, ticks.columns[1:], strict=True))).with_columns(
        pl.Series("ts_event", ticks.ts_us).cast(pl.Datetime("us", "UTC")),
        pl.int_range(pl.len(), dtype=pl.Int64).alias("seq"),
        (pl.int_range(pl.len(), dtype=pl.Int64) + 1).alias("source_row"),
        pl.lit(SYMBOL).alias("symbol"),
        pl.lit(DAY).alias("date"),
        pl.lit(100_000, pl.Int32).alias("price_factor"),
        pl.lit("synthetic-twin").alias("source"),
        pl.lit("a.csv").alias("source_file"),
        pl.lit("p1").alias("publication_id"),
    )
    return {TICKS: rows, **sample_day((SYMBOL, DAY), rows, market, Strategy())}


def publish(lakehouse: Lakehouse, tables: dict[str, pl.DataFrame]) -> None:
    for table, rows in tables.items():
        lakehouse.replace_rows(table, rows, day_filter(SYMBOL, DAY))
    row = {"symbol": SYMBOL, "date": DAY, "publication_id": "p1", "silver_rows": len(tables[TICKS])}
    lakehouse.replace_partitions("evidence.publications", [row], [SYMBOL], [DAY])


@dg.multi_asset(specs=[dg.AssetSpec(["silver", "features"]), dg.AssetSpec(["silver", "labels"])], partitions_def=DAILY)
def written() -> Any:
    """What the checks belong to; the rows are there already."""
    yield dg.MaterializeResult(asset_key=["silver", "features"])
    yield dg.MaterializeResult(asset_key=["silver", "labels"])


@dg.asset(deps=[["silver", "features"], ["silver", "labels"]], partitions_def=DAILY)
def reader() -> None:
    """What must wait for the checks."""


def run(lakehouse: Lakehouse, own_market: Market | None = None) -> tuple[dict[str, dg.AssetCheckEvaluation], bool]:
    """Run the assets and their checks for the day; return the checks and whether the reader ran."""

    class LocalRoad(Road):
        @cached_property
        def lakehouse(self) -> Any:
            return lakehouse

        @cached_property
        def market(self) -> Market:
            return own_market or parse_market(Settings().market_path.read_text())

    definitions = dg.Definitions(
        assets=[written, reader],
        asset_checks=[features_know_no_future, labels_know_no_future],
        resources={"road": LocalRoad(), "scope": Scope(symbols=[SYMBOL])},
        jobs=[dg.define_asset_job("both", "*", executor_def=dg.in_process_executor)],
    )
    done = definitions.resolve_job_def("both").execute_in_process(partition_key=DAY.isoformat(), raise_on_error=False)
    checks = {check.check_name: check for check in done.get_asset_check_evaluations()}
    return checks, bool(done.asset_materializations_for_node("reader"))


def rows_of(check: dg.AssetCheckEvaluation) -> list[Any]:
    """Return the rows of a check's table."""
    shown = check.metadata["rows"]
    assert isinstance(shown, dg.TableMetadataValue)
    return [record.data for record in shown.records]


@pytest.fixture
def lakehouse(tmp_path: Path) -> Lakehouse:
    return local_lakehouse(tmp_path)


@pytest.fixture(scope="module")
def day() -> dict[str, pl.DataFrame]:
    return silver_day(parse_market(Settings().market_path.read_text()))


def sampled_as(sampling: Sampling) -> Market:
    """Return the market file with another sampling of the symbol."""
    market = parse_market(Settings().market_path.read_text())
    return replace(market, instruments={**market.instruments, SYMBOL: replace(market.instrument(SYMBOL), sampling=sampling)})


@pytest.mark.parametrize("sampling", [Sampling("ticks_40", features="micro_v1"), Sampling(leader="SYNWEAK")])
def test_clean_day_of_another_feature_set_passes(lakehouse: Lakehouse, day: dict[str, pl.DataFrame], sampling: Sampling) -> None:
    market = sampled_as(sampling)
    leader = day[TICKS].with_columns(pl.lit("SYNWEAK").alias("symbol"), pl.col("ts_event").dt.offset_by("-7s").alias("ts_event"))
    leader = leader.filter(pl.col("ts_event").dt.date() == DAY)
    lakehouse.replace_rows(TICKS, leader, day_filter("SYNWEAK", DAY))
    row = {"symbol": "SYNWEAK", "date": DAY, "publication_id": "p1", "silver_rows": len(leader)}
    lakehouse.replace_partitions("evidence.publications", [row], ["SYNWEAK"], [DAY])
    beside = leader if sampling.leader else None
    publish(lakehouse, {TICKS: day[TICKS], **sample_day((SYMBOL, DAY), day[TICKS], market, beside=beside)})
    checks, reader_ran = run(lakehouse, market)
    assert (reader_ran, all(check.passed for check in checks.values())) == (True, True)
    culprits = [row["culprit"] for row in rows_of(checks["features_know_no_future"])]
    assert culprits == [*feature_names(sampling.feature_set), "sampling_clock"]


def test_clean_day_passes_and_every_feature_and_label_has_a_row(lakehouse: Lakehouse, day: dict[str, pl.DataFrame]) -> None:
    publish(lakehouse, day)
    checks, reader_ran = run(lakehouse)
    assert {name: check.passed for name, check in checks.items()} == {"features_know_no_future": True, "labels_know_no_future": True}
    assert reader_ran
    rows = rows_of(checks["features_know_no_future"])
    assert [row["culprit"] for row in rows] == [*FEATURE_NAMES, "sampling_clock"]
    assert {row["result"] for row in rows} == {"cleared"}
    assert {row["culprit"] for row in rows_of(checks["labels_know_no_future"])} >= set(LABEL_NAMES)


def test_stored_feature_that_is_the_next_rows_blocks_and_names_the_culprit(lakehouse: Lakehouse, day: dict[str, pl.DataFrame]) -> None:
    leaking = day[FEATURES].with_columns(pl.col(CULPRIT).shift(-1).fill_null(0.0))
    publish(lakehouse, day | {FEATURES: leaking})
    checks, reader_ran = run(lakehouse)
    assert not reader_ran
    check = checks["features_know_no_future"]
    assert (check.passed, check.blocking) == (False, True)
    assert f"{SYMBOL} {CULPRIT} (stored_features): Write the table" in str(check.description)
    assert checks["labels_know_no_future"].passed


def test_label_in_a_stored_feature_is_named_by_the_labels_check(lakehouse: Lakehouse, day: dict[str, pl.DataFrame]) -> None:
    outcome = day[LABELS].select("event_id", (pl.col("long_net_bps") > pl.col("short_net_bps")).cast(pl.Float64).alias("outcome"))
    leaking = day[FEATURES].join(outcome, on="event_id", how="left", maintain_order="left")
    publish(lakehouse, day | {FEATURES: leaking.with_columns(pl.col("outcome").fill_null(0.0).alias(CULPRIT)).drop("outcome")})
    checks, _ = run(lakehouse)
    assert f"{SYMBOL} {CULPRIT} (label_in_feature)" in str(checks["labels_know_no_future"].description)


def test_label_whose_end_was_moved_is_named(lakehouse: Lakehouse, day: dict[str, pl.DataFrame]) -> None:
    publish(lakehouse, day | {LABELS: day[LABELS].with_columns(pl.col("ts_label_end").dt.offset_by("-1s"))})
    checks, reader_ran = run(lakehouse)
    assert not reader_ran
    assert f"{SYMBOL} ts_label_end (stored_labels)" in str(checks["labels_know_no_future"].description)
    assert checks["features_know_no_future"].passed


def test_samples_leave_out_what_is_not_published(lakehouse: Lakehouse, day: dict[str, pl.DataFrame]) -> None:
    publish(lakehouse, day)
    (sample,) = read_samples(lakehouse, parse_market(Settings().market_path.read_text()), ["SYNNULL", SYMBOL], [DAY, date(2024, 1, 10)])
    assert (sample.symbol, sample.dates, len(sample)) == (SYMBOL, (DAY.isoformat(),), len(day[FEATURES]))
    assert sample.is_labelled.sum() == len(day[LABELS])


@pytest.mark.parametrize(("items", "expected"), [([], []), ([1], [1]), ([1, 2, 3, 4, 5], [1, 3, 5]), ([1, 2], [1, 2])])
def test_spread_takes_the_first_and_the_last(items: list[int], expected: list[int]) -> None:
    assert spread(items, 3) == expected
