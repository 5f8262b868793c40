"""What MLflow and the object store get of a verdict."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.unit.lakehouse.test_datasets import MemoryObjects
from tick_assets.tracking.candidates import CandidateStore
from tick_assets.tracking.model_log import log_verdict


class NotedRun:
    """A run that notes what is logged to it; a registry of that one run."""

    def __init__(self) -> None:
        self.files: list[tuple[str, str]] = []
        self.metrics: dict[str, float] = {}
        self.tags: dict[str, str] = {}

    def attach(self, run_id: str) -> NotedRun:
        assert run_id == "run1"
        return self

    def log_metrics(self, metrics: dict[str, float]) -> None:
        self.metrics |= metrics

    def set_tags(self, tags: dict[str, str]) -> None:
        self.tags |= tags

    def log_bytes(self, path: str, data: bytes) -> None:
        self.files.append((path, ""))

    def log_file(self, file: Path, folder: str) -> None:
        self.files.append((file.name, folder))

    def set_version_tags(self, name: str, version: str, tags: dict[str, str]) -> None:
        self.tags |= {f"{name}@{version} {key}": value for key, value in tags.items()}


def test_log_verdict_attaches_every_document_and_the_gates() -> None:
    noted: Any = NotedRun()
    verdict = {"mlflow_run_id": "run1", "passed": False, "verdict_id": "v", "refused_by": "dsr", "version": "1"}
    gates = {"gates": [{"name": "dsr", "figure": 0.5}, {"name": "pbo", "figure": None}]}
    log_verdict(noted, "SYN", "direction", verdict, gates, [Path("a.html"), Path("a.pdf"), Path("a.md")])
    assert noted.files == [("gates.json", ""), ("a.html", "report"), ("a.pdf", "report"), ("a.md", "report")]
    assert noted.metrics == {"gate.dsr": 0.5, "passed": 0.0}
    assert noted.tags["verdict"] == "REJECTED"


class TypedObjects(MemoryObjects):
    """Objects that take a content type."""

    def put_bytes(self, key: str, content: bytes, content_type: str = "") -> None:
        super().put_bytes(key, content + f" [{content_type}]".encode())


def test_model_card_lies_beside_the_model() -> None:
    objects: Any = TypedObjects()
    CandidateStore(objects, "SYN", "direction").write_card("3", b"# Model card")
    assert objects.objects == {"candidates/SYN/direction/3/card.md": b"# Model card [text/markdown; charset=utf-8]"}
