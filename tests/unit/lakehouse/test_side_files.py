"""Files of side tables: which values a row says, and why a row or a file is refused."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tick_assets.lakehouse.side_files import Reading, SideFileError, parse_delay, parse_side_file

CALENDAR = """ts_event,known_at,currency,name,actual,forecast,previous
2024-01-11T13:30:00Z,2024-01-05T00:00:00Z,USD,"CPI, y/y",,3.2,3.1
2024-01-11T13:30:00Z,2024-01-11T13:30:02Z,USD,"CPI, y/y",3.4,3.2,3.1
2024-01-11T13:30:00Z,2024-02-09T13:30:00Z,USD,"CPI, y/y",3.3,,
"""
NOON = "2024-01-10T12:00:00Z"


def parse(text: str, reading: Reading | None = None) -> list[tuple[object, ...]]:
    parsed = parse_side_file(text.encode(), "file.csv", reading or Reading())
    assert parsed.refused == ()
    return [(value.source_row, value.key, value.name, value.value, value.text) for value in parsed.values]


def refused(row: str, header: str = "ts_event,known_at,currency,name,actual,forecast") -> list[str]:
    parsed = parse_side_file(f"{header}\n{row}\n".encode(), "file.csv", Reading())
    assert parsed.values == ()
    return [refusal.reason_code for refusal in parsed.refused]


def test_calendar_row_is_a_value_for_each_filled_cell() -> None:
    assert parse(CALENDAR) == [
        (1, "USD", "CPI, y/y.forecast", 3.2, None),
        (1, "USD", "CPI, y/y.previous", 3.1, None),
        (2, "USD", "CPI, y/y.actual", 3.4, None),
        (2, "USD", "CPI, y/y.forecast", 3.2, None),
        (2, "USD", "CPI, y/y.previous", 3.1, None),
        (3, "USD", "CPI, y/y.actual", 3.3, None),
    ]


def test_stamps_are_utc_whatever_their_offset() -> None:
    (value,) = parse_side_file(b"ts_event,known_at,rate\n2024-01-10T08:00:00-05:00,2024-01-10T15:00:00+01:00,5.3\n", "f", Reading()).values
    assert (value.ts_event, value.known_at) == (datetime(2024, 1, 10, 13, tzinfo=UTC), datetime(2024, 1, 10, 14, tzinfo=UTC))


@pytest.mark.parametrize(
    ("text", "reading", "expected"),
    [
        (f"ts_event,known_at,rate\n{NOON},{NOON},5.33\n", Reading(), [(1, "*", "rate", 5.33, None)]),
        (
            f"ts_event,symbol,mid,spread\n{NOON},EURUSD,1.1,2e-5\n",
            Reading(delay_s=60.0),
            [(1, "EURUSD", "mid", 1.1, None), (1, "EURUSD", "spread", 2e-5, None)],
        ),
        (f"ts_event,released,key,value\n{NOON},{NOON},VIX,13\n", Reading("released"), [(1, "VIX", "value", 13.0, None)]),
        (f"ts_event,known_at,key,name,value,text\n{NOON},{NOON},ECB,mood,2,calm\n", Reading(), [(1, "ECB", "mood", 2.0, "calm")]),
        (
            f"ts_event,known_at,name,impact\n{NOON},{NOON},CPI,High\n",
            Reading(text_columns=("impact",)),
            [(1, "*", "CPI.impact", None, "High")],
        ),
        (f"\ufeffts_event,known_at,rate\r\n{NOON},{NOON},1\r\n\r\n", Reading(), [(1, "*", "rate", 1.0, None)]),
    ],
)
def test_shapes_of_files(text: str, reading: Reading, expected: list[tuple[object, ...]]) -> None:
    assert parse(text, reading) == expected


def test_delay_makes_known_at() -> None:
    (value,) = parse_side_file(f"ts_event,rate\n{NOON},1\n".encode(), "f", Reading(delay_s=90.0)).values
    assert (value.known_at - value.ts_event).total_seconds() == 90


@pytest.mark.parametrize(
    ("row", "code"),
    [
        (f"{NOON},{NOON},USD,CPI,1", "ROW_MALFORMED"),
        (f"10.01.2024 12:00,{NOON},USD,CPI,1,", "TIMESTAMP_MALFORMED"),
        (f"1024-01-10T12:00:00Z,{NOON},USD,CPI,1,", "TIMESTAMP_MALFORMED"),
        (f"2024-01-10T12:00:00,{NOON},USD,CPI,1,", "TIMESTAMP_NAIVE"),
        (f"{NOON},2024-01-10T12:00:00,USD,CPI,1,", "TIMESTAMP_NAIVE"),
        (f"{NOON},,USD,CPI,1,", "KNOWN_AT_MISSING"),
        (f"{NOON},2024-01-10T11:59:59.999999Z,USD,CPI,1,", "KNOWN_BEFORE_PUBLICATION"),
        (f"{NOON},{NOON},,CPI,1,", "KEY_MISSING"),
        (f"{NOON},{NOON},USD,,1,", "NAME_MISSING"),
        (f"{NOON},{NOON},USD,CPI,,", "VALUE_MISSING"),
        (f"{NOON},{NOON},USD,CPI,3.2%,", "VALUE_MALFORMED"),
        (f"{NOON},{NOON},USD,CPI,1,nan", "VALUE_MALFORMED"),
        (f"{NOON},{NOON},USD,CPI,1_000,", "VALUE_MALFORMED"),
    ],
)
def test_row_that_says_nothing_clear_is_refused_with_its_reason(row: str, code: str) -> None:
    assert refused(row) == [code]


def test_bad_row_leaves_the_good_ones() -> None:
    parsed = parse_side_file(f"ts_event,known_at,rate\n{NOON},{NOON},1\n{NOON},soon,2\n{NOON},{NOON},3\n".encode(), "f", Reading())
    assert [value.source_row for value in parsed.values] == [1, 3]
    assert [refusal.source_row for refusal in parsed.refused] == [2]


@pytest.mark.parametrize(
    ("header", "reading", "message"),
    [
        ("ts_event,rate", Reading(), "was neither"),
        ("ts_event,known_at,rate", Reading(delay_s=60.0), "was both the column known_at and --delay"),
        ("ts_event,known_at,seen,rate", Reading("seen"), "was known_at and seen"),
        ("ts_event,rate", Reading("seen"), "Expected a column seen"),
        ("time,known_at,rate", Reading(), "Expected ts_event"),
        ("ts_event,known_at,symbol,currency,rate", Reading(), "at most one of symbol, currency, key"),
        ("ts_event,known_at,currency", Reading(), "no column of values"),
        ("ts_event,known_at,rate,rate", Reading(), "a name of its own for each column"),
        ("ts_event,known_at,rate", Reading(text_columns=("impact",)), "no column impact"),
        ("ts_event;known_at;rate", Reading(), "was neither"),
        ("", Reading(), "was an empty file"),
    ],
)
def test_header_that_is_unclear_is_refused_with_the_choices(header: str, reading: Reading, message: str) -> None:
    with pytest.raises(SideFileError, match=message):
        parse_side_file(f"{header}\n".encode() if header else b"", "file.csv", reading)


@pytest.mark.parametrize(("text", "seconds"), [("500ms", 0.5), ("30s", 30.0), ("5m", 300.0), ("1.5h", 5400.0), ("1d", 86400.0)])
def test_delays(text: str, seconds: float) -> None:
    assert parse_delay(text) == seconds


@pytest.mark.parametrize("text", ["", "5", "m", "-5m", "5 weeks", "400d", "99999999999d"])
def test_delay_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(SideFileError, match="Expected a delay"):
        parse_delay(text)


CELL = st.one_of(st.text(max_size=8), st.sampled_from([NOON, "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "1e999", "1"]))


@given(
    st.one_of(
        st.binary(max_size=80),
        st.lists(st.lists(CELL, min_size=3, max_size=3).map(",".join)).map(
            lambda rows: "\n".join(["ts_event,known_at,rate", *rows]).encode(errors="replace")
        ),
    )
)
def test_any_bytes_end_in_values_and_reasons_or_a_named_error(content: bytes) -> None:
    try:
        parsed = parse_side_file(content, "file.csv", Reading())
    except SideFileError:
        return
    told = {value.source_row for value in parsed.values} | {refusal.source_row for refusal in parsed.refused}
    assert told == set(range(1, len(parsed.records) + 1))
