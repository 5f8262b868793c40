"""A server is stopped in the middle of a run: the run fails and says which; started again, the same run gives the same content.

What belongs here: Postgres, S3 and Trino, each stopped while a run is at its work. What must not: connections cut around a commit
(`test_lost_commit_answer`), kills of the run itself (`test_crash_points`).
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.crash_parent import Child, Witness
from tests.faults.scenario import DAY, OTHER_DAY, SOURCE, STATES, SYMBOL, Scenario
from tick_assets.lakehouse import hour_ledger
from tick_assets.lakehouse.catalog import Lakehouse
from tick_assets.lakehouse.object_store import ObjectStore
from tick_assets.lakehouse.query import TrinoQuery
from tick_assets.lakehouse.raw_store import RawStore
from tick_assets.settings import Settings
from tick_assets.stack.supervisor import Supervisor

pytestmark = [pytest.mark.full, pytest.mark.stack]

TABLES = ("silver.tick_rejects", "silver.ticks", "evidence.publications")
DBT_AT_WORK_S = 8.0
"""So long after its start dbt has connected and is building views or running their tests."""
STAGING_TICKS = 3
"""The commit point of `clean_ticks` at which rejects are staged, ticks are not, and nothing is published."""


@pytest.fixture(scope="module")
def scenario(data_stack: Settings) -> Scenario:
    """The small market's raw ticks in both states."""
    lakehouse = Lakehouse.from_settings(data_stack)
    lakehouse.ensure_tables()
    made = Scenario(lakehouse, RawStore(data_stack.raw_dir))
    made.record()
    return made


@pytest.fixture
def supervisor(data_stack: Settings) -> Iterator[Supervisor]:
    """The stack's own start and stop; what a test stopped is started again."""
    made = Supervisor(data_stack)
    yield made
    made.up(print, ("postgres", "s3"))


@pytest.mark.parametrize("server", ["postgres", "s3"])
def test_server_stopped_while_silver_is_written(
    data_stack: Settings, scenario: Scenario, supervisor: Supervisor, tmp_path: Path, server: str
) -> None:
    witness = Witness(scenario.lakehouse, ObjectStore.from_settings(data_stack), TABLES)
    child, expected = Child("clean", tmp_path / "log.txt"), {}
    for state in STATES:
        scenario.enter(state, ["raw.ticks"])
        child.run()
        expected[state] = witness.hashes()
    scenario.enter("A", ["raw.ticks"])
    started = time.monotonic()
    exit_code = child.run_and(STAGING_TICKS, lambda: supervisor.down(print, [server]), is_held=True)
    print(f"\n{server} stopped: exit code {exit_code} after {time.monotonic() - started:.0f} s, {reason(child)}")
    assert exit_code == 1
    assert f"Expected {server} at 127.0.0.1:" in reason(child)
    supervisor.up(print, ("postgres", "s3"))
    assert witness.hashes() == expected["B"]
    again = Child("clean", tmp_path / "again.txt")
    again.run()
    again.end()
    assert witness.hashes() == expected["A"]
    assert witness.branches() == []


def test_trino_stopped_while_gold_is_built(data_stack: Settings, scenario: Scenario, supervisor: Supervisor, tmp_path: Path) -> None:
    make_silver(scenario, tmp_path / "silver.txt")
    supervisor.up(print, ("postgres", "s3", "trino"))
    child = Child("gold", tmp_path / "log.txt")
    child.run()
    views = gold_views(data_stack)
    started = time.monotonic()
    exit_code = child.run_and(1, lambda: (time.sleep(DBT_AT_WORK_S), supervisor.down(print, ["trino"])), is_held=False)
    print(f"\ntrino stopped: exit code {exit_code} after {time.monotonic() - started:.0f} s, {reason(child)}")
    assert exit_code == 1
    assert "Expected trino at 127.0.0.1:" in reason(child)
    supervisor.up(print, ("postgres", "s3", "trino"))
    again = Child("gold", tmp_path / "again.txt")
    again.run()
    again.end()
    assert gold_views(data_stack) == views
    supervisor.down(print, ["trino"])


def make_silver(scenario: Scenario, log: Path) -> None:
    """Publish everything that gold reads, of both dates: dbt's own tests compare the tables."""
    scenario.enter("A", ["raw.ticks"])
    hour_ledger.publish(scenario.lakehouse, scenario.store, [SYMBOL], [DAY, OTHER_DAY], [SOURCE])
    for writer in ("clean", "sample", "bars"):
        child = Child(writer, log)
        for day in (DAY, OTHER_DAY):
            child.run(day)
        child.end()


def gold_views(settings: Settings) -> dict[str, int]:
    """Return the rows of each gold view."""
    query = TrinoQuery.from_settings(settings)
    names = [row[0] for row in query.rows("select table_name from information_schema.tables where table_schema = 'gold' order by 1")]
    return {name: int(query.scalar(f"select count(*) from gold.{name}") or 0) for name in names}


def reason(child: Child) -> str:
    """Return the last line in which the run says what it expected."""
    lines = [line for line in child.log_tail(1_000_000).splitlines() if "Failure: Expected" in line]
    return lines[-1] if lines else child.log_tail()
