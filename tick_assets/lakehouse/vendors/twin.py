"""A twin of the vendor: serves a folder of bi5 hours in both wire formats, with faults on demand.

What belongs here: routes, payloads, the HTTP server. What must not: generating markets (`synthetic.py`), asking vendors.

The folder is laid out as the bi5 paths are. A `json` folder beside it, or inside it, may hold recorded JSON hours
named `ticks-EUR-USD-2026-7-13-12.json`; they win over re-encoded bi5. An hour without a file is a 404, an empty file an empty answer.
"""

from __future__ import annotations

import json
import re
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np

from tick_assets.domain.instruments import Market
from tick_assets.domain.ticks import Ticks
from tick_assets.lakehouse.vendors.bi5 import bi5_path, decode_bi5, encode_bi5
from tick_assets.lakehouse.vendors.faults import Fault, FaultScript
from tick_assets.lakehouse.vendors.json_feed import decode_json, encode_json
from tick_assets.lakehouse.vendors.port import SOURCE_HEADER
from tick_assets.lakehouse.vendors.wire_formats import BI5, JSON

SYNTHETIC_MARKER = "SYNTHETIC.json"
WEB_PAGE = b"<!doctype html><html><body>Service notice: please log in.</body></html>"
_STATUS_FAULTS = {"404": HTTPStatus.NOT_FOUND, "429": HTTPStatus.TOO_MANY_REQUESTS, "503": HTTPStatus.SERVICE_UNAVAILABLE}
_REMEMBERED_REQUESTS = 100_000
_BI5_ROUTE = re.compile(
    r"^(?:/datafeed)?/(?P<symbol>[A-Z0-9]{3,20})/(?P<year>\d{4})/(?P<month>\d{2})/(?P<day>\d{2})/(?P<hour>\d{2})h_ticks\.bi5$"
)
_JSON_ROUTE = re.compile(r"^/v1/ticks/(?P<code>[A-Z0-9.\-]{3,24})/(?P<year>\d{4})/(?P<month>\d{1,2})/(?P<day>\d{1,2})/(?P<hour>\d{1,2})$")


@dataclass(frozen=True)
class HourRequest:
    """A request path, understood."""

    wire_format: str
    symbol: str
    code: str
    hour: datetime


def parse_route(path: str) -> HourRequest | None:
    """Understand a request path of either format; bi5 months count from 0. Anything else is none."""
    if match := _BI5_ROUTE.match(path):
        return _request(BI5, match["symbol"], "", match, month_offset=1)
    if match := _JSON_ROUTE.match(path):
        return _request(JSON, match["code"].replace("-", ""), match["code"], match, month_offset=0)
    return None


def _request(wire_format: str, symbol: str, code: str, match: re.Match[str], month_offset: int) -> HourRequest | None:
    try:
        hour = datetime(int(match["year"]), int(match["month"]) + month_offset, int(match["day"]), int(match["hour"]), tzinfo=UTC)
    except ValueError:
        return None
    return HourRequest(wire_format, symbol, code, hour)


class TwinFolder:
    """The folder behind the twin; knows payloads, not HTTP."""

    def __init__(self, root: Path, market: Market) -> None:
        if not root.is_dir():
            raise FileNotFoundError(f"Expected a folder of vendor files at {root}, was none. Run `tick vendor generate` first.")
        self.root = root
        self._market = market

    @property
    def source_name(self) -> str:
        return "synthetic" if (self.root / SYNTHETIC_MARKER).is_file() else "dukascopy"

    def payload(self, request: HourRequest) -> bytes | None:
        """Return the answer's body, or none where the folder has no such hour."""
        if request.wire_format == JSON:
            return self._json_payload(request)
        path = self.root / bi5_path(request.symbol, request.hour)[1:]
        if path.is_file():
            return path.read_bytes()
        recorded = self._recorded_json(request.hour, self._code(request.symbol))
        return None if recorded is None else encode_bi5(decode_json(recorded, request.hour, self._factor(request.symbol)), request.hour)

    def _json_payload(self, request: HourRequest) -> bytes | None:
        recorded = self._recorded_json(request.hour, request.code)
        if recorded is not None:
            return recorded
        path = self.root / bi5_path(request.symbol, request.hour)[1:]
        if not path.is_file() or request.symbol not in self._market.instruments:
            return None
        return encode_json(decode_bi5(path.read_bytes(), request.hour), request.hour, self._factor(request.symbol))

    def _recorded_json(self, hour: datetime, code: str) -> bytes | None:
        name = f"ticks-{code}-{hour.year}-{hour.month}-{hour.day}-{hour.hour}.json"
        for folder in (self.root / "json", self.root.parent / "json"):
            if (folder / name).is_file():
                return (folder / name).read_bytes()
        return None

    def _code(self, symbol: str) -> str:
        return self._market.instruments[symbol].dukascopy_code if symbol in self._market.instruments else symbol

    def _factor(self, symbol: str) -> int:
        return self._market.instrument(symbol).price_factor

    def revised(self, request: HourRequest, payload: bytes) -> bytes:
        """Return the hour as a vendor that corrected it would: the last tick gone, the first ask one point higher."""
        ticks = self._decode(request, payload)
        if len(ticks) < 2:
            return payload
        asks = ticks.ask_points.copy()
        asks[0] += 1
        changed = Ticks(ticks.ts_us, ticks.bid_points, asks, ticks.bid_size, ticks.ask_size).take(np.arange(len(ticks) - 1))
        return self._encode(request, changed)

    def month_earlier(self, request: HourRequest, payload: bytes) -> bytes:
        """Return the hour's ticks as the same hour of the month before would carry them."""
        ticks = self._decode(request, payload)
        earlier = (request.hour.replace(day=1) - timedelta(days=1)).replace(day=1, hour=request.hour.hour)
        shifted = replace(ticks, ts_us=ticks.ts_us - int((request.hour - earlier).total_seconds()) * 1_000_000)
        return self._encode(replace(request, hour=earlier), shifted)

    def _decode(self, request: HourRequest, payload: bytes) -> Ticks:
        if request.wire_format == JSON:
            return decode_json(payload, request.hour, self._factor(request.symbol))
        return decode_bi5(payload, request.hour)

    def _encode(self, request: HourRequest, ticks: Ticks) -> bytes:
        if request.wire_format == JSON:
            return encode_json(ticks, request.hour, self._factor(request.symbol))
        return encode_bi5(ticks, request.hour)


