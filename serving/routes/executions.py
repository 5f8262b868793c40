"""Order events of execution processes; the pipeline ingests them to `evidence.orders`."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Body, Query

from serving.dependencies import CallerDep, PartsDep
from serving.schemas import ExecutionIn, ExecutionsIn, ExecutionsOut
from serving.security import EXECUTIONS_WRITE, SIGNALS_READ, guarded

router = APIRouter(prefix="/v1", tags=["executions"], route_class=guarded(EXECUTIONS_WRITE))
read_router = APIRouter(prefix="/v1", tags=["executions"], route_class=guarded(SIGNALS_READ))

Events = Annotated[ExecutionsIn | ExecutionIn | list[ExecutionIn], Body(union_mode="left_to_right")]


@router.post("/executions", response_model=ExecutionsOut)
async def post_executions(events: Events, parts: PartsDep, caller: CallerDep) -> dict[str, int]:
    """Keep one event, a list, or `{"events": [...]}`; a repeated `event_id` changes nothing."""
    found = [event.document() for event in _listed(events)]
    parts.ea.note_executor({str(event["account"]) for event in found if event.get("account") is not None})
    accepted, duplicates = parts.executions.take(found, caller.name)
    return {"accepted": accepted, "duplicates": duplicates}


@read_router.get("/executions", response_model=None)
async def get_executions(parts: PartsDep, limit: Annotated[int, Query(ge=1, le=200)] = 50) -> dict[str, Any]:
    """Return the newest order events, newest first."""
    return {"executions": list(parts.executions.recent)[::-1][:limit]}


def _listed(events: ExecutionsIn | ExecutionIn | list[ExecutionIn]) -> list[ExecutionIn]:
    if isinstance(events, ExecutionsIn):
        return events.events
    return events if isinstance(events, list) else [events]
