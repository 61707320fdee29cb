"""The robust estimator: the model that most neighbours agree with."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from flow.interpolation.estimators.least_squares import doubled, fit_affine, fit_affine_models
from flow.interpolation.settings import InterpolationSettings
from patchbatch.compiled import njit, prange

# The robust fit, set on the three pairs of the EpicFlow reference.
_CANDIDATES = 16  # models tried per round: the closest neighbours'; more than twice as many gained nothing
_ROUNDS = 2  # each lets good models spread one neighbourhood further; two more lowered Fl by 2 % of itself
_REFITS = 2  # reweighted least squares after each choice
_LEAST_TRUNCATION = 1e-18  # px, whose square is still a number in single precision
_MATCHES_OF_TASK = 64  # they share the scratch arrays of one thread
_BLOCK = 32  # neighbours between two looks at whether a sum is too large already


def robust_affine(
    points: NDArray[np.float32],
    vectors: NDArray[np.float32],
    index: NDArray[np.int32],
    weights: NDArray[np.float32],
    settings: InterpolationSettings | None = None,
) -> NDArray[np.float64]:
    """Return affine models that a minority of wrong neighbours does not pull.

    Starts from the least-squares models. In each round a match takes, among its own translation, its own
    model and those of its closest neighbours, the one with the smallest sum of `k min(|r|, t)`, and refits
    it with weights that fall with the residual (Geman-McClure). On KITTI, where many matches are wrong, this
    is the better choice.

    See the package for the arguments; here row i of `index` must belong to match i, so M = N.
    `settings.truncation_px` is t: a residual well above it counts as wrong. Smaller cuts into the accuracy of
    coarse matches and into bent surfaces, larger lets outliers pull.

    Returns
    -------
    NDArray[np.float64]
        `(N, 2, 3)` models.
    """
    truncation_px = (settings or InterpolationSettings()).truncation_px
    centres, targets = doubled(points), doubled(vectors)
    models = np.zeros((len(index), 2, 3))
    fit_affine_models(centres, targets, index, weights, models)
    for _ in range(_ROUNDS):
        improved = np.empty_like(models)
        _choose_and_refit(centres, targets, index, weights, models, truncation_px, improved)
        models = improved
    return models


@njit(parallel=True)
def _choose_and_refit(
    points: NDArray[np.float64],
    vectors: NDArray[np.float64],
    index: NDArray[np.int32],
    weights: NDArray[np.float32],
    models: NDArray[np.float64],
    truncation: float,
    improved: NDArray[np.float64],
) -> None:
    """Write the improved model of every match; `models` is only read, so the order does not matter."""
    limit = np.float32(max(truncation, _LEAST_TRUNCATION))
    for task in prange(-(-len(index) // _MATCHES_OF_TASK)):
        candidate = np.zeros((2, 3))
        around, reweighted = np.empty((4, index.shape[1]), np.float32), np.zeros(index.shape[1], np.float32)
        for m in range(task * _MATCHES_OF_TASK, min(len(index), (task + 1) * _MATCHES_OF_TASK)):
            count = _gather(points, vectors, index[m], around)
            for component in range(2):  # number by number: to copy a part takes seconds to compile
                candidate[component, 0], candidate[component, 1] = 0, 0
                candidate[component, 2] = vectors[index[m, 0], component]
            lowest = _truncated_cost(around, weights[m], count, candidate, limit, np.float32(np.inf))
            _copy(candidate, improved[m])
            for j in range(min(_CANDIDATES, count)):
                other = index[m, j]
                dx, dy = points[index[m, 0], 0] - points[other, 0], points[index[m, 0], 1] - points[other, 1]
                _move(models[other], dx, dy, candidate)
                cost = _truncated_cost(around, weights[m], count, candidate, limit, lowest)
                if cost < lowest:
                    lowest = cost
                    _copy(candidate, improved[m])
            for _ in range(_REFITS):
                _reweight(around, weights[m], count, improved[m], limit, reweighted)
                fit_affine(points, vectors, index[m], reweighted, improved[m])


@njit()
def _gather(
    points: NDArray[np.float64], vectors: NDArray[np.float64], index: NDArray[np.int32],
    around: NDArray[np.float32],
) -> int:  # fmt: skip
    """Write offsets from the first neighbour and vectors of all into four rows; return how many there are."""
    count = 0
    for other in index:
        if other < 0:
            break
        around[0, count] = points[other, 0] - points[index[0], 0]
        around[1, count] = points[other, 1] - points[index[0], 1]
        around[2, count], around[3, count] = vectors[other, 0], vectors[other, 1]
        count += 1
    return count


@njit()
def _copy(model: NDArray[np.float64], copy: NDArray[np.float64]) -> None:
    for component in range(2):
        for k in range(3):
            copy[component, k] = model[component, k]


@njit()
def _move(model: NDArray[np.float64], dx: float, dy: float, moved: NDArray[np.float64]) -> None:
    """Write the same affine field with its origin moved by so many px."""
    for component in range(2):
        moved[component, 0], moved[component, 1] = model[component, 0], model[component, 1]
        moved[component, 2] = model[component, 0] * dx + model[component, 1] * dy + model[component, 2]


@njit()
def residual_px(
    points: NDArray[np.float64],
    vectors: NDArray[np.float64],
    centre: int,
    other: int,
    model: NDArray[np.float64],
) -> float:
    """Return how far the model of match `centre` is from the vector of match `other`, in px."""
    x, y = points[other, 0] - points[centre, 0], points[other, 1] - points[centre, 1]
    du = model[0, 0] * x + model[0, 1] * y + model[0, 2] - vectors[other, 0]
    dv = model[1, 0] * x + model[1, 1] * y + model[1, 2] - vectors[other, 1]
    return math.sqrt(du * du + dv * dv)


# Single precision and sums in any order: vector registers hold eight neighbours at a time.
@njit(fastmath={"reassoc", "contract", "nnan"})
def _truncated_cost(
    around: NDArray[np.float32],
    weights: NDArray[np.float32],
    count: int,
    model: NDArray[np.float64],
    truncation: np.float32,
    limit: np.float32,
) -> np.float32:
    """Return the sum of `k min(|r|, t)`; it stops once above the limit."""
    a, b, u0 = np.float32(model[0, 0]), np.float32(model[0, 1]), np.float32(model[0, 2])
    c, d, v0 = np.float32(model[1, 0]), np.float32(model[1, 1]), np.float32(model[1, 2])
    x, y, u, v = around[0], around[1], around[2], around[3]
    cost = np.float32(0)
    for first in range(0, count, _BLOCK):
        for j in range(first, min(first + _BLOCK, count)):
            du, dv = a * x[j] + b * y[j] + u0 - u[j], c * x[j] + d * y[j] + v0 - v[j]
            cost += weights[j] * min(np.sqrt(du * du + dv * dv), truncation)
        if cost > limit:
            break
    return cost


@njit(fastmath={"contract"})
def _reweight(
    around: NDArray[np.float32],
    weights: NDArray[np.float32],
    count: int,
    model: NDArray[np.float64],
    truncation: np.float32,
    reweighted: NDArray[np.float32],
) -> None:
    """Write `k / (1 + (r / t)^2)`; squared in the fit that is the Geman-McClure weight."""
    a, b, u0 = np.float32(model[0, 0]), np.float32(model[0, 1]), np.float32(model[0, 2])
    c, d, v0 = np.float32(model[1, 0]), np.float32(model[1, 1]), np.float32(model[1, 2])
    x, y, u, v = around[0], around[1], around[2], around[3]
    scale = np.float32(1) / (truncation * truncation)
    for j in range(count):
        du, dv = a * x[j] + b * y[j] + u0 - u[j], c * x[j] + d * y[j] + v0 - v[j]
        reweighted[j] = weights[j] / (np.float32(1) + (du * du + dv * dv) * scale)
