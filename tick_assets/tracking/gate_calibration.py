"""Calibrating the gate: many markets judged in processes, each result kept at once, so that an interrupted run goes on.

What belongs here: processes, the log, the quotes that the bootstrap needs, the published table. What must not: markets, judging or
bounds (`domain.calibration`).
"""

from __future__ import annotations

import json
import multiprocessing
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from tick_assets.domain import calibration
from tick_assets.domain.calibration import Subject
from tick_assets.domain.gates import Policy, parse_policy
from tick_assets.domain.passports import canonical_json, sha256_hex
from tick_assets.domain.synthetic_market import SyntheticMarket, generate_day
from tick_assets.domain.ticks import Ticks
from tick_assets.lakehouse.durable_files import make_folder, write_file
from tick_assets.lakehouse.vendors.bi5 import bi5_path, decode_bi5

PUBLISHED = Path(__file__).parents[1] / "calibration.json"
"""The table that reports show and the README quotes: of the policy as it is shipped."""
SYNTHETIC_QUOTES = "synthetic twin"


@dataclass(frozen=True)
class CalibrationPlan:
    """What is judged: so many markets of each null and of each strength of edge, and where the bootstrap's quotes come from."""

    policy_text: str
    n_null: int = 200
    n_power: int = 100
    n_trials: int = 20
    days: int = calibration.DAYS
    quotes_root: Path | None = None
    """A folder laid out as the vendor's bi5 paths; none takes days of the synthetic twin."""
    quotes_symbol: str = ""

    @property
    def quotes_name(self) -> str:
        return f"{self.quotes_symbol} quotes" if self.quotes_root else SYNTHETIC_QUOTES

    @property
    def policy(self) -> Policy:
        return parse_policy(self.policy_text)

    @property
    def identity(self) -> str:
        """Name what makes two results comparable: the gate, the search, the quotes and the code that judges."""
        decided = {
            "gates": calibration.gates_sha256(self.policy),
            "n_trials": self.n_trials,
            "days": self.days,
            "quotes": self.quotes_name,
            "code": judging_code_sha256(),
        }
        return sha256_hex(canonical_json(decided))


def judging_code_sha256() -> str:
    """Return the hash of the domain's sources: a verdict rests on nothing else."""
    sources = sorted(Path(calibration.__file__).parent.rglob("*.py"))
    return sha256_hex(b"".join(path.name.encode() + path.read_bytes() for path in sources))


def calibrate(
    plan: CalibrationPlan, log_folder: Path, processes: int, on_verdict: Callable[[int, int], None]
) -> tuple[calibration.Calibration, ...]:
    """Judge every market of the plan that the log lacks, and return the table. `on_verdict` gets (done, all) after each.

    Verdicts are a line each in `<log_folder>/<identity>.jsonl`: a run that was stopped, or one with a larger n, goes on from there.
    """
    path = log_folder / f"{plan.identity}.jsonl"
    make_folder(log_folder)
    wanted = calibration.subjects(plan.n_null, plan.n_power)
    kept = read_log(path)
    known = {subject: passed for subject, passed in kept.items() if subject in set(wanted)}
    write_file(path, "".join(_line(subject, passed) for subject, passed in kept.items()).encode())  # a cut last line goes
    with path.open("a") as log:
        for subject, passed in _judge_all(plan, [each for each in wanted if each not in known], processes):
            known[subject] = passed
            log.write(_line(subject, passed))
            log.flush()
            on_verdict(len(known), len(wanted))
    return tuple(calibration.table_of(known))


def _line(subject: Subject, passed: bool) -> str:
    return json.dumps({**asdict(subject), "passed": passed}) + "\n"


def read_log(path: Path) -> dict[Subject, bool]:
    """Return the verdicts of a log; a last line that was cut is judged again."""
    lines = path.read_text().splitlines() if path.is_file() else []
    rows = [json.loads(line) for line in lines if line.endswith("}")]
    return {Subject(row["market"], row["k"], row["seed"]): row["passed"] for row in rows}


