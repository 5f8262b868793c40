"""POST /v1/ticks: what ticks cause, live and in replay."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient

from serving.schemas import TicksOut
from serving.testing import PRICE_FACTOR, SYMBOL, BundleSpec, World, auth, opened, to_json_ticks, walk
from tick_assets.domain.instruments import parse_market
from tick_assets.domain.kernel import run_kernel
from tick_assets.domain.signals import Strategy, event_id, signal_id
from tick_assets.domain.ticks import Ticks


def reload(client: TestClient) -> None:
    assert client.post("/v1/models:reload", headers=auth("pipeline")).status_code == 200


def post(client: TestClient, ticks: Ticks, **params: str) -> dict[str, Any]:
    answer = client.post("/v1/ticks", json=to_json_ticks(ticks), params=params, headers=auth("trader"))
    assert answer.status_code == 200, answer.text
    TicksOut.model_validate(answer.json())
    return dict(answer.json())


def post_live(client: TestClient, world: World, ticks: Ticks) -> list[dict[str, Any]]:
    """Post ticks in the pace of the market, one at a time."""
    signals: list[dict[str, Any]] = []
    for start in range(len(ticks)):
        part = ticks.take(slice(start, start + 1))
        world.clock.set(int(part.ts_us[-1]) + 50_000)
        signals += post(client, part)["signals"]
    return signals


def test_replay_of_a_day_has_the_event_ids_of_batch(client: TestClient, world: World) -> None:
    sha256 = world.shop.deploy(BundleSpec())
    reload(client)
    ticks = walk(minutes=40)
    batch = run_kernel(ticks, PRICE_FACTOR)
    signals: list[dict[str, Any]] = []
    for start in range(0, len(ticks), 100):
        signals += post(client, ticks.take(slice(start, start + 100)), mode="replay", replay_id="r1")["signals"]
    said = [signal for signal in signals if signal["action"] != "CLOSE" and "KERNEL_NOT_WARM" not in signal["reasons"]]
    assert [signal["event_id"] for signal in said] == [event_id(SYMBOL, "2026-03-04", int(row)) for row in batch.event_row]
    assert {signal["model"]["sha256"] for signal in said} == {sha256}
    assert {signal["mode"] for signal in signals} == {"replay"}


def test_open_signal_carries_levels_ids_and_life_time(client: TestClient, world: World) -> None:
    sha256 = world.shop.deploy(BundleSpec())
    reload(client)
    ticks = walk(minutes=17)
    batch = run_kernel(ticks, PRICE_FACTOR)
    signal = opened(post(client, ticks, mode="replay")["signals"])[0]
    row, sigma, side = int(batch.event_row[0]), batch.sigma_points[0], 1 if signal["view"] == "LONG" else -1
    anchor = int((ticks.bid_points if side > 0 else ticks.ask_points)[row])
    assert signal["signal_id"] == signal_id(sha256, SYMBOL, "direction", signal["event_id"], signal["view"])
    assert signal["stop_loss"] == (anchor - side * round(3 * sigma)) / PRICE_FACTOR
    assert signal["take_profit"] == (anchor + side * round(3 * sigma)) / PRICE_FACTOR
    assert signal["issued_at"] == signal["ts_event"]
    assert signal["reasons"] == []
    assert signal["max_position"] == Strategy().max_position


def test_close_comes_with_the_first_tick_at_exit_at(client: TestClient, world: World) -> None:
    world.shop.deploy(BundleSpec())
    reload(client)
    signals = post(client, walk(minutes=25), mode="replay")["signals"]
    first = opened(signals)[0]
    close = next(signal for signal in signals if signal["action"] == "CLOSE" and signal["event_id"] == first["event_id"])
    assert close["ts_event"] >= first["exit_at"]
    assert close["view"] == first["view"]
    assert close["signal_id"] == signal_id(first["model"]["sha256"], SYMBOL, "direction", first["event_id"], f"CLOSE-{first['view']}")


def test_replay_in_pieces_equals_replay_at_once(client: TestClient, world: World) -> None:
    world.shop.deploy(BundleSpec())
    reload(client)
    ticks = walk(minutes=30)
    at_once = post(client, ticks, mode="replay", replay_id="a")["signals"]
    pieces: list[dict[str, Any]] = []
    for start in range(0, len(ticks), 7):
        pieces += post(client, ticks.take(slice(start, start + 7)), mode="replay", replay_id="b")["signals"]
    assert pieces == at_once


def test_live_ticks_are_signals_recordings_and_evidence(client: TestClient, world: World) -> None:
    world.shop.deploy(BundleSpec())
    reload(client)
    ticks = walk(minutes=17, step_s=5)
    signals = post_live(client, world, ticks)
    live = opened(signals)
    assert live
    assert {signal["mode"] for signal in live} == {"live"}
    recording = world.settings.recordings_dir / "live-trader" / SYMBOL / "2026-03-04.csv.part"
    assert len(recording.read_text().splitlines()) == len(ticks) + 1
    evidence = (world.settings.evidence_dir / "signals" / "2026-03-04.jsonl").read_text().splitlines()
    assert len(evidence) == len(signals)
    polled = client.get("/v1/signals", params={"symbol": SYMBOL}, headers=auth("viewer")).json()
    assert polled["signals"] == signals
    assert client.get("/v1/signals", params={"after": polled["next"]}, headers=auth("viewer")).json()["signals"] == []


def test_shadow_and_live_models_both_speak(client: TestClient, world: World) -> None:
    live = world.shop.deploy(BundleSpec())
    shadow = world.shop.deploy(BundleSpec(version="v2", seed=2, is_passed=False), pointer="shadow.json")
    reload(client)
    signals = post_live(client, world, walk(minutes=16, step_s=5))
    assert {(s["mode"], s["model"]["sha256"]) for s in signals if s["action"] == "OPEN"} == {("live", live), ("shadow", shadow)}


def test_no_model_is_flat_with_model_missing(client: TestClient) -> None:
    signals = post(client, walk(minutes=17), mode="replay")["signals"]
    assert signals[-1]["reasons"] == ["MODEL_MISSING"]
    assert (signals[-1]["action"], signals[-1]["view"]) == ("NONE", "FLAT")


def test_cold_kernel_is_flat_with_kernel_not_warm(client: TestClient, world: World) -> None:
    world.shop.deploy(BundleSpec())
    reload(client)
    signals = post(client, walk(minutes=3), mode="replay")["signals"]
    assert [signal["reasons"] for signal in signals] == [["KERNEL_NOT_WARM"]] * 3


def test_stale_ticks_are_flat_with_tick_stale(client: TestClient, world: World) -> None:
    world.shop.deploy(BundleSpec())
    reload(client)
    ticks = walk(minutes=17)
    world.clock.set(int(ticks.ts_us[-1]) + 60_000_000)
    said = [signal for signal in post(client, ticks)["signals"] if "KERNEL_NOT_WARM" not in signal["reasons"]]
    assert said
    assert all(signal["reasons"] == ["TICK_STALE"] and signal["view"] == "FLAT" for signal in said)


def test_feature_outside_its_range_is_flat(client: TestClient, world: World) -> None:
    world.shop.deploy(BundleSpec(feature_range=(-1e-9, 1e-9)))
    reload(client)
    assert post(client, walk(minutes=17), mode="replay")["signals"][-1]["reasons"] == ["FEATURE_OUT_OF_RANGE"]


def test_probability_inside_the_band_is_flat(client: TestClient, world: World) -> None:
    world.shop.deploy(BundleSpec(strategy=Strategy(threshold=1.0)))
    reload(client)
    signal = post(client, walk(minutes=17), mode="replay")["signals"][-1]
    assert (signal["reasons"], signal["action"]) == (["PROBABILITY_INSIDE_BAND"], "NONE")
    assert 0 < signal["probability"] < 1


def test_entry_near_midnight_is_refused(client: TestClient, world: World) -> None:
    world.shop.deploy(BundleSpec())
    reload(client)
    start_us = walk().ts_us[0] + int(15.5 * 3600e6)
    signals = post(client, walk(int(start_us), minutes=29), mode="replay")["signals"]
    late = [signal for signal in signals if signal["ts_event"] >= "2026-03-04T23:54:00" and signal["action"] != "CLOSE"]
    assert [signal["reasons"] for signal in late] == [["ENTRY_TOO_LATE"]] * 5


def test_stopped_live_loop_opens_nothing(client: TestClient, world: World) -> None:
    world.shop.deploy(BundleSpec())
    reload(client)
    client.post("/v1/live/stop", headers=auth("pipeline"))
    signals = post_live(client, world, walk(minutes=16, step_s=5))
    assert signals[-1]["reasons"] == ["LIVE_STOPPED"]
    assert not opened(signals)


def test_older_tick_is_rejected_and_not_recorded(client: TestClient, world: World) -> None:
    ticks = walk(minutes=1)
    world.clock.set(int(ticks.ts_us[-1]))
    rows = to_json_ticks(ticks)
    answer = client.post("/v1/ticks", json=[rows[3], rows[1], rows[4]], headers=auth("trader")).json()
    assert answer["accepted"] == 2
    assert answer["rejected"] == [{"index": 1, "reason_code": "TIMESTAMP_OUT_OF_ORDER"}]


def test_tick_from_the_future_is_rejected_and_blocks_nothing(client: TestClient, world: World) -> None:
    rows = to_json_ticks(walk(minutes=1))
    rows[0]["ts_event"] = "2026-03-05T08:00:00Z"
    answer = client.post("/v1/ticks", json=rows[:2], headers=auth("trader")).json()
    assert (answer["accepted"], answer["rejected"]) == (1, [{"index": 0, "reason_code": "TIMESTAMP_IN_FUTURE"}])


def test_crossed_quote_is_counted_by_seq_and_named(client: TestClient, world: World) -> None:
    rows = to_json_ticks(walk(minutes=1))[:3]
    rows[1]["ask_price"] = rows[1]["bid_price"] - 0.001
    answer = client.post("/v1/ticks", json=rows, params={"mode": "replay"}, headers=auth("trader")).json()
    assert (answer["accepted"], answer["rejected"]) == (2, [{"index": 1, "reason_code": "QUOTE_CROSSED"}])


def test_one_tick_and_a_wrapped_list_are_read(client: TestClient) -> None:
    rows = to_json_ticks(walk(minutes=1))
    for body in (rows[0], {"ticks": rows[1:3]}):
        assert client.post("/v1/ticks", json=body, headers=auth("trader")).status_code == 200


def test_candidate_replay_needs_admin_and_no_pass(client: TestClient, world: World) -> None:
    spec = BundleSpec(version="v9", is_passed=False)
    world.shop.put(spec, world.shop.files(spec))
    params = {"mode": "replay", "replay_id": "c", "candidate": "v9"}
    rows = to_json_ticks(walk(minutes=17))
    assert client.post("/v1/ticks", json=rows, params=params, headers=auth("trader")).status_code == 403
    answer = client.post("/v1/ticks", json=rows, params=params, headers=auth("pipeline"))
    assert answer.json()["signals"][-1]["model"]["id"] == "EURUSD.direction@v9"
    assert client.delete("/v1/replays/c", headers=auth("pipeline")).status_code == 204
    assert client.delete("/v1/replays/c", headers=auth("pipeline")).json()["reason_code"] == "REPLAY_UNKNOWN"


def test_replay_writes_nothing(client: TestClient, world: World) -> None:
    world.shop.deploy(BundleSpec())
    reload(client)
    post(client, walk(minutes=17), mode="replay")
    assert not world.settings.recordings_dir.exists()
    assert not (world.settings.evidence_dir / "signals").exists()
    assert client.get("/v1/signals", headers=auth("viewer")).json()["signals"] == []


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"symbol": "NOSUCH"}, 404, "SYMBOL_UNKNOWN"),
        ({"symbol": 5}, 422, "TICK_MALFORMED"),
        ({"ts_event": "2026-03-04T08:00:00"}, 422, "TIMESTAMP_NAIVE"),
        ({"ts_event": 1772611200}, 422, "TIMESTAMP_MALFORMED"),
        ({"ts_event": "yesterday"}, 422, "TIMESTAMP_MALFORMED"),
        ({"ts_event": "9999-12-31T23:59:59Z"}, 422, "TIMESTAMP_MALFORMED"),
        ({"bid_price": 1.100001}, 422, "PRICE_NOT_ON_GRID"),
        ({"bid_price": 1e308}, 422, "PRICE_OUT_OF_RANGE"),
        ({"bid_price": 0}, 422, "PRICE_NOT_POSITIVE"),
        ({"ask_price": -1.1}, 422, "PRICE_NOT_POSITIVE"),
        ({"ask_price": "1.1"}, 422, "PRICE_MALFORMED"),
        ({"ask_price": None}, 422, "PRICE_MALFORMED"),
        ({"ask_price": True}, 422, "PRICE_MALFORMED"),
        ({"bid_size": -1}, 422, "SIZE_MALFORMED"),
        ({"bid_size": []}, 422, "SIZE_MALFORMED"),
        ({"extra": 1}, 422, "TICK_MALFORMED"),
    ],
)
def test_bad_tick_is_a_problem(client: TestClient, change: dict[str, Any], status: int, code: str) -> None:
    row = {**to_json_ticks(walk(minutes=1))[0], **change}
    answer = client.post("/v1/ticks", json=row, headers=auth("trader"))
    assert (answer.status_code, answer.json()["reason_code"]) == (status, code)
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"[1]",
        b'"x"',
        b"\xff\xfe",
        b'{"symbol":"EURUSD","ts_event":"2026-03-04T08:00:00Z","bid_price":NaN,"ask_price":1.1}',
        b'{"symbol":"EURUSD","ts_event":"2026-03-04T08:00:00Z","bid_price":Infinity,"ask_price":1.1}',
        b'{"symbol":"EURUSD","ts_event":"2026-03-04T08:00:00Z","bid_price":1e999,"ask_price":1.1}',
        b'{"symbol":"EURUSD","ts_event":"2026-03-04T08:00:00Z","bid_price":' + b"9" * 5000 + b',"ask_price":1.1}',
        b'{"symbol":"\\ud800","ts_event":"2026-03-04T08:00:00Z","bid_price":1.1,"ask_price":1.1}',
        '{"symbol":"\u0415URUSD\u202e","ts_event":"2026-03-04T08:00:00Z","bid_price":1.1,"ask_price":1.1}'.encode(),
        b"[" * 200_000,
        b'{"a":' * 50_000,
    ],
)
def test_hostile_body_is_a_problem(client: TestClient, body: bytes) -> None:
    answer = client.post("/v1/ticks", content=body, headers={**auth("trader"), "Content-Type": "application/json"})
    assert 400 <= answer.status_code < 500
    assert answer.headers["content-type"] == "application/problem+json"


def test_bad_request_takes_nothing(client: TestClient, world: World) -> None:
    rows = to_json_ticks(walk(minutes=1))[:2]
    rows[1]["bid_price"] = 1.100001
    assert client.post("/v1/ticks", json=rows, headers=auth("trader")).json()["errors"][0]["index"] == 1
    assert not world.settings.recordings_dir.exists()


def test_prices_of_every_instrument_are_on_their_grid(client: TestClient, world: World) -> None:
    for symbol, instrument in parse_market(world.settings.read_market_text()).instruments.items():
        points = np.random.default_rng(1).integers(1, 10_000_000, 50)
        rows = to_json_ticks(walk(minutes=2), symbol, 1)[:50]
        for row, bid in zip(rows, points.tolist(), strict=True):
            row["bid_price"], row["ask_price"] = bid / instrument.price_factor, (bid + 3) / instrument.price_factor
        assert client.post("/v1/ticks", json=rows, params={"mode": "replay"}, headers=auth("trader")).status_code == 200
