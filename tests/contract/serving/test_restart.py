"""A service that stops and starts again goes on where it was."""

from __future__ import annotations

from typing import Any

from fastapi.testclient import TestClient

from serving.testing import SYMBOL, BundleSpec, World, auth, to_json_ticks, walk
from tick_assets.domain.ticks import Ticks


def post_live(client: TestClient, world: World, ticks: Ticks) -> list[dict[str, Any]]:
    signals: list[dict[str, Any]] = []
    for start in range(len(ticks)):
        part = ticks.take(slice(start, start + 1))
        world.clock.set(int(part.ts_us[-1]) + 1000)
        answer = client.post("/v1/ticks", json=to_json_ticks(part), headers=auth("trader"))
        assert answer.status_code == 200
        signals += answer.json()["signals"]
    return signals


def start(world: World) -> TestClient:
    world.shop.deploy(BundleSpec())
    return TestClient(world.again())


def reload(client: TestClient) -> None:
    client.post("/v1/models:reload", headers=auth("pipeline"))


def test_restart_replays_the_recording_and_says_the_same(world: World, tmp_path_factory: Any) -> None:
    ticks = walk(minutes=24, step_s=5)
    with start(world) as client:
        reload(client)
        before = post_live(client, world, ticks.take(slice(0, 230)))
    with start(world) as client:
        reload(client)
        kept = client.get("/v1/signals", headers=auth("viewer")).json()["signals"]
        after = post_live(client, world, ticks.take(slice(230, None)))
    assert kept == before
    with start(world) as client:
        reload(client)
        params = {"mode": "replay"}
        whole = client.post("/v1/ticks", json=to_json_ticks(ticks), params=params, headers=auth("trader")).json()["signals"]
    assert [signal["signal_id"] for signal in before + after] == [signal["signal_id"] for signal in whole]


def test_line_cut_by_a_crash_stays_and_counts(world: World) -> None:
    ticks = walk(minutes=2)
    with start(world) as client:
        post_live(client, world, ticks.take(slice(0, 10)))
    part = world.settings.recordings_dir / "live-trader" / SYMBOL / "2026-03-04.csv.part"
    with part.open("a") as handle:
        handle.write("2026-03-04T08:00:2")
    with start(world) as client:
        post_live(client, world, ticks.take(slice(10, 20)))
        feed = client.get("/v1/status", headers=auth("viewer")).json()["feeds"][0]
    assert feed["seq"] == 21
    assert part.read_text().splitlines()[11] == "2026-03-04T08:00:2,TORN"
    assert len(part.read_text().splitlines()) == 22


def test_next_date_closes_the_recording(world: World) -> None:
    with start(world) as client:
        post_live(client, world, walk(minutes=1))
        post_live(client, world, walk(int(walk().ts_us[0]) + 86_400_000_000, minutes=1))
    folder = world.settings.recordings_dir / "live-trader" / SYMBOL
    assert sorted(path.name for path in folder.iterdir()) == ["2026-03-04.csv", "2026-03-05.csv.part"]
    assert (folder / "2026-03-04.csv").stat().st_mode & 0o222 == 0


def test_tick_of_a_closed_recording_is_rejected(world: World) -> None:
    with start(world) as client:
        post_live(client, world, walk(minutes=1))
        post_live(client, world, walk(int(walk().ts_us[0]) + 86_400_000_000, minutes=1))
    with start(world) as client:
        late = to_json_ticks(walk(minutes=5))[-1]
        answer = client.post("/v1/ticks", json=late, headers=auth("trader")).json()
    assert answer["rejected"] == [{"index": 0, "reason_code": "TIMESTAMP_OUT_OF_ORDER"}]


def test_stopped_stays_stopped(world: World) -> None:
    with start(world) as client:
        assert client.post("/v1/live/stop", headers=auth("pipeline")).json()["state"] == "stopped"
    with start(world) as client:
        live = client.get("/v1/status", headers=auth("viewer")).json()["live"]
    assert (live["state"], live["changed_by"]) == ("stopped", "pipeline")


def test_executions_are_kept_once_over_restarts(world: World) -> None:
    event = {"event_id": "e1", "signal_id": "s", "kind": "ACCEPTED", "ts_event": "2026-03-04T08:00:00Z"}
    with start(world) as client:
        first = client.post("/v1/executions", json=event, headers=auth("trader")).json()
        again = client.post("/v1/executions", json=[event], headers=auth("trader")).json()
    with start(world) as client:
        later = client.post("/v1/executions", json={"events": [event]}, headers=auth("trader")).json()
    assert [first, again, later] == [{"accepted": 1, "duplicates": 0}, {"accepted": 0, "duplicates": 1}, {"accepted": 0, "duplicates": 1}]
    assert len((world.settings.evidence_dir / "executions" / "2026-03-04.jsonl").read_text().splitlines()) == 1
