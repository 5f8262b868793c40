"""Two stacks of one checkout at once, with different state folders and ports: neither knows of the other.

What belongs here: both up, each with its own data, one taken down. What must not: what a single stack does.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ALL_SERVERS, free_ports
from tests.setup.commands import ROOT, Checkout, Person, port_variables
from tick_assets.settings import load_settings
from tick_assets.stack.processes import marked_processes

pytestmark = [pytest.mark.full, pytest.mark.stack]


class Side(Checkout):
    """One of the two: this very checkout, with a state folder and ports of its own."""

    def tick_command(self) -> list[str]:
        return [sys.executable, "-W", "ignore", "-m", "tick_assets.cli.main"]

    def ingest(self, symbol: str, day: str) -> None:
        """Bring a day of a symbol to `raw.ticks`."""
        with self.vendor(symbol, day, int(self.variables["TICK_VENDOR_URL"].rpartition(":")[2])):
            self.tick("backfill", "--symbols", symbol, "--from", day, "--to", day, "--select", 'key:"raw/ticks" or key:"raw/ticks_csv"')

    def rows(self) -> dict[str, int]:
        found = json.loads(self.tick("sql", "select symbol, count(*) as n from raw.ticks group by symbol", "--format", "json"))
        return {row["symbol"]: row["n"] for row in found}


@pytest.fixture
def sides(tmp_path: Path) -> Iterator[tuple[Side, Side]]:
    """Both, taken down in the end."""
    made = []
    for name in ("one", "two"):
        home = tmp_path / f"state of {name}"
        home.mkdir()
        variables = {"TICK_HOME": str(home / ".tick"), "TICK_CACHE": str(load_settings().cache), **port_variables(free_ports(1)[0])}
        made.append(Side(ROOT, Person(home), variables))
    yield made[0], made[1]
    for side in made:
        side.tick("down")
        assert marked_processes(Path(side.variables["TICK_HOME"])) == {}


def test_two_stacks_run_at_once_and_one_goes_down_alone(sides: tuple[Side, Side]) -> None:
    one, two = sides
    for side in sides:
        side.tick("up")
    assert one.running() == two.running() == set(ALL_SERVERS)
    one.ingest("SYNEDGE", "2024-02-06")
    two.ingest("SYNNULL", "2024-02-07")
    assert (set(one.rows()), set(two.rows())) == ({"SYNEDGE"}, {"SYNNULL"})
    kept = two.rows()
    one.tick("down")
    assert one.running() == set()
    assert two.running() == set(ALL_SERVERS)
    assert two.rows() == kept
    one.tick("up")
    assert set(one.rows()) == {"SYNEDGE"}
