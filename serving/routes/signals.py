"""Signals, polled or streamed."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Annotated, Any, Literal

import anyio
import orjson
from fastapi import APIRouter, Query, Response, WebSocket, WebSocketDisconnect

from serving.dependencies import Parts, PartsDep, parts_of
from serving.problems import Problem
from serving.schemas import SignalsOut, Symbol
from serving.security import POLICY_VIOLATION, SIGNALS_READ, guarded

router = APIRouter(prefix="/v1", tags=["signals"], route_class=guarded(SIGNALS_READ))
stream_router = APIRouter(prefix="/v1", tags=["signals"])

TRY_AGAIN_LATER = 1013


@router.get("/signals", response_model=SignalsOut)
async def get_signals(
    parts: PartsDep,
    symbol: Symbol | None = None,
    after: Annotated[str | None, Query(max_length=100)] = None,
    limit: Annotated[int, Query(ge=1, le=10_000)] = 1000,
    mode: Annotated[Literal["issued", "replay"], Query()] = "issued",
) -> Response:
    """Return signals issued after `after` (a signal_id or an ISO time), oldest first; `mode=replay` returns the newest replayed ones."""
    _check_symbol(parts, symbol)
    if mode == "replay":
        replayed = [document for document in parts.signals.replayed if symbol is None or document["symbol"] == symbol]
        return Response(orjson.dumps({"signals": replayed[-limit:], "next": None}), media_type="application/json")
    found = parts.signals.log.after(after, symbol, limit)
    following = found[-1]["signal_id"] if found else after
    return Response(orjson.dumps({"signals": found, "next": following}), media_type="application/json")


@stream_router.websocket("/stream")
async def stream_signals(socket: WebSocket, symbol: str | None = None, after: str | None = None) -> None:
    """Send each signal as one JSON message; with `after`, first those that came since."""
    parts = parts_of(socket)
    try:
        parts.keys.admit(socket, SIGNALS_READ)
        _check_symbol(parts, symbol)
    except Problem as problem:
        await socket.close(POLICY_VIOLATION, problem.code)
        return
    await socket.accept()
    parts.metrics.streams.inc()
    queue = parts.signals.log.listen()
    try:
        async with anyio.create_task_group() as group:
            group.start_soon(_until_gone, socket, group.cancel_scope)
            await _send(socket, parts, queue, symbol, after)
            group.cancel_scope.cancel()
    finally:
        parts.signals.log.forget(queue)
        parts.metrics.streams.dec()


async def _send(
    socket: WebSocket, parts: Parts, queue: asyncio.Queue[dict[str, Any] | None], symbol: str | None, after: str | None
) -> None:
    missed = parts.signals.log.after(after, symbol, 10_000) if after else []
    with contextlib.suppress(WebSocketDisconnect):
        for document in missed:
            await socket.send_text(orjson.dumps(document).decode())
        while (following := await queue.get()) is not None:
            if symbol is None or following["symbol"] == symbol:
                await socket.send_text(orjson.dumps(following).decode())
        await socket.close(TRY_AGAIN_LATER, "STREAM_ENDED")


async def _until_gone(socket: WebSocket, scope: anyio.CancelScope) -> None:
    """Notice that the other side went away; what it says is ignored."""
    while (await socket.receive())["type"] != "websocket.disconnect":
        pass
    scope.cancel()


def _check_symbol(parts: Parts, symbol: str | None) -> None:
    if symbol is not None and symbol not in parts.signals.market.instruments:
        raise Problem(404, "SYMBOL_UNKNOWN", "Expected a symbol of the market file.")
