"""Trino: one coordinator that is its own worker, on loopback, with the `lakehouse` catalog; and, when asked for, a second worker.

What belongs here: its configuration, command line and health. What must not: SQL of the road.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tick_assets.settings import CATALOG, PROJECT_ROOT, Settings
from tick_assets.stack.secrets import write_private
from tick_assets.stack.service import Service, Site
from tick_assets.stack.services.postgres import USER, rows_of

CATALOG_FILE = PROJECT_ROOT / "deploy" / "trino" / "catalog" / f"{CATALOG}.properties"
HEAP = "2G"
SCHEMAS = f"show schemas from {CATALOG}"
JVM = (
    f"-Xmx{HEAP}",
    "-XX:+UseG1GC",
    "-XX:+ExplicitGCInvokesConcurrent",
    "-XX:+ExitOnOutOfMemoryError",
    "-XX:-OmitStackTraceInFastThrow",
    "-XX:ReservedCodeCacheSize=256M",
    "-Djdk.attach.allowAttachSelf=true",
    "-Dfile.encoding=UTF-8",
    "--add-modules=jdk.incubator.vector",
)


class Trino(Service):
    """The query engine."""

    name = "trino"
    node_id = "tick-coordinator"
    port_setting = "trino_port"
    address_setting = "trino_url"
    needs: tuple[str, ...] = ("postgres", "s3")
    start_limit_s = 180.0
    memory_mb = 1200

    def prepare(self, site: Site) -> None:
        folder = site.folder(self.name)
        (folder / "catalog").mkdir(exist_ok=True)
        write_private(folder / "config.properties", _lines(self.configuration(site)))
        write_private(folder / "log.properties", "io.trino=WARN\norg.apache.iceberg=WARN\nio.airlift=WARN\nio.trino.server.Server=INFO\n")
        write_private(folder / "catalog" / f"{CATALOG}.properties", CATALOG_FILE.read_text())
        make_catalog_tables(site.settings)

    def configuration(self, site: Site) -> dict[str, str]:
        """Return the node's own properties and those of its role."""
        settings = site.settings
        node = {
            "http-server.http.port": str(self.port(settings)),
            "discovery.uri": f"http://{settings.host}:{settings.trino_port}",
            "node.internal-address": settings.host,
            "node.bind-ip": settings.host,
            "plugin.dir": str(site.provisioned.trino_dir / "plugin"),
            "catalog.config-dir": str(site.folder(self.name) / "catalog"),
            # A small heap must not bound the dates that one query may cover: 7 million groups did not fit (tried).
            "spill-enabled": "true",
            "spiller-spill-path": str(site.folder(self.name) / "spill"),
        }
        return node | self.role()

    def role(self) -> dict[str, str]:
        """Return what makes the node a coordinator that works too."""
        return {
            "coordinator": "true",
            "node-scheduler.include-coordinator": "true",
            "query.max-memory": "1GB",
            "web-ui.preview.enabled": "false",
        }

    def command(self, site: Site) -> list[str]:
        folder, trino = site.folder(self.name), site.provisioned.trino_dir
        java = site.provisioned.java25_home / "bin" / "java"
        jvm = [flag for flag in JVM if not flag.startswith("--add-modules") or _has_module(site)]
        node = {
            "node.environment": "tick",
            "node.id": self.node_id,
            "node.data-dir": str(folder / "data"),
            "config": str(folder / "config.properties"),
            "log.levels-file": str(folder / "log.properties"),
        }
        properties = [f"-D{name}={value}" for name, value in node.items()]
        return [str(java), *jvm, *properties, "-cp", str(trino / "lib" / "*"), "io.trino.server.TrinoServer"]

    def working_directory(self, site: Site) -> Path:
        return site.folder(self.name)

    def is_healthy(self, settings: Settings) -> bool:
        import httpx

        try:
            answer = httpx.get(f"http://{settings.host}:{self.port(settings)}/v1/info", timeout=2.0, trust_env=False)
            return answer.status_code == 200 and answer.json().get("starting") is False
        except (httpx.HTTPError, ValueError):
            return False

    def complete(self, site: Site) -> None:
        """Wait until a query answers: the server says that it started before it can plan one."""
        _wait_for(f"Trino on port {site.settings.trino_port} to answer a query", lambda: answer_of(site.settings, SCHEMAS) is not None)


class TrinoWorker(Trino):
    """A second worker beside the coordinator: `tick up --with trino-worker`."""

    name = "trino-worker"
    node_id = "tick-worker"
    port_setting = "trino_worker_port"
    needs = ("trino",)
    is_optional = True

    def role(self) -> dict[str, str]:
        return {"coordinator": "false"}

    def complete(self, site: Site) -> None:
        """Wait until the coordinator gives it work."""
        active = [[self.node_id]]
        query = f"select node_id from system.runtime.nodes where node_id = '{self.node_id}' and state = 'active'"
        _wait_for("the coordinator to know Trino's second worker", lambda: answer_of(site.settings, query) == active)


def _wait_for(what: str, is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not is_so():
        if time.monotonic() > deadline:
            raise TimeoutError(f"Expected {what} within 60 s, was not so.")
        time.sleep(0.3)


def _has_module(site: Site) -> bool:
    release = site.provisioned.java25_home / "release"
    return release.exists() and "jdk.incubator.vector" in release.read_text()


def answer_of(settings: Settings, query: str) -> list[list[Any]] | None:
    """Run a query over HTTP to its end and return its rows; None while it fails."""
    import httpx

    address, rows = f"http://{settings.host}:{settings.trino_port}/v1/statement", []
    try:
        with httpx.Client(timeout=10.0, trust_env=False) as client:
            page = _document(client.post(address, content=query, headers={"X-Trino-User": USER}))
            while "nextUri" in page:
                page = _document(client.get(page["nextUri"]))
                rows += page.get("data", [])
            return None if "error" in page else rows
    except (httpx.HTTPError, ValueError):
        return None


def _document(answer: Any) -> dict[str, Any]:
    answer.raise_for_status()
    return dict(answer.json())


def make_catalog_tables(settings: Settings) -> None:
    """Let PyIceberg make the catalog's two tables, once: Trino expects to find them."""
    query = "select count(*) from pg_tables where tablename in ('iceberg_tables', 'iceberg_namespace_properties')"
    if rows_of(settings, "catalog", query)[0][0] == 2:
        return
    from pyiceberg.catalog.sql import SqlCatalog

    catalog = SqlCatalog(CATALOG, uri=settings.postgres_database_url("catalog"), warehouse=settings.warehouse, init_catalog_tables="true")
    catalog.engine.dispose()


def _lines(values: dict[str, str]) -> str:
    return "".join(f"{name}={value}\n" for name, value in values.items())
