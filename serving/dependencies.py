"""What handlers are given: the parts of the running application, as `Annotated` types."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request
from starlette.requests import HTTPConnection

from serving.clock import Clock
from serving.dagster_client import DagsterClient
from serving.ea_desk import EaDesk
from serving.executions import ExecutionDesk
from serving.metrics import Metrics
from serving.model_store import ModelStore
from serving.security import Caller, KeyRing
from serving.settings import ServiceSettings
from serving.signal_service import SignalService


@dataclass(frozen=True)
class Parts:
    """Everything that the composition root put together."""

    settings: ServiceSettings
    clock: Clock
    keys: KeyRing
    models: ModelStore
    signals: SignalService
    executions: ExecutionDesk
    ea: EaDesk
    dagster: DagsterClient
    metrics: Metrics


def parts_of(connection: HTTPConnection) -> Parts:
    """Return the parts of the application that serves a connection."""
    parts = connection.app.state.parts
    assert isinstance(parts, Parts)
    return parts


def _caller_of(request: Request) -> Caller:
    caller = request.state.caller
    assert isinstance(caller, Caller)
    return caller


PartsDep = Annotated[Parts, Depends(parts_of)]
CallerDep = Annotated[Caller, Depends(_caller_of)]
