"""Deploying and rolling back: passport, bundle, registry alias, reload, and the service's confirmation.

What belongs here: the order of the steps; each is idempotent, so a repeat mends what a crash left. What must not: Dagster or gates.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from tick_assets.domain import passports
from tick_assets.lakehouse.object_store import ObjectStore
from tick_assets.lakehouse.raw_store import RawStore
from tick_assets.tracking import bundles
from tick_assets.tracking.dataset_versions import DatasetVersions
from tick_assets.tracking.judgement import Case
from tick_assets.tracking.model_registry import CHAMPION, ModelRegistry
from tick_assets.tracking.serving_client import ServingClient

if TYPE_CHECKING:
    from tick_assets.settings import Settings

CONFIRM_S = 30.0


class DeploymentRefusedError(RuntimeError):
    """The model's verdict is not a pass, or nothing is there to roll back to."""


@dataclass(frozen=True)
class Deployer:
    """What deployment works with; the private key stays on the pipeline's side."""

    objects: ObjectStore
    registry: ModelRegistry
    versions: DatasetVersions
    service: ServingClient
    private_key: bytes


def deployer_from(settings: Settings) -> Deployer:
    """Return what deployment works with under these settings; the private key is read here."""
    objects = ObjectStore.from_settings(settings)
    return Deployer(
        objects,
        ModelRegistry.from_settings(settings),
        DatasetVersions.from_settings(settings, objects),
        ServingClient.from_settings(settings),
        passports.decode_key((settings.home / "keys" / "passport_ed25519").read_text()),
    )


def raw_manifests(case: Case, store: RawStore, order: Sequence[str]) -> list[dict[str, str]]:
    """Return the hash of the raw manifest of each published date of a case's dataset, its leader's among them."""
    found = []
    leader = case.dataset.manifest.get("leader", {"symbol": "", "publications": []})
    led_by = [[leader["symbol"], *publication] for publication in leader["publications"]]
    for symbol, day_iso, _ in [*case.dataset.manifest["publications"], *led_by]:
        day = datetime.fromisoformat(day_iso).date()
        source = store.current_source(symbol, day, order)
        if source is not None:
            found.append({"symbol": symbol, "date": day_iso, "source": source, "sha256": store.manifest_sha256(source, symbol, day)})
    return found


def deploy(case: Case, deployer: Deployer, *, role: str, raw_manifests: list[dict[str, str]], issued_at: datetime) -> dict[str, Any]:
    """Deploy a judged version, and return what the service now reports; a verdict that is no pass is refused (a shadow may be one)."""
    verdict = case.store.read(case.version, "gate_verdict")
    if not verdict["passed"] and role == bundles.CHAMPION:
        raise DeploymentRefusedError(
            f"Expected a passed verdict for {case.model_id}, was: {verdict['first_line']} "
            "Only a model that passes every gate is deployed; --shadow serves it without execution."
        )
    bundle = publish(case, deployer, raw_manifests, issued_at)
    if role == bundles.CHAMPION and not bundle.passport["payload"]["verdict"]["passed"]:
        raise DeploymentRefusedError(
            f"Expected a passport of {case.model_id} with a passed verdict, was one signed for an earlier verdict. Train a new version."
        )
    bundles.write_pointer(deployer.objects, case.symbol, case.strategy_name, bundles.Pointer(case.version, bundle.model_sha256), role)
    if role == bundles.CHAMPION:
        deployer.registry.set_alias(f"{case.symbol}.{case.strategy_name}", case.version, CHAMPION)
    confirmed = confirm(deployer.service, case.symbol, case.strategy_name, bundle.model_sha256, role)
    return {
        "model_id": case.model_id,
        "model_sha256": bundle.model_sha256,
        "passport_id": bundle.passport["passport_id"],
        "verdict_id": verdict["verdict_id"],
        "role": role,
        "service": confirmed,
    }


