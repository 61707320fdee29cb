"""How the KITTI evaluation programs turn a sparse result into a dense one before they score it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def fill_holes(flow: NDArray[np.floating], valid: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Fill the pixels without a value from those of their row, as both KITTI kits do.

    A gap takes, for u and v each on its own, the smaller of the values on its left and right; the ends of
    a row repeat the nearest value; the rows above the first and below the last row with a value repeat that
    row. An empty row in between stays at 0, as in the kits.

    Parameters
    ----------
    flow
        `(H, W, 2)` in pixels; what stands where `valid` is False does not matter.
    valid
        `(H, W)` bool.

    Returns
    -------
    ndarray
        `(H, W, 2)` float64, a new array; all 0 if nothing is valid.
    """
    height, width = valid.shape
    known = valid.any(axis=1)
    filled = np.zeros((height, width, 2))
    if not known.any():
        return filled
    columns = np.arange(width)
    left = np.maximum.accumulate(np.where(valid, columns, -1), axis=1)
    right = np.minimum.accumulate(np.where(valid, columns, width)[:, ::-1], axis=1)[:, ::-1]
    # At a row's ends one side has no value: there both sides are the other side's.
    nearest_left = np.where(left < 0, right, left)
    nearest_right = np.where(right == width, left, right)
    rows = np.flatnonzero(known)
    lines = rows[:, None]
    filled[rows] = np.minimum(flow[lines, nearest_left[rows]], flow[lines, nearest_right[rows]])
    filled[: rows[0]] = filled[rows[0]]
    filled[rows[-1] + 1 :] = filled[rows[-1]]
    return filled
