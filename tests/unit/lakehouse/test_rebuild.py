"""What a drill plans, links, hashes and compares, without servers."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import pytest

from tests.unit.lakehouse.local_catalog import DAY, local_lakehouse
from tests.unit.lakehouse.test_datasets import REQUEST, MemoryObjects, publish
from tests.unit.lakehouse.test_raw_store import NOW, ok, whole_day
from tick_assets.lakehouse import datasets, rebuild
from tick_assets.lakehouse.catalog import day_filter
from tick_assets.lakehouse.content_hash import PartitionHash
from tick_assets.lakehouse.raw_store import RawStore
from tick_assets.lakehouse.rebuild import DateRange, NothingToRebuildError, Plan, compare, plan_of
from tick_assets.settings import PROJECT_ROOT

MONDAY = date(2024, 1, 8)


def fill(store: RawStore, *days: tuple[str, str, date]) -> None:
    """Record a whole date of each (source, symbol, date)."""
    for source, symbol, day in days:
        store.record(source, symbol, day, 100_000, whole_day(), now=NOW)


def days_from(first: date, count: int) -> list[date]:
    return [first + timedelta(days=i) for i in range(count)]


def test_plan_holds_every_pair_of_any_source(store: RawStore) -> None:
    fill(store, ("dukascopy", "EURUSD", MONDAY), ("import-fxcm", "EURUSD", MONDAY), ("import-fxcm", "USDJPY", MONDAY + timedelta(days=1)))
    assert plan_of(store).pairs == {("EURUSD", MONDAY), ("USDJPY", MONDAY + timedelta(days=1))}
    assert plan_of(store, ["USDJPY"]).pairs == {("USDJPY", MONDAY + timedelta(days=1))}
    assert plan_of(store, first=MONDAY + timedelta(days=1)).pairs == {("USDJPY", MONDAY + timedelta(days=1))}


def test_plan_of_nothing_is_refused(store: RawStore) -> None:
    with pytest.raises(NothingToRebuildError, match="Expected raw files of EURUSD"):
        plan_of(store, ["EURUSD"])


def test_ranges_bridge_a_weekend_and_part_at_a_longer_gap() -> None:
    friday, next_monday, later = date(2024, 1, 12), date(2024, 1, 15), date(2024, 2, 1)
    pairs = {(symbol, day) for symbol in ("A", "B") for day in (friday, next_monday)} | {("B", later)}
    assert Plan(frozenset(pairs)).ranges == (DateRange(("A", "B"), friday, next_monday), DateRange(("B",), later, later))


def test_ranges_of_other_dates_are_other_runs() -> None:
    pairs = {("A", day) for day in days_from(MONDAY, 3)} | {("B", day) for day in days_from(MONDAY, 2)}
    assert [each.symbols for each in Plan(frozenset(pairs)).ranges] == [("B",), ("A",)]


@pytest.mark.parametrize(
    ("symbols", "first", "last", "asked"),
    [
        ((), None, None, True),
        (("SYNEDGE",), None, None, True),
        (("OTHER",), None, None, False),
        ((), MONDAY + timedelta(days=1), None, False),
    ],
)
def test_plan_asks_for_a_whole_window_or_not(symbols: tuple[str, ...], first: date | None, last: date | None, asked: bool) -> None:
    assert Plan(frozenset(), symbols, first, last).asks_for("SYNEDGE", MONDAY, MONDAY + timedelta(days=2)) is asked


def test_link_raw_gives_a_store_of_its_own_with_the_same_bytes(store: RawStore, tmp_path: Path) -> None:
    fill(store, ("dukascopy", "EURUSD", MONDAY), ("dukascopy", "USDJPY", MONDAY))
    other = RawStore(tmp_path / "other")
    assert rebuild.link_raw(store, other.root, plan_of(store, ["EURUSD"])) == 2
    assert other.symbols("dukascopy") == ("EURUSD",)
    assert other.read_date("dukascopy", "EURUSD", MONDAY).equals(store.read_date("dukascopy", "EURUSD", MONDAY))
    assert other.verify() == []


def test_link_raw_later_revision_in_one_folder_leaves_the_other(store: RawStore, tmp_path: Path) -> None:
    fill(store, ("dukascopy", "EURUSD", MONDAY))
    other = RawStore(tmp_path / "other")
    rebuild.link_raw(store, other.root, plan_of(store))
    before = store.manifest_sha256("dukascopy", "EURUSD", MONDAY)
    assert other.record("dukascopy", "EURUSD", MONDAY, 100_000, [ok(3, 120_000)], now=NOW).new_revision == 1
    assert store.manifest_sha256("dukascopy", "EURUSD", MONDAY) == before


def part(day: str, rows: int = 1, digest: str = "aa") -> PartitionHash:
    return PartitionHash(day, "SYNEDGE", rows, digest)


@pytest.mark.parametrize(
    ("before", "after", "differing"),
    [
        ([part("2024-01-08")], [part("2024-01-08")], []),
        ([part("2024-01-08"), part("2024-01-09")], [part("2024-01-09"), part("2024-01-08")], []),
        ([part("2024-01-08")], [part("2024-01-08", digest="bb")], [("2024-01-08", 1, 1)]),
        ([part("2024-01-08")], [part("2024-01-08"), part("2024-01-09", 7)], [("2024-01-09", 0, 7)]),
        ([part("2024-01-08", 3)], [], [("2024-01-08", 3, 0)]),
    ],
)
def test_compare_names_what_differs(before: list[PartitionHash], after: list[PartitionHash], differing: list[tuple[str, int, int]]) -> None:
    (found,) = compare({"silver.ticks": before}, {"silver.ticks": after})
    assert found.is_equal is (not differing)
    assert [(each["date"], each["rows_before"], each["rows_after"]) for each in found.differing] == differing


def test_compare_table_that_one_state_lacks_differs() -> None:
    assert [each.is_equal for each in compare({"silver.ticks": [part("2024-01-08")]}, {})] == [False]


def test_state_survives_a_file() -> None:
    state = {"silver.ticks": [part("2024-01-08", 3)], "silver.labels": []}
    assert rebuild.from_document(rebuild.to_document(state)) == state


def test_views_from_raw_read_no_evidence_of_models() -> None:
    views = rebuild.views_from_raw(PROJECT_ROOT / "dbt_project")
    assert {"gold.bars_1m", "gold.symbol_days", "gold.quality", "gold.training_examples"} <= set(views)
    assert not {"gold.verdicts", "gold.signals", "gold.orders"} & set(views)


def test_dataset_rebuilt_with_the_same_rows_has_the_same_key(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    one, two = local_lakehouse(tmp_path / "one"), local_lakehouse(tmp_path / "two")
    publish(one)
    dataset = datasets.create(one, MemoryObjects(), REQUEST)
    plan = Plan(frozenset({("SYNEDGE", DAY)}))
    assert [each.is_equal for each in rebuild.compare_datasets([dataset], two, plan)] == [False]
    publish(two)
    assert [each.is_equal for each in rebuild.compare_datasets([dataset], two, plan)] == [True]
    two.replace_rows("silver.labels", [], day_filter("SYNEDGE", DAY))
    assert [each.is_equal for each in rebuild.compare_datasets([dataset], two, plan)] == [False]
    assert rebuild.compare_datasets([dataset], two, Plan(frozenset(), ("SYNNULL",))) == []


def test_up_to_date_leaves_out_a_dataset_of_replaced_rows(tmp_path: Path) -> None:
    lakehouse = local_lakehouse(tmp_path)
    publish(lakehouse)
    first = datasets.create(lakehouse, MemoryObjects(), REQUEST)
    publish(lakehouse, publication_id="p2", count=150)
    second = datasets.create(lakehouse, MemoryObjects(), REQUEST)
    assert rebuild.up_to_date(lakehouse, [first, second]) == [second]


class NoViews:
    """A query engine in which no view was built."""

    def rows(self, sql: str) -> list[tuple[str, ...]]:
        return []


def test_state_counts_rows_outside_the_raw_folder_and_evidence_only_of_known_pairs(tmp_path: Path) -> None:
    lakehouse = local_lakehouse(tmp_path)
    for symbol in ("SYNEDGE", "SYNNULL"):
        publish(lakehouse, symbol)
    state = rebuild.state_of(lakehouse, NoViews(), Plan(frozenset({("SYNNULL", DAY)})), PROJECT_ROOT / "dbt_project")  # type: ignore[arg-type]
    assert [each.symbol for each in state["silver.ticks"]] == ["SYNEDGE", "SYNNULL"]
    assert [each.symbol for each in state["evidence.publications"]] == ["SYNNULL"]


def test_state_of_a_lost_table_is_empty_and_no_dataset_is_up_to_date(tmp_path: Path) -> None:
    lakehouse = local_lakehouse(tmp_path)
    publish(lakehouse)
    dataset = datasets.create(lakehouse, MemoryObjects(), REQUEST)
    lakehouse.catalog.drop_table("silver.features")
    state = rebuild.state_of(lakehouse, NoViews(), Plan(frozenset({("SYNEDGE", DAY)})), PROJECT_ROOT / "dbt_project")  # type: ignore[arg-type]
    assert (state["silver.features"], len(state["silver.ticks"])) == ([], 1)
    assert rebuild.snapshots(lakehouse)["silver.features"] is None
    assert rebuild.up_to_date(lakehouse, [dataset]) == []
