"""Spark's configuration: what is set on this machine, on a cluster and for Spark Connect; what can't work is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from tick_assets.lakehouse.spark import SparkPlaceError, most_tasks, session_config, spark_config
from tick_assets.settings import Settings, load_settings
from tick_assets.stack.doctor import configuration, shown_properties
from tick_assets.stack.environment import environment
from tick_assets.stack.secrets import ensure_secrets

CLUSTER = "spark://master.example:7077"
REMOTE = "sc://connect.example:15002/;token=abc;user_id=me"
OF_A_CLUSTER = ("spark.executor.memory", "spark.executor.memoryOverhead", "spark.executorEnv.POLARS_MAX_THREADS", "spark.locality.wait")


def settings_of(tmp_path: Path, **values: Any) -> Settings:
    return Settings(home=tmp_path / ".tick", cache=tmp_path / "cache", **values)


def test_session_on_this_machine_has_few_parts_and_no_executor_settings(tmp_path: Path) -> None:
    found = session_config(settings_of(tmp_path))
    assert (found["spark.master"], found["spark.sql.shuffle.partitions"], found["spark.driver.host"]) == ("local[2]", "4", "127.0.0.1")
    assert [name for name in OF_A_CLUSTER if name in found] == []


@pytest.mark.parametrize("master", [CLUSTER, "k8s://https://cluster.example:6443"])
def test_session_on_a_cluster_has_executor_settings_and_spark_s_own_parts(tmp_path: Path, master: str) -> None:
    found = session_config(settings_of(tmp_path, spark_master=master, spark_driver_host="10.0.0.5", spark_driver_bind_address="10.0.0.6"))
    assert {name: found[name] for name in OF_A_CLUSTER} == dict(zip(OF_A_CLUSTER, ("1g", "1g", "1", "0s"), strict=True))
    assert (found["spark.driver.host"], found["spark.driver.bindAddress"]) == ("10.0.0.5", "10.0.0.6")
    assert {"spark.sql.shuffle.partitions", "spark.executor.cores"} & set(found) == set()


def test_session_by_connect_names_neither_master_nor_driver(tmp_path: Path) -> None:
    found = session_config(settings_of(tmp_path, spark_remote=REMOTE))
    assert found["spark.remote"] == REMOTE
    assert [name for name in found if name.startswith(("spark.master", "spark.driver", "spark.executor", "spark.jars"))] == []


@pytest.mark.parametrize("place", [{}, {"spark_master": "spark://127.0.0.1:7077"}, {"spark_remote": REMOTE}])
def test_spark_properties_have_the_last_word(tmp_path: Path, place: dict[str, Any]) -> None:
    own = {"spark.sql.session.timeZone": "Europe/Berlin", "spark.sql.catalog.lakehouse.cache-enabled": "true"}
    settings = settings_of(tmp_path, **place, spark_properties=own)
    ensure_secrets(settings)
    found = spark_config(settings)
    assert {name: found[name] for name in own} == own


def test_driver_that_a_far_cluster_can_not_reach_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SparkPlaceError, match=r"reach, was at 127\.0\.0\.1\. Set spark_driver_host"):
        session_config(settings_of(tmp_path, spark_master=CLUSTER))


def test_master_and_remote_together_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="Expected one of spark_master and spark_remote, was both"):
        settings_of(tmp_path, spark_master="local[2]", spark_remote=REMOTE)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"spark_remote": "http://connect.example"}, "Expected spark_remote as sc://host:port"),
        ({"spark_properties": {"spark.master": "local[4]"}}, r"was \['spark.master'\]"),
        ({"spark_properties": {"executor.memory": "4g"}}, r"was \['executor.memory'\]"),
    ],
)
def test_settings_that_are_no_place_or_property_are_refused(tmp_path: Path, values: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        settings_of(tmp_path, **values)


def test_spark_properties_are_read_from_a_toml_table_with_dots(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "tick.toml"
    path.write_text('[spark_properties]\nspark.ui.enabled = true\nspark.executor.instances = 3\n"spark.ui.port" = 4050\n')
    monkeypatch.setenv("TICK_CONFIG", str(path))
    read = load_settings().spark_properties
    assert read == {"spark.ui.enabled": "true", "spark.executor.instances": "3", "spark.ui.port": "4050"}


def test_spark_settings_reach_a_child_process_unchanged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    properties = {"spark.ui.enabled": "true", "spark.executorEnv.PATH": "a,b=c"}
    settings = settings_of(tmp_path, spark_master="spark://127.0.0.1:1", spark_python="/opt/python", spark_properties=properties)
    ensure_secrets(settings)
    variables = environment(settings)
    assert (variables["PYSPARK_PYTHON"], json.loads(variables["TICK_SPARK_PROPERTIES"])) == ("/opt/python", properties)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert session_config(Settings()) == session_config(settings)


def test_doctor_hides_what_is_secret_in_properties_and_addresses(tmp_path: Path) -> None:
    own = {"spark.authenticate.secret": "hidden one", "spark.ui.port": "4050"}
    settings = settings_of(tmp_path, spark_remote=REMOTE, spark_properties=own)
    shown = configuration(settings)
    assert shown["spark_remote"] == "sc://connect.example:15002/;token=***;user_id=me"
    assert json.loads(shown["spark_properties"]) == {"spark.authenticate.secret": "***", "spark.ui.port": "4050"}
    assert "hidden one" not in str(shown_properties(session_config(settings)))


@pytest.mark.parametrize(
    ("values", "tasks"),
    [
        ({"spark_master": "local[2]"}, 8),
        ({"spark_master": "local[3,4]"}, 12),
        ({"spark_master": CLUSTER}, 1024),
        ({"spark_remote": REMOTE}, 1024),
        ({"spark_master": "local[2]", "spark_most_tasks": 5}, 5),
    ],
)
def test_most_tasks_follow_the_cores_of_this_machine_or_the_setting(tmp_path: Path, values: dict[str, Any], tasks: int) -> None:
    assert most_tasks(settings_of(tmp_path, **values)) == tasks
