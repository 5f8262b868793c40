"""walkforward: 12 windows refitted by the walk-forward's own refits, beside a plain loop that builds and trains each window anew.

What belongs here: our side, the plain loop, the comparison of their models. What must not: judging other than by TARGET, the refits
(`tick_assets.domain.walk_forward`).

Both get the same rows, parameters and two cores: ours refits two windows at a time with one thread each, the loop one window with two
threads. Ours takes its histogram's cuts from a sample, so trees differ; the note has both models' log loss on each window's test rows.
The target is of a million rows, and so is the usual size: what ours saves is work that grows with the rows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from benchmarks.findings import RATIO, Condition, Finding
from benchmarks.plan import Benchmark, Plan
from benchmarks.side import Work, serve
from benchmarks.turns import Side, in_turn

NAME, ROUNDS = "walkforward", 2
OURS, LOOP = "ours", "plain loop"
TARGET = Condition(RATIO, "<=", 0.7)
WINDOWS, FEATURES, CORES = 12, 40, 2
QUIET_THREADS = {"OMP_WAIT_POLICY": "passive"}
"""Threads that wait asleep. Where other work wants the cores, spinning ones make the two-thread loop 5 to 9 times slower (measured)."""
TRAIN_SHARE = 0.4
"""Of all rows, those that a window is fitted on; the other 60 % are the windows' test rows, in order."""

Windows = Sequence[tuple[Any, Any]]


def _rows(size: int) -> tuple[Any, Any]:
    """Return features and a target that five of them explain a little; all sides draw the same."""
    import numpy as np

    random = np.random.default_rng(20240108)
    features = random.normal(size=(size, FEATURES))
    score = features[:, :5].sum(axis=1) + 6 * random.normal(size=size)
    return features, (score > 0).astype(np.int8)


def _windows(size: int) -> Windows:
    """Return (train, test) rows of each rolling window; the windows' train rows overlap, test follows train."""
    import numpy as np

    train, test = int(size * TRAIN_SHARE), int(size * (1 - TRAIN_SHARE)) // WINDOWS
    starts = [number * test for number in range(WINDOWS)]
    return [(np.arange(start, start + train), np.arange(start + train, start + train + test)) for start in starts]


def _work(refit: Callable[[Any, Any, Windows], list[bytes]], size: int) -> Work:
    features, target = _rows(size)
    windows = _windows(size)
    rows = sum(len(train) for train, _ in windows)

    def detail(models: list[bytes]) -> Mapping[str, float]:
        return {"windows": len(models), "log_loss": _log_loss(models, features, target, windows)}

    return Work(lambda: refit(features, target, windows), lambda models: rows, detail=detail)


def _log_loss(models: list[bytes], features: Any, target: Any, windows: Windows) -> float:
    """Return the mean log loss on the windows' test rows."""
    import numpy as np

    from tick_assets.domain.training import log_loss, predict

    losses = [
        log_loss(predict(model, features[test]), target[test], np.ones(len(test), np.bool_))
        for model, (_, test) in zip(models, windows, strict=True)
    ]
    return float(np.mean(losses))


def _ours(size: int) -> Work:
    from tick_assets.domain.training import BoosterParams
    from tick_assets.domain.walk_forward import refit_windows

    return _work(lambda features, target, windows: refit_windows(features, target, None, windows, BoosterParams(), CORES), size)


def _loop(size: int) -> Work:
    import xgboost as xgb

    from tick_assets.domain.training import BoosterParams, train_booster

    def refit(features: Any, target: Any, windows: Windows) -> list[bytes]:
        models = []
        for train, _ in windows:
            matrix = xgb.DMatrix(features[train], label=target[train], nthread=CORES)
            models.append(bytes(train_booster(matrix, BoosterParams(), CORES).save_raw("json")))
        return models

    return _work(refit, size)


SIDES = {OURS: _ours, LOOP: _loop}


def measure(plan: Plan, size: int) -> list[Finding]:
    """Measure our refits and the plain loop over the same windows."""
    sides = [Side(name, "benchmarks.walkforward", {"size": size}, environment=QUIET_THREADS) for name in SIDES]
    found = in_turn(sides, plan.rounds_of(ROUNDS), plan.work, plan.report)
    ours, rival = found[OURS], found[LOOP]
    note = (
        f"{WINDOWS} windows of {ours.rows // WINDOWS:,} of {size:,} rows x {FEATURES}; log loss {ours.detail('log_loss'):.5f} against "
        f"{rival.detail('log_loss'):.5f}; {ours.in_words()}; {rival.in_words()}"
    )
    ratio = ours.seconds / rival.seconds
    return [Finding(NAME, ours.seconds, "s", LOOP, rival.seconds, ratio, (TARGET,), ours.peak_mb, note, size)]


BENCHMARK = Benchmark(
    NAME,
    "models",
    f"{WINDOWS} windows of {FEATURES} features, retrain each",
    [f"{LOOP}: {TARGET}"],
    (1_000_000,),
    (1_000_000,),
    measure,
)

if __name__ == "__main__":
    serve(SIDES)
