"""One row through a boosted forest in microseconds: the trees of an XGBoost model as one array, walked by compiled code.

What belongs here: reading the trees out of model.json, and the walk. What must not: training, choosing which call predicts (`serving`).

A missing value (NaN) takes each split's default side, as in XGBoost. Features are compared as float32 and leaves summed as float32 in
the order of the trees, as XGBoost does; logarithm and exponential are rounded to float32 from float64. So a probability is the Booster's
to the bit, but for one in some thousand rows, where the last bit of a float32 differs (measured).
What the walk does not know is refused and never ignored: splits by category, other boosters than `gbtree`, other objectives than
`binary:logistic`, several outputs.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numba as nb
import numpy as np
import numpy.typing as npt

from tick_assets.domain.ticks import Float64Array

NODE = np.dtype([("threshold", np.float32), ("first_child", np.int32), ("feature", np.int32), ("steps", np.int8), ("to_second", np.int8)])
"""One node. `steps` is 1 at a split and 0 at a leaf, whose `first_child` is itself and whose `threshold` is its value: a walk then needs
no test for the end. `to_second` is 1 where a missing value goes to the second child."""

Nodes = npt.NDArray[np.void]
_FARTHEST = np.float32(88.7)
"""XGBoost's own bound of a margin, beyond which exp overflows a float32."""


class UnknownModelError(ValueError):
    """A model has what the walk does not know; the Booster itself must predict."""


@dataclass(frozen=True)
class FlatTrees:
    """A forest: the nodes of all trees, each tree's root, the deepest one's levels, the margin before all trees, the number of features."""

    nodes: Nodes
    roots: npt.NDArray[np.int32]
    levels: int
    base_margin: np.float32
    n_features: int

    def predict(self, features: Float64Array) -> Float64Array:
        """Return m probabilities of m rows (float64[m, k], NaN where a value is missing); another k is a `ValueError`."""
        rows = np.ascontiguousarray(features, dtype=np.float64)
        if rows.ndim != 2 or rows.shape[1] != self.n_features:
            raise ValueError(f"Expected rows of {self.n_features} features, was shape {rows.shape}. Give the features of the model.")
        probability: Float64Array = _walk(self.nodes, self.roots, self.levels, self.base_margin, rows)
        return probability


@nb.njit(cache=True, nogil=True)
def _descend(nodes, places, levels, row):  # type: ignore[no-untyped-def]  # numba infers
    """Move every tree's place from its root to the row's leaf.

    Level by level over all trees, without a branch: steps of different trees don't wait for each other (twice as fast as tree by tree).
    """
    for _ in range(levels):
        for t in range(len(places)):
            node = nodes[places[t]]
            value = row[node.feature]
            is_missing = np.int32(value != value)  # true of NaN alone
            second = np.int32(value >= node.threshold) | (is_missing & np.int32(node.to_second))
            places[t] = node.first_child + (np.int32(node.steps) & second)


@nb.njit(cache=True, nogil=True)
def _walk(nodes, roots, levels, base_margin, rows):  # type: ignore[no-untyped-def]
    out = np.empty(len(rows), np.float64)
    row, places = np.empty(rows.shape[1], np.float32), np.empty(len(roots), np.int32)
    for i in range(len(rows)):
        for j in range(rows.shape[1]):
            row[j] = rows[i, j]
        places[:] = roots
        _descend(nodes, places, levels, row)
        margin = base_margin
        for t in range(len(places)):
            margin += nodes[places[t]].threshold
        exponential = np.float32(math.exp(np.float64(min(-margin, _FARTHEST))))
        out[i] = np.float32(1.0) / (exponential + np.float32(1.0))
    return out


