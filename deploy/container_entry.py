"""Start one process of the container deployment: write the state folder's secrets once, enter the environment, and exec the command.

What belongs here: what a container needs before its command. What must not: anything that the embedded stack does differently.
"""

from __future__ import annotations

import json
import os
import sys

from tick_assets.settings import Settings, load_settings
from tick_assets.stack.environment import environment
from tick_assets.stack.secrets import ensure_secrets, write_private
from tick_assets.stack.services.dagster import INSTANCE

GIVEN = {
    "postgres_password": "TICK_SECRET_POSTGRES",
    "s3_access_key": "TICK_SECRET_S3_ACCESS_KEY",
    "s3_secret_key": "TICK_SECRET_S3_SECRET_KEY",
}


def write_given_secrets(settings: Settings) -> None:
    """Put the deployment's secrets in place of the generated ones; the service's keys and the passport pair stay."""
    ensure_secrets(settings)
    generated = json.loads(settings.secrets_file.read_text())
    given = {name: os.environ[variable] for name, variable in GIVEN.items()}
    if {**generated, **given} != generated:
        write_private(settings.secrets_file, json.dumps({**generated, **given}, indent=2) + "\n")


def main() -> None:
    """Prepare, then become the command."""
    settings = load_settings()
    write_given_secrets(settings)
    variables = {**os.environ, **environment(settings)}
    dagster_home = settings.home / "dagster"
    dagster_home.mkdir(exist_ok=True)
    write_private(dagster_home / "dagster.yaml", INSTANCE.read_text())
    os.execvpe(sys.argv[1], sys.argv[1:], variables)


if __name__ == "__main__":
    main()
