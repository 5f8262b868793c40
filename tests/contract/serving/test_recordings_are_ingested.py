"""What the service records is what the pipeline ingests: the same rows, the same seq, the same features.

What belongs here: the format that both sides must agree on. What must not: rules of one side (`test_recorder`, `test_live_recordings`).
"""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from serving import recorder
from serving.testing import PRICE_FACTOR, SYMBOL, BundleSpec, World, auth, to_json_ticks, walk
from tick_assets.domain.instruments import Market, parse_market
from tick_assets.domain.kernel import REASONS, run_kernel
from tick_assets.domain.signals import event_id, features_sha256
from tick_assets.domain.ticks import DAY_US, Ticks
from tick_assets.lakehouse import live_recordings, raw_csv
from tick_assets.lakehouse.live_recordings import ingest_recordings
from tick_assets.lakehouse.raw_store import RawStore
from tick_assets.lakehouse.raw_ticks import read_day
from tick_assets.lakehouse.silver import to_ticks

DAY = date(2026, 3, 4)
LATER = datetime(2026, 3, 5, 9, tzinfo=UTC)
CUT = "2026-03-04T08:20:00.000Z,1100"


def post(client: TestClient, world: World, ticks: Ticks) -> list[dict[str, Any]]:
    world.clock.set(int(ticks.ts_us[-1]) + 1000)
    answer = client.post("/v1/ticks", json=to_json_ticks(ticks), headers=auth("trader"))
    assert answer.status_code == 200, answer.text
    return list(answer.json()["signals"])


def start(world: World) -> TestClient:
    world.shop.deploy(BundleSpec())
    return TestClient(world.again())


@pytest.fixture
def market(world: World) -> Market:
    return parse_market(world.settings.read_market_text())


@pytest.fixture
def said(world: World) -> list[dict[str, Any]]:
    """The signals of a live date that has a crossed quote and a repeated one, and on which the service was killed while it wrote."""
    ticks = walk(minutes=40)
    ticks.ask_points[500] = ticks.bid_points[500] - 1
    for column in ticks.columns:
        column[701] = column[700]
    signals: list[dict[str, Any]] = []
    for first, last in ((0, 600), (600, 1200)):
        with start(world) as client:
            client.post("/v1/models:reload", headers=auth("pipeline"))
            for i in range(first, last, 50):
                signals += post(client, world, ticks.take(slice(i, i + 50)))
            if last == len(ticks):
                post(client, world, walk(int(ticks.ts_us[0]) + DAY_US, minutes=0.1))
        if first == 0:
            with (world.settings.recordings_dir / "live-trader" / SYMBOL / f"{DAY}.csv.part").open("a") as part:
                part.write(CUT)
    return signals


def test_features_of_the_ingested_recording_are_the_services(
    world: World, said: list[dict[str, Any]], market: Market, tmp_path: Path
) -> None:
    store = RawStore(tmp_path / "raw")
    report = ingest_recordings(world.settings.recordings_dir, store, market, [DAY], now=LATER)
    _, rows = read_day(store, SYMBOL, DAY, ())
    batch = run_kernel(to_ticks(rows), PRICE_FACTOR)
    ours = [
        (event_id(SYMBOL, str(DAY), int(row)), features_sha256(values)) for row, values in zip(batch.event_row, batch.features, strict=True)
    ]
    theirs = [
        (signal["event_id"], signal["features_sha256"]) for signal in said if signal["action"] != "CLOSE" and signal["features_sha256"]
    ]
    assert len(ours) > 20
    assert theirs == ours
    assert [REASONS[code] for code in batch.reason if code] == ["QUOTE_CROSSED", "ROW_MALFORMED", "ROW_DUPLICATED"]
    assert [text.partition(": ")[2] for text in report.dates[0].malformed] == [f"cut short when the service was killed: '{CUT},TORN'"]


def test_both_sides_name_the_format_alike() -> None:
    assert recorder.HEADER + "\n" == raw_csv.HEADER
    assert recorder.TORN_END.decode() == live_recordings.TORN_END + "\n"
    assert live_recordings.IDLE.total_seconds() * 1e6 == recorder.IDLE_US


def test_price_off_the_grid_is_never_recorded(world: World) -> None:
    with start(world) as client:
        tick = to_json_ticks(walk(minutes=1))[0] | {"bid_price": 1.100001}
        answer = client.post("/v1/ticks", json=tick, headers=auth("trader"))
    assert (answer.status_code, answer.json()["reason_code"]) == (422, "PRICE_NOT_ON_GRID")
    assert list(world.settings.recordings_dir.rglob("*.csv*")) == []


WRITER = """
import sys
from pathlib import Path
from serving.recorder import Recorder
from serving.testing import MORNING_US, walk
recorder, ticks = Recorder(Path(sys.argv[1])), walk(minutes=60 * 12)
rows = list(zip(*(column.tolist() for column in ticks.columns)))
for start in range(0, len(rows), 400):
    recorder.append_rows("trader", "EURUSD", rows[start:start + 400], MORNING_US)
    print(min(start + 400, len(rows)), flush=True)
"""


@pytest.mark.parametrize("acknowledged", [400, 2000, 5200])
def test_no_acknowledged_tick_is_lost_when_the_recorder_is_killed(acknowledged: int, market: Market, tmp_path: Path) -> None:
    root, store = tmp_path / "recordings", RawStore(tmp_path / "raw")
    with subprocess.Popen([sys.executable, "-c", WRITER, str(root)], stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        taken = next(count for line in writer.stdout if (count := int(line)) >= acknowledged)
        writer.kill()
    recorder.Recorder(root).close_past(int(LATER.timestamp()) * 1_000_000 * 2)
    ingest_recordings(root, store, market, [DAY], now=LATER)
    _, rows = read_day(store, SYMBOL, DAY, ())
    quotes = rows.filter(rows["raw_line"].is_null())
    expected = walk(minutes=60 * 12)
    assert len(quotes) >= taken
    assert len(rows) - len(quotes) <= 1
    assert quotes["bid_points"].to_list() == expected.bid_points[: len(quotes)].tolist()
    assert quotes["ts_event"].dt.epoch("us").to_list() == expected.ts_us[: len(quotes)].tolist()
