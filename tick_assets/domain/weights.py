"""How much an event counts in a fit: labels that share time share what they teach.

What belongs here: uniqueness of closed label intervals. What must not: models, or which events are learned from (`splits`).
Stamps are whole microseconds and both ends belong to a label, so [0, 2] covers three instants and meets [2, 3] in one. How many labels are
alive changes only at ends, so all sums run over the stretches between them: n log n, whatever the length of a label.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tick_assets.domain.ticks import Float64Array, Int64Array


@dataclass(frozen=True)
class Concurrency:
    """Stretches of time in order and how many labels are alive in each; stretch i goes from `edges[i]` up to `edges[i + 1]`."""

    edges: Int64Array
    alive: Int64Array

    def mean_over(self, values: Float64Array, start: Int64Array, end: Int64Array) -> Float64Array:
        """Return the mean over each closed interval of a quantity that has one value per stretch; the ends must be edges."""
        running = np.concatenate([[0.0], np.cumsum(values * np.diff(self.edges))])
        first, last = np.searchsorted(self.edges, start), np.searchsorted(self.edges, end + 1)
        return np.asarray((running[last] - running[first]) / (end + 1 - start), np.float64)


def concurrency(start: Int64Array, end: Int64Array, drawn: Int64Array | None = None) -> Concurrency:
    """Return how many of the closed intervals are alive over time; with `drawn`, of those rows only, a row drawn twice as two."""
    counted = np.arange(len(start)) if drawn is None else drawn
    edges = np.unique(np.concatenate([start, end + 1]))
    changes = np.zeros(len(edges), np.int64)
    np.add.at(changes, np.searchsorted(edges, start[counted]), 1)
    np.add.at(changes, np.searchsorted(edges, end[counted] + 1), -1)
    return Concurrency(edges, np.cumsum(changes)[:-1])


def average_uniqueness(start: Int64Array, end: Int64Array) -> Float64Array:
    """Return each label's mean of 1 / (labels alive) over its life, in (0, 1] (AFML 4.4 and 4.5.3).

    Every start must not lie after its end, else `ValueError`.
    """
    _check(start, end)
    found = concurrency(start, end)
    return found.mean_over(np.asarray(1.0 / np.maximum(found.alive, 1), np.float64), start, end)


def draw_probabilities(start: Int64Array, end: Int64Array, drawn: Int64Array) -> Float64Array:
    """Return the chance of each label to be the sequential bootstrap's next draw after these (AFML 4.5.2 and 4.5.3).

    It is proportional to the uniqueness that the label would have among the drawn ones.
    """
    _check(start, end)
    found = concurrency(start, end, drawn)
    unique = found.mean_over(np.asarray(1.0 / (1.0 + found.alive), np.float64), start, end)
    return np.asarray(unique / unique.sum())


def sample_weights(start: Int64Array, end: Int64Array) -> Float64Array:
    """Return average uniqueness scaled to a mean of one, so that parameters of a fit keep their meaning."""
    unique = average_uniqueness(start, end)
    return np.asarray(unique / unique.mean()) if len(unique) else unique


def _check(start: Int64Array, end: Int64Array) -> None:
    if bool(np.any(end < start)):
        raise ValueError(f"Expected labels that end at their start or later, was {int(np.sum(end < start))} that end before. Label again.")
