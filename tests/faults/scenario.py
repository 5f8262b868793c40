"""The small market of the fault tests: one symbol, two dates of which one is written again, in two states that differ by one hour.

What belongs here: ticks, raw files and how to change between the states. What must not: killing, judging.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

import numpy as np

from tick_assets.domain.hour_states import HourState
from tick_assets.domain.synthetic_market import SyntheticMarket, generate_day
from tick_assets.domain.ticks import Ticks
from tick_assets.lakehouse import raw_ticks
from tick_assets.lakehouse.catalog import Lakehouse
from tick_assets.lakehouse.raw_csv import rows_from_ticks
from tick_assets.lakehouse.raw_store import HourOutcome, RawStore

SYMBOL, SOURCE = "SYNEDGE", "synthetic-twin"
DAY, OTHER_DAY = date(2024, 2, 6), date(2024, 2, 7)
MARKET = SyntheticMarket(k=2.0, mean_gap_s=20.0)
REVISED_HOUR = 10
STATES = ("A", "B")


def outcomes(ticks: Ticks, day: date, hours: range, now: datetime) -> list[HourOutcome]:
    """Return the answers of these hours as a vendor's would be recorded."""
    midnight = int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp() * 1_000_000)
    found = []
    for hour in hours:
        first, last = np.searchsorted(ticks.ts_us, [midnight + hour * 3_600_000_000, midnight + (hour + 1) * 3_600_000_000])
        part = ticks.take(slice(int(first), int(last)))
        found.append(HourOutcome(hour, HourState.OK, now, "test", "bi5", part.ask_points.tobytes(), rows_from_ticks(part)))
    return found


def crossed(ticks: Ticks, every: int, by: int = 0) -> Ticks:
    """Return the quotes moved by some points, and each so many-th crossed: cleaning refuses those."""
    is_crossed = np.arange(len(ticks)) % every == 0
    return Ticks(ticks.ts_us, ticks.bid_points + by, ticks.ask_points + by - 40 * is_crossed, ticks.bid_size, ticks.ask_size)


@dataclass
class Scenario:
    """A lake whose raw input can be put into either state, as often as wanted."""

    lakehouse: Lakehouse
    store: RawStore
    manifests: dict[str, bytes] = field(default_factory=dict)
    snapshots: dict[str, dict[str, int]] = field(default_factory=dict)

    def record(self) -> None:
        """Write the raw files of both dates and, for the first, a revision that moves the quotes of one hour and crosses more of them."""
        now = datetime(2024, 2, 8, tzinfo=UTC)
        for day in (DAY, OTHER_DAY):
            self._record(day, outcomes(crossed(generate_day(MARKET, 3, SYMBOL, day).ticks, every=50), day, range(24), now), now)
        self._keep("A")
        moved = crossed(generate_day(MARKET, 3, SYMBOL, DAY).ticks, every=7, by=1)
        self._record(DAY, outcomes(moved, DAY, range(REVISED_HOUR, REVISED_HOUR + 1), now), now + timedelta(hours=1))
        self._keep("B")

    def _record(self, day: date, answers: list[HourOutcome], now: datetime) -> None:
        self.store.record(SOURCE, SYMBOL, day, 100_000, answers, now=now)

    def _keep(self, state: str) -> None:
        raw_ticks.write_days(self.lakehouse, self.store, [SYMBOL], [DAY, OTHER_DAY], [SOURCE], print)
        self.manifests[state] = self.store.manifest_path(SOURCE, SYMBOL, DAY).read_bytes()
        self.remember(state, ["raw.ticks"])

    def remember(self, state: str, tables: list[str]) -> None:
        """Keep the snapshots of tables as those of a state."""
        found = {table: self.lakehouse.snapshot_id(table) for table in tables}
        self.snapshots.setdefault(state, {}).update({table: snapshot for table, snapshot in found.items() if snapshot is not None})

    def enter(self, state: str, tables: list[str]) -> None:
        """Put the raw store and the given tables into a state; what is derived from them stays as it is."""
        self.store.manifest_path(SOURCE, SYMBOL, DAY).write_bytes(self.manifests[state])
        for table in tables:
            self.lakehouse.rollback(table, self.snapshots[state][table])
