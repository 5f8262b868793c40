"""A person at a checkout: which user, which Python, which home, and the commands that are typed there.

What belongs here: running commands as somebody, with nothing of the caller's environment but how to reach the network. What must not: what
is expected of them (the tests beside).
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.conftest import free_ports

ROOT = Path(__file__).resolve().parents[2]
NETWORK = ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "LD_LIBRARY_PATH")
NETWORK_PREFIXES = ("PIP_", "UV_", "HTTP_", "HTTPS_", "NO_PROXY", "http_", "https_", "no_proxy")
PORTS = ("postgres", "s3", "trino", "mlflow", "dagster_code", "dagster", "service")
PLAIN_PATH = "/usr/local/bin:/usr/bin:/bin"


@dataclass(frozen=True)
class Person:
    """Who types; `uid` none is whoever runs the tests."""

    home: Path
    uid: int | None = None
    gid: int | None = None

    def prefix(self) -> list[str]:
        """Return the words before a command that make it this person's."""
        return (
            [] if self.uid is None else ["setpriv", "--reuid", str(self.uid), "--regid", str(self.gid), "--clear-groups", "--no-new-privs"]
        )

    def environment(self, more: Mapping[str, str]) -> dict[str, str]:
        """Return an environment with this home, the way to the network, and nothing else of the caller's."""
        kept = {name: value for name, value in os.environ.items() if name in NETWORK or name.startswith(NETWORK_PREFIXES)}
        if self.uid is not None:
            kept = {name: value for name, value in kept.items() if name != "UV_CACHE_DIR"}
        return {**kept, "HOME": str(self.home), "PATH": PLAIN_PATH, "LANG": "C.UTF-8", **more}

    def owns(self, path: Path) -> None:
        """Give a folder and all in it to this person."""
        if self.uid is not None:
            subprocess.run(["chown", "-R", f"{self.uid}:{self.gid}", str(path)], check=True)

    def may_run(self, program: str) -> bool:
        done = subprocess.run(
            [*self.prefix(), program, "-c", "import venv, ensurepip"], env=self.environment({}), capture_output=True, check=False
        )
        return done.returncode == 0


@dataclass(frozen=True)
class Checkout:
    """A folder of the project, and the variables that its person sets."""

    folder: Path
    person: Person
    variables: Mapping[str, str]

    def start(self, *command: str) -> subprocess.Popen[str]:
        """Start a command in the checkout."""
        return subprocess.Popen(
            [*self.person.prefix(), *command],
            cwd=self.folder,
            env=self.person.environment(self.variables),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(self, *command: str, limit_s: float = 580.0) -> str:
        """Run a command in the checkout that must succeed, show what it printed, and return it."""
        process = self.start(*command)
        try:
            printed, complaints = process.communicate(timeout=limit_s)
        finally:
            process.kill()
        print(f"\n$ {' '.join(command)}\n{printed[-2500:]}{complaints[-1500:]}")
        assert process.returncode == 0, printed[-2000:] + complaints[-2000:]
        return printed

    def tick(self, *arguments: str) -> str:
        """Run `tick` and return what it printed."""
        return self.run(*self.tick_command(), *arguments)

    def running(self) -> set[str]:
        """Return the names of the servers that run."""
        return {each["name"] for each in json.loads(self.tick("status", "--json")) if each["state"] == "running"}

    def tick_command(self) -> list[str]:
        """Return the checkout's own `tick`."""
        return [str(self.folder / ".venv" / "bin" / "tick")]

    @contextmanager
    def vendor(self, symbol: str, day: str, port: int) -> Iterator[None]:
        """Make a day of a synthetic market and serve it as the vendor would."""
        files = self.person.home.parent / f"vendor of {symbol}"
        self.tick("vendor", "generate", "--root", str(files), "--symbols", symbol, "--from", day, "--to", day)
        server = self.start(*self.tick_command(), "vendor", "serve", "--root", str(files), "--port", str(port))
        try:
            yield
        finally:
            server.kill()
            server.communicate()


def port_variables(vendor_port: int) -> dict[str, str]:
    """Return free ports for a stack, and the vendor that it asks."""
    ports = {f"TICK_{name.upper()}_PORT": str(port) for name, port in zip(PORTS, free_ports(len(PORTS)), strict=True)}
    address = f"http://127.0.0.1:{vendor_port}"
    return {**ports, "TICK_SOURCE": "synthetic-twin", "TICK_VENDOR_URL": address, "TICK_VENDOR_JSON_URL": address}


def find_python(version: str, person: Person) -> str | None:
    """Return an interpreter of this version that the person may run and that has the venv module."""
    candidates = [shutil.which(f"python{version}"), f"/usr/bin/python{version}", f"/usr/local/bin/python{version}"]
    return next((path for path in candidates if path and Path(path).exists() and person.may_run(path)), None)
