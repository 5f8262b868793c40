"""Statistics read from tables: only published rows count, pieces don't matter, and real vendor files say what is known of them."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from tests.unit.lakehouse.local_catalog import local_lakehouse, silver_rows
from tick_assets.domain.data_answers import answer
from tick_assets.domain.instruments import Market, UnknownSymbolError
from tick_assets.domain.tick_statistics import by_date, total
from tick_assets.lakehouse import data_statistics, hour_ledger, raw_ticks
from tick_assets.lakehouse.catalog import Lakehouse, partition_filter
from tick_assets.lakehouse.data_statistics import read_statistics, read_symbol, symbols_with_data
from tick_assets.lakehouse.importers.importing import import_path
from tick_assets.lakehouse.raw_store import RawStore

SYMBOL = "SYNEDGE"
DAYS = [date(2024, 1, 8), date(2024, 1, 9), date(2024, 1, 10)]


def publish(lakehouse: Lakehouse, symbol: str, counts: dict[date, int], publication_id: str = "p1") -> None:
    """List dates as published, with an `ok` hour 0 and the rest pending."""
    day_rows = [(symbol, day, publication_id, count) for day, count in counts.items()]
    lakehouse.append(
        "evidence.publications",
        [
            {"symbol": s, "date": d, "publication_id": p, "silver_rows": n, "reject_rows": 0, "source": "synthetic"}
            for s, d, p, n in day_rows
        ],
    )
    hours = [{"symbol": s, "date": d, "hour": 0, "state": "ok", "source": "synthetic", "revision": 0} for s, d, _, _ in day_rows]
    lakehouse.append("evidence.hour_ledger", hours)


@pytest.fixture
def lakehouse(tmp_path: Path) -> Lakehouse:
    """Three dates of ticks; the second was replaced after its publication was listed, the third is not listed at all."""
    lakehouse = local_lakehouse(tmp_path)
    for day, publication_id in zip(DAYS, ("p1", "p2", "p1"), strict=True):
        lakehouse.append("silver.ticks", silver_rows(SYMBOL, day, 100, publication_id))
    refused = [(DAYS[0], "p1", "QUOTE_CROSSED"), (DAYS[0], "p1", "ROW_DUPLICATED"), (DAYS[0], "old", "QUOTE_CROSSED")]
    rows = [
        {"symbol": SYMBOL, "date": day, "ts_event": datetime(2024, 1, 8, 9, tzinfo=UTC), "publication_id": name, "reason_code": reason}
        for day, name, reason in refused
    ]
    lakehouse.append("silver.tick_rejects", rows)
    publish(lakehouse, SYMBOL, {DAYS[0]: 100, DAYS[1]: 100})
    return lakehouse


def test_only_rows_of_listed_publications_count(lakehouse: Lakehouse, market: Market) -> None:
    found = read_symbol(lakehouse, market, SYMBOL)
    assert {day: figures.tick_count for day, figures in by_date(found).items()} == {DAYS[0]: 100, DAYS[1]: 0}
    assert found.reject_counts() == {"QUOTE_CROSSED": 1, "ROW_DUPLICATED": 1}
    assert found.dates_torn == (DAYS[1],)


def test_range_limits_dates(lakehouse: Lakehouse, market: Market) -> None:
    assert read_symbol(lakehouse, market, SYMBOL, DAYS[1], DAYS[1]).dates == (DAYS[1],)


def test_symbols_of_the_lake_are_those_asked_for_or_published(lakehouse: Lakehouse) -> None:
    lakehouse.append("evidence.hour_ledger", [{"symbol": "EURUSD", "date": DAYS[0], "hour": 0, "state": "failed", "source": "dukascopy"}])
    assert symbols_with_data(lakehouse) == ("EURUSD", SYMBOL)


def test_symbol_without_data_is_empty_and_one_without_a_section_is_refused(lakehouse: Lakehouse, market: Market) -> None:
    (found,) = read_statistics(lakehouse, market, ["GBPUSD"])
    assert (found.cells, found.dates, total(found).tick_count) == ((), (), 0)
    with pytest.raises(UnknownSymbolError, match="Add a section"):
        read_symbol(lakehouse, market, "NOSUCH")


def test_pieces_do_not_matter(tmp_path: Path, market: Market, monkeypatch: pytest.MonkeyPatch) -> None:
    lakehouse = local_lakehouse(tmp_path)
    for day in DAYS:
        lakehouse.append("silver.ticks", silver_rows(SYMBOL, day, 150))
    publish(lakehouse, SYMBOL, dict.fromkeys(DAYS, 150))
    whole = read_symbol(lakehouse, market, SYMBOL)
    monkeypatch.setattr(data_statistics, "ROWS_PER_READ", 1)
    parts = read_symbol(lakehouse, market, SYMBOL)
    assert (whole.hours.equals(parts.hours), whole.silences == parts.silences, total(whole) == total(parts)) == (True, True, True)
    assert total(whole).tick_count == 450


def test_empty_lake_has_no_symbols(tmp_path: Path) -> None:
    assert symbols_with_data(local_lakehouse(tmp_path)) == ()


def test_real_week_of_dollar_against_singapore_dollar_lacks_its_first_hours(
    tmp_path: Path, real_data: Path, market: Market, now: datetime
) -> None:
    store, lakehouse = RawStore(tmp_path / "raw"), local_lakehouse(tmp_path)
    first, last = date(2017, 8, 7), date(2017, 8, 9)
    dates = [first + timedelta(days=i) for i in range(3)]
    source = real_data / "vendor" / "bi5"
    import_path(source, store, market.instrument("USDSGD"), now=now, first=first, last=last)
    hour_ledger.publish(lakehouse, store, ["USDSGD"], dates, ("dukascopy",))
    raw_ticks.write_days(lakehouse, store, ["USDSGD"], dates, ("dukascopy",), lambda _: None)
    rows = lakehouse.frame("raw.ticks", partition_filter("USDSGD"))
    seq = pl.int_range(pl.len()).over("date").alias("seq")
    lakehouse.append(
        "silver.ticks", rows.with_columns(seq, pl.lit("p1").alias("publication_id")).drop("revision", "is_current", "known_at", "raw_line")
    )
    counts = dict(rows.group_by("date").agg(pl.len()).iter_rows())
    published = [{"symbol": "USDSGD", "date": day, "publication_id": "p1", "silver_rows": counts[day], "reject_rows": 0} for day in dates]
    lakehouse.append("evidence.publications", published)
    found = read_symbol(lakehouse, market, "USDSGD")
    assert answer(found) == "3 hours missing: 00h UTC on every Monday to Wednesday (vendor_empty)"
    assert total(found).tick_count == len(rows)
    spreads = (rows["ask_points"] - rows["bid_points"]).cast(pl.Float64)
    assert total(found).spread_median_points == spreads.median()
    assert total(found).spread_mean_points == pytest.approx(spreads.mean())
