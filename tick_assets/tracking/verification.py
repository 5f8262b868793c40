"""Making a verdict again from what it was made of, and saying where the two differ.

What belongs here: which stored input each figure is made of again from, and comparing. What must not: writing. Nothing is spent: no row,
no object, no trial is written, and neither the trial ledger nor the test vault counts a look.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from tick_assets.domain import evaluation, gates
from tick_assets.domain.leak_findings import count_leaks
from tick_assets.domain.learning import evaluate_learning
from tick_assets.domain.passports import finite, sha256_hex
from tick_assets.domain.training import feature_ranges, fit_final
from tick_assets.lakehouse import datasets
from tick_assets.tracking.candidates import NoCandidateError
from tick_assets.tracking.judgement import Case, completeness_of, examine_leaks, test_openings, windows_of
from tick_assets.tracking.walk_forwards import walk_windows

TOLERANCE = 1e-9
"""Relative. Equal input gives equal figures on one machine; another processor may round the last digit of a sum differently."""


@dataclass(frozen=True)
class Difference:
    """One thing that came out otherwise than it is stored."""

    part: str
    name: str
    stored: Any
    recomputed: Any


@dataclass(frozen=True)
class Verification:
    """What was made again: how many things were compared per part, and which differ."""

    model_id: str
    compared: Mapping[str, int]
    differences: tuple[Difference, ...]


def verify(case: Case, verdict: Mapping[str, Any], terminal_mismatches: int, progress: Callable[[str], None]) -> Verification:
    """Make dataset content, model, figures and gates of a verdict again and compare each with what is stored.

    `verdict` is the row of `evidence.verdicts`. `terminal_mismatches` is the simulated terminal's word, made again by the caller.
    """
    parts: dict[str, list[tuple[str, Any, Any]]] = {}
    for part, compare in (
        ("dataset", lambda: _dataset(case, verdict)),
        ("model", lambda: _model(case, verdict)),
        ("search", lambda: _search(case)),
        ("learning", lambda: _learning(case)),
        ("walk_forward", lambda: _walk_forward(case)),
        ("verdict", lambda: _verdict(case, verdict, terminal_mismatches)),
    ):
        parts[part] = compare()
        progress(f"{part}: {len(parts[part])} compared")
    found = [Difference(part, name, a, b) for part, pairs in parts.items() for name, a, b in pairs if not is_equal(a, b)]
    return Verification(case.model_id, {part: len(pairs) for part, pairs in parts.items()}, tuple(found))


def is_equal(stored: Any, recomputed: Any) -> bool:
    """Tell whether two plain values are the same; numbers may differ by `TOLERANCE`, NaN and null are one."""
    stored, recomputed = finite(stored), finite(recomputed)
    if isinstance(stored, Mapping) and isinstance(recomputed, Mapping):
        return stored.keys() == recomputed.keys() and all(is_equal(stored[key], recomputed[key]) for key in stored)
    if isinstance(stored, (list, tuple)) and isinstance(recomputed, (list, tuple)):
        return len(stored) == len(recomputed) and all(map(is_equal, stored, recomputed))
    if isinstance(stored, bool) or isinstance(recomputed, bool):
        return stored == recomputed
    if isinstance(stored, (int, float)) and isinstance(recomputed, (int, float)):
        return math.isclose(stored, recomputed, rel_tol=TOLERANCE, abs_tol=TOLERANCE)
    return bool(stored == recomputed)


def _pairs(stored: Mapping[str, Any], recomputed: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    return [(name, stored.get(name), recomputed.get(name)) for name in sorted(stored.keys() | recomputed.keys())]


def _dataset(case: Case, verdict: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    """The manifest has the id it is stored under (`datasets.fetch` refuses another one); now its tables' content."""
    stated = case.dataset.manifest["content_hashes"]
    found = {**stated, **datasets.check_content(case.bench.lakehouse, case.dataset)}
    return [("id", verdict["dataset_id"], case.dataset.id), *_pairs(stated, found)]


