"""Deployment: the one way to the service, for a model whose verdict is a pass.

What belongs here: calls and what is reported. What must not: signing, keys of objects (`tracking.deployments`).
"""

from collections.abc import Mapping
from typing import Any

import dagster as dg

from tick_assets.assets.models import bench_of
from tick_assets.assets.reporting import MODEL_OWNERS, now, reporting, table
from tick_assets.partitions import MODELS, models_of
from tick_assets.resources import Road
from tick_assets.tracking import bundles, deployments
from tick_assets.tracking.judgement import Case

VERSION_TAG, SHADOW_TAG = "tick/version", "tick/shadow"
"""How the service's page says which version to deploy, and whether beside the champion; a run's configuration says the same."""


class DeploymentConfig(dg.Config):
    """`version` names a version to deploy; by default the newest one that was judged."""

    version: str = ""
    role: str = "champion"


@dg.asset(
    key=["deployment", "champion"],
    deps=[["models", "gate_verdict"]],
    group_name="deployment",
    owners=MODEL_OWNERS,
    kinds={"s3", "mlflow"},
    partitions_def=MODELS,
    backfill_policy=dg.BackfillPolicy.single_run(),
)
def champion(context: dg.AssetExecutionContext, road: Road, config: DeploymentConfig) -> dg.MaterializeResult:
    """Bundle and signed passport in S3, the registry's alias, a reload, and the service's own word for the sha-256.

    Refused without a pass.
    """
    rows: list[Mapping[str, Any]] = []
    with reporting(context, "deployment/champion") as report:
        for key, (symbol, strategy) in zip(context.partition_keys, models_of(context.partition_keys), strict=True):
            case = Case(bench_of(road), symbol, strategy, config.version or context.run.tags.get(VERSION_TAG, ""))
            deployed = deployments.deploy(
                case,
                road.deployer(),
                role=bundles.SHADOW if context.run.tags.get(SHADOW_TAG) == "true" else config.role,
                raw_manifests=deployments.raw_manifests(case, road.raw_store, road.settings.sources_in_order),
                issued_at=now(),
            )
            rows.append(deployed)
            context.add_asset_metadata({name: str(value) for name, value in deployed.items()}, partition_key=key)
            context.log.info(f"event=deployed model={deployed['model_id']} sha256={deployed['model_sha256']}")
    report.values |= {"dagster/row_count": len(rows), "deployed": table(rows)}
    return dg.MaterializeResult(metadata=report.metadata())
