"""Which models there are: names, versions, verdicts and roles, put together from registry, evidence and bundles.

What belongs here: reading. What must not: judging, deploying, printing.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from tick_assets.lakehouse.catalog import Lakehouse
from tick_assets.tracking import bundles
from tick_assets.tracking.model_registry import ModelRegistry

VERDICTS = "evidence.verdicts"


class UnknownModelError(LookupError):
    """The name is no model's; the message lists those that are."""


@dataclass(frozen=True)
class ModelName:
    """`<symbol>.<strategy>@<version>`."""

    symbol: str
    strategy: str
    version: str

    def __str__(self) -> str:
        return f"{self.symbol}.{self.strategy}@{self.version}"


@dataclass(frozen=True)
class ModelLine:
    """One registered version. `verdict` is PASSED, REJECTED or empty before there is one; `role` is champion, shadow or empty."""

    model_id: str
    verdict: str
    refused_by: str
    role: str
    report: str


def parse_model_name(text: str, known: Collection[str] = ()) -> ModelName:
    """Parse a model's name; a text of another shape, or one that is not among the known names, is an `UnknownModelError`."""
    pair, _, version = text.rpartition("@")
    symbol, _, strategy = pair.rpartition(".")
    name = ModelName(symbol, strategy, version)
    if not (symbol and strategy and version) or text not in known:
        listed = ", ".join(sorted(known)) or "none yet; `tick train SYMBOL` makes one"
        raise UnknownModelError(f"Expected a model such as <symbol>.<strategy>@<version>, was {text!r}. Known: {listed}.")
    return name


def verdict_rows(lakehouse: Lakehouse) -> dict[str, dict[str, Any]]:
    """Return every verdict by model id, its gates parsed as `gates`."""
    rows = lakehouse.frame(VERDICTS).sort("decided_at").to_dicts()
    return {row["model_id"]: {**row, "gates": json.loads(row["gates_json"])} for row in rows}


def list_models(registry: ModelRegistry, lakehouse: Lakehouse, objects: bundles.BundleStore) -> list[ModelLine]:
    """Return every registered version, by name and number."""
    verdicts, deployed = verdict_rows(lakehouse), bundles.deployed(objects)
    roles: dict[str, list[str]] = {}
    for (symbol, strategy, role), pointer in sorted(deployed.items()):
        roles.setdefault(f"{symbol}.{strategy}@{pointer.version}", []).append(role)
    names = [f"{name}@{version.version}" for name in registry.models() for version in registry.versions(name)]
    return [_line(name, verdicts.get(name), roles.get(name, [])) for name in names]


def _line(model_id: str, verdict: dict[str, Any] | None, roles: list[str]) -> ModelLine:
    if verdict is None:
        return ModelLine(model_id, "", "", ",".join(roles), "")
    answer = "PASSED" if verdict["passed"] else "REJECTED"
    return ModelLine(model_id, answer, verdict["refused_by"], ",".join(roles), verdict["report_url"])
