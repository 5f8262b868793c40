"""Configuration of Trino's nodes; no server is started."""

from __future__ import annotations

from tick_assets.stack.service import Site
from tick_assets.stack.services.trino import Trino, TrinoWorker

OWN = ("http-server.http.port", "catalog.config-dir", "spiller-spill-path")


def test_worker_shares_everything_with_the_coordinator_but_port_folder_and_role(site: Site) -> None:
    coordinator, worker = (node.configuration(site) for node in (Trino(), TrinoWorker()))
    assert (coordinator["coordinator"], worker["coordinator"]) == ("true", "false")
    assert all(coordinator[name] != worker[name] for name in OWN)
    shared = set(worker) - {*OWN, "coordinator"}
    assert {name: worker[name] for name in shared} == {name: coordinator[name] for name in shared}
    assert (worker["node.bind-ip"], worker["node.internal-address"]) == ("127.0.0.1", "127.0.0.1")
    assert worker["discovery.uri"].endswith(f":{site.settings.trino_port}")


def test_worker_has_an_id_and_a_data_folder_of_its_own(site: Site) -> None:
    commands = [node.command(site) for node in (Trino(), TrinoWorker())]
    for option in ("-Dnode.id=", "-Dnode.data-dir=", "-Dconfig=", "-Dlog.levels-file="):
        assert len({part for command in commands for part in command if part.startswith(option)}) == 2
    assert TrinoWorker().is_optional
