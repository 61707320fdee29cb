"""Find the matches that the other direction contradicts, and the islands that nothing around supports."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from flow.matching.seeds import SeedField


def two_way_error(forward: SeedField, backward: SeedField, reach: int = 0) -> NDArray[np.float32]:
    """Measure how far each match of image 1 comes back from where it left.

    Parameters
    ----------
    forward, backward
        Seeds of image 1 matched into image 2, and the other way round; the steps may differ.
    reach
        Seeds on each side of the seed whose cell the match hits that are asked too; the best answer
        counts. 0 asks only the cell that was hit, which keeps less and errs less at the same threshold.

    Returns
    -------
    `(G, W)` float32, px: the least `|f(p) + b(q)|` over the seeds q asked; infinite for a match without a
    finite cost, and where no seed asked has one. The 2016 program keeps what returns to within 1 px of its
    start; CPM allows 3 px.
    """
    rows, columns = backward.cost.shape
    landing = (forward.points + forward.vectors - backward.points[0, 0]) / backward.step
    column, row = np.moveaxis(np.rint(landing).astype(np.intp), -1, 0)
    error = np.full(forward.cost.shape, np.inf, np.float32)
    for dy in range(-reach, reach + 1):
        for dx in range(-reach, reach + 1):
            asked = np.clip(row + dy, 0, rows - 1), np.clip(column + dx, 0, columns - 1)
            distance = np.linalg.norm(forward.vectors + backward.vectors[asked], axis=-1)
            np.minimum(error, distance, out=error, where=np.isfinite(backward.cost[asked]))
    error[~np.isfinite(forward.cost)] = np.inf
    return error


def remove_small_islands(
    vectors: NDArray[np.float32], keep: NDArray[np.bool_], tolerance: float, smallest: int
) -> NDArray[np.bool_]:
    """Drop groups of matches that are too small to be believed without support.

    Parameters
    ----------
    vectors
        `(G, W, 2)` float32, px, of a grid of seeds.
    keep
        `(G, W)` bool, the matches believed so far; the others connect nothing.
    tolerance
        px; seeds next to each other (left, right, above, below) are of one group when their vectors differ by
        no more than this. Larger joins more.
    smallest
        Seeds that a group needs in order to stay; 0 or 1 drops nothing.

    Returns
    -------
    `(G, W)` bool, a new array.
    """
    numbers = np.arange(keep.size).reshape(keep.shape)
    starts, ends = [], []
    for axis in (0, 1):
        last = keep.shape[axis] - 1
        first, second = np.arange(last), np.arange(1, last + 1)
        differ = np.linalg.norm(vectors.take(first, axis) - vectors.take(second, axis), axis=-1)
        joined = keep.take(first, axis) & keep.take(second, axis) & (differ <= tolerance)
        starts.append(numbers.take(first, axis)[joined])
        ends.append(numbers.take(second, axis)[joined])
    pairs = np.concatenate(starts), np.concatenate(ends)
    graph = coo_array((np.ones(len(pairs[0]), np.bool_), pairs), shape=(keep.size, keep.size))
    group = connected_components(graph, directed=False)[1].reshape(keep.shape)
    size = np.bincount(group.ravel(), weights=keep.ravel())
    large: NDArray[np.bool_] = keep & (size[group] >= smallest)
    return large
