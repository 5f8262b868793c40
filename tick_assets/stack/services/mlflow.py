"""MLflow's tracking server and model registry over Postgres and S3.

What belongs here: its command line and health. What must not: runs, models or their names.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tick_assets.settings import Settings
from tick_assets.stack.service import Service, Site, answers_http


class Mlflow(Service):
    """The tracking server."""

    name = "mlflow"
    port_setting = "mlflow_port"
    address_setting = "mlflow_url"
    needs = ("postgres", "s3")
    start_limit_s = 240.0
    memory_mb = 600

    def variables(self, site: Site) -> dict[str, str]:
        """Pass the database by variable: a command line is for all to read."""
        return {**super().variables(site), "MLFLOW_BACKEND_STORE_URI": site.settings.postgres_database_url("mlflow")}

    def command(self, site: Site) -> list[str]:
        settings = site.settings
        listen = ["--host", settings.host, "--port", str(settings.mlflow_port), "--workers", "1"]
        store = ["--artifacts-destination", f"s3://{settings.s3_bucket}/mlflow"]
        return [sys.executable, "-m", "mlflow", "server", *listen, *store]

    def working_directory(self, site: Site) -> Path:
        return site.folder(self.name)

    def is_healthy(self, settings: Settings) -> bool:
        return answers_http(f"http://{settings.host}:{settings.mlflow_port}/health")
