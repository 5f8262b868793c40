"""The fast roads of raw CSV text give what the careful ones give, on any input.

What belongs here: both roads side by side. What must not: what the text means (`test_raw_csv`).
"""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.unit.lakehouse.test_any_bytes import NASTY, mutated
from tick_assets.lakehouse import raw_csv

GOOD = "2019-02-04T00:00:00.123Z,114521,114518,1870000,1.48"
DAY_US = 86_400_000_000
LINES = [
    f"2019-02-04T00:00:{second:02d}.{second * 16:03d}Z,{114521 + second},{114518 - second},{second * 10000},1.5" for second in range(60)
]
CELLS = (
    *NASTY, "-", "--1", "1-", "-0", "007", "-5", ".", "1.", ".5", "-.5", "1..2", "1.2.3", "1e5", "1E5", "+1", " 1", "1 ", "\t1", "9" * 400,
    "1:2", "9223372036854775807", "9223372036854775808", "-9223372036854775808", "0.1", "123456789.123456789123456789", "T", "Z", "\u0661",
    "null", "2019-02-04T00:00:00Z", "2019-02-04T00:00:00.1Z", "2019-02-04T00:00:00.1234Z", "2019-02-04T00:00:00.123456Z",
    "2019-02-04T00:00:00.Z", "2019-02-04T00:00:60.123Z", "2019-02-04T24:00:00.123Z", "2019-02-29T00:00:00.123Z", "2019-2-4T0:0:0.123Z",
    "2019-02-04T00:00:00.123ZZ", "2019-02-04T00:00:00:123Z", "2019-02-04T00:00:0:.123Z", "-019-02-04T00:00:00.123Z",
    "0000-01-01T00:00:00.000Z", "2019-02-04T00:00:00.123", "9999-12-31T23:59:59.999Z", "12019-02-04T00:00:00.123Z",
    "2019-02-04T00:00:00.-23Z", "2019-02-04T00:00:00.1.3Z", "2019-02-04 00:00:00.123Z", "2019-02-04T23:59:60.500Z",
    "1900-02-04T00:00:00.123Z", "1969-12-31T23:59:59.999Z",
)  # fmt: skip


def bits(rows: pl.DataFrame) -> pl.DataFrame:
    """Return rows whose equality tells -0.0 from 0.0."""
    return rows.with_columns(pl.col(name).reinterpret(signed=True) for name in ("ask_size", "bid_size"))


def assert_both_roads_agree(content: bytes) -> None:
    usual = raw_csv._parse_usual(content)
    if usual is not None:
        careful = raw_csv._parse_carefully(content, "x.csv")
        assert usual.schema == careful.schema == raw_csv.READ_SCHEMA
        assert bits(usual).equals(bits(careful))


@pytest.mark.parametrize("ending", ["\n", ""])
def test_parse_csv_takes_the_fast_road_for_what_is_written(ending: str) -> None:
    content = (raw_csv.HEADER + "\n".join([*LINES, "2019-02-04T23:59:59.999Z,1,-2,,"]) + ending).encode()
    assert raw_csv._parse_usual(content) is not None
    assert_both_roads_agree(content)


@pytest.mark.parametrize("place", range(5))
@pytest.mark.parametrize("at", [0, 30, 59])
def test_parse_csv_odd_cells_are_read_alike(place: int, at: int) -> None:
    cells = LINES[at].split(",")
    for cell in CELLS:
        lines = [*LINES[:at], ",".join([*cells[:place], cell, *cells[place + 1 :]]), *LINES[at + 1 :]]
        assert_both_roads_agree((raw_csv.HEADER + "\n".join(lines) + "\n").encode())


@settings(max_examples=400, deadline=None)
@given(st.data(), st.sampled_from([1, 2, 60]))
def test_parse_csv_mutated_text_is_read_alike(data: st.DataObject, count: int) -> None:
    text = data.draw(mutated("\n".join(LINES[:count]) + data.draw(st.sampled_from(["\n", ""]))))
    assert_both_roads_agree((raw_csv.HEADER + text).encode())


@settings(max_examples=400, deadline=None)
@given(st.text(alphabet=raw_csv._USUAL_BYTES.decode(), max_size=60), st.integers(0, 2), st.booleans())
@example("\n", 0, False)
@example("\n\n", 1, True)
@example(",,,,", 1, True)
@example(f"{GOOD},1\n2019-02-04T00:00:00.123Z,114521,114518,1\n", 1, True)
@example("2019-02-04T00:00:00.123Z,1,1,1\n", 2, True)
def test_parse_csv_any_usual_bytes_are_read_alike(inserted: str, good: int, is_before: bool) -> None:
    lines = f"{GOOD}\n" * good
    assert_both_roads_agree((raw_csv.HEADER + (lines + inserted if is_before else inserted + lines)).encode())


SIZES = st.one_of(
    st.none(),
    st.integers(0, 10**7).map(float),
    st.floats(0, 1e9),
    st.floats(allow_nan=False),
    st.sampled_from([-0.0, 2.0**53, 2.0**53 - 1, 1e300]),
)
STAMPS = st.one_of(st.integers(0, 2 * 10**12).map(lambda ms: ms * 1000), st.integers(-(10**15), 4 * 10**15))
POINTS = st.integers(-(2**63), 2**63 - 1)
ROWS = st.lists(
    st.tuples(STAMPS, POINTS, POINTS, SIZES, SIZES, st.one_of(st.none(), st.none(), st.text(max_size=8))), min_size=1, max_size=6
)


@settings(max_examples=400, deadline=None)
@given(ROWS, st.booleans(), st.booleans(), st.booleans())
def test_to_csv_lines_is_written_alike(rows: list[tuple[object, ...]], has_ms: bool, has_whole: bool, is_parsed: bool) -> None:
    frame = pl.DataFrame(rows, schema=raw_csv.ROW_SCHEMA, orient="row")
    if has_ms:
        frame = frame.with_columns(pl.col("ts_us") // 1000 * 1000)
    if has_whole:
        frame = frame.with_columns(pl.col("ask_size", "bid_size").round(0))
    if is_parsed:
        frame = frame.with_columns(pl.lit(None, pl.String).alias("raw_line"))
    assert raw_csv.to_csv_lines(frame) == raw_csv._careful_lines(frame)
