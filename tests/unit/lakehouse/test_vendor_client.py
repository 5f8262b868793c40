"""The client over a scripted transport: which feed is asked, how often, how long it waits. Clock and sleep are the test's own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import httpx
import pytest

from tick_assets.domain.instruments import Market
from tick_assets.lakehouse.vendors.circuit import BreakerPolicy
from tick_assets.lakehouse.vendors.dukascopy import DukascopyVendor, RetryPolicy, retry_after_s
from tick_assets.lakehouse.vendors.feeds import Feed, feeds_of
from tick_assets.lakehouse.vendors.port import HourResponse, VendorInterruptedError
from tick_assets.settings import Settings

OPEN = datetime(2024, 1, 10, 12, tzinfo=UTC)
CLOSED = datetime(2024, 1, 13, 12, tzinfo=UTC)
NOW = datetime(2026, 1, 2, tzinfo=UTC)
JSON_FEED, BI5_FEED = Feed("json", "http://json"), Feed("bi5", "http://bi5")
Answer = Callable[[httpx.Request], httpx.Response]


class FakeTime:
    """Monotonic time that passes by sleeping only, or by what a scripted answer takes."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(round(seconds, 6))
        self.now += seconds


class ScriptedFeeds(httpx.BaseTransport):
    """Answers by host; what was asked is remembered."""

    def __init__(self, **answers: Answer) -> None:
        self.answers = answers
        self.asked: list[str] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request.url.host)
        return self.answers[request.url.host](request)


def status(code: int, **headers: str) -> Answer:
    return lambda _: httpx.Response(code, headers={name.replace("_", "-"): value for name, value in headers.items()}, content=b"")


def ticks(_: httpx.Request) -> httpx.Response:
    return httpx.Response(200, content=b"ticks")


def silence(request: httpx.Request) -> httpx.Response:
    raise httpx.ReadTimeout("no bytes", request=request)


def in_turn(*answers: Answer) -> Answer:
    left: Iterator[Answer] = iter(answers)

    def answer(request: httpx.Request) -> httpx.Response:
        return next(left)(request)

    return answer


def client(
    market: Market,
    transport: httpx.BaseTransport,
    time: FakeTime,
    feeds: tuple[Feed, ...] = (JSON_FEED, BI5_FEED),
    policy: RetryPolicy | None = None,
    breaker: BreakerPolicy | None = None,
) -> DukascopyVendor:
    return DukascopyVendor(
        feeds,
        market,
        clock=lambda: NOW,
        policy=policy or RetryPolicy(attempts=3, first_wait_s=1.0, maximum_wait_s=8.0, total_s=100.0),
        breaker=breaker or BreakerPolicy(failures=100),
        transport=transport,
        monotonic=time,
        sleep=time.sleep,
    )


def fetch(vendor: DukascopyVendor, hour: datetime = OPEN) -> HourResponse:
    return vendor.fetch_hour("EURUSD", hour)


@pytest.mark.parametrize(
    ("json", "bi5", "hour", "asked", "expected"),
    [
        (ticks, ticks, OPEN, ["json"], ("json", 200)),
        (silence, ticks, OPEN, ["json"] * 3 + ["bi5"], ("bi5", 200)),
        (status(503), ticks, OPEN, ["json"] * 3 + ["bi5"], ("bi5", 200)),
        (status(404), ticks, OPEN, ["json", "bi5"], ("bi5", 200)),
        (status(403), status(404), OPEN, ["json", "bi5"], ("json", 403)),
        (status(404), ticks, CLOSED, ["json"], ("json", 404)),
        (silence, status(404), OPEN, ["json"] * 3 + ["bi5"], ("bi5", 404)),
        (silence, status(500), OPEN, ["json"] * 3 + ["bi5"] * 3, ("bi5", 500)),
        (silence, silence, OPEN, ["json"] * 3 + ["bi5"] * 3, ("json", 0)),
        (in_turn(status(503), silence, ticks), ticks, OPEN, ["json"] * 3, ("json", 200)),
    ],
)
def test_hour_is_asked_of_the_first_feed_that_answers(
    market: Market, json: Answer, bi5: Answer, hour: datetime, asked: list[str], expected: tuple[str, int]
) -> None:
    transport = ScriptedFeeds(json=json, bi5=bi5)
    response = fetch(client(market, transport, FakeTime()), hour)
    assert (transport.asked, (response.wire_format, response.http_status)) == (asked, expected)


