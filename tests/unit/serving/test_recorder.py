"""Recordings: the pipeline's raw CSV, write-once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.clock import parse_stamp
from serving.recorder import HEADER, IDLE_US, TORN_END, Recorder, parse_csv, to_csv_line
from serving.testing import MORNING_US, walk
from tick_assets.domain.ticks import DAY_US, Ticks

LINE = "2020-01-01T00:00:05.000Z,110003,110000,750000,1500000"
SIZES = st.one_of(st.just(float("nan")), st.floats(0, 1e12))
ROWS = st.lists(
    st.tuples(st.integers(0, 4_000_000_000_000_000), st.integers(1, 10**9), st.integers(1, 10**9), SIZES, SIZES), min_size=1, max_size=20
)


def to_ticks(rows: list[tuple[int, int, int, float, float]]) -> Ticks:
    columns = list(zip(*rows, strict=True))
    integers = [np.array(column, np.int64) for column in columns[:3]]
    return Ticks(integers[0], integers[1], integers[2], np.array(columns[3]), np.array(columns[4]))


def to_rows(ticks: Ticks) -> list[tuple[int, int, int, float, float]]:
    return list(zip(*(column.tolist() for column in ticks.columns), strict=True))


def to_lines(ticks: Ticks) -> str:
    return "".join(map(to_csv_line, to_rows(ticks)))


@given(ROWS)
def test_recording_reads_back_what_was_written(rows: list[tuple[int, int, int, float, float]]) -> None:
    ticks = to_ticks(rows)
    again = parse_csv(HEADER + "\n" + to_lines(ticks), "1970-01-01")
    for was, expected in zip(again.columns, ticks.columns, strict=True):
        np.testing.assert_array_equal(was, expected)


def test_lines_are_raw_csv() -> None:
    ticks = to_ticks([(MORNING_US + 5000, 110_000, 110_003, 1.5e6, float("nan")), (MORNING_US + 5001, 1, 2, 0.75, 3.0)])
    assert to_lines(ticks) == "2026-03-04T08:00:00.005Z,110003,110000,,1500000\n2026-03-04T08:00:00.005001Z,2,1,3,0.75\n"


def test_idle_recording_of_a_past_date_is_closed_and_read_only(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path)
    recorder.append_rows("acc", "EURUSD", to_rows(walk(minutes=1)), MORNING_US)
    tomorrow_us = (MORNING_US // DAY_US + 1) * DAY_US
    recorder.close_past(tomorrow_us - 1)
    assert not recorder.is_closed("acc", "EURUSD", "2026-03-04")
    recorder.close_past(tomorrow_us + IDLE_US)
    assert recorder.is_closed("acc", "EURUSD", "2026-03-04")
    assert (tmp_path / "live-acc" / "EURUSD" / "2026-03-04.csv").stat().st_mode & 0o222 == 0


def test_part_that_a_dead_process_left_is_closed_and_its_torn_line_marked(tmp_path: Path) -> None:
    folder = tmp_path / "live-acc" / "EURUSD"
    folder.mkdir(parents=True)
    (folder / "2020-01-01.csv.part").write_text(HEADER + "\n2020-01-01T00:00:00.000Z,2,1,,\n2020-01")
    Recorder(tmp_path).close_past(4_000_000_000_000_000)
    assert (folder / "2020-01-01.csv").read_text() == HEADER + "\n2020-01-01T00:00:00.000Z,2,1,,\n2020-01,TORN\n"


@pytest.mark.parametrize("cut", range(1, len(LINE) + 1))
def test_line_cut_anywhere_is_no_quote(cut: int) -> None:
    ticks = parse_csv(f"{HEADER}\n{LINE}\n{LINE[:cut]}{TORN_END.decode()}", "2020-01-01")
    assert ticks.ts_us.tolist() == [ticks.ts_us[0]] * 2
    assert (ticks.bid_points.tolist(), ticks.ask_points.tolist()) == ([110_000, 0], [110_003, 0])


def test_torn_line_before_any_tick_stands_at_the_first_tick_or_midnight() -> None:
    alone = parse_csv(f"{HEADER}\n2020-{TORN_END.decode()}", "2020-01-01")
    followed = parse_csv(f"{HEADER}\n2020-{TORN_END.decode()}{LINE}\n", "2020-01-01")
    assert alone.ts_us.tolist() == [parse_stamp("2020-01-01T00:00:00Z")]
    assert followed.ts_us.tolist() == [parse_stamp("2020-01-01T00:00:05Z")] * 2


def test_header_that_was_cut_short_is_written_again(tmp_path: Path) -> None:
    part = tmp_path / "live-acc" / "EURUSD" / "2026-03-04.csv.part"
    part.parent.mkdir(parents=True)
    part.write_text(HEADER[:7])
    Recorder(tmp_path).append_rows("acc", "EURUSD", to_rows(walk(minutes=1))[:1], MORNING_US)
    assert part.read_text().splitlines()[0] == HEADER
    assert len(part.read_text().splitlines()) == 2
