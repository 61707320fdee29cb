"""Local motion models: one per match, fitted to the vectors of its geodesic neighbours.

Every estimator returns `(M, 2, 3)` models B: at a pixel (x, y) of the cell of the match at (x0, y0) the flow
is `B[:, 0] (x - x0) + B[:, 1] (y - y0) + B[:, 2]`. Coordinates centred on the match keep the normal equations
well conditioned, so they are solved directly, in double precision.

The arguments are the same for all: `points` (N, 2) x then y and `vectors` (N, 2) in px; `index` (M, n) int32
from `nearest_on_graph`, the match itself in column 0, -1 where there is no neighbour; and `weights` (M, n)
float32 from `kernel_weights`: what each neighbour counts.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

# The affine fit of EpicFlow guards against collinear neighbours: the row of the match itself counts 0.96, and
# four copies 0.1 px to each side count 0.01. They pull to pure translation, with effect only where nothing
# else decides.
_OWN_SHARE = 0.96
_HELPER_SHARE = 0.01
_HELPER_OFFSET_PX = 0.1
# Keeps the weights of far neighbours from vanishing altogether (EpicFlow program).
_KERNEL_FLOOR = 1e-8

# The robust fit, set on the three pairs of the EpicFlow reference.
_CANDIDATES = 16  # models tried per round: the closest neighbours'; more than twice as many gained nothing
_ROUNDS = 2  # each lets good models spread one neighbourhood further; two more lowered Fl by 2 % of itself
_REFITS = 2  # reweighted least squares after each choice


def kernel_weights(
    index: NDArray[np.int32],
    distance: NDArray[np.float32],
    a: float,
    trust: NDArray[np.float32] | None = None,
) -> NDArray[np.float32]:
    """Return what each neighbour counts: `trust (exp(-a D) + 1e-8)`.

    Parameters
    ----------
    index, distance
        `(M, n)` int32 and float32 from `nearest_on_graph`; the index is -1 where there is no neighbour.
    a
        Decay per unit of geodesic distance D; higher is more local.
    trust
        `(N,)` float32 above 0, that of each match itself; `None` is 1 for all.

    Returns
    -------
    NDArray[np.float32]
        `(M, n)`, 0 where there is no neighbour.
    """
    own = np.ones(int(index.max(initial=0)) + 1, np.float32) if trust is None else trust
    weights = np.zeros(index.shape, np.float32)
    _weigh(index, distance, a, own, weights)
    return weights


@njit(cache=True, nogil=True, parallel=True)
def _weigh(
    index: NDArray[np.int32],
    distance: NDArray[np.float32],
    a: float,
    trust: NDArray[np.float32],
    weights: NDArray[np.float32],
) -> None:
    for m in prange(len(index)):
        for j in range(index.shape[1]):
            if index[m, j] < 0:
                break
            weights[m, j] = trust[index[m, j]] * (math.exp(-a * distance[m, j]) + _KERNEL_FLOOR)


def _double(values: NDArray[np.float32]) -> NDArray[np.float64]:
    return values.astype(np.float64)


def nadaraya_watson(
    points: NDArray[np.float32],
    vectors: NDArray[np.float32],
    index: NDArray[np.int32],
    weights: NDArray[np.float32],
) -> NDArray[np.float64]:
    """Return models that are constant in a cell: the kernel-weighted mean of the neighbours' vectors.

    See the module for the arguments; `points` is not looked at.

    Returns
    -------
    NDArray[np.float64]
        `(M, 2, 3)` models with zero slopes.
    """
    models = np.zeros((len(index), 2, 3))
    _average_all(_double(vectors), index, weights, models)
    return models


def locally_weighted_affine(
    points: NDArray[np.float32],
    vectors: NDArray[np.float32],
    index: NDArray[np.int32],
    weights: NDArray[np.float32],
) -> NDArray[np.float64]:
    """Return affine models by least squares on equations multiplied by the kernel (EpicFlow's default).

    Each row counts its weight k, so each squared residual `k^2 = exp(-2 a D)`. See the module for the
    arguments.

    Returns
    -------
    NDArray[np.float64]
        `(M, 2, 3)` models.
    """
    models = np.zeros((len(index), 2, 3))
    _fit_all(_double(points), _double(vectors), index, weights, models)
    return models


def robust_affine(
    points: NDArray[np.float32],
    vectors: NDArray[np.float32],
    index: NDArray[np.int32],
    weights: NDArray[np.float32],
    truncation_px: float = 3.0,
) -> NDArray[np.float64]:
    """Return affine models that a minority of wrong neighbours does not pull.

    Starts from the least-squares models. In each round a match takes, among its own translation, its own
    model and those of its closest neighbours, the one with the smallest sum of `k min(|r|, t)`, and refits
    it with weights that fall with the residual (Geman-McClure). On KITTI, where many matches are wrong, this
    is the better choice.

    See the module for the arguments; here row i of `index` must belong to match i, so M = N.
    `truncation_px` is t, above 0: a residual well above it counts as wrong. Smaller cuts into the accuracy of
    coarse matches and into bent surfaces, larger lets outliers pull.

    Returns
    -------
    NDArray[np.float64]
        `(N, 2, 3)` models.
    """
    centres, targets = _double(points), _double(vectors)
    models = np.zeros((len(index), 2, 3))
    _fit_all(centres, targets, index, weights, models)
    for _ in range(_ROUNDS):
        improved = np.empty_like(models)
        _choose_and_refit(centres, targets, index, weights, models, truncation_px, improved)
        models = improved
    return models


@njit(cache=True, nogil=True, parallel=True)
def _average_all(
    vectors: NDArray[np.float64],
    index: NDArray[np.int32],
    weights: NDArray[np.float32],
    models: NDArray[np.float64],
) -> None:
    """Write the weighted mean of every row of neighbours as the constant part of its model."""
    for m in prange(len(index)):
        total = 0.0
        for weight in weights[m]:
            total += weight
        for j in range(index.shape[1]):
            if index[m, j] < 0:
                break
            for component in range(2):
                models[m, component, 2] += weights[m, j] / total * vectors[index[m, j], component]


@njit(cache=True, nogil=True, parallel=True)
def _fit_all(
    points: NDArray[np.float64],
    vectors: NDArray[np.float64],
    index: NDArray[np.int32],
    weights: NDArray[np.float32],
    models: NDArray[np.float64],
) -> None:
    """Fit every row of neighbours on its own."""
    for m in prange(len(index)):
        _fit_affine(points, vectors, index[m], weights[m], models[m])


@njit(cache=True, nogil=True)
def _fit_affine(
    points: NDArray[np.float64],
    vectors: NDArray[np.float64],
    index: NDArray[np.int32],
    weights: NDArray[np.float32],
    model: NDArray[np.float64],
) -> None:
    """Sum up the normal equations of one match: w^2 (1, x, y)(1, x, y)^T B = w^2 (1, x, y) v."""
    s, sx, sy, sxx, sxy, syy = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    right = np.zeros((2, 3))
    helper = 4 * (_HELPER_SHARE * np.float64(weights[0])) ** 2
    for j in range(len(index)):
        if index[j] < 0:
            break
        w = np.float64(weights[j]) ** 2
        if j == 0:
            w = w * _OWN_SHARE**2 + helper
        x, y = points[index[j], 0] - points[index[0], 0], points[index[j], 1] - points[index[0], 1]
        s, sx, sy = s + w, sx + w * x, sy + w * y
        sxx, sxy, syy = sxx + w * x * x, sxy + w * x * y, syy + w * y * y
        for component in range(2):
            v = w * vectors[index[j], component]
            right[component, 0] += v * x
            right[component, 1] += v * y
            right[component, 2] += v
    spread = helper / 2 * _HELPER_OFFSET_PX**2
    _solve(s, sx, sy, sxx + spread, sxy, syy + spread, right, model)


@njit(cache=True, nogil=True)
def _solve(
    s: float,
    sx: float,
    sy: float,
    sxx: float,
    sxy: float,
    syy: float,
    right: NDArray[np.float64],
    model: NDArray[np.float64],
) -> None:
    """Solve the 3x3 system of both components by taking the weighted mean out, then a 2x2 covariance."""
    mx, my = sx / s, sy / s
    cxx, cxy, cyy = sxx - sx * mx, sxy - sx * my, syy - sy * my
    determinant = cxx * cyy - cxy * cxy
    for component in range(2):
        total = right[component, 2]
        bx, by = right[component, 0] - mx * total, right[component, 1] - my * total
        slope_x, slope_y = 0.0, 0.0
        if determinant > 0:
            slope_x = (cyy * bx - cxy * by) / determinant
            slope_y = (cxx * by - cxy * bx) / determinant
        model[component, 0], model[component, 1] = slope_x, slope_y
        model[component, 2] = total / s - slope_x * mx - slope_y * my


@njit(cache=True, nogil=True, parallel=True)
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
    for m in prange(len(index)):
        candidate = np.zeros((2, 3))
        candidate[:, 2] = vectors[index[m, 0]]
        lowest = _truncated_cost(points, vectors, index[m], weights[m], candidate, truncation, np.inf)
        improved[m] = candidate
        for j in range(min(_CANDIDATES, index.shape[1])):
            other = index[m, j]
            if other < 0:
                break
            _move(models[other], points[index[m, 0]] - points[other], candidate)
            cost = _truncated_cost(points, vectors, index[m], weights[m], candidate, truncation, lowest)
            if cost < lowest:
                lowest = cost
                improved[m] = candidate
        reweighted = np.zeros(index.shape[1], np.float32)
        for _ in range(_REFITS):
            _reweight(points, vectors, index[m], weights[m], improved[m], truncation, reweighted)
            _fit_affine(points, vectors, index[m], reweighted, improved[m])


@njit(cache=True, nogil=True)
def _move(model: NDArray[np.float64], offset: NDArray[np.float64], moved: NDArray[np.float64]) -> None:
    """Write the same affine field with its origin moved by `offset` (x, y) px."""
    for component in range(2):
        moved[component, 0], moved[component, 1] = model[component, 0], model[component, 1]
        moved[component, 2] = (
            model[component, 0] * offset[0] + model[component, 1] * offset[1] + model[component, 2]
        )


@njit(cache=True, nogil=True)
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


@njit(cache=True, nogil=True)
def _truncated_cost(
    points: NDArray[np.float64],
    vectors: NDArray[np.float64],
    index: NDArray[np.int32],
    weights: NDArray[np.float32],
    model: NDArray[np.float64],
    truncation: float,
    limit: float,
) -> float:
    """Return the sum of `k min(|r|, t)`; it stops once above the limit."""
    cost = 0.0
    for j in range(len(index)):
        if index[j] < 0 or cost > limit:
            break
        cost += weights[j] * min(residual_px(points, vectors, index[0], index[j], model), truncation)
    return cost


@njit(cache=True, nogil=True)
def _reweight(
    points: NDArray[np.float64],
    vectors: NDArray[np.float64],
    index: NDArray[np.int32],
    weights: NDArray[np.float32],
    model: NDArray[np.float64],
    truncation: float,
    reweighted: NDArray[np.float32],
) -> None:
    """Write `k / (1 + (r / t)^2)`; squared in the fit that is the Geman-McClure weight."""
    for j in range(len(index)):
        if index[j] < 0:
            break
        residual = residual_px(points, vectors, index[0], index[j], model)
        reweighted[j] = weights[j] / (1 + (residual / truncation) ** 2)
