"""The vault of test dates: each opening is recorded, and a second decision on the same dates is counted.

What belongs here: what an opening is and which ones a decision has to count. What must not: where records are kept, or the gate (`gates`).

A decision is a model, named by the sha-256 of its bytes. Test dates belong to the market, not to a dataset: another window, another source
or another commit that tests on one of the same dates of the same symbol and strategy looks at the same outcomes again. The same model may
look as often as it likes, for it decides nothing new; and what others did after it does not make its own first look a second one.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from tick_assets.domain.passports import canonical_json, sha256_hex

FOR_VERDICT = "verdict"


@dataclass(frozen=True)
class Opening:
    """One look at test dates (ISO, in order) for one model."""

    symbol: str
    strategy: str
    model_sha256: str
    test_dates: tuple[str, ...]
    dataset_id: str
    code_commit: str
    version: str
    opened_at: datetime
    purpose: str = FOR_VERDICT

    @property
    def id(self) -> str:
        """The identity of what was opened for whom; a repeat has the same."""
        return sha256_hex(canonical_json([self.symbol, self.strategy, self.model_sha256, list(self.test_dates)]))

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {**asdict(self), "test_dates": list(self.test_dates), "opened_at": self.opened_at.isoformat()}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Opening:
        """Return the opening that `to_dict` gave."""
        stamp = datetime.fromisoformat(values["opened_at"])
        return cls(**{**values, "test_dates": tuple(values["test_dates"]), "opened_at": stamp})


def count_decisions(own: Opening, recorded: Collection[Opening]) -> int:
    """Return how many models, this one among them, had opened any of these dates up to this model's own first look.

    One means that the dates were fresh. Models that opened them later do not count.
    """
    dates = set(own.test_dates)
    seen = [each for each in recorded if _is_same_family(each, own) and dates & set(each.test_dates)]
    first = min([own, *(each for each in seen if each.model_sha256 == own.model_sha256)], key=_order)
    return len({own.model_sha256, *(each.model_sha256 for each in seen if _order(each) <= _order(first))})


def _is_same_family(one: Opening, other: Opening) -> bool:
    return (one.symbol, one.strategy) == (other.symbol, other.strategy)


def _order(opening: Opening) -> tuple[datetime, str]:
    """Order by time; of two at one instant the smaller hash was first, so that one of them is fresh."""
    return opening.opened_at, opening.model_sha256
