"""The Expert Advisor's lease and acknowledgement, flat `key=value` text both ways."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from serving.clock import iso_of
from serving.dependencies import CallerDep, PartsDep
from serving.ea_desk import NUMBERS, parse_flat, parse_number, to_flat
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
    if parts.ea.is_taken(account):
        raise Problem(409, "ACCOUNT_TAKEN", "An execution process trades this account. Stop it first: one of the two executes an account.")
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
    signal = parts.ea.settle(account, signal_id)
    if signal is None:
        raise Problem(404, "SIGNAL_UNKNOWN", "Expected a signal_id that this service issued.")
    accepted, _ = parts.executions.take([_event_of(values, signal, iso_of(parts.clock.now_us()))], caller.name)
    return Response(f"status=ok\nduplicate={0 if accepted else 1}\n", media_type="text/plain; charset=utf-8")


def _event_of(values: Mapping[str, str], signal: Mapping[str, Any], ts_event: str) -> dict[str, Any]:
    """Return the order event of an acknowledgement; its id is a function of what it says."""
    identity = "|".join(("ea", *(values.get(name, "") for name in ("account", "signal_id", "status", "deal", "retcode"))))
    try:
        numbers = {name: parse_number(values[name]) for name in NUMBERS & values.keys() if values[name]}
    except ValueError:
        raise Problem(422, "REQUEST_INVALID", f"Expected finite numbers in {', '.join(sorted(NUMBERS))}.") from None
    counts = {name: int(values[name]) for name in ("retcode", "order", "deal") if name in numbers and values[name].isdigit()}
    stated = {"symbol": signal["symbol"], "strategy": signal["strategy"], "is_synthetic": signal["is_synthetic"], "ts_event": ts_event}
    return {
        **values,
        **numbers,
        **counts,
        **stated,
        "state": values["status"],
        "event_id": hashlib.sha256(identity.encode()).hexdigest(),
        "source": "ea",
    }


def _parse(body: bytes) -> dict[str, str]:
    if len(body) > _MAX_ACK_BYTES:
        raise Problem(413, "BODY_TOO_LARGE", f"Expected at most {_MAX_ACK_BYTES} bytes.")
    try:
        return parse_flat(body.decode("utf-8").rstrip("\x00"))
    except ValueError as error:
        raise Problem(400, "BODY_MALFORMED", f"Expected lines of key=value: {type(error).__name__}.") from None
