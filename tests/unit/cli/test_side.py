"""`tick side`: what it prints, keeps and exits with, without a stack."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tick_assets.cli.errors import CommandError
from tick_assets.cli.main import build_app

GOOD = "ts_event,known_at,currency,name,actual\n2024-01-11T13:30:00Z,2024-01-11T13:30:02Z,USD,CPI,3.4\n"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TICK_HOME", str(tmp_path / ".tick"))
    return tmp_path / ".tick"


def run(*arguments: str) -> tuple[str, BaseException | None]:
    result = CliRunner().invoke(build_app(), ["side", *arguments])
    return result.stdout, result.exception


def deliver(tmp_path: Path, text: str, *options: str) -> tuple[str, BaseException | None]:
    file = tmp_path / "calendar.csv"
    file.write_text(text)
    return run("import", "calendar", str(file), *options)


def test_file_is_kept_without_a_stack_and_the_exit_says_that_the_table_waits(home: Path, tmp_path: Path) -> None:
    output, error = deliver(tmp_path, GOOD, "--json")
    assert {name: json.loads(output)[name] for name in ("rows", "values", "refused", "is_new", "is_in_table")} == {
        "rows": 1,
        "values": 1,
        "refused": 0,
        "is_new": True,
        "is_in_table": False,
    }
    assert isinstance(error, CommandError)
    assert "the file is kept. Run `tick up`" in str(error)
    assert len(list((home / "side" / "calendar").glob("*.csv"))) == 1


def test_refused_rows_are_named_and_the_good_ones_stay(home: Path, tmp_path: Path) -> None:
    output, error = deliver(tmp_path, GOOD + "2024-01-11T13:30:00,2024-01-11T13:30:02Z,USD,PMI,50\n")
    assert "2 rows: 1 new values, 0 said before, 1 refused" in output
    assert "was 1 refused; the good ones stay" in str(error)
    listed, _ = run("list", "--json")
    (feed,) = json.loads(listed)
    assert (feed["feed"], feed["values"], feed["refused"], feed["names"]) == ("calendar", 1, 1, ["CPI.actual"])


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("ts_event,rate\n2024-01-11T13:30:00Z,1\n", (), "was neither"),
        (GOOD, ("--delay", "soon"), "Expected a delay such as 30s"),
        (GOOD, ("--known-at-column", "seen"), "Expected a column seen"),
    ],
)
def test_file_whose_known_at_is_unclear_is_refused_whole(
    home: Path, tmp_path: Path, text: str, options: tuple[str, ...], message: str
) -> None:
    _, error = deliver(tmp_path, text, *options)
    assert isinstance(error, CommandError)
    assert message in str(error)
    assert not list((home / "side").rglob("*.csv"))


def test_list_without_feeds_says_how_one_comes_to_be(home: Path) -> None:
    assert run("list")[0] == "no side tables yet; `tick side import FEED FILE` makes one\n"
