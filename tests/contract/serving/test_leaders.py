"""A leader's ticks reach its followers' kernels: live, in replay, after a restart, whatever the requests look like."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from importlib import resources
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient

from serving.testing import PRICE_FACTOR, SYMBOL, BundleSpec, World, auth, make_world, to_json_ticks, walk
from tick_assets.domain.kernel import run_kernel
from tick_assets.domain.signals import features_sha256
from tick_assets.domain.ticks import Ticks

LEADER = "GBPUSD"
OPENING = f"[symbols.{SYMBOL}]\n"


@pytest.fixture
def led(tmp_path: Path) -> World:
    """An application in whose market file GBPUSD leads EURUSD."""
    market = tmp_path / "market.toml"
    text = (resources.files("execution") / "market.toml").read_text()
    assert OPENING in text
    market.write_text(text.replace(OPENING, f'{OPENING}leader = "{LEADER}"\n'))
    return make_world(tmp_path / "home", market_file=market)


@pytest.fixture(scope="module")
def ticks() -> Ticks:
    return walk(minutes=26, seed=1)


@pytest.fixture(scope="module")
def leader() -> Ticks:
    """The leader's quotes, one of them crossed."""
    made = walk(minutes=26, seed=2, step_s=1.7)
    made.ask_points[700] = made.bid_points[700] - 40
    return made


def expected(ticks: Ticks, leader: Ticks) -> list[str]:
    """Return the hashes of the features that batch makes beside the leader's valid ticks."""
    kept = leader.take(run_kernel(leader, PRICE_FACTOR).reason == 0)
    assert len(kept) == len(leader) - 1
    batch = run_kernel(ticks, PRICE_FACTOR, leader=kept)
    assert np.isfinite(batch.features).all()
    return [features_sha256(row) for row in batch.features]


def said(signals: Iterable[dict[str, Any]]) -> list[str]:
    """Return the hashes of the features behind the follower's signals."""
    return [signal["features_sha256"] for signal in signals if signal["symbol"] == SYMBOL and signal["features_sha256"]]


def documents(ticks: Ticks, leader: Ticks, is_leader_last: bool = False) -> list[dict[str, Any]]:
    """Return both streams as a client posts them, the one behind the other."""
    streams = [to_json_ticks(leader, LEADER), to_json_ticks(ticks)]
    return [row for stream in (reversed(streams) if is_leader_last else streams) for row in stream]


def post(client: TestClient, rows: Sequence[dict[str, Any]], **params: str) -> dict[str, Any]:
    answer = client.post("/v1/ticks", json=list(rows), params=params, headers=auth("pipeline" if "candidate" in params else "trader"))
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


@pytest.mark.parametrize("is_leader_last", [False, True])
def test_replay_of_both_in_one_request_knows_what_batch_knows(led: World, ticks: Ticks, leader: Ticks, is_leader_last: bool) -> None:
    with TestClient(led.app) as client:
        answer = post(client, documents(ticks, leader, is_leader_last), mode="replay")
    assert said(answer["signals"]) == expected(ticks, leader)
    crossed = 700 + (len(ticks) if is_leader_last else 0)
    assert answer["rejected"] == [{"index": crossed, "reason_code": "QUOTE_CROSSED"}]


def test_replay_in_pieces_knows_what_batch_knows(led: World, ticks: Ticks, leader: Ticks) -> None:
    found, bounds = [], [*range(int(ticks.ts_us[0]), int(ticks.ts_us[-1]), 77_000_000), 2**62]
    with TestClient(led.app) as client:
        for begin, end in pairwise(bounds):
            ours, theirs = (each.take((each.ts_us >= begin) & (each.ts_us < end)) for each in (ticks, leader))
            found += post(client, documents(ours, theirs, is_leader_last=True), mode="replay")["signals"]
    assert said(found) == expected(ticks, leader)


def post_live(client: TestClient, world: World, rows: Sequence[dict[str, Any]], stamps: Sequence[int]) -> list[dict[str, Any]]:
    """Post ticks in the pace of the market, one at a time."""
    signals: list[dict[str, Any]] = []
    for row, ts_us in zip(rows, stamps, strict=True):
        world.clock.set(ts_us + 50_000)
        signals += post(client, [row])["signals"]
    return signals


def test_live_stream_that_is_cut_by_a_restart_knows_what_batch_knows(led: World, ticks: Ticks, leader: Ticks) -> None:
    stamps = np.concatenate([leader.ts_us, ticks.ts_us])
    order, rows = np.argsort(stamps, kind="stable"), documents(ticks, leader)
    parts = [order[: len(order) * 2 // 3], order[len(order) * 2 // 3 :]]
    with TestClient(led.app) as client:
        signals = post_live(client, led, [rows[i] for i in parts[0]], stamps[parts[0]].tolist())
    with TestClient(led.again()) as client:
        signals += post_live(client, led, [rows[i] for i in parts[1]], stamps[parts[1]].tolist())
    assert said(signals) == expected(ticks, leader)


def test_candidate_of_a_follower_is_replayed_beside_its_leader(led: World, ticks: Ticks, leader: Ticks) -> None:
    spec = BundleSpec(feature_set="lead_v1")
    led.shop.put(spec, led.shop.files(spec))
    with TestClient(led.app) as client:
        signals = post(client, documents(ticks, leader), mode="replay", candidate="v1")["signals"]
    spoken = {signal["symbol"]: signal["model"]["id"] for signal in signals if signal["probability"] is not None}
    assert spoken == {SYMBOL: f"{SYMBOL}.direction@v1"}


def test_follower_without_its_leader_s_ticks_stays_flat(led: World, ticks: Ticks) -> None:
    spec = BundleSpec(feature_set="lead_v1")
    led.shop.put(spec, led.shop.files(spec))
    with TestClient(led.app) as client:
        signals = post(client, to_json_ticks(ticks), mode="replay", candidate="v1")["signals"]
    warm = [signal for signal in signals if signal["features_sha256"]]
    assert len(warm) > 5
    assert {signal["view"] for signal in warm} == {"FLAT"}
    assert all("FEATURE_OUT_OF_RANGE" in signal["reasons"] for signal in warm)
