"""Ask Dukascopy, or a twin of it, for hours.

What belongs here: requests, retries, the choice between the two feeds. What must not: decoding, ledger states.

Worth a retry: no answer, 429 and 5xx, and an empty body of an hour in which the market is open. Not worth one: any other answer.
A feed that has never answered is given up for the other one, if there is another: since July 2026 users report that the bi5 feed hangs.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import httpx
from tenacity import RetryCallState, Retrying, retry_if_result, stop_after_attempt, wait_exponential, wait_random

from tick_assets.domain.instruments import Instrument, Market, parse_market
from tick_assets.domain.market_calendar import is_open
from tick_assets.lakehouse.vendors.bi5 import bi5_path
from tick_assets.lakehouse.vendors.json_feed import json_path
from tick_assets.lakehouse.vendors.port import SOURCE_HEADER, HourResponse, TickVendor
from tick_assets.lakehouse.vendors.wire_formats import BI5, JSON
from tick_assets.settings import Settings

NO_ANSWER = 0
_RETRIED_STATUSES = frozenset({NO_ANSWER, 408, 425, 429, 500, 502, 503, 504})


@dataclass(frozen=True)
class Feed:
    """One wire format at one base address."""

    wire_format: str
    base_url: str

    def url(self, instrument: Instrument, hour: datetime) -> str:
        path = bi5_path(instrument.symbol, hour) if self.wire_format == BI5 else json_path(instrument.dukascopy_code, hour)
        return self.base_url.rstrip("/") + path


@dataclass(frozen=True)
class RetryPolicy:
    """How often and how patiently to ask."""

    attempts: int = 4
    empty_attempts: int = 3
    first_wait_s: float = 0.2
    maximum_wait_s: float = 5.0


def feeds_of(settings: Settings) -> tuple[Feed, ...]:
    """Choose feeds: those whose address was configured; with both or neither configured JSON first, as its answers name their hour."""
    both = (Feed(JSON, settings.vendor_json_url), Feed(BI5, settings.vendor_url))
    public = {Settings.model_fields[name].default for name in ("vendor_url", "vendor_json_url")}
    configured = tuple(feed for feed in both if feed.base_url and feed.base_url not in public)
    return configured or tuple(feed for feed in both if feed.base_url)


class DukascopyVendor(TickVendor):
    """Fetches hours over HTTP; safe to share between threads."""

    def __init__(
        self,
        feeds: Sequence[Feed],
        market: Market,
        *,
        clock: Callable[[], datetime],
        concurrency: int = 8,
        policy: RetryPolicy | None = None,
        timeout_s: float = 20.0,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        if not feeds:
            raise ValueError("Expected at least one feed, was none. Configure vendor_url or vendor_json_url.")
        self.concurrency = concurrency
        self._feeds = tuple(feeds)
        self._market = market
        self._clock = clock
        self._policy = policy or RetryPolicy()
        limits = httpx.Limits(max_connections=concurrency, max_keepalive_connections=concurrency)
        self._client = httpx.Client(timeout=timeout_s, limits=limits, transport=transport, follow_redirects=True)
        self._lock = threading.Lock()
        self._answered: set[Feed] = set()
        self._given_up: set[Feed] = set()

    @classmethod
    def from_settings(cls, settings: Settings) -> DukascopyVendor:
        """Return a client of the configured feeds on the system clock."""
        market = parse_market(settings.market_path.read_text())
        return cls(feeds_of(settings), market, clock=utc_now, concurrency=settings.vendor_concurrency)

    def close(self) -> None:
        self._client.close()

    def fetch_hour(self, symbol: str, hour: datetime) -> HourResponse:
        instrument = self._market.instrument(symbol)
        response: HourResponse | None = None
        for feed in self._usable_feeds():
            response = self._ask(feed, instrument, hour)
            if response.http_status != NO_ANSWER or not self._is_silent(feed):
                break
            self._give_up(feed)
        if response is None:
            raise RuntimeError("Expected a usable feed, was none. Report this as a bug.")
        return response

    def _usable_feeds(self) -> tuple[Feed, ...]:
        """Feeds not given up, or the last one when all were."""
        with self._lock:
            return tuple(feed for feed in self._feeds if feed not in self._given_up) or self._feeds[-1:]

    def _is_silent(self, feed: Feed) -> bool:
        with self._lock:
            return feed not in self._answered

    def _give_up(self, feed: Feed) -> None:
        with self._lock:
            self._given_up.add(feed)

    def _ask(self, feed: Feed, instrument: Instrument, hour: datetime) -> HourResponse:
        expects_ticks = is_open(instrument.asset_class, hour)
        retrying = Retrying(
            stop=self._should_stop,
            wait=wait_exponential(multiplier=self._policy.first_wait_s, max=self._policy.maximum_wait_s)
            + wait_random(0, self._policy.first_wait_s),
            retry=retry_if_result(lambda response: _is_worth_a_retry(response, expects_ticks=expects_ticks)),
            retry_error_callback=_last_result,
        )
        return retrying(self._ask_once, feed, instrument, hour)

    def _should_stop(self, state: RetryCallState) -> bool:
        response = _last_result(state)
        attempts = self._policy.empty_attempts if response.http_status == httpx.codes.OK else self._policy.attempts
        return stop_after_attempt(attempts)(state)

    def _ask_once(self, feed: Feed, instrument: Instrument, hour: datetime) -> HourResponse:
        url = feed.url(instrument, hour)
        try:
            answer = self._client.get(url)
        except httpx.HTTPError as error:
            detail = f"{type(error).__name__}: {error}"
            return HourResponse(instrument.symbol, hour, b"", url, feed.wire_format, NO_ANSWER, self._clock(), detail)
        with self._lock:
            self._answered.add(feed)
        return HourResponse(
            instrument.symbol,
            hour,
            answer.content,
            url,
            feed.wire_format,
            answer.status_code,
            self._clock(),
            "",
            answer.headers.get(SOURCE_HEADER, ""),
        )


def _is_worth_a_retry(response: HourResponse, *, expects_ticks: bool) -> bool:
    if response.http_status in _RETRIED_STATUSES:
        return True
    return expects_ticks and response.http_status == httpx.codes.OK and not response.payload


def _last_result(state: RetryCallState) -> HourResponse:
    if state.outcome is None:
        raise RuntimeError("Expected an outcome of the request, was none. Report this as a bug.")
    result: HourResponse = state.outcome.result()
    return result


def utc_now() -> datetime:
    """Return the time of the system clock, aware."""
    return datetime.now(UTC)
