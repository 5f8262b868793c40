"""Dagster's three servers: code, web page, daemon.

What belongs here: `dagster.yaml`, the workspace, command lines, health. What must not: assets and jobs.
"""

from __future__ import annotations

import sys

from tick_assets.settings import PROJECT_ROOT, Settings
from tick_assets.stack.environment import dagster_home
from tick_assets.stack.secrets import write_private
from tick_assets.stack.service import Service, Site, answers_http, module_exists
from tick_assets.stack.services.postgres import rows_of, run

DEFINITIONS = "tick_assets.definitions"
LOCATION = "tick_assets"
HEARTBEAT_LIMIT_S = 120
INSTANCE = PROJECT_ROOT / "deploy" / "dagster.yaml"


def write_instance(settings: Settings) -> None:
    """Write `dagster.yaml` and the workspace of the embedded stack; also what a run without any server needs."""
    home = dagster_home(settings)
    home.mkdir(parents=True, exist_ok=True)
    write_private(home / "dagster.yaml", INSTANCE.read_text())
    server = f"host: {settings.host}\n      port: {settings.dagster_code_port}\n      location_name: {LOCATION}"
    write_private(home / "workspace.yaml", f"load_from:\n  - grpc_server:\n      {server}\n")


class _DagsterService(Service):
    """What the three share."""

    needs: tuple[str, ...] = ("postgres",)
    start_limit_s = 240.0

    def is_present(self) -> bool:
        return module_exists(DEFINITIONS)

    def prepare(self, site: Site) -> None:
        write_instance(site.settings)


class DagsterCodeServer(_DagsterService):
    """The process that holds the definitions and launches runs; it can reload them."""

    name = "dagster-code"
    port_setting = "dagster_code_port"
    stop_limit_s = 30.0
    memory_mb = 400

    def command(self, site: Site) -> list[str]:
        settings = site.settings
        listen = ["-h", settings.host, "-p", str(settings.dagster_code_port)]
        module = ["-m", DEFINITIONS, "-d", str(PROJECT_ROOT), "--location-name", LOCATION]
        return [sys.executable, "-m", "dagster", "code-server", "start", *listen, *module]

    def is_healthy(self, settings: Settings) -> bool:
        import grpc

        request = b"\n\x0aDagsterApi"  # field 1, ten bytes
        with grpc.insecure_channel(f"{settings.host}:{settings.dagster_code_port}", [("grpc.enable_http_proxy", 0)]) as channel:
            check = channel.unary_unary("/grpc.health.v1.Health/Check")
            try:
                return bool(check(request, timeout=2.0) == b"\x08\x01")
            except grpc.RpcError:
                return False


class DagsterWebserver(_DagsterService):
    """The web page and GraphQL."""

    name = "dagster"
    port_setting = "dagster_port"
    address_setting = "dagster_url"
    needs = ("postgres", "dagster-code")
    memory_mb = 200

    def command(self, site: Site) -> list[str]:
        settings = site.settings
        listen = ["-h", settings.host, "-p", str(settings.dagster_port)]
        # A pooled connection older than a second is made anew: after Postgres came back, the first request would else fail on a dead one.
        pool = ["--db-pool-recycle", "1"]
        return [sys.executable, "-m", "dagster_webserver", *listen, *pool, "-w", str(dagster_home(settings) / "workspace.yaml")]

    def is_healthy(self, settings: Settings) -> bool:
        return answers_http(f"http://{settings.host}:{settings.dagster_port}/server_info")


class DagsterDaemon(_DagsterService):
    """The daemon: run queue, schedules, sensors, run monitoring."""

    name = "dagster-daemon"
    needs = ("postgres", "dagster-code")
    memory_mb = 200

    def is_elsewhere(self, settings: Settings) -> bool:
        return bool(settings.dagster_url)

    def prepare(self, site: Site) -> None:
        """Forget old heartbeats, so that health speaks of this start."""
        super().prepare(site)
        if rows_of(site.settings, "dagster", "select to_regclass('daemon_heartbeats')")[0][0]:
            run(site.settings, "dagster", "delete from daemon_heartbeats")

    def command(self, site: Site) -> list[str]:
        return [sys.executable, "-m", "dagster._daemon", "run", "-w", str(dagster_home(site.settings) / "workspace.yaml")]

    def is_healthy(self, settings: Settings) -> bool:
        """Ask for a recent heartbeat: the daemon listens nowhere."""
        import psycopg2

        query = f"select count(*) from daemon_heartbeats where timestamp > (now() at time zone 'UTC') - interval '{HEARTBEAT_LIMIT_S} s'"
        try:
            return bool(rows_of(settings, "dagster", query)[0][0])
        except (psycopg2.Error, FileNotFoundError):
            return False
