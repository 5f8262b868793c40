"""Training, validation, test and deployment: each launches a Dagster run; and the switch of the live loop."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from fastapi import APIRouter

from serving.dagster_client import DagsterRefusedError, DagsterUnavailableError, Launch
from serving.dependencies import CallerDep, Parts, PartsDep
from serving.live_switch import STARTED, STOPPED
from serving.problems import Problem
from serving.schemas import LifecycleIn, LifecycleOut, LiveOut, Name
from serving.security import ADMIN, SIGNALS_READ, guarded

router = APIRouter(prefix="/v1", tags=["lifecycle"], route_class=guarded(ADMIN))
read_router = APIRouter(prefix="/v1", tags=["lifecycle"], route_class=guarded(SIGNALS_READ))

TRAIN_JOB, DEPLOY_JOB = "train_models_job", "deploy_champion_job"
VALIDATION_ASSETS = ("models/validation",)
TEST_ASSETS = ("models/test", "models/walk_forward", "models/mt5_backtest", "models/gate_verdict")


@router.post("/lifecycle/train", status_code=202, response_model=LifecycleOut)
async def train(body: LifecycleIn, parts: PartsDep, caller: CallerDep) -> dict[str, Any]:
    """Train one model, from its training set to its verdict."""
    return await _launch(parts, caller.name, body, TRAIN_JOB, ())


@router.post("/lifecycle/validate", status_code=202, response_model=LifecycleOut)
async def validate(body: LifecycleIn, parts: PartsDep, caller: CallerDep) -> dict[str, Any]:
    """Validate the candidate again."""
    return await _launch(parts, caller.name, body, TRAIN_JOB, VALIDATION_ASSETS)


@router.post("/lifecycle/test", status_code=202, response_model=LifecycleOut)
async def test(body: LifecycleIn, parts: PartsDep, caller: CallerDep) -> dict[str, Any]:
    """Test the candidate again, up to a new verdict."""
    return await _launch(parts, caller.name, body, TRAIN_JOB, TEST_ASSETS)


@router.post("/lifecycle/deploy", status_code=202, response_model=LifecycleOut)
async def deploy(body: LifecycleIn, parts: PartsDep, caller: CallerDep) -> dict[str, Any]:
    """Deploy the model whose verdict is a pass; the job refuses any other."""
    return await _launch(parts, caller.name, body, DEPLOY_JOB, ())


@read_router.get("/lifecycle/runs/{run_id}", response_model=None)
async def get_run(run_id: Name, parts: PartsDep) -> dict[str, Any]:
    """Return the status of a launched run."""
    try:
        run = await parts.dagster.run_status(run_id)
    except DagsterUnavailableError as error:
        raise Problem(502, "DAGSTER_UNAVAILABLE", str(error)) from error
    if run is None:
        raise Problem(404, "RUN_UNKNOWN", "Expected the id of a run.")
    return {"run_id": run_id, "status": run["status"], "job": run["jobName"], "url": parts.dagster.run_url(run_id)}


@router.post("/live/start", response_model=LiveOut)
async def start_live(parts: PartsDep, caller: CallerDep) -> dict[str, Any]:
    """Let events open positions."""
    return asdict(parts.signals.live.put(STARTED, caller.name))


@router.post("/live/stop", response_model=LiveOut)
async def stop_live(parts: PartsDep, caller: CallerDep) -> dict[str, Any]:
    """Open nothing any more; positions that are open get their CLOSE."""
    return asdict(parts.signals.live.put(STOPPED, caller.name))


async def _launch(parts: Parts, caller: str, body: LifecycleIn, job: str, assets: tuple[str, ...]) -> dict[str, Any]:
    if body.symbol not in parts.signals.market.instruments:
        raise Problem(404, "SYMBOL_UNKNOWN", "Expected a symbol of the market file.")
    partition = f"{body.strategy}|{body.symbol}"
    tags = [("tick/requested_by", caller)]
    if body.version:
        tags.append(("tick/version", body.version))
    if body.shadow:
        tags.append(("tick/shadow", "true"))
    try:
        run_id = await parts.dagster.launch(Launch(job, partition, assets, tuple(tags)))
    except DagsterUnavailableError as error:
        raise Problem(502, "DAGSTER_UNAVAILABLE", str(error)) from error
    except DagsterRefusedError as error:
        raise Problem(409, "RUN_REFUSED", str(error)) from error
    return {"run_id": run_id, "job": job, "partition": partition, "url": parts.dagster.run_url(run_id)}
