"""What each neighbour of a match counts."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from patchbatch.compiled import njit, prange

# Keeps the weights of far neighbours from vanishing altogether (EpicFlow program).
_KERNEL_FLOOR = 1e-8


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


@njit(parallel=True)
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
