"""The serving client: deployed means that the service reports the sha-256."""

from __future__ import annotations

import httpx
import pytest

from tick_assets.tracking.serving_client import ServingClient, ServingError


def _client(*reported: str) -> tuple[ServingClient, list[str]]:
    """Return a client of a service that reports these hashes one after another, and the calls it got."""
    calls: list[str] = []
    answers = list(reported)

    def answer(request: httpx.Request) -> httpx.Response:
        calls.append(f"{request.method} {request.url.path} {request.headers['X-API-Key']}")
        sha256 = answers.pop(0) if len(answers) > 1 else answers[0]
        model = {"symbol": "SYNEDGE", "strategy": "direction", "mode": "live", "version": "1", "model": {"sha256": sha256}}
        return httpx.Response(200, json={"models": [model], "refused": []})

    return ServingClient("http://service", "key", transport=httpx.MockTransport(answer), sleep=lambda _: None), calls


def test_wait_until_deployed_later_report_is_enough() -> None:
    client, calls = _client("old", "old", "new")
    client.wait_until_deployed("SYNEDGE", "direction", "new")
    assert calls == ["GET /v1/models key"] * 3


def test_wait_until_deployed_other_model_is_an_error() -> None:
    client, _ = _client("old")
    with pytest.raises(ServingError, match="Expected the service to serve"):
        client.wait_until_deployed("SYNEDGE", "direction", "new", within_s=1.0)


def test_reload_calls_the_models_route() -> None:
    client, calls = _client("new")
    client.reload("SYNEDGE", "direction")
    assert calls == ["POST /v1/models/SYNEDGE/direction:reload key"]


def test_models_service_down_names_the_remedy() -> None:
    def refuse(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused", request=request)

    client = ServingClient("http://service", "key", transport=httpx.MockTransport(refuse))
    assert not client.is_reachable()
    with pytest.raises(ServingError, match="tick up"):
        client.models()
