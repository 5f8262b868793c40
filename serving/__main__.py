"""Run the service: `python -m serving`. The composition root; one worker process owns the kernel state."""

from __future__ import annotations

import logging
import sys

import uvicorn

from serving.app import create_app
from serving.clock import SystemClock
from serving.model_probe import ChildProcessProbe, RememberingProbe
from serving.object_store import connect_object_store
from serving.settings import load_service_settings


def main() -> int:
    """Serve until SIGTERM or SIGINT; requests in flight are answered first."""
    logging.basicConfig(level=logging.INFO, format="ts=%(asctime)s level=%(levelname)s %(message)s", stream=sys.stderr)
    logging.getLogger("httpx").setLevel(logging.WARNING)
    settings = load_service_settings()
    try:
        secrets = settings.read_secrets()
    except FileNotFoundError as error:
        print(error, file=sys.stderr)
        return 1
    app = create_app(
        settings,
        SystemClock(),
        connect_object_store(settings, secrets),
        RememberingProbe(ChildProcessProbe()),
        {name: key.get_secret_value() for name, key in secrets.api_keys.items()},
    )
    uvicorn.run(
        app,
        host=settings.host,
        port=settings.service_port,
        workers=1,
        access_log=False,
        log_level="warning",
        timeout_graceful_shutdown=10,
        ws_max_size=settings.service_body_limit_bytes,
        server_header=False,
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