def _judge_all(plan: CalibrationPlan, subjects: Sequence[Subject], processes: int) -> Iterator[tuple[Subject, bool]]:
    if processes == 1:
        yield from ((subject, _judge(plan, subject)) for subject in subjects)
        return
    with ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn")) as pool:
        waiting = {pool.submit(_judge, plan, subject): subject for subject in subjects}
        try:
            for done in as_completed(waiting):
                yield waiting[done], done.result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _judge(plan: CalibrationPlan, subject: Subject) -> bool:
    quotes = _quotes(plan) if subject.market == calibration.BOOTSTRAP else {}
    return calibration.judge_subject(subject, quotes, plan.policy, plan.n_trials, plan.days)


@lru_cache(maxsize=1)
def _quotes(plan: CalibrationPlan) -> Mapping[str, Ticks]:
    return read_days(plan.quotes_root, plan.quotes_symbol) if plan.quotes_root else synthetic_days()


def synthetic_days(count: int = 30) -> dict[str, Ticks]:
    """Return days of the twin without an edge, for a machine without recorded quotes."""
    shape = SyntheticMarket(k=0.0)
    return {day.isoformat(): generate_day(shape, 0, "SYNQUOTES", day).ticks for day in calibration.weekdays(count)}


def read_days(root: Path, symbol: str) -> dict[str, Ticks]:
    """Return all weekdays of a symbol below a vendor folder, by ISO date; a folder without any is a `FileNotFoundError`."""
    folders = sorted((root / symbol).glob("[0-9]*/[0-9]*/[0-9]*"))
    days = {day: _read_day(root, symbol, day) for day in map(_day_of, folders) if day.weekday() < 5}
    found = {day.date().isoformat(): ticks for day, ticks in days.items() if len(ticks)}
    if not found:
        raise FileNotFoundError(f"Expected bi5 hours of {symbol} below {root}, found none. Name the folder that holds {symbol}/YYYY/MM/DD.")
    return found


def _day_of(folder: Path) -> datetime:
    year, month, day = (int(part) for part in folder.parts[-3:])
    return datetime(year, month + 1, day, tzinfo=UTC)


def _read_day(root: Path, symbol: str, day: datetime) -> Ticks:
    hours = [day + timedelta(hours=hour) for hour in range(24)]
    paths = [(hour, root / bi5_path(symbol, hour).lstrip("/")) for hour in hours]
    decoded = [decode_bi5(path.read_bytes() if path.is_file() else b"", hour) for hour, path in paths]
    return Ticks(*(np.concatenate(column) for column in zip(*(ticks.columns for ticks in decoded), strict=True)))


@dataclass(frozen=True)
class PublishedCalibration:
    """A table of passes with what it is a table of. `gates_sha256` tells whether it is one of a given policy."""

    gates_sha256: str
    calibrated_at: str
    n_trials: int
    days: int
    quotes: str
    rows: tuple[calibration.Calibration, ...]


def publish(plan: CalibrationPlan, rows: Sequence[calibration.Calibration], at: datetime, path: Path = PUBLISHED) -> PublishedCalibration:
    """Write the table where reports look for it."""
    gates = calibration.gates_sha256(plan.policy)
    made = PublishedCalibration(gates, at.date().isoformat(), plan.n_trials, plan.days, plan.quotes_name, tuple(rows))
    write_file(path, json.dumps(asdict(made), indent=1).encode() + b"\n")
    return made


def published(path: Path = PUBLISHED) -> PublishedCalibration | None:
    """Return the published table, None when there is none."""
    if not path.is_file():
        return None
    document: dict[str, Any] = json.loads(path.read_text())
    return PublishedCalibration(**document | {"rows": tuple(calibration.Calibration(**row) for row in document["rows"])})
