"""What streams, Expert Advisors, Dagster and people see."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from serving.dagster_client import DagsterClient
from serving.ea_desk import parse_flat
from serving.testing import SYMBOL, BundleSpec, World, auth, make_world, to_json_ticks, walk
from tick_assets.domain.signals import Strategy


def say_something(client: TestClient, world: World, minutes: float = 16) -> list[dict[str, Any]]:
    world.shop.deploy(BundleSpec())
    client.post("/v1/models:reload", headers=auth("pipeline"))
    ticks = walk(minutes=minutes, step_s=10)
    signals: list[dict[str, Any]] = []
    for row, ts_us in zip(to_json_ticks(ticks), ticks.ts_us, strict=True):
        world.clock.set(int(ts_us) + 1000)
        signals += client.post("/v1/ticks", json=row, headers=auth("trader")).json()["signals"]
    return signals


def test_stream_sends_what_came_since_and_what_comes(client: TestClient, world: World) -> None:
    signals = say_something(client, world)
    with client.websocket_connect(f"/v1/stream?after={signals[0]['signal_id']}", headers=auth("viewer")) as socket:
        assert [socket.receive_json() for _ in signals[1:]] == signals[1:]
        later = walk(int(walk(minutes=17).ts_us[-1]), minutes=2)
        world.clock.set(int(later.ts_us[-1]))
        answer = client.post("/v1/ticks", json=to_json_ticks(later), headers=auth("trader")).json()
        assert answer["signals"]
        assert [socket.receive_json() for _ in answer["signals"]] == answer["signals"]


@pytest.mark.parametrize(
    ("headers", "path"), [({}, "/v1/stream"), (auth("viewer"), "/v1/stream?symbol=NOSUCH"), (auth("viewer"), "/v1/ticks/stream")]
)
def test_stream_is_refused(client: TestClient, headers: dict[str, str], path: str) -> None:
    with pytest.raises(WebSocketDisconnect), client.websocket_connect(path, headers=headers) as socket:
        socket.receive_json()


def test_tick_stream_answers_each_message(client: TestClient, world: World) -> None:
    rows = to_json_ticks(walk(minutes=1))[:3]
    world.clock.advance(30)
    with client.websocket_connect("/v1/ticks/stream", headers=auth("trader")) as socket:
        socket.send_text(json.dumps(rows[0]))
        socket.send_bytes(json.dumps(rows[1:]).encode())
        socket.send_text("{")
        answers = [socket.receive_json() for _ in range(3)]
    assert [answer.get("accepted") for answer in answers] == [1, 2, None]
    assert answers[2]["reason_code"] == "BODY_MALFORMED"


def test_ea_leases_acknowledges_and_gets_each_signal_once(client: TestClient, world: World) -> None:
    signal = say_something(client, world, minutes=15.2)[-1]
    assert signal["action"] == "OPEN"
    params = {"account": "1000001"}
    leased = client.get("/v1/ea/next", params=params, headers=auth("trader"))
    values = parse_flat(leased.text)
    assert (values["signal_id"], values["stop_loss"]) == (signal["signal_id"], repr(signal["stop_loss"]))
    assert (values["lease_s"], values["is_synthetic"]) == ("30.0", "0")
    assert client.get("/v1/ea/next", params=params, headers=auth("trader")).status_code == 204
    ack = f"account=1000001\nsignal_id={signal['signal_id']}\nstatus=RECEIVED\n"
    assert parse_flat(client.post("/v1/ea/ack", content=ack, headers=auth("trader")).text) == {"status": "ok", "duplicate": "0"}
    assert parse_flat(client.post("/v1/ea/ack", content=ack, headers=auth("trader")).text)["duplicate"] == "1"
    result = ack.replace("RECEIVED", "RESULT") + "retcode=10009\norder=5\ndeal=6\nprice=1.1\nvolume=0.1\n"
    client.post("/v1/ea/ack", content=result, headers=auth("trader"))
    kept = client.get("/v1/executions", headers=auth("viewer")).json()["executions"]
    assert [event["status"] for event in kept] == ["RESULT", "RECEIVED"]


def test_ea_lease_that_runs_out_is_offered_again_while_valid(tmp_path: Path) -> None:
    world = make_world(tmp_path)
    with TestClient(world.app) as client:
        world.shop.deploy(BundleSpec(strategy=Strategy(threshold=0.5, valid_ms=60_000)))
        client.post("/v1/models:reload", headers=auth("pipeline"))
        ticks = walk(minutes=15.2, step_s=10)
        world.clock.set(int(ticks.ts_us[-1]))
        client.post("/v1/ticks", json=to_json_ticks(ticks), headers=auth("trader"))
        statuses = []
        for seconds in (0, 10, 21, 30):
            world.clock.advance(seconds)
            statuses.append(client.get("/v1/ea/next", params={"account": "1"}, headers=auth("trader")).status_code)
    assert statuses == [200, 204, 200, 204]


def test_account_of_an_execution_process_is_not_the_eas(client: TestClient, world: World) -> None:
    event = {"event_id": "e1", "account": 1000001, "state": "ACKED"}
    client.post("/v1/executions", json=event, headers=auth("trader"))
    answer = client.get("/v1/ea/next", params={"account": "1000001"}, headers=auth("trader"))
    assert (answer.status_code, answer.json()["reason_code"]) == (409, "ACCOUNT_TAKEN")
    world.clock.advance(61)
    assert client.get("/v1/ea/next", params={"account": "1000001"}, headers=auth("trader")).status_code == 204


@pytest.mark.parametrize(
    "event",
    [
        b'{"event_id":"e","note":"\\ud800"}',
        b'{"event_id":"e","note":' + b"9" * 40 + b"}",
        b'{"event_id":"e","note":' + b"[" * 400 + b"]" * 400 + b"}",
        b'{"event_id":"e","price":NaN}',
        b'{"event_id":"e","price":"abc"}',
        b'{"event_id":"e","ts_event":"0001-01-01T00:00:00+14:00"}',
        b'{"event_id":"e","ts_event":"2026-03-04T08:00:00"}',
        b'{"event_id":""}',
    ],
)
def test_hostile_execution_is_a_problem(client: TestClient, event: bytes) -> None:
    answer = client.post("/v1/executions", content=event, headers={**auth("trader"), "Content-Type": "application/json"})
    assert 400 <= answer.status_code < 500, answer.text
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 422),
        (b"account=1", 422),
        (b"account=1\nsignal_id=x\nstatus=RECEIVED", 404),
        (b"account=1\nsignal_id=x\nstatus=DONE", 422),
        (b"account=1\naccount=2", 400),
        (b"\xff=1", 400),
        (b"a" * 20_000, 413),
    ],
)
def test_bad_acknowledgement_is_a_problem(client: TestClient, body: bytes, status: int) -> None:
    assert client.post("/v1/ea/ack", content=body, headers=auth("trader")).status_code == status


def dagster(asked: list[dict[str, Any]], outcome: str = "LaunchRunSuccess") -> DagsterClient:
    def answer(request: httpx.Request) -> httpx.Response:
        body = json.loads(request.content)
        asked.append(body)
        if "repositoriesOrError" in body["query"]:
            jobs = [{"name": "train_models_job"}, {"name": "deploy_champion_job"}]
            nodes = [{"name": "__repository__", "location": {"name": "tick_assets"}, "jobs": jobs}]
            return httpx.Response(200, json={"data": {"repositoriesOrError": {"nodes": nodes}}})
        if "runOrError" in body["query"]:
            run = {"__typename": "Run", "runId": "run-1", "status": "SUCCESS", "jobName": "train_models_job"}
            return httpx.Response(200, json={"data": {"runOrError": run}})
        launched = {"__typename": outcome, "run": {"runId": "run-1"}, "message": "no"}
        return httpx.Response(200, json={"data": {"launchPipelineExecution": launched}})

    return DagsterClient("http://dagster", httpx.MockTransport(answer))


@pytest.mark.parametrize(
    ("action", "job", "assets"),
    [
        ("train", "train_models_job", None),
        ("validate", "train_models_job", [{"path": ["models", "validation"]}]),
        ("test", "train_models_job", [{"path": ["models", "test"]}]),
        ("deploy", "deploy_champion_job", None),
    ],
)
def test_lifecycle_launches_the_partition_of_the_model(tmp_path: Path, action: str, job: str, assets: list[Any] | None) -> None:
    asked: list[dict[str, Any]] = []
    with TestClient(make_world(tmp_path, dagster(asked)).app) as client:
        answer = client.post(f"/v1/lifecycle/{action}", json={"symbol": SYMBOL}, headers=auth("pipeline"))
        run = client.get("/v1/lifecycle/runs/run-1", headers=auth("viewer")).json()
    assert (answer.status_code, answer.json()["run_id"]) == (202, "run-1")
    params = asked[1]["variables"]["params"]
    assert params["selector"]["jobName"] == job
    assert params["selector"].get("assetSelection", [None])[:1] == (assets or [None])
    assert {"key": "dagster/partition", "value": "direction|EURUSD"} in params["executionMetadata"]["tags"]
    assert run["status"] == "SUCCESS"


def test_lifecycle_that_dagster_refuses_or_misses_is_a_problem(tmp_path: Path) -> None:
    body = {"symbol": SYMBOL}
    with TestClient(make_world(tmp_path / "a", dagster([], "RunConfigValidationInvalid")).app) as client:
        assert client.post("/v1/lifecycle/train", json=body, headers=auth("pipeline")).json()["reason_code"] == "RUN_REFUSED"
    down = DagsterClient("http://dagster", httpx.MockTransport(lambda request: httpx.Response(500)))
    with TestClient(make_world(tmp_path / "b", down).app) as client:
        answer = client.post("/v1/lifecycle/train", json=body, headers=auth("pipeline"))
    assert (answer.status_code, answer.json()["reason_code"]) == (502, "DAGSTER_UNAVAILABLE")


def test_page_needs_nothing_else_and_says_so(client: TestClient) -> None:
    page = client.get("/")
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe-inline" not in policy
    assert not re.search(r"(?:src|href)\s*=\s*[\"']?(?:https?:)?//", page.text)
    assert not re.search(r"\son\w+=|style=", page.text)


def test_health_ready_and_metrics_need_no_key(client: TestClient, world: World) -> None:
    assert client.get("/health").json() == {"status": "ok"}
    say_something(client, world, 1)
    assert client.get("/ready").json() == {"status": "ready", "models": 1}
    assert 'tick_ticks_accepted_total{mode="live",symbol="EURUSD"}' in client.get("/metrics").text


def test_ready_before_the_first_pull_is_503(tmp_path: Path) -> None:
    world = make_world(tmp_path)
    world.store.is_down = True
    with TestClient(world.app) as client:
        answer = client.get("/ready")
    assert (answer.status_code, answer.json()["reason_code"]) == (503, "MODELS_NOT_PULLED")


def test_verdict_index_of_the_pipeline_is_passed_on(client: TestClient, world: World) -> None:
    assert client.get("/v1/verdicts", headers=auth("viewer")).json() == {"verdicts": []}
    world.store.put("verdicts/index.json", b'[{"model":"EURUSD.direction@v1","passed":true}]')
    assert client.get("/v1/verdicts", headers=auth("viewer")).json()["verdicts"][0]["passed"] is True
