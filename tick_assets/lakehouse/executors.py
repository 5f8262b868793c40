"""Work on Spark's executors, each piece in a task of its own, by the same code as the driver's or not at all.

What belongs here: handing work to tasks, and the refusal of an executor that has other code. What must not: what the work is (`day_files`).

Executors import tick_assets from their own installation: its libraries are 2 GB, which nobody ships with each run. Another version there
would write other rows and say nothing, so every task compares before it works, and a refusal names what differs.
"""

from __future__ import annotations

import gc
import hashlib
import importlib.metadata
import pickle
import platform
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import SparkSession

PACKAGE = Path(__file__).resolve().parents[1]
PARTS = ("domain", "lakehouse")
"""What a task imports of tick_assets."""
LIBRARIES = ("numba", "numpy", "polars", "pyarrow", "pyiceberg")
"""What decides the rows and bytes that a task writes."""
REMEDY = "Install this checkout and requirements.lock on every executor, and set spark_python to the interpreter there (docs/cluster.md)."


class ExecutorError(RuntimeError):
    """An executor has other code than the driver, or none."""


@lru_cache(maxsize=1)
def code_here() -> dict[str, str]:
    """Return the versions of what decides a task's result, in this process."""
    versions = {name: importlib.metadata.version(name) for name in LIBRARIES}
    return {"Python": ".".join(platform.python_version_tuple()[:2]), "tick_assets sources": source_digest(PACKAGE), **versions}


def source_digest(package: Path) -> str:
    """Return twelve digits that stand for the sources which a task imports, wherever the package is installed."""
    digest = hashlib.sha256()
    for path in sorted(path for part in PARTS for path in (package / part).rglob("*.py")):
        digest.update(path.relative_to(package).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:12]


def refusal(expected: Mapping[str, str], found: Mapping[str, str], where: str) -> str:
    """Say how the code of an executor differs from the driver's; empty when it doesn't."""
    differing = [name for name in expected if found.get(name) != expected[name]]
    if not differing:
        return ""
    wanted, was = (", ".join(f"{name} {versions.get(name, 'missing')}" for name in differing) for versions in (expected, found))
    return f"Expected {wanted} as at the driver, was {was} on the executor {where}. {REMEDY}"


@lru_cache(maxsize=1)
def settle() -> None:
    """Keep what this worker has imported out of later garbage collections, once.

    Spark collects after each task, and a walk over the modules of Polars, PyIceberg and Numba takes longer than cleaning a day (measured).
    """
    gc.collect()
    gc.freeze()


def apply_on_executors(spark: SparkSession, groups: Sequence[Sequence[tuple[int, Any]]], function: Callable[[Any], Any]) -> list[Any]:
    """Apply a function to numbered things, each group of them in a task of its own; return the results in the order of the numbers.

    It works on any kind of session. `ExecutorError` where an executor has other code.
    """
    from pyspark import cloudpickle
    from pyspark.errors import PySparkException

    # A range of n parts is n tasks on any session; a frame made of rows has as many parts as the session has cores. The closure is sent
    # to each executor once and holds the groups as bytes: a task unpickles its own alone.
    task = _guarded([cloudpickle.dumps(list(group)) for group in groups], cloudpickle.dumps(function), code_here())
    numbers = spark.range(0, len(groups), 1, len(groups))
    try:
        made = numbers.mapInArrow(task, "number long, made binary, refused string").collect()
    except PySparkException as error:
        if "PYTHON_VERSION_MISMATCH" in str(error):
            raise ExecutorError(f"Expected Python {code_here()['Python']} on the executors, was another. {REMEDY}") from error
        raise
    for row in made:
        if row["refused"]:
            raise ExecutorError(row["refused"])
    return [pickle.loads(row["made"]) for row in sorted(made, key=lambda row: row["number"])]


def _guarded(
    groups: Sequence[bytes], payload: bytes, expected: Mapping[str, str]
) -> Callable[[Iterable[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    """Return a task that looks before it loads its work.

    It imports by itself whatever it needs: a function within a function travels as code, so it runs where tick_assets is missing too.
    """
    remedy = REMEDY

    def run(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        import pickle
        import socket
        import sys

        import pyarrow

        schema = pyarrow.schema({"number": pyarrow.int64(), "made": pyarrow.binary(), "refused": pyarrow.string()})
        where = f"{socket.gethostname()} ({sys.executable})"
        try:
            from tick_assets.lakehouse.executors import code_here, refusal, settle

            refused = refusal(expected, code_here(), where)
        except ImportError as error:
            wanted = expected["tick_assets sources"]
            refused = f"Expected tick_assets (sources {wanted}) as at the driver, was not there on the executor {where}: {error}. {remedy}"
        if refused:
            yield pyarrow.RecordBatch.from_pylist([{"refused": refused}], schema=schema)
            return
        function = pickle.loads(payload)
        for batch in batches:
            for place in batch.column(0).to_pylist():
                for number, thing in pickle.loads(groups[place]):
                    yield pyarrow.RecordBatch.from_pylist([{"number": number, "made": pickle.dumps(function(thing))}], schema=schema)
        settle()

    return run
