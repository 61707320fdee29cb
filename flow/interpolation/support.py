"""What stands behind a local model: how far its neighbours agree with it, and the range of their vectors."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from flow.interpolation.estimators.robust import residual_px
from patchbatch.compiled import njit, prange

# A neighbour this far from the model counts half. About the error of an integer match plus the bend of a
# surface.
_HALF_AGREEMENT_PX = 1.0
# Neighbours below this share of the largest weight made none of the value, so their vectors bound nothing.
_RELEVANT = 0.01


def neighbour_support(
    points: NDArray[np.float32],
    vectors: NDArray[np.float32],
    confidence: NDArray[np.float32],
    index: NDArray[np.int32],
    weights: NDArray[np.float32],
    models: NDArray[np.float64],
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return how well each model is supported and the range of the vectors that made it.

    Parameters
    ----------
    points, vectors, index, weights, models
        As given to and returned by the estimators.
    confidence
        `(N,)` float32 in [0, 1], that of the matches.

    Returns
    -------
    support, bounds
        `(N,)` float32 in [0, 1]: mean of `confidence / (1 + (r / 1 px)^2)` with kernel weights, r the
        distance from the model to a neighbour's vector. `(N, 2, 2)` float32 px: per component, the lowest and
        the highest vector among neighbours with at least 1 % of the largest weight.
    """
    support = np.zeros(len(index), np.float32)
    bounds = np.zeros((len(index), 2, 2), np.float32)
    _support(
        points.astype(np.float64),
        vectors.astype(np.float64),
        confidence.astype(np.float64),
        index,
        weights,
        models,
        support,
        bounds,
    )
    return support, bounds


@njit(parallel=True)
def _support(
    points: NDArray[np.float64],
    vectors: NDArray[np.float64],
    confidence: NDArray[np.float64],
    index: NDArray[np.int32],
    weights: NDArray[np.float32],
    models: NDArray[np.float64],
    support: NDArray[np.float32],
    bounds: NDArray[np.float32],
) -> None:
    """Fill both results row by row."""
    for m in prange(len(index)):
        centre = index[m, 0]
        agreed, total = 0.0, 0.0
        for component in range(2):
            bounds[m, component] = vectors[centre, component]
        for j in range(index.shape[1]):
            other = index[m, j]
            if other < 0:
                break
            residual = residual_px(points, vectors, centre, other, models[m]) / _HALF_AGREEMENT_PX
            agreed += weights[m, j] * confidence[other] / (1 + residual * residual)
            total += weights[m, j]
            if weights[m, j] >= _RELEVANT * weights[m, 0]:
                for component in range(2):
                    bounds[m, component, 0] = min(bounds[m, component, 0], vectors[other, component])
                    bounds[m, component, 1] = max(bounds[m, component, 1], vectors[other, component])
        support[m] = agreed / total
