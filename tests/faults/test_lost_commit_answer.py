"""The catalog's connection is lost around a commit: rows are neither lost nor doubled, and no file is deleted.

What belongs here: a Postgres of the test's own behind a cutting proxy. What must not: the session's stack, which must not be stopped.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from pyiceberg.catalog.sql import SqlCatalog

from tests.conftest import free_ports
from tests.faults.cut_proxy import CutProxy, cut_proxy
from tests.unit.lakehouse.local_catalog import DAY, silver_rows
from tick_assets.lakehouse import commits
from tick_assets.lakehouse.catalog import Lakehouse, day_filter
from tick_assets.lakehouse.commits import CommitUnknownError
from tick_assets.settings import Settings
from tick_assets.stack.supervisor import Supervisor

pytestmark = pytest.mark.stack

TABLE = "silver.ticks"


@dataclass
class Cuttable:
    """A lakehouse whose catalog is reached through the proxy, and one that goes past it."""

    lakehouse: Lakehouse
    witness: Lakehouse
    proxy: CutProxy
    supervisor: Supervisor

    def rows(self) -> int:
        return len(self.witness.frame(TABLE))


@pytest.fixture(scope="module")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """A Postgres of this module."""
    settings = Settings(home=tmp_path_factory.mktemp("postgres") / ".tick", postgres_port=free_ports(1)[0])
    supervisor = Supervisor(settings)
    supervisor.up(print, ["postgres"])
    yield settings
    supervisor.down(print)


@pytest.fixture
def cuttable(postgres: Settings, tmp_path: Path) -> Iterator[Cuttable]:
    """Tables of a catalog of the test's own, files in a folder."""

    def opened(port: int) -> Lakehouse:
        uri = postgres.postgres_database_url("catalog").replace(f":{postgres.postgres_port}/", f":{port}/")
        properties = {"uri": uri, "warehouse": f"file://{tmp_path}", "init_catalog_tables": "true", "pool_pre_ping": "true"}
        return Lakehouse(SqlCatalog(tmp_path.name, **properties))

    with cut_proxy(postgres.postgres_port) as proxy:
        witness, lakehouse = opened(postgres.postgres_port), opened(proxy.port)
        witness.ensure_tables()
        yield Cuttable(lakehouse, witness, proxy, Supervisor(postgres))
        for each in (witness, lakehouse):
            each.catalog.engine.dispose()


@pytest.mark.parametrize("when", ["before", "after"])
def test_append_answer_lost_rows_are_there_once(cuttable: Cuttable, when: str) -> None:
    cuttable.lakehouse.append(TABLE, silver_rows("SYNNULL"))
    cuttable.proxy.arm(when)
    assert cuttable.lakehouse.append(TABLE, silver_rows()) == 200
    assert (cuttable.proxy.cuts, cuttable.rows()) == (1, 400)


@pytest.mark.parametrize("when", ["before", "after"])
def test_replacement_answer_lost_replaces_once(cuttable: Cuttable, when: str) -> None:
    cuttable.lakehouse.append(TABLE, silver_rows())
    before = len(cuttable.witness.table(TABLE).snapshots())
    cuttable.proxy.arm(when)
    cuttable.lakehouse.replace_rows(TABLE, silver_rows(count=150), day_filter("SYNEDGE", DAY))
    assert cuttable.proxy.cuts == 1
    assert cuttable.rows() == 150
    assert len(cuttable.witness.table(TABLE).snapshots()) == before + 2  # one delete and one append: the commit was not repeated


@pytest.mark.parametrize("when", ["before", "after"])
def test_tag_answer_lost_tag_is_there(cuttable: Cuttable, when: str) -> None:
    cuttable.lakehouse.append(TABLE, silver_rows())
    cuttable.proxy.arm(when)
    snapshot = cuttable.lakehouse.tag(TABLE, "ds_1")
    assert cuttable.proxy.cuts == 1
    assert cuttable.witness.tags(TABLE) == {"ds_1": snapshot}


def test_postgres_restarted_between_commits_the_next_one_succeeds(cuttable: Cuttable) -> None:
    cuttable.lakehouse.append(TABLE, silver_rows())
    cuttable.supervisor.down(print, ["postgres"])
    threading.Thread(target=lambda: (time.sleep(1), cuttable.supervisor.up(print, ["postgres"]))).start()
    table = cuttable.lakehouse.table
    arrow = silver_rows("SYNNULL").to_arrow()
    with pytest.MonkeyPatch.context() as patch:
        # The schema is known: the first thing that meets the dead server is the commit itself.
        patch.setattr(Lakehouse, "to_arrow", lambda self, name, rows: arrow)
        cuttable.lakehouse.append(TABLE, arrow)
    assert len(table(TABLE).scan().to_arrow()) == cuttable.rows() == 400


def test_postgres_gone_outcome_is_said_to_be_unknown_and_no_file_is_deleted(
    cuttable: Cuttable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cuttable.lakehouse.append(TABLE, silver_rows("SYNNULL"))
    monkeypatch.setattr(commits, "PATIENCE_S", 1.0)
    cuttable.proxy.arm("after")
    cuttable.proxy.close()  # connections that are open go on; new ones are refused
    with pytest.raises(CommitUnknownError, match="It may have happened or not; no file was deleted"):
        cuttable.lakehouse.append(TABLE, silver_rows())
    assert cuttable.rows() == 400  # it had happened, and all its files are there