class TwinServer(ThreadingHTTPServer):
    """The twin's HTTP server; `address` is what clients use as base URL of both formats, `asked` the latest paths that were asked for."""

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 64

    def __init__(self, folder: TwinFolder, faults: FaultScript, host: str, port: int) -> None:
        self.folder = folder
        self.faults = faults
        self.asked: deque[str] = deque(maxlen=_REMEMBERED_REQUESTS)
        super().__init__((host, port), TwinHandler)

    @property
    def address(self) -> str:
        host, port = self.server_address[:2]
        return f"http://{host!s}:{port}"

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients that hang up are part of the job."""


class TwinHandler(BaseHTTPRequestHandler):
    """Answers one connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: TwinServer

    def do_GET(self) -> None:
        path = self.path.split("?", 1)[0]
        if path == "/health":
            self._answer(HTTPStatus.OK, json.dumps({"status": "ok", "source": self.server.folder.source_name}).encode(), "application/json")
            return
        self.server.asked.append(path)
        request = parse_route(path)
        payload = None if request is None else self.server.folder.payload(request)
        fault = self.server.faults.next_fault(path)
        if fault is not None and request is not None:
            self._answer_with_fault(fault, request, payload)
        elif payload is None:
            self._answer(HTTPStatus.NOT_FOUND, b"no such hour\n", "text/plain")
        else:
            self._answer(HTTPStatus.OK, payload)

    def _answer_with_fault(self, fault: Fault, request: HourRequest, payload: bytes | None) -> None:
        body = payload or b""
        if fault.kind == "reset":
            self._hang_up()
        elif fault.kind in _STATUS_FAULTS:
            headers = {"Retry-After": f"{fault.seconds:g}"} if fault.kind == "429" else {}
            self._answer(_STATUS_FAULTS[fault.kind], b"", "text/plain", headers)
        elif fault.kind == "html":
            self._answer(HTTPStatus.OK, WEB_PAGE, "text/html")
        elif fault.kind == "cut":
            self._answer(HTTPStatus.OK, body[: len(body) // 2], promised=len(body))
            self._hang_up()
        else:
            self._answer(HTTPStatus.OK, self._faulty_body(fault, request, body))

    def _faulty_body(self, fault: Fault, request: HourRequest, body: bytes) -> bytes:
        folder = self.server.folder
        if fault.kind == "slow":
            time.sleep(fault.seconds)
        elif fault.kind == "empty":
            return b""
        elif fault.kind == "truncated":
            return body[: len(body) // 2]
        elif fault.kind == "revised":
            return folder.revised(request, body)
        elif fault.kind == "wrong_month":
            return folder.month_earlier(request, body)
        elif fault.kind == "wrong_hour":
            return folder.payload(replace(request, hour=request.hour - timedelta(hours=1))) or b""
        return body

    def _hang_up(self) -> None:
        self.close_connection = True
        self.wfile.flush()
        self.connection.close()

    def _answer(
        self,
        status: HTTPStatus,
        body: bytes,
        content_type: str = "application/octet-stream",
        headers: Mapping[str, str] | None = None,
        promised: int | None = None,
    ) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body) if promised is None else promised))
        self.send_header(SOURCE_HEADER, self.server.folder.source_name)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Requests are not logged: a backfill asks thousands of hours."""