def _model(case: Case, verdict: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    """Fit the stored configuration on the pinned dataset again: the same bytes."""
    searched = case.events.on_dates(case.split.search)
    model = fit_final(searched, case.configuration.booster, before=case.events.on_dates(case.split.test))
    record, digest = case.record, sha256_hex(model)
    return [
        ("candidate model_sha256", record["model_sha256"], digest),
        ("verdict model_sha256", verdict["model_sha256"], digest),
        ("stored model.json", sha256_hex(case.model), digest),
        ("split", record["split"], asdict(case.split)),
        ("feature_ranges", record["feature_ranges"], feature_ranges(searched)),
    ]


def _search(case: Case) -> list[tuple[str, Any, Any]]:
    """Trade the stored out-of-fold predictions again: they give the best trial's stored profit."""
    result = case.search_result
    return [
        ("best trial's trades", result.best.n_trades, len(result.trades)),
        ("best trial's net profit", result.best.net_pnl, float(result.trades.net_pnl_account.sum())),
        ("best trial's configuration", asdict(case.configuration), asdict(result.best.configuration)),
    ]


def _learning(case: Case) -> list[tuple[str, Any, Any]]:
    """Fit on the train dates alone again; a candidate of before there were such figures has none to compare."""
    try:
        stored = case.store.read(case.version, "learning")
    except NoCandidateError:
        return []
    searched = case.events.on_dates(case.split.search)
    return _pairs(stored, evaluate_learning(case.search_result, searched, case.split, case.strategy, case.bench.market).to_dict())


def _walk_forward(case: Case) -> list[tuple[str, Any, Any]]:
    """Refit every window again."""
    stored = case.store.read(case.version, "walk_forward")["windows"]
    made = [window.to_document() for window in walk_windows(case)]
    return [
        ("windows", len(stored), len(made)),
        *((f"window {again['kind']} {again['window']}", row, again) for row, again in zip(stored, made, strict=False)),
    ]


def _verdict(case: Case, verdict: Mapping[str, Any], terminal_mismatches: int) -> list[tuple[str, Any, Any]]:
    """Make validation and test figures and every gate again, from the trial ledger as it stood at the verdict and the vault,
    which does not count what was opened after this model's own look."""
    validation = evaluation.evaluate_validation(case.search_result, _ledger(case, verdict))
    windows = windows_of(case)
    figures = evaluation.gate_figures(
        validation,
        case.search_result,
        case.test,
        windows,
        completeness_of(case),
        count_leaks(examine_leaks(case)),
        terminal_mismatches,
        test_openings(case),
    )
    made = gates.evaluate(case.bench.policy, figures, case.model_id)
    return [
        *(_named("validation", case.store.read(case.version, "validation"), asdict(validation))),
        *(_named("test", case.store.read(case.version, "test"), asdict(case.test.figures))),
        *_gates(verdict["gates"], [asdict(gate) for gate in made.gates]),
        ("passed", verdict["passed"], made.passed),
        ("refused_by", verdict["refused_by"], ",".join(made.refused_by)),
        ("first_line", verdict["first_line"], made.answer),
        ("trial_ledger_sha256", verdict["trial_ledger_sha256"], validation.ledger_sha256),
        ("n_trials", verdict["n_trials"], validation.n_configurations),
        ("trial_variance", verdict["trial_variance"], validation.trials_variance),
        ("test_openings", verdict["test_openings"], test_openings(case)),
    ]


def _named(part: str, stored: Mapping[str, Any], made: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    return [(f"{part} {name}", a, b) for name, a, b in _pairs(stored, made)]


def _gates(stored: Sequence[Mapping[str, Any]], made: Sequence[Mapping[str, Any]]) -> list[tuple[str, Any, Any]]:
    by_name = ({gate["name"]: {key: gate[key] for key in ("figure", "threshold", "result")} for gate in side} for side in (stored, made))
    return _named("gate", *by_name)


def _ledger(case: Case, verdict: Mapping[str, Any]) -> list[str]:
    """Return the trial ledger without what was tried after the verdict."""
    condition = f"symbol == '{case.symbol}' and strategy == '{case.strategy_name}'"
    trials = case.bench.lakehouse.frame("evidence.trials", condition, columns=("config_sha256", "recorded_at"))
    return sorted(trials.filter(trials["recorded_at"] <= verdict["decided_at"])["config_sha256"].unique())
