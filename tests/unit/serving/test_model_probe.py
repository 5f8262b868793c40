"""The throw-away process that parses first."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from serving.model_probe import ChildProcessProbe, RememberingProbe
from serving.testing import TrustingProbe, train_tiny_model


class _Canary:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return Path.touch, (self.path,)


@pytest.fixture(scope="module")
def model() -> bytes:
    return train_tiny_model(1)


def test_probe_model_parses(model: bytes) -> None:
    assert ChildProcessProbe().check(model) == ""


@pytest.mark.parametrize("cut", [0, 1, 500])
def test_probe_truncated_model_has_a_reason(model: bytes, cut: int) -> None:
    assert ChildProcessProbe().check(model[:cut]) != ""


def test_probe_pickle_runs_nothing(tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    assert ChildProcessProbe().check(pickle.dumps(_Canary(canary))) != ""
    assert not canary.exists()


def test_remembering_probe_asks_once_a_content(model: bytes) -> None:
    inner = TrustingProbe()
    probe = RememberingProbe(inner)
    for content in (model, model, b"other"):
        probe.check(content)
    assert inner.asked == 2
