"""Ask Dukascopy, or a twin of it, for hours.

What belongs here: requests, retries, the choice between the feeds. What must not: decoding, ledger states.

An hour is asked of the first feed that answers. Worth another attempt at the same feed, after a back-off with jitter: no answer (reset,
time-out, cut body), 429 and 5xx. Any other bad status goes to the next feed at once. A feed that fails again and again is suspended
(`circuit.py`); an hour waits for a suspended feed only when no other feed is left, never beyond its total time, and not at all once no
feed answered anything for `give_up_s`: then hours fail at once until a probe is answered.
Why two feeds: since July 2026 users report that the bi5 feed completes its TLS handshake and then sends nothing.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpx
from tenacity import RetryCallState, Retrying, retry_if_result, wait_exponential, wait_random

from tick_assets.domain.instruments import Instrument, Market, parse_market
from tick_assets.domain.market_calendar import is_open
from tick_assets.lakehouse.vendors.circuit import BreakerPolicy, CircuitBreaker, Monotonic, RequestSpacing
from tick_assets.lakehouse.vendors.feeds import Feed, feeds_of
from tick_assets.lakehouse.vendors.instrument_table import InstrumentTable, ListedInstrument, read_table
from tick_assets.lakehouse.vendors.port import SOURCE_HEADER, HourResponse, TickVendor, VendorInterruptedError
from tick_assets.settings import Settings

NO_ANSWER = 0
MAXIMUM_BODY_BYTES = 64 * 2**20
MAXIMUM_CONNECT_S = 10.0
_RETRIED_STATUSES = frozenset({NO_ANSWER, 408, 425, 429, 500, 502, 503, 504})
_THROTTLED = 429


@dataclass(frozen=True)
class RetryPolicy:
    """How often and how patiently to ask: `attempts` for each feed, waits that double, `total_s` for one hour with everything, `give_up_s`
    until the vendor as a whole counts as lost.
    """

    attempts: int = 4
    first_wait_s: float = 0.2
    maximum_wait_s: float = 5.0
    total_s: float = 120.0
    give_up_s: float = 600.0


class FeedLine:
    """A feed with what is known of its health."""

    def __init__(self, feed: Feed, breaker: BreakerPolicy, monotonic: Monotonic) -> None:
        self.feed = feed
        self.breaker = CircuitBreaker(breaker, monotonic)
        self.spacing = RequestSpacing(feed.rate_per_s, monotonic)


class _Asking:
    """One hour being asked: which feed is next, how long to wait before, and when to stop."""

    def __init__(
        self,
        lines: Sequence[FeedLine],
        policy: RetryPolicy,
        monotonic: Monotonic,
        is_vendor_lost: Callable[[], bool],
        *,
        expects_ticks: bool,
    ) -> None:
        self.deadline = monotonic() + policy.total_s
        self._is_vendor_lost = is_vendor_lost
        self._best: HourResponse | None = None
        self._monotonic = monotonic
        self._expects_ticks = expects_ticks
        self._left = dict.fromkeys(lines, policy.attempts)
        self._last: FeedLine | None = None
        self._back_off = wait_exponential(multiplier=policy.first_wait_s, max=policy.maximum_wait_s) + wait_random(0, policy.first_wait_s)

    def take_line(self) -> FeedLine | None:
        """Return the first feed that has attempts left and may be asked now."""
        self._last = next((line for line in self._candidates() if line.breaker.admit()), None)
        return self._last

    def note(self, line: FeedLine, response: HourResponse) -> None:
        """Count an attempt; a status that is no use to repeat ends this feed's turn."""
        self._left[line] -= 1
        if response.http_status not in _RETRIED_STATUSES:
            self._left[line] = 0
        self._best = self.better(response)

    def better(self, response: HourResponse) -> HourResponse:
        """Return the answer that tells more: this one, or the best so far."""
        return response if self._best is None or _tells(response) > _tells(self._best) else self._best

    def is_unsettled(self, response: HourResponse) -> bool:
        if response.http_status == httpx.codes.OK:
            return False
        if response.http_status in _RETRIED_STATUSES:
            return True
        return self._expects_ticks and self._next_ready() is not None

    def wait_s(self, state: RetryCallState) -> float:
        """Back off before the same feed; go to another one at once; wait for a suspended one."""
        following = self._next_ready()
        if following is None:
            return max(min((line.breaker.ready_in_s() for line in self._candidates()), default=0.0), 0.01)
        return self._back_off(state) if following is self._last else 0.0

    def should_stop(self, state: RetryCallState) -> bool:
        candidates = self._candidates()
        has_tried_enough = len(candidates) < len(self._left) or self._is_vendor_lost()
        is_hopeless = self._next_ready() is None and has_tried_enough
        return not candidates or is_hopeless or self._monotonic() + state.upcoming_sleep > self.deadline

    def _candidates(self) -> list[FeedLine]:
        return [line for line, left in self._left.items() if left > 0]

    def _next_ready(self) -> FeedLine | None:
        return next((line for line in self._candidates() if line.breaker.ready_in_s() == 0), None)


