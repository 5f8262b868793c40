"""The circuit breaker and the spacing of requests, on a clock that the test moves."""

from __future__ import annotations

import pytest

from tick_assets.lakehouse.vendors.circuit import BreakerPolicy, CircuitBreaker, RequestSpacing

POLICY = BreakerPolicy(failures=3, first_pause_s=10.0, maximum_pause_s=35.0)


class FakeClock:
    """A monotonic clock that only moves when told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def opened(clock: FakeClock) -> CircuitBreaker:
    breaker = CircuitBreaker(POLICY, clock)
    for _ in range(POLICY.failures):
        assert breaker.admit()
        breaker.fail()
    return breaker


def test_breaker_failures_in_a_row_open_it() -> None:
    breaker = opened(FakeClock())
    assert (breaker.admit(), breaker.ready_in_s()) == (False, 10.0)


def test_breaker_success_between_failures_keeps_it_closed() -> None:
    breaker = CircuitBreaker(POLICY, FakeClock())
    for call in (breaker.fail, breaker.fail, breaker.succeed, breaker.fail, breaker.fail):
        call()
    assert breaker.ready_in_s() == 0


def test_breaker_after_its_pause_admits_one_probe_only() -> None:
    clock = FakeClock()
    breaker = opened(clock)
    clock.now += 10
    assert [breaker.admit(), breaker.admit()] == [True, False]
    assert breaker.ready_in_s() == POLICY.probe_poll_s


def test_breaker_probe_that_succeeds_closes_it() -> None:
    clock = FakeClock()
    breaker = opened(clock)
    clock.now += 10
    breaker.admit()
    breaker.succeed()
    assert [breaker.admit(), breaker.admit()] == [True, True]


def test_breaker_probes_that_fail_double_the_pause_up_to_the_maximum() -> None:
    clock = FakeClock()
    breaker = opened(clock)
    pauses = []
    for _ in range(4):
        pauses.append(breaker.ready_in_s())
        clock.now += pauses[-1]
        assert breaker.admit()
        breaker.fail()
    assert pauses == [10.0, 20.0, 35.0, 35.0]


def test_breaker_late_failures_of_requests_under_way_do_not_lengthen_the_pause() -> None:
    breaker = opened(FakeClock())
    for _ in range(8):
        breaker.fail()
    assert breaker.ready_in_s() == 10.0


def test_breaker_success_after_a_pause_begins_anew() -> None:
    clock = FakeClock()
    breaker = opened(clock)
    clock.now += 10
    breaker.admit()
    breaker.succeed()
    for _ in range(POLICY.failures):
        breaker.fail()
    assert breaker.ready_in_s() == 10.0


def test_breaker_hold_is_obeyed_and_no_failure() -> None:
    clock = FakeClock()
    breaker = CircuitBreaker(POLICY, clock)
    breaker.hold(7.0)
    assert (breaker.admit(), breaker.ready_in_s()) == (False, 7.0)
    clock.now += 7
    assert (breaker.admit(), breaker.admit()) == (True, True)


@pytest.mark.parametrize(("failures", "text"), [(0, "ok"), (3, "suspended(10s,failures=3)")])
def test_breaker_says_how_it_is(failures: int, text: str) -> None:
    breaker = CircuitBreaker(POLICY, FakeClock())
    for _ in range(failures):
        breaker.fail()
    assert str(breaker) == text


@pytest.mark.parametrize(("rate", "expected"), [(0.0, [0.0, 0.0, 0.0]), (4.0, [0.0, 0.25, 0.5])])
def test_spacing_places_requests_in_a_row(rate: float, expected: list[float]) -> None:
    spacing = RequestSpacing(rate, FakeClock())
    assert [spacing.reserve() for _ in range(3)] == expected


def test_spacing_unused_time_is_no_credit_for_a_burst() -> None:
    clock = FakeClock()
    spacing = RequestSpacing(2.0, clock)
    spacing.reserve()
    clock.now += 100
    assert [spacing.reserve(), spacing.reserve()] == [0.0, 0.5]
