"""The walk-forward stage: windows planned, resumed, kept as they finish, and handed on as rows and as one document.

What belongs here: where a finished window is kept and what it is bound to. What must not: refits and figures (`domain.walk_forward`).

A window is kept under what it was made of (`run_of`): the model's hash, the dataset, the policy, the code and the symbol's market. A second
start after a kill finds the windows of the same run and computes the others; a changed policy or market finds none and begins again.

    candidates/<symbol>/<strategy>/<version>/walk_forward/<run>/<kind>-<number>.json
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import date
from typing import Any

from tick_assets.domain.passports import canonical_json, finite, sha256_hex
from tick_assets.domain.training import Configuration
from tick_assets.domain.walk_forward import AGES, ANCHORED, RESELECTED, ROLLING, Key, WindowRow, walk_forward, window_of
from tick_assets.tracking.judgement import Case
from tick_assets.tracking.stored_trials import running_code

KINDS = (ROLLING, ANCHORED, RESELECTED)
RESELECT_AMONG = 6
"""Configurations that a `reselected` window chooses from: the first of the search's list, which are drawn before any result is known."""


def run_of(case: Case) -> str:
    """Return the identity of everything that a window's figures depend on."""
    market = case.bench.market
    made_of = {
        "model_sha256": case.record["model_sha256"],
        "dataset_id": case.dataset.id,
        "policy_sha256": case.bench.policy.sha256,
        "code": running_code(case.bench.code_commit),
        "market": finite({**asdict(market), "instruments": asdict(market.instrument(case.symbol))}),
        "kinds": KINDS,
        "candidates": [configuration.hash for configuration in candidates_of(case)],
    }
    return sha256_hex(canonical_json(made_of))


def candidates_of(case: Case) -> tuple[Configuration, ...]:
    """Return what a `reselected` window chooses from."""
    trials = sorted(case.search_result.trials, key=lambda trial: trial.number)
    return tuple(trial.configuration for trial in trials[:RESELECT_AMONG])


def walk_windows(
    case: Case, done: Mapping[Key, WindowRow] | None = None, on_window: Callable[[WindowRow], None] | None = None
) -> tuple[WindowRow, ...]:
    """Refit and trade every window of the case that is not done."""
    return walk_forward(
        case.events,
        case.configuration,
        case.strategy,
        case.bench.market,
        case.bench.policy.walk_forward_train_days,
        kinds=KINDS,
        candidates=candidates_of(case),
        searched=case.split.search,
        ages=AGES,
        done=done,
        on_window=on_window,
    )


def run_walk_forward(case: Case, on_window: Callable[[WindowRow], None] | None = None) -> tuple[WindowRow, ...]:
    """Compute the missing windows, keep each when it is finished, and hand all on as rows and as the stage's document."""
    folder = f"{_folder(case)}/{run_of(case)}"

    def keep(row: WindowRow) -> None:
        case.bench.objects.put_bytes(f"{folder}/{row.kind}-{row.window:05d}.json", canonical_json(finite(row.to_document())))
        if on_window is not None:
            on_window(row)

    windows = walk_windows(case, kept_windows(case, folder), keep)
    rows = [_table_row(case, row) for row in windows]
    case.bench.lakehouse.replace_keys("evidence.walk_forward_windows", rows, ("symbol", "strategy", "version"))
    case.store.write(case.version, "walk_forward", {"windows": [row.to_document() for row in windows]})
    return windows


def kept_windows(case: Case, folder: str) -> dict[Key, WindowRow]:
    """Return the windows that an earlier start of the same run finished."""
    documents = (json.loads(case.bench.objects.get_bytes(key)) for key in case.bench.objects.list_keys(f"{folder}/"))
    rows = [window_of(document) for document in documents]
    return {(row.kind, row.window): row for row in rows}


def _folder(case: Case) -> str:
    return f"candidates/{case.symbol}/{case.strategy_name}/{case.version}/walk_forward"


def _table_row(case: Case, row: WindowRow) -> dict[str, Any]:
    return {
        "symbol": case.symbol,
        "strategy": case.strategy_name,
        "version": case.version,
        "window": row.window,
        "train_from": date.fromisoformat(row.train_from),
        "train_to": date.fromisoformat(row.train_to),
        "test_from": date.fromisoformat(row.test_date),
        "test_to": date.fromisoformat(row.test_date),
        "n_trades": row.n_trades,
        "net_pnl": row.net_pnl,
        "sharpe": row.sharpe,
        "kind": row.kind,
        "is_searched": row.is_searched,
        "log_loss": row.log_loss,
        "model_sha256": row.model_sha256,
        "config_sha256": row.config_sha256,
    }
