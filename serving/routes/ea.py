"""The Expert Advisor's lease and acknowledgement, flat `key=value` text both ways."""

from __future__ import annotations

import hashlib
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from serving.clock import iso_of
from serving.dependencies import CallerDep, PartsDep
from serving.ea_desk import parse_flat, to_flat
from serving.problems import Problem
from serving.security import EXECUTIONS_WRITE, guarded

router = APIRouter(prefix="/v1/ea", tags=["ea"], route_class=guarded(EXECUTIONS_WRITE))
Account = Annotated[str, Query(pattern=r"^[A-Za-z0-9_-]{1,32}$")]
_MAX_ACK_BYTES = 16 * 1024
_STATUSES = frozenset({"RECEIVED", "RESULT", "REJECTED"})


@router.get("/next", responses={200: {"content": {"text/plain": {}}}, 204: {"description": "no signal"}}, response_model=None)
async def lease_next(
    request: Request,
    parts: PartsDep,
    account: Account,
    after: Annotated[str | None, Query(max_length=100)] = None,
) -> Response:
    """Lease the oldest valid live signal to the account for 30 s; 204 when there is none."""
    leased = parts.ea.lease(account, after)
    if leased is None:
        return Response(status_code=204)
    text = to_flat(*leased) + f"server_time={iso_of(parts.clock.now_us())}\n"
    return Response(text, media_type="text/plain; charset=utf-8", headers={"ETag": f'"{leased[0]["signal_id"][:16]}"'})


@router.post("/ack", response_model=None, openapi_extra={"requestBody": {"content": {"text/plain": {"schema": {"type": "string"}}}}})
async def acknowledge(request: Request, parts: PartsDep, caller: CallerDep) -> Response:
    """Take RECEIVED (before the order is sent), RESULT or REJECTED of a signal; it is kept as an order event."""
    values = _parse(await request.body())
    account, signal_id, status = values.get("account", ""), values.get("signal_id", ""), values.get("status", "")
    if not account or not signal_id or status not in _STATUSES:
        raise Problem(422, "REQUEST_INVALID", f"Expected account, signal_id and a status of {', '.join(sorted(_STATUSES))}.")
    if not parts.ea.settle(account, signal_id):
        raise Problem(404, "SIGNAL_UNKNOWN", "Expected a signal_id that this service issued.")
    identity = "|".join(("ea", account, signal_id, status, values.get("deal", ""), values.get("retcode", "")))
    event_id = values.get("event_id") or hashlib.sha256(identity.encode()).hexdigest()
    event = {**values, "event_id": event_id, "source": "ea"}
    accepted, _ = parts.executions.take([event], caller.name)
    return Response(f"status=ok\nduplicate={0 if accepted else 1}\n", media_type="text/plain; charset=utf-8")


def _parse(body: bytes) -> dict[str, str]:
    if len(body) > _MAX_ACK_BYTES:
        raise Problem(413, "BODY_TOO_LARGE", f"Expected at most {_MAX_ACK_BYTES} bytes.")
    try:
        return parse_flat(body.decode("utf-8").rstrip("\x00"))
    except ValueError as error:
        raise Problem(400, "BODY_MALFORMED", f"Expected lines of key=value: {type(error).__name__}.") from None
