"""The truth of rectified stereo pairs, read as flow: the disparity d is the flow (-d, 0)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from patchbatch.data.formats import read_kitti_disparity, read_middlebury_disparity

Field = tuple[NDArray[np.float32], NDArray[np.bool_]]
# Disparities of the 2003 Middlebury pairs in quarter size are stored four times as large.
MIDDLEBURY_2003_SCALE = 4.0


def kitti_disparity_as_flow(path: Path) -> Field:
    """Read a disparity of KITTI -> flow `(H, W, 2)` px, valid `(H, W)`."""
    return _as_flow(*read_kitti_disparity(path))


def middlebury_disparity_as_flow(path: Path) -> Field:
    """Read a disparity of Middlebury 2003 in quarter size -> flow `(H, W, 2)` px, valid `(H, W)`."""
    return _as_flow(*read_middlebury_disparity(path, MIDDLEBURY_2003_SCALE))


def _as_flow(disparity: NDArray[np.float32], valid: NDArray[np.bool_]) -> Field:
    # The difference has no -0.0, so that unknown pixels look alike in every data set.
    return np.stack([0.0 - disparity, np.zeros_like(disparity)], axis=-1), valid