def _tells(response: HourResponse) -> int:
    """Rank what an answer tells: ticks, then a refusal, then an error of the server, then silence."""
    if response.http_status == httpx.codes.OK:
        return 3
    return 2 if response.http_status not in _RETRIED_STATUSES else int(response.http_status != NO_ANSWER)


class DukascopyVendor(TickVendor):
    """Fetches hours over HTTP; safe to share between threads. Clock and sleep of its waits can be passed in."""

    def __init__(
        self,
        feeds: Sequence[Feed],
        market: Market,
        *,
        clock: Callable[[], datetime],
        concurrency: int = 8,
        policy: RetryPolicy | None = None,
        breaker: BreakerPolicy | None = None,
        timeout_s: float = 20.0,
        second_look_s: float = 0.0,
        listings: InstrumentTable | None = None,
        transport: httpx.BaseTransport | None = None,
        monotonic: Monotonic = time.monotonic,
        sleep: Callable[[float], object] | None = None,
    ) -> None:
        if not feeds:
            raise ValueError("Expected at least one feed, was none. Configure vendor_url or vendor_json_url.")
        self.concurrency = concurrency
        self.second_look_s = second_look_s
        self._lines = tuple(FeedLine(feed, breaker or BreakerPolicy(), monotonic) for feed in feeds)
        self._market = market
        self._clock = clock
        self._policy = policy or RetryPolicy()
        self._listings = listings
        self._monotonic = monotonic
        self._answered_at = monotonic()
        self._interrupted = threading.Event()
        self._sleep = sleep or self._interrupted.wait
        limits = httpx.Limits(max_connections=concurrency, max_keepalive_connections=concurrency)
        timeout = httpx.Timeout(timeout_s, connect=min(timeout_s / 2, MAXIMUM_CONNECT_S))
        self._client = httpx.Client(timeout=timeout, limits=limits, transport=transport, follow_redirects=True)

    @classmethod
    def from_settings(cls, settings: Settings) -> DukascopyVendor:
        """Return a client of the configured feeds on the system clock."""
        return cls(
            feeds_of(settings),
            parse_market(settings.market_path.read_text()),
            clock=utc_now,
            concurrency=settings.vendor_concurrency,
            policy=RetryPolicy(attempts=settings.vendor_attempts, total_s=settings.vendor_total_s),
            timeout_s=settings.vendor_timeout_s,
            second_look_s=settings.vendor_second_look_s,
            listings=read_table(settings.instruments_path),
        )

    def close(self) -> None:
        self._client.close()

    def interrupt(self) -> None:
        self._interrupted.set()

    def listing(self, symbol: str) -> ListedInstrument | None:
        return self._listings.get(symbol) if self._listings else None

    def describe_feeds(self) -> str:
        return " ".join(f"{line.feed.wire_format}={line.breaker}" for line in self._lines)

    def fetch_hour(self, symbol: str, hour: datetime, *, avoiding: str = "") -> HourResponse:
        instrument = self._market.instrument(symbol)
        lines = sorted(self._lines, key=lambda line: line.feed.wire_format == avoiding)
        expects_ticks = is_open(instrument.asset_class, hour)
        asking = _Asking(lines, self._policy, self._monotonic, self._is_lost, expects_ticks=expects_ticks)
        retrying = Retrying(
            retry=retry_if_result(asking.is_unsettled),
            stop=asking.should_stop,
            wait=asking.wait_s,
            sleep=self._pause,
            retry_error_callback=_last_result,
        )
        return asking.better(retrying(self._attempt, asking, instrument, hour))

    def _attempt(self, asking: _Asking, instrument: Instrument, hour: datetime) -> HourResponse:
        self._require_not_interrupted()
        line = asking.take_line()
        if line is None:
            feed = self._lines[0].feed
            detail = f"every feed is suspended: {self.describe_feeds()}"
            return HourResponse(
                instrument.symbol, hour, b"", feed.url(instrument, hour), feed.wire_format, NO_ANSWER, self._clock(), detail
            )
        is_noted = False
        try:
            self._pause(line.spacing.reserve())
            response = self._ask_once(line, instrument, hour, asking.deadline)
            is_noted = True
        finally:
            if not is_noted:
                line.breaker.fail()
        asking.note(line, response)
        return response

    def _ask_once(self, line: FeedLine, instrument: Instrument, hour: datetime, deadline: float) -> HourResponse:
        url = line.feed.url(instrument, hour)
        try:
            answer, body = self._get(url, deadline)
        except httpx.HTTPError as error:
            line.breaker.fail()
            detail = f"{type(error).__name__}: {error}"
            return HourResponse(instrument.symbol, hour, b"", url, line.feed.wire_format, NO_ANSWER, self._clock(), detail)
        self._note_health(line, answer)
        source = answer.headers.get(SOURCE_HEADER, "")
        return HourResponse(instrument.symbol, hour, body, url, line.feed.wire_format, answer.status_code, self._clock(), "", source)

    def _get(self, url: str, deadline: float) -> tuple[httpx.Response, bytes]:
        """Return the answer and its whole body; a body that is cut, endless or too late is an `httpx.HTTPError`."""
        body = bytearray()
        with self._client.stream("GET", url) as answer:
            for chunk in answer.iter_bytes():
                body += chunk
                if len(body) > MAXIMUM_BODY_BYTES:
                    raise httpx.DecodingError(f"Expected at most {MAXIMUM_BODY_BYTES} bytes, was more")
                if self._monotonic() > deadline:
                    raise httpx.ReadTimeout(f"Expected the whole body within {self._policy.total_s:g} s, was {len(body)} bytes")
        return answer, bytes(body)

    def _note_health(self, line: FeedLine, answer: httpx.Response) -> None:
        if answer.status_code >= httpx.codes.INTERNAL_SERVER_ERROR:
            line.breaker.fail()
        else:
            line.breaker.succeed()
            self._answered_at = self._monotonic()
        if answer.status_code in (_THROTTLED, httpx.codes.SERVICE_UNAVAILABLE):
            line.breaker.hold(retry_after_s(answer.headers.get("Retry-After", ""), self._clock()))

    def _is_lost(self) -> bool:
        return self._monotonic() - self._answered_at > self._policy.give_up_s

    def _pause(self, seconds: float) -> None:
        if seconds > 0:
            self._sleep(seconds)
        self._require_not_interrupted()

    def _require_not_interrupted(self) -> None:
        if self._interrupted.is_set():
            raise VendorInterruptedError("Expected to go on asking, was interrupted. Run again: only hours without an answer are asked.")


def retry_after_s(header: str, now: datetime) -> float:
    """Return the seconds that a `Retry-After` header asks for, given as seconds or as a date; 0 for none or nonsense (RFC 9110, 10.2.3)."""
    text = header.strip()
    if text.isdigit():
        return float(text)
    try:
        at = parsedate_to_datetime(text)
    except ValueError:
        return 0.0
    return max((at.replace(tzinfo=at.tzinfo or UTC) - now).total_seconds(), 0.0)


def _last_result(state: RetryCallState) -> HourResponse:
    if state.outcome is None:
        raise RuntimeError("Expected an outcome of the request, was none. Report this as a bug.")
    result: HourResponse = state.outcome.result()
    return result


def utc_now() -> datetime:
    """Return the time of the system clock, aware."""
    return datetime.now(UTC)
