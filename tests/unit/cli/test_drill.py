"""`tick drill`: what keeps it away from the lake that it compares with."""

from __future__ import annotations

import fcntl
from datetime import date
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tick_assets.cli import drill
from tick_assets.cli.errors import CommandError
from tick_assets.cli.main import build_app
from tick_assets.cli.rebuild_run import _selected
from tick_assets.lakehouse.rebuild import ROW_TABLES, views_from_raw
from tick_assets.settings import PROJECT_ROOT, Settings, load_settings
from tick_assets.stack.environment import service_environment
from tick_assets.stack.secrets import ensure_secrets

LIVE = {
    "TICK_POSTGRES_URL": "postgresql://someone@live:5432",
    "TICK_S3_ENDPOINT": "https://s3.live",
    "TICK_TRINO_URL": "http://trino.live:8080",
    "TICK_VENDOR_URL": "https://vendor.live",
    "TICK_SPARK_MASTER": "spark://live:7077",
    "TICK_TRAIN_TO": "2024-01-19",
    "TICK_SYMBOLS": "EURUSD",
    "TICK_BAR_TICKS": "500",
}
PORTS = list(range(20_001, 20_001 + len(drill.PORTS)))


@pytest.fixture
def live(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings of a lake on a cluster."""
    monkeypatch.setenv("TICK_HOME", str(tmp_path / ".tick"))
    for name, value in LIVE.items():
        monkeypatch.setenv(name, value)
    return load_settings()


def test_drill_settings_read_by_its_child_name_nothing_of_the_lake(live: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    own = drill.settings_of_drill(live, live.home / "drill", PORTS)
    ensure_secrets(own)
    for name, value in service_environment(own, "drill").items():
        monkeypatch.setenv(name, value)
    read = load_settings()
    assert (read.home, read.raw_dir) == (live.home / "drill", live.home / "drill" / "raw")
    assert read.postgres_address.endswith("@127.0.0.1:20001")
    assert (read.s3_address, read.trino_address) == ("http://127.0.0.1:20002", "http://127.0.0.1:20003")
    assert (read.vendor_url, read.vendor_json_url, read.spark_master) == (drill.CLOSED, drill.CLOSED, "local[2]")
    assert "live" not in " ".join(str(value) for value in read.model_dump().values())


def test_drill_settings_keep_what_the_rows_depend_on(live: Settings) -> None:
    own = drill.settings_of_drill(live, live.home / "drill", PORTS)
    assert (own.symbols, own.bar_ticks, own.train_to) == (("EURUSD",), 500, date(2024, 1, 19))
    assert (own.market_path, own.policy_path, own.sources_in_order) == (live.market_path, live.policy_path, live.sources_in_order)


def test_drill_runs_everything_from_the_replica_on_and_nothing_that_asks_a_vendor() -> None:
    from tick_assets.definitions import defs

    names = {".".join(key.path) for key in _selected(defs, with_gold=True)}
    assert not {"raw.ticks_csv", "raw.live_ticks_csv"} & names
    assert {"raw.replica", *ROW_TABLES, *views_from_raw(PROJECT_ROOT / "dbt_project")} <= names
    assert not [name for name in names if name.startswith(("datasets", "models", "evidence"))]


def test_drill_second_one_of_a_state_folder_is_refused(live: Settings) -> None:
    live.home.mkdir(parents=True)
    with (live.home / "drill.lock").open("a") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(CommandError, match="Expected no other drill"), drill._alone(live):
            pass


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["drill"], "Expected raw files of any symbol"),
        (["drill", "--symbols", "EURUSD"], "Expected raw files of EURUSD"),
        (["drill", "--in-place", "--symbols", "EURUSD"], "tables are dropped whole"),
    ],
)
def test_drill_that_has_nothing_to_do_or_would_do_half_is_refused(live: Settings, arguments: list[str], message: str) -> None:
    result = CliRunner().invoke(build_app(), arguments)
    assert result.exit_code == 1
    assert message in str(result.exception)
    assert not (live.home / "drill").exists()


def test_drill_in_place_without_a_yes_drops_nothing(live: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(drill.typer, "confirm", lambda text, err: bool(asked.append(text)))
    with pytest.raises(CommandError, match="Nothing was dropped"):
        drill._confirm(live, ["1a2b3c"], yes=False)
    assert "Datasets 1a2b3c pin rows that newer raw revisions replaced" in asked[0]
    drill._confirm(live, [], yes=True)
    assert len(asked) == 1
