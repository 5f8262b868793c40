"""Errors as RFC 9457 problem documents; every one carries a reason code.

What belongs here: the exception that routes raise and the handlers that turn anything into `application/problem+json`.
Input is never echoed back: it may hold secrets or values that JSON cannot.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import orjson
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

MEDIA_TYPE = "application/problem+json"
_LOG = logging.getLogger("serving")
_CODES = {400: "BODY_MALFORMED", 404: "ROUTE_UNKNOWN", 405: "METHOD_NOT_ALLOWED", 415: "CONTENT_TYPE_UNSUPPORTED"}


class Problem(HTTPException):
    """An error that the caller can act on."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        headers: Mapping[str, str] | None = None,
        **members: Any,
    ) -> None:
        super().__init__(status, detail, dict(headers) if headers else None)
        self.code = code
        self.members = members


def problem_body(status: int, code: str, detail: str, members: Mapping[str, Any] | None = None) -> bytes:
    """Return the document; `reason_code` is ours, the other members are the standard's."""
    document = {
        "type": f"urn:tick:problem:{code.lower().replace('_', '-')}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "reason_code": code,
        **(members or {}),
    }
    return orjson.dumps(document)


def problem_response(problem: Problem) -> Response:
    """Return the response of one problem."""
    body = problem_body(problem.status_code, problem.code, _printable(problem.detail), problem.members)
    return Response(body, problem.status_code, problem.headers, MEDIA_TYPE)


def install_problem_handlers(app: FastAPI) -> None:
    """Make every error of the application a problem document."""
    app.add_exception_handler(Problem, _on_problem)
    app.add_exception_handler(HTTPException, _on_http_error)
    app.add_exception_handler(RequestValidationError, _on_invalid_request)
    app.add_exception_handler(Exception, _on_fault)


async def _on_problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)
    return problem_response(error)


async def _on_http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    code = _CODES.get(error.status_code, HTTPStatus(error.status_code).name)
    return problem_response(Problem(error.status_code, code, str(error.detail), headers=error.headers))


async def _on_invalid_request(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    errors = [{"path": [_printable(str(part)) for part in item["loc"]], "detail": _printable(item["msg"])} for item in error.errors()[:50]]
    return problem_response(Problem(422, "REQUEST_INVALID", "The request does not have the documented shape.", errors=errors))


async def _on_fault(request: Request, error: Exception) -> Response:
    _LOG.error("event=fault method=%s path=%s", request.method, request.url.path, exc_info=error)
    return problem_response(Problem(500, "SERVICE_FAULT", "The service failed; its log says why."))


def _printable(text: str) -> str:
    return text[:500].encode("utf-8", errors="replace").decode("utf-8")
