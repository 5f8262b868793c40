"""Fill symbol-dates of the raw store from a vendor.

What belongs here: which hours to ask, what an answer means for the ledger, what a date's end is. What must not: HTTP, threads, CSV text,
Dagster.

- An hour before the vendor's first tick of the instrument is `closed` with the reason `BEFORE_FIRST_TICK` and is never asked: there was no
  market at this vendor yet, and nobody will ever deliver it. So the five states stay five, and a hole stays a hole.
- An hour that is in doubt (no bytes although the market is open, an error, a payload that is no hour) is asked a second time later in the
  run, of the other feed if there is one, and stays `pending` until then. The second answer counts.
- What was answered is kept at once, also when the run is interrupted: a later run asks only hours without an answer.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from tick_assets.domain.hour_states import HourState
from tick_assets.domain.instruments import Instrument, Market
from tick_assets.domain.market_calendar import open_hours
from tick_assets.lakehouse.hour_fetching import DateTask, Delivery, HourFetcher
from tick_assets.lakehouse.raw_csv import rows_from_ticks
from tick_assets.lakehouse.raw_store import HourOutcome, Manifest, RawStore
from tick_assets.lakehouse.revision_diffs import write_missing_diffs
from tick_assets.lakehouse.vendors.dukascopy import utc_now
from tick_assets.lakehouse.vendors.instrument_table import ListedInstrument
from tick_assets.lakehouse.vendors.port import HourResponse, PayloadError, TickVendor
from tick_assets.lakehouse.vendors.wire_formats import decode_hour, is_web_page

IMPORT_PREFIX = "import-"
SYNTHETIC_PREFIX = "synthetic"
BEFORE_FIRST_TICK = "BEFORE_FIRST_TICK"
_PAYLOAD_ATTEMPTS = 2
_HTTP_OK, _HTTP_NOT_FOUND = 200, 404


class InstrumentMismatchError(RuntimeError):
    """The market file and the vendor's instrument table disagree on an instrument."""


class SourceError(RuntimeError):
    """The configured source's name and the vendor's own disagree on whether the ticks are synthetic."""


@dataclass(frozen=True)
class DateReport:
    """What ingestion did for one symbol-date. `states` counts hours after the work, `failures` maps hours asked now to their reason."""

    symbol: str
    date: date
    asked_hours: int
    rows: int
    states: dict[str, int]
    new_revision: int | None
    failures: dict[int, str]
    skipped_because: str = ""

    def to_event(self) -> str:
        """Return one line of key=value fields for a log."""
        states = " ".join(f"{state}={count}" for state, count in self.states.items() if count)
        fields = f"event=ticks_ingested symbol={self.symbol} date={self.date} rows={self.rows} asked={self.asked_hours} {states}".rstrip()
        if self.new_revision is not None:
            fields += f" revision={self.new_revision}"
        return f"{fields} skipped={self.skipped_because!r}" if self.skipped_because else fields


@dataclass(frozen=True)
class IngestionReport:
    """What ingestion did for a range."""

    dates: tuple[DateReport, ...]

    @property
    def asked_hours(self) -> int:
        return sum(report.asked_hours for report in self.dates)

    @property
    def failures(self) -> tuple[str, ...]:
        """Every failed hour in words; a run with any is red."""
        return tuple(
            f"{report.symbol} {report.date} {hour:02d}h: {reason}"
            for report in self.dates
            for hour, reason in sorted(report.failures.items())
        )


class _Progress:
    """Says how far a run is: one line every few seconds, beside the lines of dates."""

    def __init__(self, hours: int, say: Callable[[str], None] | None, monotonic: Callable[[], float]) -> None:
        self.hours, self.failed = hours, 0
        self._say = say
        self._monotonic = monotonic
        self._started_at = monotonic()

    def say(self, line: str) -> None:
        if self._say is not None:
            self._say(line)

    def beat(self, fetcher: HourFetcher, feeds: str) -> None:
        seconds = self._monotonic() - self._started_at
        rate = fetcher.answered / seconds if seconds > 0 else 0.0
        counts = f"hours={fetcher.answered}/{self.hours} hours_per_s={rate:.1f} failed={self.failed} in_doubt={fetcher.hours_in_doubt}"
        self.say(f"event=ingestion_progress {counts} seconds={seconds:.0f} {feeds}".rstrip())


