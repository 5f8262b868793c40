"""The servers of the stack, in the order in which they can start. One module each: its configuration, command line and health."""

from __future__ import annotations

from tick_assets.stack.service import Service
from tick_assets.stack.services.dagster import DagsterCodeServer, DagsterDaemon, DagsterWebserver
from tick_assets.stack.services.mlflow import Mlflow
from tick_assets.stack.services.nifi import Nifi
from tick_assets.stack.services.object_store import ObjectStore
from tick_assets.stack.services.postgres import Postgres
from tick_assets.stack.services.signal_service import SignalService
from tick_assets.stack.services.trino import Trino, TrinoWorker

ALL_SERVICES: tuple[Service, ...] = (
    Postgres(),
    ObjectStore(),
    Trino(),
    Mlflow(),
    DagsterCodeServer(),
    DagsterWebserver(),
    DagsterDaemon(),
    SignalService(),
    Nifi(),
    TrinoWorker(),
)
