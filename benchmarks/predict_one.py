"""predict.one: one row through the service's own predictor, beside XGBoost's inplace_predict and onnxruntime on the same model.

What belongs here: our side and its rivals, the model of both. What must not: judging other than by TARGET, the predictor
(`serving.predictor`).

A tenth of the values is missing. Each side predicts every row once more, outside the clock, for the comparison of probabilities.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from benchmarks.calls import percentiles_us, time_each
from benchmarks.findings import RATIO, Condition, Finding
from benchmarks.plan import Benchmark, Plan
from benchmarks.rivals import MODEL_LOCK, rivals_python
from benchmarks.side import Work, serve
from benchmarks.turns import Measured, Side, in_turn

NAME, ROUNDS = "predict.one", 5
OURS, BOOSTER, ONNX = "ours", "xgboost inplace_predict", "onnxruntime"
TARGET = Condition(RATIO, "<=", 0.1)
TOLERANCE = 1e-6
FEATURES, TREES, DEPTH = 40, 300, 6
TRAINED_ON = 20_000
"""Rows, or ten times those that are predicted where that is less."""


def _one_by_one(predict: Any, rows: Any, folder: str, name: str) -> Work:
    """Predict rows one by one, and leave all probabilities in the folder for the comparison."""
    import numpy as np

    np.save(Path(folder) / f"{name}.npy", np.concatenate([np.ravel(predict(rows[i : i + 1])) for i in range(len(rows))]))
    single = [(rows[i : i + 1],) for i in range(len(rows))]
    return Work(lambda: time_each(predict, single), len, detail=percentiles_us)


def _rows(folder: str, dtype: str) -> Any:
    import numpy as np

    return np.load(Path(folder) / "rows.npy").astype(dtype)


def _ours(folder: str) -> Work:
    from serving.predictor import FlatTreesPredictor, open_predictor

    predictor = open_predictor((Path(folder) / "model.json").read_bytes())
    if not isinstance(predictor, FlatTreesPredictor):
        raise TypeError(f"Expected the compiled walk, was {type(predictor).__name__}.")
    return _one_by_one(predictor.predict, _rows(folder, "float64"), folder, OURS)


def _booster(folder: str) -> Work:
    import xgboost as xgb

    booster = xgb.Booster({"nthread": 1})
    booster.load_model(Path(folder) / "model.json")
    return _one_by_one(lambda row: booster.inplace_predict(row, validate_features=False), _rows(folder, "float32"), folder, BOOSTER)


def _onnxruntime(folder: str) -> Work:
    import onnxmltools
    import onnxruntime
    import xgboost as xgb
    from onnxmltools.convert.common.data_types import FloatTensorType

    booster = xgb.Booster()
    booster.load_model(Path(folder) / "model.json")
    converted = onnxmltools.convert_xgboost(booster, initial_types=[("row", FloatTensorType([None, FEATURES]))])
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(converted.SerializeToString(), options, providers=["CPUExecutionProvider"])
    outputs = [session.get_outputs()[1].name]
    return _one_by_one(lambda row: session.run(outputs, {"row": row})[0][:, 1], _rows(folder, "float32"), folder, ONNX)


SIDES = {OURS: _ours, BOOSTER: _booster, ONNX: _onnxruntime}


def _made(folder: Path, size: int, trees: int) -> None:
    """Train the model, and draw the rows that are predicted; a tenth of all values is missing."""
    import numpy as np
    import xgboost as xgb

    folder.mkdir(parents=True, exist_ok=True)
    random, trained_on = np.random.default_rng(20240108), min(TRAINED_ON, 10 * size)
    rows = random.normal(size=(trained_on + size, FEATURES)).astype(np.float32)
    target = (rows[:trained_on, :5].sum(axis=1) + 3 * random.normal(size=trained_on) > 0).astype(np.int8)
    rows[random.random(rows.shape) < 0.1] = np.nan
    params = {"objective": "binary:logistic", "max_depth": DEPTH, "eta": 0.05, "max_bin": 64, "nthread": 1, "seed": 0}
    xgb.train(params, xgb.DMatrix(rows[:trained_on], target), trees).save_model(folder / "model.json")
    np.save(folder / "rows.npy", rows[trained_on:])


def measure(plan: Plan, size: int) -> list[Finding]:
    """Measure all sides over the same rows; our probabilities must be the Booster's within TOLERANCE."""
    folder = plan.work / "predict.one"
    plan.report(f"  training {TREES} trees of depth {DEPTH}")
    _made(folder, size, TREES)
    python = {ONNX: rivals_python(plan.cache, plan.report, MODEL_LOCK)} if plan.has_rivals else {}
    names = [OURS, BOOSTER, *python]
    sides = [Side(name, "benchmarks.predict_one", {"folder": str(folder)}, python.get(name, sys.executable)) for name in names]
    found = in_turn(sides, plan.rounds_of(ROUNDS), plan.work, plan.report)
    off = {name: _difference(folder, name) for name in names}
    _require_equal(off[OURS])
    return [_finding(found[OURS], found[name], off, size) for name in names[1:]]


def _require_equal(difference: float) -> None:
    if not difference <= TOLERANCE:
        raise RuntimeError(f"Expected the Booster's probabilities within {TOLERANCE}, was {difference:g} off.")


def _difference(folder: Path, name: str) -> float:
    """Return the largest difference of a side's probabilities from the Booster's."""
    import numpy as np

    return float(np.abs(np.load(folder / f"{name}.npy") - np.load(folder / f"{BOOSTER}.npy").astype(np.float64)).max())


def _finding(ours: Measured, rival: Measured, off: dict[str, float], size: int) -> Finding:
    ours_us, rival_us = ours.detail("p50_us"), rival.detail("p50_us")
    target = (TARGET,) if rival.name == BOOSTER else ()
    note = (
        f"{ours.rows:,} rows one by one, {TREES} trees of depth {DEPTH}, {FEATURES} features, a tenth missing; "
        f"p99 {ours.detail('p99_us'):.1f} us against {rival.detail('p99_us'):.1f}; "
        f"largest difference from the Booster {off[OURS]:.2g}, the rival's {off[rival.name]:.2g}; "
        f"{rival.in_words()}"
    )
    return Finding(NAME, ours_us, "us p50", rival.name, rival_us, ours_us / rival_us, target, ours.peak_mb, note, size)


BENCHMARK = Benchmark(
    NAME,
    "models",
    f"one row, {TREES} trees, by the service's predictor",
    [f"{BOOSTER}: {TARGET}"],
    (2_000,),
    (10_000,),
    measure,
)

if __name__ == "__main__":
    serve(SIDES)
