"""Clocks: the four Sundays of 2023 on which Europe and New York switch, and what happens to the hour that is skipped or repeated."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from tick_assets.domain.instruments import Market
from tick_assets.domain.ticks import Int64Array
from tick_assets.lakehouse.importers.clocks import parse_clock
from tick_assets.lakehouse.importers.importing import ImportRefusedError, import_path
from tick_assets.lakehouse.raw_store import RawStore

NOW = datetime(2026, 1, 2, tzinfo=UTC)
MT5_HEADER = "<DATE>\t<TIME>\t<BID>\t<ASK>\t<LAST>\t<VOLUME>\t<FLAGS>\r\n"


def to_us(*texts: str) -> Int64Array:
    return np.array([int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1_000_000) for text in texts], np.int64)


def shown(stamps: Int64Array) -> list[str]:
    return [datetime.fromtimestamp(int(at) // 1_000_000, UTC).strftime("%Y-%m-%d %H:%M") for at in stamps]


@pytest.mark.parametrize(
    ("clock", "local", "utc"),
    [
        # Europe, 26 March 2023: 03:00 EET becomes 04:00 at 01:00 UTC.
        ("eet", "2023-03-26 02:59", "2023-03-26 00:59"),
        ("eet", "2023-03-26 04:00", "2023-03-26 01:00"),
        ("eet", "2023-03-25 12:00", "2023-03-25 10:00"),
        ("eet", "2023-03-27 12:00", "2023-03-27 09:00"),
        # Europe, 29 October 2023: 04:00 EEST becomes 03:00 at 01:00 UTC.
        ("eet", "2023-10-29 02:59", "2023-10-28 23:59"),
        ("eet", "2023-10-29 04:00", "2023-10-29 02:00"),
        # New York, 12 March 2023: 02:00 EST becomes 03:00 at 07:00 UTC, so the broker's clock goes from 09:00 to 10:00.
        ("ny+7", "2023-03-12 08:59", "2023-03-12 06:59"),
        ("ny+7", "2023-03-12 10:00", "2023-03-12 07:00"),
        # New York, 5 November 2023: 02:00 EDT becomes 01:00 at 06:00 UTC, so the broker's clock goes from 09:00 to 08:00.
        ("ny+7", "2023-11-05 07:59", "2023-11-05 04:59"),
        ("ny+7", "2023-11-05 09:00", "2023-11-05 07:00"),
        # Between the switches of New York and of Europe the two differ by an hour.
        ("eet", "2023-03-20 00:00", "2023-03-19 22:00"),
        ("ny+7", "2023-03-20 00:00", "2023-03-19 21:00"),
        ("eet", "2023-11-01 00:00", "2023-10-31 22:00"),
        ("ny+7", "2023-11-01 00:00", "2023-10-31 21:00"),
        # Fixed offsets know no switch.
        ("2", "2023-03-26 03:30", "2023-03-26 01:30"),
        ("+2", "2023-10-29 03:30", "2023-10-29 01:30"),
        ("-5", "2023-03-12 02:30", "2023-03-12 07:30"),
        ("5.5", "2023-03-26 03:30", "2023-03-25 22:00"),
        ("utc", "2023-03-26 03:30", "2023-03-26 03:30"),
        ("Europe/Berlin", "2023-07-01 12:00", "2023-07-01 10:00"),
    ],
)
def test_clock_local_stamp_is_utc(clock: str, local: str, utc: str) -> None:
    reading = parse_clock(clock).to_utc(to_us(local))
    assert (shown(reading.utc_us), reading.skipped.any(), reading.repeated.any()) == ([utc], False, False)


@pytest.mark.parametrize(
    ("clock", "local"),
    [("eet", "2023-03-26 03:00"), ("eet", "2023-03-26 03:59"), ("ny+7", "2023-03-12 09:00"), ("ny", "2023-03-12 02:30")],
)
def test_clock_hour_of_spring_is_skipped(clock: str, local: str) -> None:
    assert parse_clock(clock).to_utc(to_us(local)).skipped.tolist() == [True]


@pytest.mark.parametrize(
    ("clock", "locals_", "utcs"),
    [
        (
            "eet",
            ("2023-10-29 02:59", "2023-10-29 03:10", "2023-10-29 03:50", "2023-10-29 03:05", "2023-10-29 03:55", "2023-10-29 04:01"),
            ["2023-10-28 23:59", "2023-10-29 00:10", "2023-10-29 00:50", "2023-10-29 01:05", "2023-10-29 01:55", "2023-10-29 02:01"],
        ),
        (
            "ny+7",
            ("2023-11-05 07:59", "2023-11-05 08:10", "2023-11-05 08:50", "2023-11-05 08:05", "2023-11-05 08:55", "2023-11-05 09:01"),
            ["2023-11-05 04:59", "2023-11-05 05:10", "2023-11-05 05:50", "2023-11-05 06:05", "2023-11-05 06:55", "2023-11-05 07:01"],
        ),
    ],
)
def test_clock_repeated_hour_is_resolved_by_the_step_back(clock: str, locals_: tuple[str, ...], utcs: list[str]) -> None:
    reading = parse_clock(clock).to_utc(to_us(*locals_))
    assert (shown(reading.utc_us), reading.repeated.any()) == (utcs, False)


@pytest.mark.parametrize(
    "locals_",
    [
        ("2023-10-29 03:10", "2023-10-29 03:50", "2023-10-29 04:10"),  # one pass, but which
        ("2023-10-29 03:10", "2023-10-29 03:05", "2023-10-29 03:50", "2023-10-29 03:01"),  # two steps back
        ("2023-10-29 03:10:30", "2023-10-29 03:10:00"),  # disorder of less than a minute is no switch
    ],
)
def test_clock_repeated_hour_without_one_step_back_is_unresolved(locals_: tuple[str, ...]) -> None:
    local = to_us(*locals_)
    reading = parse_clock("eet").to_utc(local)
    inside = (local >= to_us("2023-10-29 03:00")) & (local < to_us("2023-10-29 04:00"))
    assert reading.repeated.tolist() == inside.tolist()
    hour = int(to_us("2023-10-29 00:00")[0]) // 3_600_000_000
    assert reading.uncertain_hours == {hour, hour + 1}


@pytest.mark.parametrize("text", ["", "mars", "15", "-14.3", "ny+x", "Europe/Nowhere", "../x", "nan", "\u0662"])
def test_parse_clock_unknown_name_is_refused_with_the_choices(text: str) -> None:
    with pytest.raises(ImportRefusedError, match="ny\\+7"):
        parse_clock(text)


def mt5_text(*stamps: str) -> str:
    return MT5_HEADER + "".join(f"{stamp.replace('-', '.').replace(' ', chr(9))}.000\t21000.0\t21001.0\t\t\t6\r\n" for stamp in stamps)


def import_mt5(store: RawStore, market: Market, tmp_path: Path, clock: str, *stamps: str) -> tuple[pl.DataFrame, dict[str, int], list[str]]:
    path = tmp_path / "in" / "ticks.csv"
    path.parent.mkdir(exist_ok=True)
    path.write_text(mt5_text(*stamps), newline="")
    report = import_path(path, store, market.instrument("BTCUSD"), now=NOW, utc_offset=clock)
    return pl.concat([store.read_date(report.source, "BTCUSD", day.date) for day in report.dates]), report.malformed, list(report.unusable)


def test_import_stamp_in_the_skipped_hour_refuses_the_file(store: RawStore, market: Market, tmp_path: Path) -> None:
    with pytest.raises(ImportRefusedError, match=r"skips.*2023-03-26 03:30:00"):
        import_mt5(store, market, tmp_path, "eet", "2023-03-26 02:30:00", "2023-03-26 03:30:00")
    assert store.sources() == ()


def test_import_repeated_hour_in_order_has_both_passes(store: RawStore, market: Market, tmp_path: Path) -> None:
    stamps = ("2023-10-29 02:59:00", "2023-10-29 03:30:00", "2023-10-29 03:10:00", "2023-10-29 04:01:00")
    rows, malformed, _ = import_mt5(store, market, tmp_path, "eet", *stamps)
    expected = ["2023-10-28 23:59", "2023-10-29 00:30", "2023-10-29 01:10", "2023-10-29 02:01"]
    assert (rows["ts_event"].dt.strftime("%Y-%m-%d %H:%M").to_list(), malformed) == (expected, {})


def test_import_repeated_hour_in_one_pass_is_quarantined_and_its_hours_failed(store: RawStore, market: Market, tmp_path: Path) -> None:
    stamps = ("2023-10-29 02:59:00", "2023-10-29 03:10:00", "2023-10-29 04:01:00")
    rows, malformed, unusable = import_mt5(store, market, tmp_path, "eet", *stamps)
    assert malformed == {"HOUR_REPEATED": 1}
    assert rows["raw_line"].is_not_null().to_list() == [False, True, False]
    assert unusable == ["2023-10-29 00h: CLOCK_HOUR_REPEATED", "2023-10-29 01h: CLOCK_HOUR_REPEATED"]


WINTER_OPENS = ("2023-01-09", "2023-01-16", "2023-01-23")
SPRING_OPENS = ("2023-02-20", "2023-02-27", "2023-03-06", "2023-03-13", "2023-03-20", "2023-03-27")


def weeks(opens: tuple[str, ...], hour: int = 0) -> list[str]:
    """Return stamps of the first minutes of each week and of its last ones, on a clock whose week opens at `hour`."""
    fridays = [(date.fromisoformat(day) + timedelta(days=4)).isoformat() for day in opens]
    return [stamp for monday, friday in zip(opens, fridays, strict=True) for stamp in (f"{monday} {hour:02d}:05:00", f"{friday} 22:50:00")]


@pytest.mark.parametrize(
    ("stamps", "utc_of_first"),
    [
        (weeks(WINTER_OPENS), "2023-01-08 22:05"),  # three clocks fit and agree
        (weeks(SPRING_OPENS), "2023-02-19 22:05"),  # only New York plus seven opens at midnight in each of these weeks
        (weeks(WINTER_OPENS, hour=1), "2023-01-08 22:05"),
    ],
)
def test_import_auto_clock_is_found_by_the_weekly_opens(
    store: RawStore, market: Market, tmp_path: Path, stamps: list[str], utc_of_first: str
) -> None:
    path = tmp_path / "EURUSD.csv"
    path.write_text(mt5_text(*stamps).replace("21000.0", "1.1").replace("21001.0", "1.2"), newline="")
    report = import_path(path, store, market.instrument("EURUSD"), now=NOW, utc_offset="auto")
    first = store.read_date(report.source, "EURUSD", report.dates[0].date)["ts_event"][0]
    assert first.strftime("%Y-%m-%d %H:%M") == utc_of_first
    assert "17:00 in New York" in report.reason


@pytest.mark.parametrize(
    ("stamps", "named"),
    [
        (["2023-01-09 00:05:00", "2023-01-10 00:05:00"], "weekend"),
        (weeks(SPRING_OPENS[2:]), "ny\\+7, 3"),  # no open of winter tells New York plus seven from a fixed offset
        ([*weeks(("2023-01-09", "2023-01-16")), *weeks(("2023-01-23", "2023-01-30"), hour=7)], "none"),
    ],
)
def test_import_auto_clock_undecided_is_refused(store: RawStore, market: Market, tmp_path: Path, stamps: list[str], named: str) -> None:
    path = tmp_path / "EURUSD.csv"
    path.write_text(mt5_text(*stamps).replace("21000.0", "1.1").replace("21001.0", "1.2"), newline="")
    with pytest.raises(ImportRefusedError, match=named):
        import_path(path, store, market.instrument("EURUSD"), now=NOW, utc_offset="auto")
