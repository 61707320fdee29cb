"""Fractions of a pixel: where a parabola through the cost beside a whole-pixel match has its bottom."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from flow.matching.costs import NOWHERE, candidate_costs
from flow.matching.exact.search import check_pair
from patchbatch.compiled import njit
from patchbatch.errors import PatchBatchError

CROSS = np.array([(-1, 0), (1, 0), (0, -1), (0, 1)], dtype=np.int32)


def refine_subpixel(
    descriptors1: torch.Tensor,
    descriptors2: torch.Tensor,
    points1: NDArray[np.int32],
    points2: NDArray[np.int32],
) -> NDArray[np.float32]:
    """Move whole-pixel matches to where the cost is lowest between pixels.

    On each axis a parabola goes through the squared distances at the match and at its two neighbours. Where
    distances are quadratic in the displacement, as those of smooth descriptors nearly are, that is exact.

    Parameters
    ----------
    descriptors1, descriptors2
        `(H1, W1, D)` and `(H2, W2, D)`, any floating type, on one device.
    points1, points2
        `(N, 2)` int32, x then y, whole pixels of image 1 and of image 2.

    Returns
    -------
    `(N, 2)` float32, x then y in image 2, at most 0.5 px from `points2` on either axis. An axis stays
    whole at the border, where a neighbour's cost is below that of the match, and where the cost is flat or
    not a number.

    Raises
    ------
    PatchBatchError
        If the descriptors do not fit together, or points lie outside their image or differ in number.

    Examples
    --------
    >>> y, x = torch.meshgrid(torch.arange(5.0), torch.arange(7.0), indexing="ij")
    >>> d = torch.stack([x, y], dim=-1)
    >>> refine_subpixel(d + torch.tensor([0.25, 0]), d, np.array([[3, 2]]), np.array([[3, 2]])).tolist()
    [[3.25, 2.0]]
    """
    check_pair(descriptors1, descriptors2)
    _check_points(points1, points2, descriptors1, descriptors2)
    points1, points2 = (points.astype(np.int32) for points in (points1, points2))
    offsets = subpixel_offsets(descriptors1, descriptors2, points1, points2)
    return points2.astype(np.float32) + offsets


def subpixel_offsets(
    descriptors1: torch.Tensor,
    descriptors2: torch.Tensor,
    points1: NDArray[np.int32],
    points2: NDArray[np.int32],
) -> NDArray[np.float32]:
    """Return what `refine_subpixel` adds to points that are known to be sound, `(N, 2)` in +-0.5 px."""
    height, width = descriptors2.shape[:2]
    targets = np.concatenate([points2[:, None], points2[:, None] + CROSS], axis=1)
    outside = ((targets < 0) | (targets >= (width, height))).any(axis=-1)
    targets[outside, 0] = NOWHERE
    offsets: NDArray[np.float32] = parabola_offsets(
        candidate_costs(descriptors1, descriptors2, points1, targets)
    )
    return offsets


def _check_points(
    points1: NDArray[np.int32],
    points2: NDArray[np.int32],
    descriptors1: torch.Tensor,
    descriptors2: torch.Tensor,
) -> None:
    if points1.shape != points2.shape or points1.ndim != 2 or points1.shape[1] != 2:
        raise PatchBatchError(f"points have shapes {points1.shape} and {points2.shape}; give (N, 2) for both")
    for number, points, descriptors in ((1, points1, descriptors1), (2, points2, descriptors2)):
        height, width = descriptors.shape[:2]
        if not np.issubdtype(points.dtype, np.integer):
            raise PatchBatchError(f"points {number} are {points.dtype}; give whole pixels as integers")
        if ((points < 0) | (points >= (width, height))).any():
            raise PatchBatchError(
                f"points {number} lie outside their {width}x{height} image; leave those out"
            )


@njit()
def parabola_offsets(costs: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return where the parabolas through costs beside matches have their bottoms.

    Parameters
    ----------
    costs
        `(N, 5)` float32: at the match, to its left, to its right, above and below; infinite where unknown.

    Returns
    -------
    `(N, 2)` float32, x then y, in [-0.5, 0.5] px; 0 on an axis that has no lowest point at the match, and
    where the match costs nothing: no place beside it can be better.
    """
    offsets = np.zeros((costs.shape[0], 2), np.float32)
    for i in range(costs.shape[0]):
        for axis in range(2):
            before = costs[i, 1 + 2 * axis] - costs[i, 0]
            after = costs[i, 2 + 2 * axis] - costs[i, 0]
            # Neither fall is below 0, so the bottom is within half a pixel.
            if costs[i, 0] > 0 and before >= 0 and after >= 0 and 0 < before + after < np.inf:
                offsets[i, axis] = np.float32(0.5) * (before - after) / (before + after)
    return offsets
