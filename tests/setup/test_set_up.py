"""From a fresh clone to ticks in silver: as root and as a normal user, each Python, an empty home, every path with a space.

What belongs here: what a person types first, in a clone of its own. What must not: rules of the stack (`tests/unit/stack`), kills.

Downloads of `tick setup` are copied from this machine's TICK_CACHE to spare them; packages come from uv's cache where the user may read
it, else from the index. Nothing else is shared: not the environment, not the home, not the state folder.
"""

from __future__ import annotations

import json
import os
import pwd
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ALL_SERVERS, free_ports
from tests.setup.commands import ROOT, Checkout, Person, find_python, port_variables
from tick_assets.settings import load_settings
from tick_assets.stack.processes import marked_processes

pytestmark = [pytest.mark.full, pytest.mark.stack]

SYMBOL, DAY = "SYNEDGE", "2024-02-06"
NORMAL_USER = os.environ.get("TICK_TEST_USER", "nobody")
CASES = [("3.11", "me"), ("3.12", "me"), ("3.11", "normal user"), ("3.12", "normal user")]


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """A folder with spaces that every user may enter; pytest's own is for one user alone."""
    base = Path(os.environ.get("TICK_SETUP_FOLDER", "/var/tmp"))
    made = base / f"tick set up {os.getpid()} {tmp_path.name}"
    made.mkdir(mode=0o755)
    yield made
    shutil.rmtree(made, ignore_errors=True)


@pytest.fixture(params=CASES, ids=[f"{version}-{who.replace(' ', '-')}" for version, who in CASES])
def checkout(request: pytest.FixtureRequest, place: Path) -> Checkout:
    """A clone of this commit, an empty home and a copy of the downloads, all owned by who types."""
    version, who = request.param
    person = person_of(who, place)
    python = find_python(version, person)
    if python is None:
        pytest.skip(f"Expected a python{version} with venv that {who} may run, was none on the PATH or in /usr/bin")
    folder, cache = place / "a checkout" / "tick assets", place / "the cache"
    subprocess.run(["git", "clone", "--quiet", "--no-hardlinks", str(ROOT), str(folder)], check=True)
    shutil.copytree(load_settings().cache, cache, symlinks=True, ignore=shutil.ignore_patterns("nifi*", "numba", "lock"))
    person.home.mkdir()
    person.owns(place)
    variables = {"TICK_PYTHON": python, "TICK_CACHE": str(cache), "TICK_SYMBOLS": SYMBOL}
    return Checkout(folder, person, variables | port_variables(free_ports(1)[0]))


def person_of(who: str, place: Path) -> Person:
    """Return who runs the tests, or, for root, a normal user."""
    home = place / f"the home of {who}"
    if who == "me":
        return Person(home)
    if os.geteuid() != 0:
        pytest.skip("Expected root, which alone can be somebody else too; the other cases are a normal user's already")
    entry = pwd.getpwnam(NORMAL_USER)
    return Person(home, entry.pw_uid, entry.pw_gid)


def test_fresh_clone_becomes_a_running_stack_with_ticks(checkout: Checkout) -> None:
    home = checkout.folder / ".tick"
    checkout.run("make", "setup")
    assert "nothing to download" in checkout.run("make", "setup")
    checkout.tick("doctor")
    try:
        checkout.tick("up")
        with checkout.vendor(SYMBOL, DAY, vendor_port_of(checkout)):
            checkout.tick("backfill", "--from", DAY, "--to", DAY)
        (counted,) = json.loads(checkout.tick("sql", "select count(*) as n from silver.ticks", "--format", "json"))
        assert counted["n"] > 10_000
        assert checkout.running() == set(ALL_SERVERS)
        assert owners(home) == {checkout.person.uid if checkout.person.uid is not None else os.geteuid()}
    finally:
        checkout.tick("down")
    assert marked_processes(home) == {}
    assert checkout.run("git", "status", "--porcelain").strip() == ""
    assert {path.name for path in checkout.person.home.iterdir()} <= {".cache", ".config", ".java", ".local"}


def vendor_port_of(checkout: Checkout) -> int:
    return int(checkout.variables["TICK_VENDOR_URL"].rpartition(":")[2])


def owners(folder: Path) -> set[int]:
    """Return the users that own anything in a folder."""
    return {path.lstat().st_uid for path in folder.rglob("*")}