def flat_trees(model_json: bytes) -> FlatTrees:
    """Return the trees of model.json bytes; what the walk does not know is an `UnknownModelError`."""
    learner = _learner_of(model_json)
    trees = _known_trees(learner)
    parts, roots, levels, offset = [], [], 0, 0
    for tree in trees:
        part, depth = _flat_tree(tree, offset)
        parts.append(part)
        roots.append(offset)
        levels, offset = max(levels, depth), offset + len(part)
    parameters = learner["learner_model_param"]
    nodes, n_features = np.concatenate([np.empty(0, NODE), *parts]), int(parameters["num_feature"])
    if len(nodes) and not 0 <= nodes["feature"].min() <= nodes["feature"].max() < n_features:
        raise UnknownModelError(f"Expected splits on {n_features} features, was another. Predict with the Booster.")
    return FlatTrees(nodes, np.array(roots, np.int32), levels, _base_margin(parameters["base_score"]), n_features)


def _learner_of(model_json: bytes) -> Mapping[str, Any]:
    try:
        learner: Mapping[str, Any] = json.loads(model_json)["learner"]
    except ValueError as error:  # XGBoost's binary form, which a Booster reads under any name
        raise UnknownModelError(f"Expected a model as JSON: {error}. Predict with the Booster.") from error
    return learner


def _known_trees(learner: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """Return the trees of a model that the walk knows in full."""
    parameters, booster = learner["learner_model_param"], learner["gradient_booster"]
    was = (booster["name"], learner["objective"]["name"], int(parameters.get("num_class", 0)), int(parameters.get("num_target", 1)))
    if was[:2] != ("gbtree", "binary:logistic") or was[2] > 1 or was[3] > 1:
        raise UnknownModelError(f"Expected gbtree trees of binary:logistic with one output, was {was}. Predict with the Booster.")
    trees: Sequence[Mapping[str, Any]] = booster["model"]["trees"]
    if any(any(tree.get("split_type", ())) for tree in trees):
        raise UnknownModelError("Expected splits by number, was a split by category. Predict with the Booster.")
    return trees


def _base_margin(text: str) -> np.float32:
    """Return the margin of the base score, which the model holds as a probability: a number, or a list of one as text."""
    scores = np.atleast_1d(np.array(json.loads(text), np.float32))
    if len(scores) != 1:
        raise UnknownModelError(f"Expected one base score, was {text}. Predict with the Booster.")
    return np.float32(-math.log(float(np.float32(1.0) / scores[0] - np.float32(1.0))))


def _flat_tree(tree: Mapping[str, Any], offset: int) -> tuple[Nodes, int]:
    """Return a tree's nodes by level, each pair of children side by side, places counted from `offset`; and its depth."""
    left, right = tree["left_children"], tree["right_children"]
    order, depth, level = [0], 0, [0]
    first_child = {}
    while level := [node for node in level if left[node] >= 0]:
        depth += 1
        for node in level:
            first_child[node] = offset + len(order)
            order += [left[node], right[node]]
        level = [child for node in level for child in (left[node], right[node])]
        if len(order) > len(left):
            raise UnknownModelError("Expected a tree, was a graph with a circle. Predict with the Booster.")
    nodes = np.zeros(len(order), NODE)
    chosen = np.array(order)
    is_split = np.array(left)[chosen] >= 0
    nodes["threshold"] = np.array(tree["split_conditions"], np.float32)[chosen]
    nodes["first_child"] = [first_child.get(node, offset + place) for place, node in enumerate(order)]
    nodes["feature"] = np.where(is_split, np.array(tree["split_indices"])[chosen], 0)
    nodes["steps"] = is_split
    nodes["to_second"] = np.array(tree["default_left"])[chosen] == 0
    return nodes, depth


def probes(trees: FlatTrees, count: int = 64) -> Float64Array:
    """Return rows at the places where walks differ: on thresholds, just below them, and with missing values; always the same ones."""
    random = np.random.default_rng(0)
    splits = trees.nodes[trees.nodes["steps"] == 1]
    rows = np.zeros((count, trees.n_features))
    for feature in range(trees.n_features):
        known = splits["threshold"][splits["feature"] == feature]
        if len(known):
            on = random.choice(known, count)
            below = np.nextafter(on, np.float32(-np.inf))
            rows[:, feature] = np.where(random.random(count) < 0.5, on, below)
    rows[random.random(rows.shape) < 0.1] = np.nan
    return rows
