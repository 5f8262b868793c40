"""How the service is: liveness, readiness, Prometheus, and the whole picture for people."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from fastapi import APIRouter, Response

from serving.clock import iso_of
from serving.dependencies import PartsDep
from serving.problems import Problem
from serving.routes.models import models_document
from serving.schemas import HealthOut, ReadyOut
from serving.security import SIGNALS_READ, guarded
from serving.symbol_feed import SymbolFeed

open_router = APIRouter(tags=["status"])
router = APIRouter(prefix="/v1", tags=["status"], route_class=guarded(SIGNALS_READ))


@open_router.get("/health", response_model=HealthOut)
async def get_health() -> dict[str, str]:
    """Tell that the process answers."""
    return {"status": "ok"}


@open_router.get("/ready", response_model=ReadyOut)
async def get_ready(parts: PartsDep) -> dict[str, Any]:
    """Tell whether models were pulled; 503 until then."""
    if parts.models.pulled_at_us is None:
        raise Problem(503, "MODELS_NOT_PULLED", "The object store was not read yet.", headers={"Retry-After": "1"})
    return {"status": "ready", "models": len(parts.models.models)}


@open_router.get("/metrics", response_model=None)
async def get_metrics(parts: PartsDep) -> Response:
    """Return Prometheus' text."""
    return Response(parts.metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")


@router.get("/status", response_model=None)
async def get_status(parts: PartsDep) -> dict[str, Any]:
    """Return the live switch, models, refused bundles, feeds and replays."""
    models = models_document(parts)
    pulled_at_us = parts.models.pulled_at_us
    return {
        "now": iso_of(parts.clock.now_us()),
        "live": asdict(parts.signals.live.state),
        "models": [{name: value for name, value in model.items() if name != "passport"} for model in models["models"]],
        "refused": models["refused"],
        "pulled_at": iso_of(pulled_at_us) if pulled_at_us else None,
        "pull_fault": parts.models.pull_fault or None,
        "feeds": [_feed_document(account, feed) for (account, _), feed in sorted(parts.signals.feeds.items())],
        "replays": [{"replay_id": replay.replay_id, "ticks": replay.ticks} for replay in parts.signals.replays.values()],
        "symbols": sorted(parts.signals.market.instruments),
        "digits": {symbol: instrument.digits for symbol, instrument in sorted(parts.signals.market.instruments.items())},
        "dagster": parts.dagster.address,
    }


def _feed_document(account: str, feed: SymbolFeed) -> dict[str, Any]:
    return {
        "account": account,
        "symbol": feed.instrument.symbol,
        "seq": feed.kernel.seq,
        "is_warm": feed.kernel.is_warm,
        "last_ts_event": iso_of(feed.last_ts_us) if feed.last_ts_us else None,
        "open_until": [iso_of(pending.signal.exit_at_us or 0) for pending in feed.pending],
    }