def test_retries_wait_longer_each_time_with_jitter_and_a_limit(market: Market) -> None:
    time = FakeTime()
    policy = RetryPolicy(attempts=6, first_wait_s=1.0, maximum_wait_s=4.0, total_s=100.0)
    fetch(client(market, ScriptedFeeds(json=status(503)), time, (JSON_FEED,), policy))
    lows = [1.0, 2.0, 4.0, 4.0, 4.0]
    assert [low <= slept <= low + 1 for low, slept in zip(lows, time.slept, strict=True)] == [True] * 5
    assert len(set(time.slept)) == 5


def test_total_time_of_an_hour_is_bounded(market: Market) -> None:
    time = FakeTime()

    def hangs(request: httpx.Request) -> httpx.Response:
        time.now += 20
        return silence(request)

    transport = ScriptedFeeds(json=hangs, bi5=hangs)
    fetch(client(market, transport, time, policy=RetryPolicy(attempts=50, first_wait_s=1.0, maximum_wait_s=4.0, total_s=100.0)))
    assert time.now <= 120
    assert len(transport.asked) == 5


def test_body_that_drips_beyond_the_total_time_is_given_up(market: Market) -> None:
    time = FakeTime()

    class Dripping(httpx.SyncByteStream):
        def __iter__(self) -> Iterator[bytes]:
            while True:
                time.now += 10
                yield b"x"

    transport = ScriptedFeeds(json=lambda _: httpx.Response(200, stream=Dripping()))
    response = fetch(client(market, transport, time, (JSON_FEED,)))
    assert (response.http_status, time.now) == (0, 110.0)
    assert "within 100 s" in response.error


def test_dead_feed_is_suspended_and_not_asked_hour_after_hour(market: Market) -> None:
    transport = ScriptedFeeds(json=silence, bi5=ticks)
    vendor = client(market, transport, FakeTime(), breaker=BreakerPolicy(failures=4, first_pause_s=1000.0))
    assert [fetch(vendor).wire_format for _ in range(50)] == ["bi5"] * 50
    assert (transport.asked.count("json"), transport.asked.count("bi5")) == (4, 50)
    assert vendor.describe_feeds().endswith("s,failures=4) bi5=ok")


def test_suspended_feed_is_probed_once_a_pause_and_taken_back(market: Market) -> None:
    time = FakeTime()
    transport = ScriptedFeeds(json=silence, bi5=ticks)
    vendor = client(market, transport, time, breaker=BreakerPolicy(failures=3, first_pause_s=1000.0, maximum_pause_s=4000.0))
    fetch(vendor)
    time.now += 1000
    assert [fetch(vendor).wire_format for _ in range(5)] == ["bi5"] * 5
    assert transport.asked.count("json") == 4
    transport.answers["json"] = ticks
    time.now += 2000
    assert [fetch(vendor).wire_format for _ in range(5)] == ["json"] * 5


def test_only_feed_suspended_is_waited_for_within_the_total_time(market: Market) -> None:
    time = FakeTime()
    transport = ScriptedFeeds(json=in_turn(silence, silence, ticks))
    response = fetch(client(market, transport, time, (JSON_FEED,), breaker=BreakerPolicy(failures=2, first_pause_s=30.0)))
    assert response.http_status == 200
    assert 30 <= time.now <= 34


def test_only_feed_suspended_beyond_the_total_time_fails_the_hour_at_once(market: Market) -> None:
    time = FakeTime()
    transport = ScriptedFeeds(json=silence)
    breaker = BreakerPolicy(failures=2, first_pause_s=500.0, maximum_pause_s=500.0)
    vendor = client(market, transport, time, (JSON_FEED,), breaker=breaker)
    fetch(vendor)
    before = time.now
    response = fetch(vendor)
    assert (response.http_status, time.now, len(transport.asked)) == (0, before, 2)
    assert "every feed is suspended" in response.error


def test_vendor_that_is_lost_fails_hours_at_once_and_is_still_probed(market: Market) -> None:
    """A backfill of ten years must not wait two minutes for each of its hours when nobody answers any more."""
    time = FakeTime()
    transport = ScriptedFeeds(json=silence, bi5=status(500))
    policy = RetryPolicy(attempts=3, first_wait_s=1.0, maximum_wait_s=8.0, total_s=100.0, give_up_s=300.0)
    vendor = client(market, transport, time, policy=policy, breaker=BreakerPolicy(failures=3))
    for _ in range(20):
        fetch(vendor)
    lost_at, asked = time.now, len(transport.asked)
    assert 300 < lost_at < 1000
    for _ in range(1000):
        fetch(vendor)
    assert (time.now, len(transport.asked) - asked) == (lost_at, 0)
    time.now += 60
    transport.answers["bi5"] = ticks
    assert [fetch(vendor).http_status for _ in range(5)] == [200] * 5


