"""The text of raw files."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from tick_assets.domain.ticks import Ticks
from tick_assets.lakehouse import raw_csv

GOOD = "2019-02-04T00:00:00.123Z,114521,114518,1870000,1.48"


def parse(*lines: str) -> pl.DataFrame:
    return raw_csv.parse_csv((raw_csv.HEADER + "".join(f"{line}\n" for line in lines)).encode(), "x.csv")


def test_to_csv_lines_writes_milliseconds_and_shortest_sizes() -> None:
    ticks = Ticks(np.array([1_549_238_400_123_000]), np.array([114_518]), np.array([114_521]), np.array([1.48]), np.array([1_870_000.0]))
    assert raw_csv.to_csv_lines(raw_csv.rows_from_ticks(ticks)) == GOOD + "\n"


def test_rows_from_ticks_equal_stamps_keep_the_vendors_order() -> None:
    stamps, prices = np.array([2000, 1000, 2000, 1000]), np.array([1, 2, 3, 4])
    rows = raw_csv.rows_from_ticks(Ticks(stamps, prices, prices, prices * 1.0, prices * 1.0))
    assert rows["bid_points"].to_list() == [2, 4, 1, 3]


def test_parse_csv_of_written_text_gives_the_same_rows() -> None:
    ticks = Ticks(np.array([1_549_238_400_123_000] * 2), np.array([1, 2]), np.array([3, 4]), np.array([np.nan, 0.1]), np.array([1e9, 7.0]))
    rows = raw_csv.rows_from_ticks(ticks)
    read = raw_csv.parse_csv((raw_csv.HEADER + raw_csv.to_csv_lines(rows)).encode(), "x.csv")
    assert raw_csv.to_raw_rows(read).equals(rows)
    assert read["source_row"].to_list() == [1, 2]


@pytest.mark.parametrize(
    "line",
    [
        "",
        "nonsense",
        "2019-02-04 00:00:00.123,114521,114518,1,1",
        "2019-02-04T00:00:00.123Z,1.14521,114518,1,1",
        "2019-02-04T00:00:00.123Z,114521,114518,1",
        "2019-02-04T00:00:00.123Z,114521,114518,1,1,1",
        "2019-02-04T00:00:00.123Z,114521,114518,1,many",
        "2019-02-04T00:00:00.123Z,114521,114518,1,nan",
        "2019-02-04T00:00:00.123Z,114521,114518,1,inf",
        "2019-13-04T00:00:00.123Z,114521,114518,1,1",
        "2019-02-04T00:00:00.123Z,,114518,1,1",
    ],
)
def test_parse_csv_malformed_row_keeps_its_line_and_no_values(line: str) -> None:
    read = parse(GOOD, line, GOOD)
    assert read["raw_line"].to_list() == [None, line, None]
    assert read.row(1)[:5] == (None,) * 5
    assert read["source_row"].to_list() == [1, 2, 3]


def test_parse_csv_malformed_row_keeps_its_place_between_stamps() -> None:
    rows = raw_csv.to_raw_rows(parse("bad", GOOD, "worse"))
    assert rows["ts_us"].to_list() == [1_549_238_400_123_000] * 3


def test_parse_csv_reordered_columns_are_matched_by_name() -> None:
    content = b"bid_points,ask_points,ts_event,bid_size,ask_size\n1,2,2019-02-04T00:00:00.000Z,3,4\n"
    assert raw_csv.parse_csv(content, "x.csv").select("ask_points", "bid_points", "ask_size", "bid_size").row(0) == (2, 1, 4.0, 3.0)


@pytest.mark.parametrize(
    ("header", "named"),
    [
        ("ts_event,ask_points,bid_points,ask_size", "bid_size"),
        ("ts_event,ask_points,bid_points,ask_size,bid_size,venue", "venue"),
        ("", "ts_event"),
    ],
)
def test_parse_csv_missing_or_unknown_column_is_refused_by_name(header: str, named: str) -> None:
    with pytest.raises(raw_csv.RawHeaderError, match=named):
        raw_csv.parse_csv(f"{header}\n".encode(), "x.csv")


def test_canonical_sha256_ignores_fractions_of_a_unit_only() -> None:
    def digest(size: float, price: int = 1) -> str:
        one = np.array([1000])
        return raw_csv.canonical_sha256(raw_csv.rows_from_ticks(Ticks(one, np.array([price]), one, np.array([size]), np.array([size]))))

    assert digest(1.48) == digest(1.0)
    assert digest(4e25) == digest(4e26) != digest(2.0**53)  # no integer holds them, and no warning either
    assert len({digest(1.0), digest(2.0), digest(float("nan")), digest(1.0, price=2)}) == 4
