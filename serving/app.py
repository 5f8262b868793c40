"""The application factory: puts the parts together and runs the background work while it lives.

What belongs here: assembly and life cycle. What must not: rules, or reading the environment (`__main__` does).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Mapping

import anyio.to_thread
from fastapi import FastAPI

from serving.clock import Clock
from serving.dagster_client import DagsterClient
from serving.dependencies import Parts
from serving.ea_desk import EaDesk
from serving.evidence import EvidenceFiles
from serving.executions import ExecutionDesk
from serving.live_switch import LiveSwitch
from serving.metrics import Metrics
from serving.model_probe import ModelProbe
from serving.model_store import ModelStore
from serving.object_store import ObjectStore
from serving.problems import install_problem_handlers
from serving.recorder import Recorder
from serving.routes import ea, executions, lifecycle, models, page, signals, status, ticks
from serving.security import KeyRing
from serving.settings import ServiceSettings
from serving.signal_log import SignalLog
from serving.signal_service import SignalService
from tick_assets.domain.instruments import parse_market

_LOG = logging.getLogger("serving")
_CLOSE_RECORDINGS_S = 30.0


def create_app(
    settings: ServiceSettings,
    clock: Clock,
    object_store: ObjectStore,
    probe: ModelProbe,
    api_keys: Mapping[str, str],
    dagster: DagsterClient | None = None,
) -> FastAPI:
    """Return the application; nothing is read or written before its start-up."""
    metrics = Metrics()
    log = SignalLog(settings.service_recent_signals)
    market = parse_market(settings.read_market_text())
    model_store = ModelStore(object_store, probe, settings.public_key_file, clock, metrics, settings.service_model_limit_bytes, market)
    recorder = Recorder(settings.recordings_dir)
    signal_evidence = EvidenceFiles(settings.evidence_dir / "signals")
    replay_evidence = EvidenceFiles(settings.evidence_dir / "replays")
    execution_evidence = EvidenceFiles(settings.evidence_dir / "executions")
    service = SignalService(
        market,
        clock,
        model_store,
        recorder,
        signal_evidence,
        replay_evidence,
        log,
        LiveSwitch(settings.live_switch_file, clock),
        metrics,
        settings.service_future_ms,
    )
    parts = Parts(
        settings=settings,
        clock=clock,
        keys=KeyRing(api_keys, clock, settings.service_rate_per_s),
        models=model_store,
        signals=service,
        executions=ExecutionDesk(execution_evidence, clock, metrics),
        ea=EaDesk(log, clock),
        dagster=dagster or DagsterClient(settings.dagster_address),
        metrics=metrics,
    )

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        service.compile()
        restored = service.restore()
        parts.executions.restore()
        parts.ea.restore(parts.executions.recent)
        _LOG.info("event=started restored_ticks=%d", restored)
        tasks = [asyncio.create_task(_pull_models(parts)), asyncio.create_task(_close_recordings(recorder, clock))]
        try:
            yield
        finally:
            log.end_streams()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            recorder.close()
            signal_evidence.close()
            replay_evidence.close()
            execution_evidence.close()
            _LOG.info("event=stopped")

    app = FastAPI(title="tick_assets signal service", version="1", lifespan=lifespan)
    app.state.parts = parts
    install_problem_handlers(app)
    for router in (
        ticks.router,
        ticks.stream_router,
        signals.router,
        signals.stream_router,
        models.admin_router,
        models.router,
        ea.router,
        executions.router,
        executions.read_router,
        lifecycle.router,
        lifecycle.read_router,
        status.open_router,
        status.router,
        page.router,
    ):
        app.include_router(router)
    return app


async def _pull_models(parts: Parts) -> None:
    """Look at the object store now and then; a failed look is counted and the models stay."""
    while True:
        with contextlib.suppress(Exception):
            await anyio.to_thread.run_sync(parts.models.refresh)
        await asyncio.sleep(parts.settings.service_poll_s)


async def _close_recordings(recorder: Recorder, clock: Clock) -> None:
    while True:
        try:
            recorder.close_past(clock.now_us())
        except OSError as error:
            _LOG.error("event=recording_not_closed error=%s", error)
        await asyncio.sleep(_CLOSE_RECORDINGS_S)
