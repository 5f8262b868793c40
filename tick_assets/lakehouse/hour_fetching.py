"""Ask for the hours of many dates at once, in order, and look twice at answers that are in doubt.

What belongs here: threads, what is under way, the second look, the beat of progress. What must not: what an answer means, where it goes.

A date's hours are asked together, a few dates ahead of the one that is finished next, so memory stays bounded. An hour whose answer is in
doubt is not asked again at once: the vendor may be just as wrong a second later. It is asked once more when the vendor's `second_look_s`
is over, while other dates go on, at the latest at the end of the run.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import date

from tick_assets.lakehouse.raw_store import HourOutcome
from tick_assets.lakehouse.vendors.port import TickVendor

DATES_AHEAD = 3
BEAT_S = 10.0
_INTERRUPT_GRACE_S = 5.0


@dataclass(frozen=True)
class DateTask:
    """The hours to ask of one symbol-date; `known` are hours that need no asking."""

    symbol: str
    date: date
    hours: tuple[int, ...]
    known: tuple[HourOutcome, ...] = ()
    skipped_because: str = ""


@dataclass(frozen=True)
class Delivery:
    """Outcomes of one task. `is_last` is false when hours of it will be looked at a second time."""

    task: DateTask
    outcomes: tuple[HourOutcome, ...]
    is_last: bool


@dataclass
class _Batch:
    task: DateTask
    futures: list[Future[HourOutcome]]
    is_second_look: bool = False


@dataclass
class _Doubt:
    task: DateTask
    outcomes: list[HourOutcome]
    due_at: float


class HourFetcher:
    """One run over the tasks. `ask` returns an hour's outcome and may be called by several threads; `in_doubt` says which to ask twice."""

    def __init__(
        self,
        vendor: TickVendor,
        ask: Callable[[DateTask, int, str], HourOutcome],
        in_doubt: Callable[[HourOutcome], bool],
        beat: Callable[[], None],
        *,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self._vendor = vendor
        self._ask = ask
        self._in_doubt = in_doubt
        self._beat = beat
        self._monotonic = monotonic
        self._sleep = sleep
        self._pool = ThreadPoolExecutor(max_workers=max(vendor.concurrency, 1), thread_name_prefix="vendor")
        self._running: deque[_Batch] = deque()
        self._doubts: deque[_Doubt] = deque()
        self._counting = threading.Lock()
        self._beaten_at = monotonic()
        self.answered = 0
        """Hours that were looked at, once or twice."""

    @property
    def hours_in_doubt(self) -> int:
        """How many hours wait for their second look or are under it."""
        second_looks = sum(len(batch.futures) for batch in self._running if batch.is_second_look)
        return second_looks + sum(len(doubt.outcomes) for doubt in self._doubts)

    def run(self, tasks: Sequence[DateTask]) -> Iterator[Delivery]:
        """Yield what came, each task's last delivery in the order of completion."""
        ahead = deque(tasks)
        while ahead or self._running or self._doubts:
            self._fill(ahead)
            if self._running:
                yield self._finish(self._running[0])
            else:
                self._rest(self._doubts[0].due_at - self._monotonic())

    def _fill(self, ahead: deque[DateTask]) -> None:
        while len(self._running) <= DATES_AHEAD:
            if self._doubts and self._doubts[0].due_at <= self._monotonic():
                self._submit_second_look(self._doubts.popleft())
            elif ahead:
                task = ahead.popleft()
                self._running.append(_Batch(task, [self._pool.submit(self._first_look, task, hour) for hour in task.hours]))
            else:
                return

    def _first_look(self, task: DateTask, hour: int) -> HourOutcome:
        outcome = self._ask(task, hour, "")
        with self._counting:
            self.answered += 1
        return outcome

    def _submit_second_look(self, doubt: _Doubt) -> None:
        futures = [self._pool.submit(self._ask, doubt.task, first.hour, first.wire_format) for first in doubt.outcomes]
        self._running.append(_Batch(doubt.task, futures, is_second_look=True))

    def _finish(self, batch: _Batch) -> Delivery:
        """Wait for a batch; it stays listed as running until its outcomes are handed over, so that an interrupt finds them."""
        self._await(batch.futures)
        settled, doubtful = self._sorted_out(batch, [future.result() for future in batch.futures])
        self._running.popleft()
        if doubtful:
            self._doubts.append(_Doubt(batch.task, doubtful, self._monotonic() + self._vendor.second_look_s))
        return Delivery(batch.task, settled, is_last=not doubtful)

    def _sorted_out(self, batch: _Batch, outcomes: Sequence[HourOutcome]) -> tuple[tuple[HourOutcome, ...], list[HourOutcome]]:
        """Return what counts and what is in doubt; a second look leaves no doubt."""
        if batch.is_second_look:
            return tuple(outcomes), []
        settled = [outcome for outcome in outcomes if not self._in_doubt(outcome)]
        return (*batch.task.known, *settled), [outcome for outcome in outcomes if self._in_doubt(outcome)]

    def _await(self, futures: Sequence[Future[HourOutcome]]) -> None:
        """Wait for all, beating the while; the first error ends the wait."""
        waiting = set(futures)
        while waiting:
            done, waiting = wait(waiting, timeout=self._until_beat(), return_when=FIRST_COMPLETED)
            for future in done:
                future.result()
            self._beat_if_due()

    def _rest(self, seconds: float) -> None:
        until = self._monotonic() + seconds
        while (left := until - self._monotonic()) > 0:
            self._sleep(min(left, self._until_beat()))
            self._beat_if_due()

    def _until_beat(self) -> float:
        return max(self._beaten_at + BEAT_S - self._monotonic(), 0.0)

    def _beat_if_due(self) -> None:
        if self._monotonic() >= self._beaten_at + BEAT_S:
            self._beaten_at = self._monotonic()
            self._beat()

    def stop(self) -> list[Delivery]:
        """End all asking and return what was finished but not handed over; answers in doubt are not among it."""
        self._vendor.interrupt()
        self._pool.shutdown(wait=False, cancel_futures=True)
        wait([future for batch in self._running for future in batch.futures if not future.cancelled()], timeout=_INTERRUPT_GRACE_S)
        return [self._salvage(batch) for batch in self._running]

    def _salvage(self, batch: _Batch) -> Delivery:
        finished = [future for future in batch.futures if future.done() and not future.cancelled() and future.exception() is None]
        settled, _ = self._sorted_out(batch, [future.result() for future in finished])
        return Delivery(batch.task, settled, is_last=False)

    def close(self) -> None:
        """Release the threads once nothing is left to do."""
        self._pool.shutdown(wait=True, cancel_futures=True)
