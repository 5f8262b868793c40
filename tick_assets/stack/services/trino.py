"""Trino: one coordinator that is its own worker, on loopback, with the `lakehouse` catalog.

What belongs here: its configuration, command line and health. What must not: SQL of the road.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from tick_assets.settings import CATALOG, PROJECT_ROOT, Settings
from tick_assets.stack.secrets import write_private
from tick_assets.stack.service import Service, Site
from tick_assets.stack.services.postgres import USER, rows_of

CATALOG_FILE = PROJECT_ROOT / "deploy" / "trino" / "catalog" / f"{CATALOG}.properties"
HEAP = "2G"
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
    port_setting = "trino_port"
    address_setting = "trino_url"
    needs = ("postgres", "s3")
    start_limit_s = 180.0
    memory_mb = 1200

    def prepare(self, site: Site) -> None:
        folder = site.folder(self.name)
        (folder / "catalog").mkdir(exist_ok=True)
        write_private(folder / "config.properties", _lines(_config(site)))
        write_private(folder / "log.properties", "io.trino=WARN\norg.apache.iceberg=WARN\nio.airlift=WARN\nio.trino.server.Server=INFO\n")
        write_private(folder / "catalog" / f"{CATALOG}.properties", CATALOG_FILE.read_text())
        make_catalog_tables(site.settings)

    def command(self, site: Site) -> list[str]:
        folder, trino = site.folder(self.name), site.provisioned.trino_dir
        java = site.provisioned.java25_home / "bin" / "java"
        jvm = [flag for flag in JVM if not flag.startswith("--add-modules") or _has_module(site)]
        node = {
            "node.environment": "tick",
            "node.id": "tick-coordinator",
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
            answer = httpx.get(f"http://{settings.host}:{settings.trino_port}/v1/info", timeout=2.0, trust_env=False)
            return answer.status_code == 200 and answer.json().get("starting") is False
        except (httpx.HTTPError, ValueError):
            return False

    def complete(self, site: Site) -> None:
        """Wait until a query answers: the server says that it started before it can plan one."""
        deadline = time.monotonic() + 60
        while not _query_answers(site.settings):
            if time.monotonic() > deadline:
                raise TimeoutError(f"Expected Trino on port {site.settings.trino_port} to answer a query within 60 s, was silent.")
            time.sleep(0.3)


def _has_module(site: Site) -> bool:
    release = site.provisioned.java25_home / "release"
    return release.exists() and "jdk.incubator.vector" in release.read_text()


def _query_answers(settings: Settings) -> bool:
    """Run `show schemas` over HTTP to its end; any failure means not yet."""
    import httpx

    address = f"http://{settings.host}:{settings.trino_port}/v1/statement"
    try:
        with httpx.Client(timeout=10.0, trust_env=False) as client:
            page = _document(client.post(address, content=f"show schemas from {CATALOG}", headers={"X-Trino-User": USER}))
            while "nextUri" in page:
                page = _document(client.get(page["nextUri"]))
            return "error" not in page
    except (httpx.HTTPError, ValueError):
        return False


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


def _config(site: Site) -> dict[str, str]:
    settings = site.settings
    return {
        "coordinator": "true",
        "node-scheduler.include-coordinator": "true",
        "http-server.http.port": str(settings.trino_port),
        "discovery.uri": f"http://{settings.host}:{settings.trino_port}",
        "node.internal-address": settings.host,
        "node.bind-ip": settings.host,
        "query.max-memory": "1GB",
        "plugin.dir": str(site.provisioned.trino_dir / "plugin"),
        "catalog.config-dir": str(site.folder("trino") / "catalog"),
        "web-ui.preview.enabled": "false",
    }