def publish(case: Case, deployer: Deployer, raw_manifests: list[dict[str, str]], issued_at: datetime) -> bundles.Bundle:
    """Write a judged version's bundle, its passport saying what its verdict was, and return it. Nothing serves it before a pointer does."""
    verdict = case.store.read(case.version, "gate_verdict")
    passport = _passport(case, deployer, verdict, raw_manifests, issued_at)
    bundle = bundles.Bundle(case.symbol, case.strategy_name, case.version, case.model, passport, case.store.golden(case.version))
    bundles.write_bundle(deployer.objects, bundle)
    return bundle


def _passport(
    case: Case, deployer: Deployer, verdict: dict[str, Any], raw_manifests: list[dict[str, str]], issued_at: datetime
) -> dict[str, Any]:
    """Return the version's passport: the one that is there already, else a new one."""
    key = f"{bundles.prefix(case.symbol, case.strategy_name, case.version)}/passport.json"
    if deployer.objects.exists(key):
        return bundles.read_bundle(deployer.objects, case.symbol, case.strategy_name, case.version).passport
    return passports.sign(_payload(case, deployer, verdict, raw_manifests, issued_at), deployer.private_key)


def _payload(
    case: Case, deployer: Deployer, verdict: dict[str, Any], raw_manifests: list[dict[str, str]], issued_at: datetime
) -> dict[str, Any]:
    """Return what a passport states: the candidate's record, the verdict, the raw files, and the chain over all of them."""
    record = case.record
    stated = {"id": verdict["verdict_id"], "passed": verdict["passed"], "answer": verdict["first_line"], "gates": verdict["gates"]}
    recorded = {
        name: record[name]
        for name in (
            "symbol", "strategy", "version", "model_id", "model_sha256", "feature_set", "features", "feature_ranges", "sampling_clock",
            "price_factor", "digits", "is_synthetic", "dataset_id", "code_commit", "mlflow_run_id",
        )
    }  # fmt: skip
    return recorded | {
        "dvc_md5": deployer.versions.md5(record["dataset_id"]),
        "verdict": stated,
        "raw_manifests": raw_manifests,
        "issued_at": issued_at.isoformat().replace("+00:00", "Z"),
        "chain": passports.model_chain(
            raw_manifests=raw_manifests,
            dataset_id=record["dataset_id"],
            code_commit=record["code_commit"],
            mlflow_run_id=record["mlflow_run_id"],
            verdict=stated,
            model_sha256=record["model_sha256"],
        ),
    }


def confirm(service: ServingClient, symbol: str, strategy: str, sha256: str, role: str) -> str:
    """Reload the service and wait until it reports the model; one that is down is told so and catches up by itself."""
    if not service.is_reachable():
        return "down; it pulls the model when it starts"
    service.reload(symbol, strategy)
    service.wait_until_deployed(symbol, strategy, sha256, "live" if role == bundles.CHAMPION else "shadow", CONFIRM_S)
    return "confirmed"


def rollback(deployer: Deployer, symbol: str, strategy: str) -> dict[str, Any]:
    """Point the champion at the newest earlier version whose signed verdict is a pass."""
    current = bundles.read_pointer(deployer.objects, symbol, strategy)
    if current is None:
        raise DeploymentRefusedError(f"Expected a deployed model of {symbol}.{strategy}, was none. See `tick models`.")
    earlier = [version for version in bundles.versions(deployer.objects, symbol, strategy) if int(version) < int(current.version)]
    for version in sorted(earlier, key=int, reverse=True):
        bundle = bundles.read_bundle(deployer.objects, symbol, strategy, version)
        if bundle.passport["payload"]["verdict"]["passed"]:
            bundles.write_pointer(deployer.objects, symbol, strategy, bundles.Pointer(version, bundle.model_sha256))
            deployer.registry.set_alias(f"{symbol}.{strategy}", version, CHAMPION)
            service = confirm(deployer.service, symbol, strategy, bundle.model_sha256, bundles.CHAMPION)
            return {
                "model_id": f"{symbol}.{strategy}@{version}",
                "model_sha256": bundle.model_sha256,
                "before": current.version,
                "service": service,
            }
    raise DeploymentRefusedError(
        f"Expected an earlier passed version of {symbol}.{strategy} than {current.version}, was none. See `tick models`."
    )
