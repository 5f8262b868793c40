"""Side tables: what is kept, what counts, and that nothing known is ever rewritten."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.lakehouse.local_catalog import local_lakehouse
from tick_assets.domain.asof import join_as_of
from tick_assets.lakehouse.content_hash import content_hash
from tick_assets.lakehouse.side_files import Reading, SideFileError
from tick_assets.lakehouse.side_tables import Delivery, SideFolder, counts_by_file, publish, read_values

FEED = "calendar"
NOON = datetime(2024, 1, 10, 12, tzinfo=UTC)
HEADER = "ts_event,known_at,currency,name,value\n"


def row(known_minute: int, value: float, name: str = "CPI", minute: int = 0) -> str:
    stamps = (NOON + timedelta(minutes=minute), NOON + timedelta(minutes=known_minute))
    return f"{stamps[0].isoformat()},{stamps[1].isoformat()},USD,{name},{value}\n"


@pytest.fixture
def folder(tmp_path: Path) -> SideFolder:
    return SideFolder(tmp_path / "side")


def deliver(folder: SideFolder, *rows: str, file_name: str = "file.csv") -> Delivery:
    return folder.deliver(FEED, (HEADER + "".join(rows)).encode(), file_name, Reading(), now=NOON)[0]


def values_of(folder: SideFolder) -> list[tuple[int, float]]:
    return [(known.minute, value) for _, frame in folder.frames(FEED) for known, value in frame.select("known_at", "value").rows()]


def test_delivered_file_is_kept_byte_for_byte_and_read_only(folder: SideFolder) -> None:
    delivery = deliver(folder, row(1, 3.1))
    path = folder.file_path(FEED, delivery.sha256)
    assert path.read_text() == HEADER + row(1, 3.1)
    assert path.stat().st_mode & 0o222 == 0
    assert folder.deliveries(FEED) == [delivery]


def test_same_file_again_is_the_same_delivery(folder: SideFolder) -> None:
    content = (HEADER + row(1, 3.1)).encode()
    first, is_new = folder.deliver(FEED, content, "a.csv", Reading(), now=NOON)
    again, is_new_again = folder.deliver(FEED, content, "b.csv", Reading(), now=NOON + timedelta(days=1))
    assert (is_new, is_new_again, again) == (True, False, first)


def test_same_file_read_in_another_way_is_refused(folder: SideFolder) -> None:
    content = b"ts_event,rate\n2024-01-10T12:00:00Z,1\n"
    folder.deliver("rates", content, "a.csv", Reading(delay_s=60.0), now=NOON)
    with pytest.raises(SideFileError, match="to be read as before"):
        folder.deliver("rates", content, "a.csv", Reading(delay_s=0.0), now=NOON)


@pytest.mark.parametrize("feed", ["", "../raw", "Calendar", "a b"])
def test_feed_names_that_are_no_folder_names_are_refused(folder: SideFolder, feed: str) -> None:
    with pytest.raises(SideFileError, match="Expected a feed's name"):
        folder.deliver(feed, (HEADER + row(1, 3.1)).encode(), "a.csv", Reading(), now=NOON)


def test_correction_is_another_row(folder: SideFolder) -> None:
    deliver(folder, row(1, 3.1))
    deliver(folder, row(9, 3.2))
    assert values_of(folder) == [(1, 3.1), (9, 3.2)]


def test_value_said_again_counts_once(folder: SideFolder) -> None:
    deliver(folder, row(1, 3.1))
    second = deliver(folder, row(1, 3.1), row(9, 3.2))
    assert (second.values, second.repeated, values_of(folder)) == (1, 1, [(1, 3.1), (9, 3.2)])


def test_value_that_contradicts_what_was_known_then_is_quarantined(folder: SideFolder) -> None:
    deliver(folder, row(1, 3.1))
    second = deliver(folder, row(1, 9.9), row(9, 3.2))
    assert (second.refused, values_of(folder)) == (1, [(1, 3.1), (9, 3.2)])
    quarantined = folder.quarantine_path(FEED, second.sha256).read_text().splitlines()
    assert quarantined[0] == "source_row,reason_code,detail,ts_event,known_at,currency,name,value"
    assert quarantined[1].startswith('1,VALUE_CONTRADICTED,"expected 3.1 as delivered before for CPI of USD')
    assert quarantined[1].endswith(",USD,CPI,9.9")


def test_changed_delivery_is_named(folder: SideFolder) -> None:
    delivery = deliver(folder, row(1, 3.1))
    path = folder.file_path(FEED, delivery.sha256)
    path.chmod(0o644)
    path.write_text(HEADER + row(1, 3.2))
    with pytest.raises(SideFileError, match=f"Expected .*{delivery.sha256}.csv with the sha-256 of its name, was changed"):
        list(folder.frames(FEED))


def test_publishing_again_writes_nothing(folder: SideFolder, tmp_path: Path) -> None:
    lakehouse = local_lakehouse(tmp_path)
    first, second = deliver(folder, row(1, 3.1)), deliver(folder, row(9, 3.2), row(5, 1.0, "PMI"))
    assert [done.is_new for done in publish(lakehouse, folder)] == [True, True]
    before = lakehouse.snapshot_id("raw.side_values")
    assert [done.is_new for done in publish(lakehouse, folder)] == [False, False]
    assert lakehouse.snapshot_id("raw.side_values") == before
    assert counts_by_file(lakehouse, FEED) == {first.source_file: 1, second.source_file: 2}


def test_table_is_rebuilt_from_the_folder_alone(folder: SideFolder, tmp_path: Path) -> None:
    stepwise, rebuilt = (local_lakehouse(tmp_path / name) for name in ("a", "b") if not (tmp_path / name).mkdir())
    for rows in ((row(1, 3.1),), (row(1, 9.9), row(9, 3.2)), (row(9, 3.2), row(11, 3.3))):
        deliver(folder, *rows)
        publish(stepwise, folder)
    publish(rebuilt, folder)
    assert content_hash(stepwise, "raw.side_values") == content_hash(rebuilt, "raw.side_values")
    assert len(read_values(rebuilt, FEED)) == 3


def test_known_at_is_content(folder: SideFolder, tmp_path: Path) -> None:
    hashes = []
    for minute in (1, 2):
        (tmp_path / str(minute)).mkdir()
        lakehouse, other = local_lakehouse(tmp_path / str(minute)), SideFolder(tmp_path / f"side{minute}")
        deliver(other, row(minute, 3.1))
        publish(lakehouse, other)
        hashes.append(content_hash(lakehouse, "raw.side_values"))
    assert hashes[0] != hashes[1]


DELIVERIES = st.lists(
    st.lists(st.tuples(st.integers(0, 8), st.integers(0, 3), st.sampled_from(["CPI", "PMI"]), st.integers(0, 4)), min_size=1, max_size=4),
    min_size=1,
    max_size=4,
)


@given(DELIVERIES, st.integers(0, 10))
@settings(max_examples=40)
def test_delivery_of_what_is_known_later_changes_no_earlier_answer(
    tmp_path_factory: pytest.TempPathFactory, deliveries: list[list[tuple[int, int, str, int]]], at: int
) -> None:
    folder = SideFolder(tmp_path_factory.mktemp("side"))
    for rows in deliveries:
        deliver(folder, *(row(minute + delay, value, name, minute) for minute, delay, name, value in rows))
    event = pl.DataFrame(
        {"key": ["USD"], "ts_event": [NOON + timedelta(minutes=at)]}, schema_overrides={"ts_event": pl.Datetime("us", "UTC")}
    )

    def answer() -> list[tuple[str, float | None]]:
        values = pl.concat([frame for _, frame in folder.frames(FEED)])
        joined = join_as_of(event, values).drop_nulls("value")
        return joined.select("name", "value").rows()

    before = answer()
    deliver(folder, row(at + 1, 99, "CPI", at + 1), row(at + 1, 98, "PMI"))
    assert answer() == before
