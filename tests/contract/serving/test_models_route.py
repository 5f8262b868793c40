"""Models: pulled, verified, swapped whole, refused with a reason."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from typing import Any

import pytest
from fastapi.testclient import TestClient

from serving.schemas import ModelsOut
from serving.testing import SYMBOL, BundleSpec, ModelShop, World, auth, open_shop, to_json_ticks, walk
from tick_assets.domain.kernel import FEATURE_NAMES

Files = dict[str, bytes]


def reload(client: TestClient) -> dict[str, Any]:
    answer = client.post(f"/v1/models/{SYMBOL}/direction:reload", headers=auth("pipeline"))
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def test_deployed_model_is_listed_with_its_passport(client: TestClient, world: World) -> None:
    sha256 = world.shop.deploy(BundleSpec())
    reload(client)
    document = client.get(f"/v1/models/{SYMBOL}/direction", headers=auth("viewer")).json()
    ModelsOut.model_validate(document)
    model = document["models"][0]
    assert (model["mode"], model["model"]["sha256"], model["verdict"]["passed"]) == ("live", sha256, True)
    assert model["passport"]["payload"]["model_sha256"] == sha256


def test_pointer_taken_away_takes_the_model_away(client: TestClient, world: World) -> None:
    world.shop.deploy(BundleSpec())
    reload(client)
    del world.store.objects[f"models/{SYMBOL}/direction/champion.json"]
    assert reload(client)["models"] == []


def test_object_store_that_is_down_keeps_the_model(client: TestClient, world: World) -> None:
    world.shop.deploy(BundleSpec())
    reload(client)
    world.store.is_down = True
    answer = client.post("/v1/models:reload", headers=auth("pipeline"))
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert len(client.get("/v1/models", headers=auth("viewer")).json()["models"]) == 1


def _other_key(shop: ModelShop, spec: BundleSpec) -> Files:
    return open_shop(shop.store).files(spec)


def _altered(name: str, change: Callable[[Any], Any]) -> Callable[[ModelShop, BundleSpec], Files]:
    def make(shop: ModelShop, spec: BundleSpec) -> Files:
        files = shop.files(spec)
        return {**files, name: json.dumps(change(json.loads(files[name]))).encode()}

    return make


def _bytes(name: str, change: Callable[[bytes], bytes]) -> Callable[[ModelShop, BundleSpec], Files]:
    def make(shop: ModelShop, spec: BundleSpec) -> Files:
        files = shop.files(spec)
        return {**files, name: change(files[name])}

    return make


def _without(name: str) -> Callable[[ModelShop, BundleSpec], Files]:
    return lambda shop, spec: {key: content for key, content in shop.files(spec).items() if key != name}


def _payload(**members: Any) -> Callable[[ModelShop, BundleSpec], Files]:
    return lambda shop, spec: shop.files(BundleSpec(version=spec.version, payload=members))


def _passed(document: dict[str, Any]) -> dict[str, Any]:
    document["payload"]["verdict"]["passed"] = True
    return document


REFUSED: dict[str, tuple[Callable[[ModelShop, BundleSpec], Files], str]] = {
    "signed by another": (_other_key, "PASSPORT_REFUSED"),
    "signature of nothing": (_altered("passport.json", lambda document: {**document, "signature": ""}), "PASSPORT_REFUSED"),
    "signature no base64": (_altered("passport.json", lambda document: {**document, "signature": "é"}), "PASSPORT_MALFORMED"),
    "passport a list": (_bytes("passport.json", lambda _: b"[]"), "PASSPORT_MALFORMED"),
    "passport deep": (_bytes("passport.json", lambda _: b"[" * 100_000), "PASSPORT_MALFORMED"),
    "passport a pickle": (_bytes("passport.json", lambda _: b"\x80\x04cos\nsystem\n."), "PASSPORT_MALFORMED"),
    "passport too large": (_bytes("passport.json", lambda content: content + b" " * 9_000_000), "FILE_TOO_LARGE"),
    "passport missing": (_without("passport.json"), "BUNDLE_INCOMPLETE"),
    "golden missing": (_without("golden.json"), "BUNDLE_INCOMPLETE"),
    "golden of another model": (_altered("golden.json", lambda document: {**document, "probabilities": [0.9] * 5}), "GOLDEN_MISMATCH"),
    "golden empty": (_altered("golden.json", lambda document: {"rows": [], "probabilities": []}), "GOLDEN_MISMATCH"),
    "golden malformed": (_altered("golden.json", lambda document: {"rows": [["x"]]}), "GOLDEN_MALFORMED"),
    "other model bytes": (_bytes("model.json", lambda content: content + b" "), "MODEL_HASH_MISMATCH"),
    "model truncated": (_bytes("model.json", lambda content: content[:-100]), "MODEL_HASH_MISMATCH"),
    "not passed": (_payload(verdict={"id": "v", "passed": False}), "VERDICT_NOT_PASSED"),
    "passed by hand": (
        lambda shop, spec: _altered("passport.json", _passed)(shop, BundleSpec(version=spec.version, is_passed=False)),
        "PASSPORT_REFUSED",
    ),
    "passed is a word": (_payload(verdict={"id": "v", "passed": "yes"}), "VERDICT_NOT_PASSED"),
    "other feature order": (_payload(features=list(reversed(FEATURE_NAMES))), "FEATURES_MISMATCH"),
    "other feature set": (_payload(feature_set="base_v2"), "FEATURES_MISMATCH"),
    "other clock": (_payload(sampling_clock="time_1s"), "FEATURES_MISMATCH"),
    "no ranges": (_payload(feature_ranges={}), "FEATURES_MISMATCH"),
    "other symbol": (_payload(symbol="GBPUSD"), "IDENTITY_MISMATCH"),
    "strategy unknown": (_payload(strategy={"name": "direction", "leverage": 5}), "PASSPORT_MALFORMED"),
}


@pytest.mark.parametrize("case", sorted(REFUSED))
def test_refused_bundle_keeps_the_old_model_and_says_why(client: TestClient, world: World, case: str) -> None:
    make, code = REFUSED[case]
    good = world.shop.deploy(BundleSpec())
    reload(client)
    bad = BundleSpec(version="v2", seed=2)
    world.shop.deploy(bad, make(world.shop, bad))
    document = reload(client)
    assert [refused["reason_code"] for refused in document["refused"]] == [code]
    assert [model["model"]["sha256"] for model in document["models"]] == [good]
    assert f'tick_bundles_refused_total{{reason_code="{code}"}} 1.0' in client.get("/metrics").text


@pytest.mark.parametrize(
    "pointer",
    [
        b"",
        b"{}",
        b'{"version":"../../secrets","sha256":"0"}',
        b'{"version":"..","sha256":"0"}',
        b'{"version":1,"sha256":2}',
        b"x" * 100_000,
    ],
)
def test_bad_pointer_is_refused(client: TestClient, world: World, pointer: bytes) -> None:
    world.shop.deploy(BundleSpec())
    world.store.put(f"models/{SYMBOL}/direction/champion.json", pointer)
    document = reload(client)
    assert [refused["reason_code"] for refused in document["refused"]] == ["POINTER_MALFORMED"]


def test_pointer_to_other_bytes_is_refused(client: TestClient, world: World) -> None:
    world.shop.deploy(BundleSpec())
    world.store.put(f"models/{SYMBOL}/direction/champion.json", json.dumps({"version": "v1", "sha256": "0" * 64}).encode())
    assert reload(client)["refused"][0]["reason_code"] == "MODEL_HASH_MISMATCH"


def test_model_without_the_public_key_is_refused_until_it_is_there(client: TestClient, world: World) -> None:
    world.shop.deploy(BundleSpec())
    text = world.settings.public_key_file.read_text()
    world.settings.public_key_file.unlink()
    assert client.post("/v1/models:reload", headers=auth("pipeline")).json()["refused"][0]["reason_code"] == "PUBLIC_KEY_MISSING"
    world.settings.public_key_file.write_text(text)
    assert client.post("/v1/models:reload", headers=auth("pipeline")).json()["refused"] == []


def test_swap_under_load_drops_no_request_and_every_signal_names_one_model(client: TestClient, world: World) -> None:
    specs = [BundleSpec(), BundleSpec(version="v2", seed=2)]
    sha256s = {world.shop.deploy(spec) for spec in specs}
    reload(client)
    stop, statuses, named = threading.Event(), [], set()
    ticks = to_json_ticks(walk(minutes=20, step_s=10))

    def post_replays(name: str) -> None:
        count = 0
        while not stop.is_set():
            count += 1
            params = {"mode": "replay", "replay_id": f"{name}-{count % 5}"}
            answer = client.post("/v1/ticks", json=ticks, params=params, headers=auth("trader"))
            statuses.append(answer.status_code)
            named.update(signal["model"]["sha256"] for signal in answer.json()["signals"])

    threads = [threading.Thread(target=post_replays, args=(name,)) for name in ("a", "b", "c")]
    for thread in threads:
        thread.start()
    for i in range(20):
        world.shop.deploy(specs[i % 2])
        reload(client)
    stop.set()
    for thread in threads:
        thread.join()
    assert len(statuses) > 20
    assert set(statuses) == {200}
    assert named == sha256s