class _Dates:
    """What the store knows of each date under way, and the reports of those that are done."""

    def __init__(self, store: RawStore, market: Market, source: str, clock: Callable[[], datetime], progress: _Progress) -> None:
        self.reports: dict[tuple[str, date], DateReport] = {}
        self._store = store
        self._market = market
        self._source = source
        self._clock = clock
        self._progress = progress
        self._failures: dict[tuple[str, date], dict[int, str]] = {}
        self._revisions: dict[tuple[str, date], int] = {}

    def take(self, delivery: Delivery) -> None:
        """Record what came; with a task's last delivery its report is made and said."""
        task = delivery.task
        key = (task.symbol, task.date)
        if delivery.outcomes:
            self._record(key, delivery.outcomes)
        self._progress.failed += sum(outcome.state is HourState.FAILED for outcome in delivery.outcomes)
        if delivery.is_last:
            self.reports[key] = self._report(task)
            self._progress.say(self.reports[key].to_event())

    def _record(self, key: tuple[str, date], outcomes: Sequence[HourOutcome]) -> None:
        symbol, day = key
        factor = self._market.instrument(symbol).price_factor
        report = self._store.record(self._source, symbol, day, factor, outcomes, now=self._clock())
        failures = self._failures.setdefault(key, {})
        failures.update({outcome.hour: outcome.reason for outcome in outcomes if outcome.state is HourState.FAILED})
        if report.new_revision is not None:
            self._revisions[key] = report.new_revision
        for diff in write_missing_diffs(self._store, self._source, symbol, day):
            self._progress.say(diff.to_event())

    def _report(self, task: DateTask) -> DateReport:
        key = (task.symbol, task.date)
        factor = self._market.instrument(task.symbol).price_factor
        manifest = self._store.manifest(self._source, *key) or Manifest(self._source, task.symbol, task.date.isoformat(), factor)
        return DateReport(
            symbol=task.symbol,
            date=task.date,
            asked_hours=len(task.hours),
            rows=sum(entry.rows for entry in manifest.hours),
            states={str(state): sum(entry.state is state for entry in manifest.hours) for state in HourState},
            new_revision=self._revisions.get(key),
            failures=self._failures.get(key, {}),
            skipped_because=task.skipped_because,
        )


def ingest_dates(
    vendor: TickVendor,
    store: RawStore,
    market: Market,
    symbols: Sequence[str],
    dates: Sequence[date],
    *,
    source: str,
    clock: Callable[[], datetime] = utc_now,
    refetch: bool = False,
    progress: Callable[[str], None] | None = None,
    monotonic: Callable[[], float] = time.monotonic,
) -> IngestionReport:
    """Ask the vendor for the hours of each symbol-date that have no answer yet, and record what came; `refetch` asks for all again.

    Hours that are not over yet stay pending. Dates that an import filled are skipped. Other hours go on when one fails. An interrupt ends
    the asking, keeps what was answered and rises.
    """
    for symbol in symbols:
        require_listed(vendor.listing(symbol), market.instrument(symbol))
    tasks = [_plan(vendor, store, source, symbol, day, clock(), refetch=refetch) for symbol in symbols for day in dates]
    counts = _Progress(sum(len(task.hours) for task in tasks), progress, monotonic)
    done = _Dates(store, market, source, clock, counts)

    def ask(task: DateTask, hour: int, avoiding: str) -> HourOutcome:
        return _ask_hour(vendor, market.instrument(task.symbol), source, task.date, hour, avoiding)

    def beat() -> None:
        counts.beat(fetcher, vendor.describe_feeds())

    fetcher = HourFetcher(vendor, ask, _is_in_doubt, beat, monotonic=monotonic)
    try:
        for delivery in fetcher.run(tasks):
            done.take(delivery)
    except BaseException as error:
        finished = fetcher.stop()
        if not isinstance(error, Exception):
            for delivery in finished:
                done.take(delivery)
            kept = sum(len(delivery.outcomes) for delivery in finished)
            counts.say(f"event=ingestion_interrupted hours={fetcher.answered}/{counts.hours} kept_of_dates_under_way={kept}")
        raise
    fetcher.close()
    return IngestionReport(tuple(done.reports[task.symbol, task.date] for task in tasks))


