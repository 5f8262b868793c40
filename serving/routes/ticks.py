"""Ticks in, signals out; live by default, `mode=replay` on event time."""

from __future__ import annotations

import contextlib
from time import perf_counter
from typing import Annotated, Any, Literal

import anyio.to_thread
import orjson
from fastapi import APIRouter, Query, Request, Response, WebSocket, WebSocketDisconnect

from serving.dependencies import CallerDep, Parts, PartsDep, parts_of
from serving.model_bundle import BundleRefusedError
from serving.problems import Problem, problem_body
from serving.schemas import Name, TickIn, TicksOut
from serving.security import ADMIN, POLICY_VIOLATION, TICKS_WRITE, Caller, guarded
from serving.served_model import ServedModel
from serving.signal_service import TakenTicks
from serving.tick_batches import SymbolBatch, parse_tick_batches

router = APIRouter(prefix="/v1", tags=["ticks"], route_class=guarded(TICKS_WRITE))
stream_router = APIRouter(prefix="/v1", tags=["ticks"])

_TICK = TickIn.model_json_schema()
_BODY = {
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": {"anyOf": [_TICK, {"type": "array", "items": _TICK, "minItems": 1}]}}},
    }
}
Mode = Annotated[Literal["live", "replay"] | None, Query(description="replay runs on event time; also as the header X-Tick-Mode")]


@router.post("/ticks", response_model=TicksOut, openapi_extra=_BODY)
async def post_ticks(
    request: Request,
    parts: PartsDep,
    caller: CallerDep,
    mode: Mode = None,
    replay_id: Name | None = None,
    candidate: Name | None = None,
    strategy: Name = "direction",
) -> Response:
    """Take one tick, a list, or `{"ticks": [...]}`; answer with the signals that they caused."""
    is_replay = (mode or request.headers.get("x-tick-mode", "live").lower()) == "replay"
    body = await request.body()
    started_s = perf_counter()
    batches = parse_tick_batches(body, parts.signals.market.instruments, parts.settings.service_batch_limit, is_replay=is_replay)
    if is_replay:
        model = await _candidate(parts, caller, batches, replay_id, candidate, strategy)
        taken = parts.signals.take_replay(batches, replay_id or caller.name, model)
    else:
        _refuse_replay_members(replay_id, candidate)
        taken = parts.signals.take_live(batches, caller.account)
    parts.metrics.take_seconds.observe(perf_counter() - started_s)
    return Response(_encode(taken), media_type="application/json")


@stream_router.websocket("/ticks/stream")
async def stream_ticks(socket: WebSocket) -> None:
    """Take live ticks message by message, each as the body of `POST /v1/ticks`; answer each, in order, or with its problem."""
    parts = parts_of(socket)
    try:
        caller = parts.keys.admit(socket, TICKS_WRITE)
    except Problem as problem:
        await socket.close(POLICY_VIOLATION, problem.code)
        return
    await socket.accept()
    with contextlib.suppress(WebSocketDisconnect):
        while True:
            message = await socket.receive()
            if message["type"] == "websocket.disconnect":
                return
            body = message.get("bytes") or (message.get("text") or "").encode("utf-8", errors="replace")
            await socket.send_text(_answer(parts, caller, body).decode())


@router.delete("/replays/{replay_id}", status_code=204)
async def end_replay(replay_id: Name, parts: PartsDep) -> Response:
    """Forget a replay's kernels."""
    if not parts.signals.end_replay(replay_id):
        raise Problem(404, "REPLAY_UNKNOWN", "Expected the id of a running replay.")
    return Response(status_code=204)


def _answer(parts: Parts, caller: Caller, body: bytes) -> bytes:
    try:
        batches = parse_tick_batches(body, parts.signals.market.instruments, parts.settings.service_batch_limit, is_replay=False)
        return _encode(parts.signals.take_live(batches, caller.account))
    except Problem as problem:
        return problem_body(problem.status_code, problem.code, problem.detail, problem.members)


async def _candidate(
    parts: Parts, caller: Caller, batches: list[SymbolBatch], replay_id: str | None, version: str | None, strategy: str
) -> ServedModel | None:
    """Return the replay's candidate model; it is loaded at the replay's first request."""
    if version is None:
        return None
    if ADMIN not in caller.scopes:
        raise Problem(403, "SCOPE_MISSING", f"Expected a key with the scope {ADMIN} to replay a candidate.")
    running = parts.signals.replays.get(replay_id or caller.name)
    if running and running.candidate and running.candidate.version == version:
        return running.candidate
    symbols = sorted({batch.instrument.symbol for batch in batches} - {batch.instrument.sampling.leader for batch in batches})
    if len(symbols) != 1:
        raise Problem(422, "CANDIDATE_SYMBOL", "Expected ticks of one symbol, or of it and its leader, to replay a candidate.")
    try:
        return await anyio.to_thread.run_sync(parts.models.open_candidate, symbols[0], strategy, version)
    except BundleRefusedError as error:
        raise Problem(422, error.code, str(error)) from error


def _refuse_replay_members(replay_id: str | None, candidate: str | None) -> None:
    if replay_id is not None or candidate is not None:
        raise Problem(422, "MODE_MISSING", "Expected mode=replay with replay_id or candidate.")


def _encode(taken: TakenTicks) -> bytes:
    document: dict[str, Any] = {
        "accepted": taken.accepted,
        "rejected": [{"index": index, "reason_code": code} for index, code in taken.rejected],
        "signals": taken.signals,
    }
    return orjson.dumps(document)