def test_hours_that_fail_for_ever_do_not_fail_their_healthy_neighbours(market: Market) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(500 if request.url.path.endswith("/12") else 200, content=b"ticks")

    vendor = client(market, ScriptedFeeds(json=answer), FakeTime(), (JSON_FEED,), breaker=BreakerPolicy(failures=2))
    states = [fetch(vendor, OPEN.replace(hour=hour)).http_status for hour in (11, 12, 12, 12, 13, 12, 14)]
    assert states == [200, 500, 500, 500, 200, 500, 200]


def test_retry_after_is_obeyed_by_every_hour(market: Market) -> None:
    time = FakeTime()
    transport = ScriptedFeeds(json=in_turn(status(429, retry_after="17"), ticks, ticks))
    vendor = client(market, transport, time, (JSON_FEED,))
    assert [fetch(vendor).http_status, fetch(vendor).http_status] == [200, 200]
    assert time.now >= 17


def test_retry_after_of_one_feed_lets_the_other_be_asked_at_once(market: Market) -> None:
    time = FakeTime()
    transport = ScriptedFeeds(json=status(429, retry_after="90"), bi5=ticks)
    vendor = client(market, transport, time)
    assert [fetch(vendor).wire_format, fetch(vendor).wire_format] == ["bi5", "bi5"]
    assert (time.now, transport.asked) == (0.0, ["json", "bi5", "bi5"])


def test_retry_after_beyond_the_total_time_fails_with_the_status(market: Market) -> None:
    time = FakeTime()
    response = fetch(client(market, ScriptedFeeds(json=status(429, retry_after="3600")), time, (JSON_FEED,)))
    assert (response.http_status, time.now) == (429, 0.0)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("", 0.0),
        ("12", 12.0),
        (" 3 ", 3.0),
        ("-5", 0.0),
        ("soon", 0.0),
        ("Fri, 02 Jan 2026 00:00:30 GMT", 30.0),
        ("Thu, 01 Jan 2026 23:59:00 GMT", 0.0),
    ],
)
def test_retry_after_s_reads_seconds_and_dates(header: str, seconds: float) -> None:
    assert retry_after_s(header, NOW) == seconds


def test_rate_spaces_the_requests_of_a_feed(market: Market) -> None:
    time = FakeTime()
    vendor = client(market, ScriptedFeeds(json=ticks), time, (Feed("json", "http://json", rate_per_s=4.0),))
    for _ in range(5):
        fetch(vendor)
    assert time.now == 1.0


@pytest.mark.parametrize(("avoiding", "expected"), [("", "json"), ("json", "bi5"), ("bi5", "json")])
def test_avoided_format_is_asked_last(market: Market, avoiding: str, expected: str) -> None:
    vendor = client(market, ScriptedFeeds(json=ticks, bi5=ticks), FakeTime())
    assert vendor.fetch_hour("EURUSD", OPEN, avoiding=avoiding).wire_format == expected


def test_avoided_format_still_answers_when_the_other_feed_is_dead(market: Market) -> None:
    vendor = client(market, ScriptedFeeds(json=ticks, bi5=silence), FakeTime())
    assert vendor.fetch_hour("EURUSD", OPEN, avoiding="json").wire_format == "json"


def test_interrupt_ends_waits_and_further_asking(market: Market) -> None:
    transport = ScriptedFeeds(json=silence)
    policy = RetryPolicy(attempts=2, first_wait_s=60.0, maximum_wait_s=60.0, total_s=600.0)
    vendor = DukascopyVendor([JSON_FEED], market, clock=lambda: NOW, policy=policy, transport=transport)
    threading.Timer(0.1, vendor.interrupt).start()
    with pytest.raises(VendorInterruptedError):
        fetch(vendor)
    with pytest.raises(VendorInterruptedError):
        fetch(vendor)
    assert len(transport.asked) == 1


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, [("json", 10.0), ("bi5", 10.0)]),
        ({"vendor_url": "http://twin"}, [("bi5", 0.0)]),
        ({"vendor_url": "http://twin", "vendor_rate_per_s": 3.0}, [("bi5", 3.0)]),
        ({"vendor_rate_per_s": 0.0}, [("json", 0.0), ("bi5", 0.0)]),
    ],
)
def test_feeds_of_public_addresses_are_asked_gently(changes: dict[str, object], expected: list[tuple[str, float]]) -> None:
    assert [(feed.wire_format, feed.rate_per_s) for feed in feeds_of(Settings(**changes))] == expected


def test_vendor_without_a_feed_is_refused(market: Market) -> None:
    with pytest.raises(ValueError, match="at least one feed"):
        DukascopyVendor([], market, clock=lambda: NOW)