def require_listed(listed: ListedInstrument | None, instrument: Instrument) -> None:
    """Compare an instrument with what the vendor lists, if it lists it; `InstrumentMismatchError` names both figures."""
    if listed is None:
        return
    if listed.point_factor != instrument.price_factor:
        raise InstrumentMismatchError(
            f"Expected the vendor's point factor {listed.point_factor} as price_factor of {instrument.symbol}, "
            f"was {instrument.price_factor} in the market file. Correct it there, or import a newer instrument table."
        )
    if listed.code != instrument.dukascopy_code:
        raise InstrumentMismatchError(
            f"Expected the vendor's code {listed.code!r} as dukascopy_code of {instrument.symbol}, "
            f"was {instrument.dukascopy_code!r} in the market file. Correct it there, or import a newer instrument table."
        )


def _is_in_doubt(outcome: HourOutcome) -> bool:
    return outcome.state in (HourState.VENDOR_EMPTY, HourState.FAILED)


def _plan(vendor: TickVendor, store: RawStore, source: str, symbol: str, day: date, now: datetime, *, refetch: bool) -> DateTask:
    filled_by = _import_of(store, symbol, day)
    if filled_by and not refetch:
        return DateTask(symbol, day, (), skipped_because=f"filled by {filled_by}")
    manifest = store.manifest(source, symbol, day)
    wanted = tuple(range(24)) if refetch or manifest is None else manifest.hours_to_ask
    midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
    over = tuple(hour for hour in wanted if midnight + timedelta(hours=hour + 1) <= now)
    listed = vendor.listing(symbol)
    if listed is not None and listed.tick_start is not None and day < listed.tick_start:
        reason = f"{BEFORE_FIRST_TICK}: the vendor's first tick is of {listed.tick_start}"
        return DateTask(symbol, day, (), tuple(HourOutcome(hour, HourState.CLOSED, now, reason=reason) for hour in over))
    return DateTask(symbol, day, over)


def _import_of(store: RawStore, symbol: str, day: date) -> str:
    for name in store.sources():
        manifest = store.manifest(name, symbol, day)
        if manifest is not None and manifest.origin == "import" and manifest.is_written:
            return f"an import ({name})"
    return ""


def _ask_hour(vendor: TickVendor, instrument: Instrument, source: str, day: date, hour: int, avoiding: str) -> HourOutcome:
    """Ask once, and at once again, of the other feed first, when the payload is no hour of ticks: a cut transfer looks like that."""
    at = datetime(day.year, day.month, day.day, hour, tzinfo=UTC)
    is_open = open_hours(instrument.asset_class, day)[hour]
    for _ in range(_PAYLOAD_ATTEMPTS):
        response = vendor.fetch_hour(instrument.symbol, at, avoiding=avoiding)
        _require_honest_source(response, source)
        outcome = classify(response, price_factor=instrument.price_factor, is_open=is_open)
        if outcome.state is not HourState.FAILED or response.http_status != _HTTP_OK:
            break
        avoiding = response.wire_format
    return outcome


def _require_honest_source(response: HourResponse, source: str) -> None:
    is_synthetic = source.startswith(SYNTHETIC_PREFIX)
    if response.claimed_source and response.claimed_source.startswith(SYNTHETIC_PREFIX) != is_synthetic:
        raise SourceError(
            f"Expected ticks of source {source!r}, was a vendor that calls itself {response.claimed_source!r}. "
            "Set TICK_SOURCE=synthetic-twin for a generated market, another name for real files."
        )


def classify(response: HourResponse, *, price_factor: int, is_open: bool) -> HourOutcome:
    """Say what an answer means: rows are `ok`, none are `closed` by calendar, else `vendor_empty`; all else is `failed`, with a reason."""

    def outcome(state: HourState, reason: str = "") -> HourOutcome:
        return HourOutcome(
            response.hour.hour, state, response.fetched_at, response.url, response.wire_format, response.payload, None, reason
        )

    no_rows = HourState.VENDOR_EMPTY if is_open else HourState.CLOSED
    if not is_open and (response.http_status == _HTTP_NOT_FOUND or (response.http_status == _HTTP_OK and is_web_page(response.payload))):
        return outcome(HourState.CLOSED)
    if response.http_status != _HTTP_OK:
        return outcome(HourState.FAILED, f"VENDOR_UNREACHABLE: {response.error}" if response.error else f"HTTP_{response.http_status}")
    try:
        ticks = decode_hour(response.wire_format, response.payload, response.hour, price_factor)
    except PayloadError as error:
        return outcome(HourState.FAILED, str(error))
    if not len(ticks):
        return outcome(no_rows)
    rows = rows_from_ticks(ticks)
    return HourOutcome(response.hour.hour, HourState.OK, response.fetched_at, response.url, response.wire_format, response.payload, rows)
