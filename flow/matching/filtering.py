"""Find the matches that the other direction contradicts, and the islands that nothing around supports."""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from flow.matching.seeds import SeedField

# Seeds on each side whose differences a slope is the median of. Fewer find a slope in what matched by chance.
SLOPE_REACH = 4
EXCUSE = 1.5


def motion_slopes(vectors: NDArray[np.float32], known: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Measure how the motion changes from seed to seed, so that a turn or a zoom is not taken for disorder.

    Parameters
    ----------
    vectors
        `(G, W, 2)` float32, px, of a grid of seeds.
    known
        `(G, W)` bool, the vectors that count.

    Returns
    -------
    `(G, W, 2, 2)` float32, px per seed: first the change of the vector from one column to the next, then from
    one row to the next. Each is the median, on either axis, of the differences of neighbours around the seed,
    which a minority of wrong vectors does not turn; 0 where there is none.
    """
    slopes = np.zeros((*known.shape, 2, 2), np.float32)
    for way, axis in enumerate((1, 0)):
        if known.shape[axis] > 1:
            differences = np.where(known[..., None], vectors, np.nan)
            slopes[:, :, way] = _median_around(np.diff(differences, axis=axis), axis)
    return slopes


def _median_around(differences: NDArray[np.float32], axis: int) -> NDArray[np.float32]:
    """Return the lower medians around every seed of differences that lie between the seeds."""
    reach = [(SLOPE_REACH, SLOPE_REACH)] * 2 + [(0, 0)]
    sides = [2 * SLOPE_REACH + 1] * 2
    sides[axis] -= 1  # seeds have as many differences before as after them
    padded = np.pad(differences, reach, constant_values=np.nan)
    around = sliding_window_view(padded, sides, axis=(0, 1))
    # A row of seeds at a time: the windows of all would take a hundred times the memory of the vectors.
    return np.stack([_lower_median(row) for row in around])


def _lower_median(around: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the lower median of what is not NaN in windows `(W, 2, A, B)`, `(W, 2)`; 0 where nothing is."""
    ordered = np.sort(around.reshape(*around.shape[:2], -1), axis=-1)  # NaN comes last
    middle = (np.isfinite(ordered).sum(axis=-1, keepdims=True) - 1) // 2
    median = np.take_along_axis(ordered, np.maximum(middle, 0), axis=-1)
    return np.where(middle >= 0, median, 0)[..., 0].astype(np.float32)


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

    Notes
    -----
    Where the motion has a slope (`motion_slopes`), neighbours are also of one group when they differ from
    what the slope says by no more than `tolerance`, and by less than `EXCUSE` times the slope itself: a
    gentle one excuses little.
    """
    slopes = motion_slopes(vectors, keep)
    joined = []
    for axis in (0, 1):
        before, after = (np.arange(keep.shape[axis] - 1) + shift for shift in (0, 1))
        change = vectors.take(after, axis) - vectors.take(before, axis)
        both = slopes[:, :, 1 - axis]
        slope = (both.take(before, axis) + both.take(after, axis)) / 2
        excused = np.minimum(EXCUSE * np.linalg.norm(slope, axis=-1), tolerance)
        off_slope = np.linalg.norm(change - slope, axis=-1)
        joined.append((off_slope < excused) | (np.linalg.norm(change, axis=-1) <= tolerance))
    large: NDArray[np.bool_] = keep & (_group_sizes(keep, joined) >= smallest)
    return large


def _group_sizes(keep: NDArray[np.bool_], joined: list[NDArray[np.bool_]]) -> NDArray[np.float64]:
    """Return how many kept seeds hang together with each; `joined`: with the seed below, to the right."""
    numbers = np.arange(keep.size).reshape(keep.shape)
    starts, ends = [], []
    for axis, beside in enumerate(joined):
        before, after = (np.arange(keep.shape[axis] - 1) + shift for shift in (0, 1))
        both = beside & keep.take(before, axis) & keep.take(after, axis)
        starts.append(numbers.take(before, axis)[both])
        ends.append(numbers.take(after, axis)[both])
    pairs = np.concatenate(starts), np.concatenate(ends)
    graph = coo_array((np.ones(len(pairs[0]), np.bool_), pairs), shape=(keep.size, keep.size))
    group = connected_components(graph, directed=False)[1].reshape(keep.shape)
    sizes: NDArray[np.float64] = np.bincount(group.ravel(), weights=keep.ravel())[group]
    return sizes
