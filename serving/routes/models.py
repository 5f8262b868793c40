"""What is live or in shadow, with its passport, and what was refused."""

from __future__ import annotations

from typing import Any

import anyio.to_thread
from fastapi import APIRouter

from serving.clock import iso_of
from serving.dependencies import Parts, PartsDep
from serving.problems import Problem
from serving.schemas import ModelsOut, Name, Symbol
from serving.security import ADMIN, SIGNALS_READ, guarded
from serving.served_model import ServedModel

router = APIRouter(prefix="/v1", tags=["models"], route_class=guarded(SIGNALS_READ))
admin_router = APIRouter(prefix="/v1", tags=["models"], route_class=guarded(ADMIN))


@router.get("/models", response_model=ModelsOut)
async def get_models(parts: PartsDep) -> dict[str, Any]:
    """Return all models that answer, and the bundles that were refused."""
    return models_document(parts)


@router.get("/models/{symbol}/{strategy}", response_model=ModelsOut)
async def get_model(symbol: Symbol, strategy: Name, parts: PartsDep) -> dict[str, Any]:
    """Return the live and the shadow model of one symbol and strategy."""
    document = models_document(parts, symbol, strategy)
    if not document["models"] and not document["refused"]:
        raise Problem(404, "MODEL_MISSING", "Expected a deployed model, found none. Deploy one with `tick deploy`.")
    return document


@router.get("/verdicts", response_model=None)
async def get_verdicts(parts: PartsDep) -> dict[str, Any]:
    """Return the pipeline's index of verdicts, empty when there is none."""
    try:
        index = await anyio.to_thread.run_sync(parts.models.read_verdict_index)
    except Exception as error:
        raise Problem(
            503, "OBJECT_STORE_DOWN", f"The object store did not answer: {type(error).__name__}.", headers={"Retry-After": "5"}
        ) from error
    return {"verdicts": index if isinstance(index, list) else (index or {}).get("verdicts", [])}


@admin_router.post("/models:reload", response_model=ModelsOut)
async def reload_models(parts: PartsDep) -> dict[str, Any]:
    """Look at all pointers now."""
    await _refresh(parts, None, None)
    return models_document(parts)


@admin_router.post("/models/{symbol}/{strategy}:reload", response_model=ModelsOut)
async def reload_model(symbol: Symbol, strategy: Name, parts: PartsDep) -> dict[str, Any]:
    """Read one model's pointer and bundle again, now."""
    await _refresh(parts, symbol, strategy)
    return models_document(parts, symbol, strategy)


def models_document(parts: Parts, symbol: str | None = None, strategy: str | None = None) -> dict[str, Any]:
    """Return the wire form of the model table, all of it or one symbol and strategy."""

    def is_asked(key: tuple[str, str, str]) -> bool:
        return symbol in (None, key[0]) and strategy in (None, key[1])

    return {
        "models": [_served(key, model) for key, model in sorted(parts.models.models.items()) if is_asked(key)],
        "refused": [
            {
                "symbol": key[0],
                "strategy": key[1],
                "mode": key[2],
                "version": refused.version,
                "reason_code": refused.code,
                "detail": refused.detail,
                "refused_at": iso_of(refused.refused_at_us),
            }
            for key, refused in sorted(parts.models.refused.items())
            if is_asked(key)
        ],
    }


def _served(key: tuple[str, str, str], model: ServedModel) -> dict[str, Any]:
    return {
        "symbol": key[0],
        "strategy": key[1],
        "mode": key[2],
        "version": model.version,
        "model": {"id": model.model_id, "sha256": model.sha256, "passport_id": model.passport_id},
        "is_synthetic": model.is_synthetic,
        "loaded_at": iso_of(model.loaded_at_us),
        "verdict": dict(model.verdict),
        "passport": dict(model.passport),
    }


async def _refresh(parts: Parts, symbol: str | None, strategy: str | None) -> None:
    try:
        await anyio.to_thread.run_sync(parts.models.refresh, symbol, strategy)
    except Exception as error:
        detail = f"The object store did not answer: {type(error).__name__}. The models that answer stay."
        raise Problem(503, "OBJECT_STORE_DOWN", detail, headers={"Retry-After": "5"}) from error
