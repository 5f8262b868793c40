"""Fill symbol-dates of the raw store from a vendor.

What belongs here: which hours to ask, what an answer means for the ledger, the order of work. What must not: HTTP, CSV text, Dagster.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from tick_assets.domain.hour_states import HourState
from tick_assets.domain.instruments import Instrument, Market
from tick_assets.domain.market_calendar import open_hours
from tick_assets.lakehouse.raw_csv import rows_from_ticks
from tick_assets.lakehouse.raw_store import HourOutcome, Manifest, RawStore
from tick_assets.lakehouse.vendors.dukascopy import utc_now
from tick_assets.lakehouse.vendors.port import HourResponse, PayloadError, TickVendor
from tick_assets.lakehouse.vendors.wire_formats import decode_hour, is_web_page

IMPORT_PREFIX = "import-"
SYNTHETIC_PREFIX = "synthetic"
_PAYLOAD_ATTEMPTS = 2
_DATES_AHEAD = 3
_HTTP_OK, _HTTP_NOT_FOUND = 200, 404


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
        fields = f"event=ticks_ingested symbol={self.symbol} date={self.date} rows={self.rows} asked={self.asked_hours} {states}"
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


@dataclass(frozen=True)
class _Task:
    symbol: str
    date: date
    hours: tuple[int, ...]
    skipped_because: str = ""


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
) -> IngestionReport:
    """Ask the vendor for the hours of each symbol-date that have no answer yet, and record what came; `refetch` asks for all again.

    Hours that are not over yet stay pending. Dates that an import filled are skipped. Other hours go on when one fails.
    """
    tasks = [_plan(store, source, symbol, day, clock(), refetch=refetch) for symbol in symbols for day in dates]
    reports = []
    with ThreadPoolExecutor(max_workers=max(vendor.concurrency, 1), thread_name_prefix="vendor") as pool:
        for task, outcomes in _fetch_ahead(pool, vendor, market, source, tasks):
            report = _record(store, market.instrument(task.symbol), source, task, outcomes, clock())
            reports.append(report)
            if progress is not None:
                progress(report.to_event())
    return IngestionReport(tuple(reports))


def _plan(store: RawStore, source: str, symbol: str, day: date, now: datetime, *, refetch: bool) -> _Task:
    filled_by = _import_of(store, symbol, day)
    if filled_by and not refetch:
        return _Task(symbol, day, (), f"filled by {filled_by}")
    manifest = store.manifest(source, symbol, day)
    wanted = tuple(range(24)) if refetch or manifest is None else manifest.hours_to_ask
    midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
    return _Task(symbol, day, tuple(hour for hour in wanted if midnight + timedelta(hours=hour + 1) <= now))


def _import_of(store: RawStore, symbol: str, day: date) -> str:
    for name in store.sources():
        manifest = store.manifest(name, symbol, day)
        if manifest is not None and manifest.origin == "import" and manifest.is_written:
            return f"an import ({name})"
    return ""


def _fetch_ahead(
    pool: ThreadPoolExecutor, vendor: TickVendor, market: Market, source: str, tasks: Sequence[_Task]
) -> Iterator[tuple[_Task, list[HourOutcome]]]:
    """Yield tasks in order while the hours of the next few are already being asked; memory stays bounded."""
    running: list[tuple[_Task, list[Future[HourOutcome]]]] = []
    for task in tasks:
        instrument = market.instrument(task.symbol)
        running.append((task, [pool.submit(_ask_hour, vendor, instrument, source, task.date, hour) for hour in task.hours]))
        if len(running) > _DATES_AHEAD:
            done, futures = running.pop(0)
            yield done, [future.result() for future in futures]
    for task, futures in running:
        yield task, [future.result() for future in futures]


def _ask_hour(vendor: TickVendor, instrument: Instrument, source: str, day: date, hour: int) -> HourOutcome:
    """Ask once, and once more when the payload is no hour of ticks: a cut transfer looks like that."""
    at = datetime(day.year, day.month, day.day, hour, tzinfo=UTC)
    is_open = open_hours(instrument.asset_class, day)[hour]
    for _ in range(_PAYLOAD_ATTEMPTS):
        response = vendor.fetch_hour(instrument.symbol, at)
        _require_honest_source(response, source)
        outcome = classify(response, price_factor=instrument.price_factor, is_open=is_open)
        if outcome.state is not HourState.FAILED or response.http_status != _HTTP_OK:
            break
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


def _record(
    store: RawStore, instrument: Instrument, source: str, task: _Task, outcomes: Sequence[HourOutcome], now: datetime
) -> DateReport:
    new_revision = None
    if outcomes:
        new_revision = store.record(source, task.symbol, task.date, instrument.price_factor, outcomes, now=now).new_revision
    manifest = store.manifest(source, task.symbol, task.date) or Manifest(
        source, task.symbol, task.date.isoformat(), instrument.price_factor
    )
    states = {str(state): sum(entry.state is state for entry in manifest.hours) for state in HourState}
    failures = {outcome.hour: outcome.reason for outcome in outcomes if outcome.state is HourState.FAILED}
    rows = sum(entry.rows for entry in manifest.hours)
    return DateReport(task.symbol, task.date, len(outcomes), rows, states, new_revision, failures, task.skipped_because)
