"""Geodesic distance to the closest of many seeds, and the cells it cuts the image into.

The distance between two pixels is the smallest integral of a cost over the paths between them.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from patchbatch.compiled import njit
from patchbatch.errors import PatchBatchError

# A round of four sweeps that lowers no pixel by more than this share of its value ends the transform.
# Straight fronts need one round; each bend around an edge needs another, so the limit is there for mazes
# only.
_CONVERGED = 1e-3
_ROUNDS_MAX = 16


def distance_transform(
    cost: NDArray[np.float32], seeds: NDArray[np.intp]
) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """Return the geodesic distance to the closest seed, and which seed that is.

    Raster sweeps in the four diagonal directions solve the eikonal equation `|grad d| = cost` with the upwind
    step of the fast sweeping method (Zhao, Math. Comp. 2005), until they change nothing of weight.

    Parameters
    ----------
    cost
        `(H, W)` float32, positive: price of one pixel of path.
    seeds
        `(N, 2)` integers, x then y, inside the image. Where two seeds share a pixel the later one owns it.

    Returns
    -------
    distance, label
        `(H, W)` float32, `cost` at the seed itself, infinite without any seed; and `(H, W)` int32, the row of
        the closest seed, -1 without any.

    Raises
    ------
    PatchBatchError
        When the cost is not positive and finite or a seed lies outside the image.

    Examples
    --------
    >>> distance, label = distance_transform(np.ones((1, 5), np.float32), np.array([[0, 0], [4, 0]]))
    >>> distance.tolist(), label.tolist()
    ([[1.0, 2.0, 3.0, 2.0, 1.0]], [[0, 0, 0, 1, 1]])
    """
    cost = np.ascontiguousarray(cost, np.float32)
    _check_grid(cost, seeds)
    distance = np.full(cost.shape, np.inf, np.float32)
    label = np.full(cost.shape, -1, np.int32)
    x, y = seeds[:, 0], seeds[:, 1]
    distance[y, x] = cost[y, x]
    label[y, x] = np.arange(len(seeds), dtype=np.int32)
    # A seed keeps its pixel even where that is dearer than a path from the next seed through cheaper ones.
    fixed = label >= 0
    if len(seeds):
        for _ in range(_ROUNDS_MAX):
            changes = [
                _sweep(cost, fixed, distance, label, down, right)
                for down, right in ((True, True), (True, False), (False, False), (False, True))
            ]
            if max(changes) <= _CONVERGED:
                break
    return distance, label


def _check_grid(cost: NDArray[np.float32], seeds: NDArray[np.intp]) -> None:
    if cost.ndim != 2 or not cost.size:
        raise PatchBatchError(
            f"the cost map has shape {cost.shape}; give one positive value per pixel, (H, W)"
        )
    if not (np.isfinite(cost).all() and cost.min() > 0):
        raise PatchBatchError(
            "the cost map holds values that are not positive and finite; add a small constant"
        )
    if seeds.ndim != 2 or seeds.shape[1] != 2:
        raise PatchBatchError(f"the seeds have shape {seeds.shape}; give x and y of each, (N, 2)")
    limit = np.array(cost.shape[::-1])
    if ((seeds < 0) | (seeds >= limit)).any():
        raise PatchBatchError(f"a seed lies outside the {limit[0]}x{limit[1]} image; clamp the seeds first")


@njit()
def _sweep(
    cost: NDArray[np.float32],
    fixed: NDArray[np.bool_],
    distance: NDArray[np.float32],
    label: NDArray[np.int32],
    down: bool,
    right: bool,
) -> float:
    """Sweep once over the image in place; return the largest relative decrease.

    With t1, t2 the neighbours already passed: t = (t1 + t2 + sqrt(2 C^2 - (t1 - t2)^2)) / 2, the solution of
    (t - t1)^2 + (t - t2)^2 = C^2, or min(t1, t2) + C where that has no solution above both.
    """
    height, width = cost.shape
    largest = 0.0
    for row in range(height):
        y = row if down else height - 1 - row
        y_before = y - 1 if down else y + 1
        for column in range(width):
            x = column if right else width - 1 - column
            x_before = x - 1 if right else x + 1
            t1 = distance[y_before, x] if row > 0 else np.float32(np.inf)
            t2 = distance[y, x_before] if column > 0 else np.float32(np.inf)
            nearer = min(t1, t2)
            old = distance[y, x]
            if fixed[y, x] or nearer >= old:
                continue
            c = cost[y, x]
            difference = abs(t1 - t2)
            value = nearer + c
            if difference < c:
                value = np.float32(0.5) * (t1 + t2 + math.sqrt(2 * c * c - difference * difference))
            if value < old:
                largest = max(largest, (old - value) / old if old < np.inf else 1.0)
                distance[y, x] = value
                label[y, x] = label[y_before, x] if t1 <= t2 else label[y, x_before]
    return largest
