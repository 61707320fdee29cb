"""EpicFlow's estimators: the weighted mean, and affine least squares."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from flow.interpolation.settings import InterpolationSettings
from patchbatch.compiled import njit, prange

# The affine fit of EpicFlow guards against collinear neighbours: the row of the match itself counts 0.96, and
# four copies 0.1 px to each side count 0.01. They pull to pure translation, with effect only where nothing
# else decides.
_OWN_SHARE = 0.96
_HELPER_SHARE = 0.01
_HELPER_OFFSET_PX = 0.1


def doubled(values: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return values in double precision."""
    return values.astype(np.float64)


def nadaraya_watson(
    points: NDArray[np.float32],
    vectors: NDArray[np.float32],
    index: NDArray[np.int32],
    weights: NDArray[np.float32],
    settings: InterpolationSettings | None = None,
) -> NDArray[np.float64]:
    """Return models that are constant in a cell: the kernel-weighted mean of the neighbours' vectors.

    See the package for the arguments; neither `points` nor `settings` matter.

    Returns
    -------
    NDArray[np.float64]
        `(M, 2, 3)` models with zero slopes.
    """
    models = np.zeros((len(index), 2, 3))
    _average_all(doubled(vectors), index, weights, models)
    return models


def locally_weighted_affine(
    points: NDArray[np.float32],
    vectors: NDArray[np.float32],
    index: NDArray[np.int32],
    weights: NDArray[np.float32],
    settings: InterpolationSettings | None = None,
) -> NDArray[np.float64]:
    """Return affine models by least squares on equations multiplied by the kernel (EpicFlow's default).

    Each row counts its weight k, so each squared residual `k^2 = exp(-2 a D)`. See the package for the
    arguments; `settings` do not matter.

    Returns
    -------
    NDArray[np.float64]
        `(M, 2, 3)` models.
    """
    models = np.zeros((len(index), 2, 3))
    fit_affine_models(doubled(points), doubled(vectors), index, weights, models)
    return models


@njit(parallel=True)
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


@njit(parallel=True)
def fit_affine_models(
    points: NDArray[np.float64],
    vectors: NDArray[np.float64],
    index: NDArray[np.int32],
    weights: NDArray[np.float32],
    models: NDArray[np.float64],
) -> None:
    """Fit every row of neighbours on its own."""
    for m in prange(len(index)):
        fit_affine(points, vectors, index[m], weights[m], models[m])


@njit()
def fit_affine(
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
    solve_affine(s, sx, sy, sxx + spread, sxy, syy + spread, right, model)


@njit()
def solve_affine(
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
