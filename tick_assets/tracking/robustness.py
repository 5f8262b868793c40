"""What is reported beside the gates: the model against simple rivals, and in a grid of harsher markets.

What belongs here: which dates and series of a case go where, and handing the figures on. What must not: tests and rules (`domain`).
"""

from __future__ import annotations

from dataclasses import asdict

from tick_assets.domain.passports import finite
from tick_assets.domain.rivals import trade_rivals
from tick_assets.domain.stress import SurfaceCell, stress_surface
from tick_assets.domain.superiority import RivalRow, Superiority, compare
from tick_assets.tracking.candidates import NoCandidateError
from tick_assets.tracking.judgement import SEED, Case

RIVALS, SURFACE = "superiority", "stress_surface"


def keep_superiority(case: Case) -> Superiority:
    """Compare the model with rivals on the search's and the test's hours, and hand the answer on."""
    market, strategy = case.bench.market, case.strategy
    result = case.search_result
    found = compare(
        result.best.hourly_pnl,
        result.profit_series,
        case.test.hourly_pnl,
        trade_rivals(case.events.on_dates(case.split.search), strategy, market),
        trade_rivals(case.events.on_dates(case.split.test), strategy, market),
        SEED,
    )
    case.store.write(case.version, RIVALS, asdict(found))
    return found


def superiority_of(case: Case) -> Superiority:
    """Return what the test stage handed on; of a candidate from before there was such a stage it is made now."""
    try:
        document = case.store.read(case.version, RIVALS)
    except NoCandidateError:
        return keep_superiority(case)
    return Superiority(**{**document, "rows": tuple(RivalRow(**row) for row in document["rows"])})


def keep_surface(case: Case) -> tuple[SurfaceCell, ...]:
    """Trade the test dates' views in every market of the grid, and hand the cells on."""
    events, test = case.events.on_dates(case.split.test), case.test
    cells = stress_surface(events, test.views, test.draws, test.hours, case.strategy, case.bench.market)
    case.store.write(case.version, SURFACE, {"cells": [finite(asdict(cell)) for cell in cells]})
    return cells


def surface_of(case: Case) -> tuple[SurfaceCell, ...]:
    """Return what the test stage handed on; of a candidate from before there was such a stage it is made now."""
    try:
        document = case.store.read(case.version, SURFACE)
    except NoCandidateError:
        return keep_surface(case)
    return tuple(SurfaceCell(**cell) for cell in document["cells"])
