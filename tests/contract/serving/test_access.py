"""Keys, scopes, rates and sizes: checked on every route, before the body."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from serving.testing import KEYS, World, auth, make_world

ALLOWED = {
    ("POST", "/v1/ticks"): {"pipeline", "trader"},
    ("DELETE", "/v1/replays/x"): {"pipeline", "trader"},
    ("GET", "/v1/signals"): {"pipeline", "trader", "viewer"},
    ("GET", "/v1/models"): {"pipeline", "trader", "viewer"},
    ("GET", "/v1/models/EURUSD/direction"): {"pipeline", "trader", "viewer"},
    ("GET", "/v1/verdicts"): {"pipeline", "trader", "viewer"},
    ("POST", "/v1/models:reload"): {"pipeline"},
    ("POST", "/v1/models/EURUSD/direction:reload"): {"pipeline"},
    ("GET", "/v1/ea/next?account=1"): {"pipeline", "trader"},
    ("POST", "/v1/ea/ack"): {"pipeline", "trader"},
    ("POST", "/v1/executions"): {"pipeline", "trader"},
    ("GET", "/v1/executions"): {"pipeline", "trader", "viewer"},
    ("POST", "/v1/lifecycle/train"): {"pipeline"},
    ("POST", "/v1/lifecycle/validate"): {"pipeline"},
    ("POST", "/v1/lifecycle/test"): {"pipeline"},
    ("POST", "/v1/lifecycle/deploy"): {"pipeline"},
    ("GET", "/v1/lifecycle/runs/r1"): {"pipeline", "trader", "viewer"},
    ("POST", "/v1/live/start"): {"pipeline"},
    ("POST", "/v1/live/stop"): {"pipeline"},
    ("GET", "/v1/status"): {"pipeline", "trader", "viewer"},
}
OPEN_PATHS = {"/health", "/ready", "/metrics", "/"}
ROUTES = sorted(ALLOWED)


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_route_without_a_key_is_401(client: TestClient, method: str, path: str) -> None:
    answer = client.request(method, path, content=b"{")
    assert (answer.status_code, answer.json()["reason_code"]) == (401, "KEY_MISSING")
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(("method", "path"), ROUTES)
@pytest.mark.parametrize("name", sorted(KEYS))
def test_route_asks_for_its_scope(client: TestClient, method: str, path: str, name: str) -> None:
    answer = client.request(method, path, content=b"{", headers=auth(name))
    assert (answer.status_code == 403) == (name not in ALLOWED[method, path])
    assert answer.status_code != 401


def test_every_route_is_in_the_table(world: World) -> None:
    document = world.app.openapi()
    listed = {path.split("?")[0] for _, path in ROUTES}
    concrete = {"{symbol}": "EURUSD", "{strategy}": "direction", "{replay_id}": "x", "{run_id}": "r1"}
    for template in document["paths"]:
        path = template
        for name, value in concrete.items():
            path = path.replace(name, value)
        assert path in listed | OPEN_PATHS


def test_unknown_key_is_401_and_the_right_one_passes_in_either_header(client: TestClient) -> None:
    assert client.get("/v1/status", headers={"X-API-Key": "nope"}).json()["reason_code"] == "KEY_UNKNOWN"
    assert client.get("/v1/status", headers={"Authorization": f"Bearer {KEYS['viewer']}"}).status_code == 200
    assert client.get("/v1/status", headers={"X-API-Key": "ключ".encode()}).status_code == 401


def test_guessing_keys_is_429_and_locks_nobody_out(client: TestClient) -> None:
    answers = [client.get("/v1/status", headers={"X-API-Key": f"guess-{i}"}) for i in range(60)]
    assert answers[-1].status_code == 429
    assert int(answers[-1].headers["retry-after"]) >= 1
    assert client.get("/v1/status", headers=auth("viewer")).status_code == 200


def test_rate_beyond_the_limit_is_429(tmp_path: Path) -> None:
    with TestClient(make_world(tmp_path, service_rate_per_s=5.0).app) as client:
        statuses = [client.get("/v1/status", headers=auth("viewer")).status_code for _ in range(12)]
    assert statuses == [200] * 10 + [429] * 2


def test_large_body_is_413_with_and_without_a_declared_length(tmp_path: Path) -> None:
    with TestClient(make_world(tmp_path, service_body_limit_bytes=1000).app) as client:
        declared = client.post("/v1/ticks", content=b" " * 2000, headers=auth("trader"))
        chunked = client.post("/v1/executions", content=(b" " * 100 for _ in range(20)), headers=auth("trader"))
    assert [declared.status_code, chunked.status_code] == [413, 413]
    assert declared.json()["reason_code"] == chunked.json()["reason_code"] == "BODY_TOO_LARGE"


def test_no_answer_echoes_a_key(client: TestClient) -> None:
    for path in ("/v1/status", "/metrics", "/openapi.json", "/"):
        text = client.get(path, headers=auth("pipeline")).text
        assert not any(key in text for key in KEYS.values())


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"null",
        b'{"symbol":NaN}',
        b'{"symbol":"EURUSD","\\ud800":1}',
        b'{"symbol":"\\ud800"}',
        b'{"symbol":"EURUSD","extra":1}',
        b"[" * 100_000,
        b"\xff",
        json.dumps({"symbol": "E" * 10_000}).encode(),
    ],
)
@pytest.mark.parametrize("path", ["/v1/lifecycle/train", "/v1/executions", "/v1/ea/ack"])
def test_hostile_body_is_a_4xx_problem(client: TestClient, path: str, body: bytes) -> None:
    answer = client.post(path, content=body, headers={**auth("pipeline"), "Content-Type": "application/json"})
    assert 400 <= answer.status_code < 500, answer.text
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nothing", 404),
        ("PUT", "/v1/ticks", 405),
        ("GET", "/v1/signals?symbol=NOSUCH", 404),
        ("GET", "/v1/signals?limit=0", 422),
        ("GET", "/v1/signals?limit=x", 422),
        ("GET", "/v1/models/EURUSD/none", 404),
        ("GET", "/v1/models/%2e%2e/direction", 422),
        ("GET", "/v1/ea/next", 422),
        ("POST", "/v1/ticks?mode=other", 422),
        ("POST", "/v1/ticks?replay_id=x", 422),
    ],
)
def test_wrong_request_is_a_problem(client: TestClient, method: str, path: str, status: int) -> None:
    content = b'{"symbol":"EURUSD","ts_event":"2026-03-04T08:00:00Z","bid_price":1.1,"ask_price":1.1}'
    answer = client.request(method, path, content=content, headers=auth("pipeline"))
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
