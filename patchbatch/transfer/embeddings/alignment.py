"""Faces brought to a common place by their points: the best similarity, and the crop that it gives."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from patchbatch.errors import PatchBatchError
from patchbatch.transfer.embeddings.table import CROPS, FIVE

Floats = NDArray[np.float64]


def similarity(points: ArrayLike, targets: ArrayLike) -> Floats:
    """Return the rotation, scale and shift that bring points nearest to targets, in the least squares sense.

    Nothing is mirrored. Source: S. Umeyama, "Least-squares estimation of transformation parameters between
    two point patterns", PAMI 1991; in the plane the solution is one complex quotient.

    Parameters
    ----------
    points, targets
        `(K, 2)`, (x, y), two or more.

    Returns
    -------
    ndarray
        `(2, 3)`: the point p comes to `A[:, :2] @ p + A[:, 2]`.

    Raises
    ------
    PatchBatchError
        Unlike shapes, fewer than two points, points that are not finite, or all at one place.

    Examples
    --------
    >>> similarity([[0, 0], [2, 0]], [[1, 1], [1, 2]]).round(3).tolist()
    [[0.0, -0.5, 1.0], [0.5, 0.0, 1.0]]
    """
    one, other = np.asarray(points, np.float64), np.asarray(targets, np.float64)
    if one.shape != other.shape or one.ndim != 2 or one.shape[1] != 2 or len(one) < 2:
        raise PatchBatchError(
            f"points are {one.shape} and targets {other.shape}; give (K, 2) of both, K from 2 on"
        )
    if not (np.isfinite(one).all() and np.isfinite(other).all()):
        raise PatchBatchError("the points of a face are not finite; detect them again")
    z, w = (x[:, 0] + 1j * x[:, 1] for x in (one, other))
    centred = z - z.mean()
    spread = float((abs(centred) ** 2).sum())
    if spread <= 1e-12 * max(float((abs(z) ** 2).sum()), 1):
        raise PatchBatchError("the points of a face are all at one place; detect them again")
    factor = (centred.conj() * (w - w.mean())).sum() / spread
    shift = w.mean() - factor * z.mean()
    return np.array([[factor.real, -factor.imag, shift.real], [factor.imag, factor.real, shift.imag]])


def align(
    image: NDArray[np.uint8],
    points: ArrayLike,
    crop: str = "lfw",
    side: int = 100,
    names: Sequence[str] = FIVE,
) -> NDArray[np.uint8]:
    """Cut a face out of an image so that its points come to lie where a crop has them.

    Parameters
    ----------
    image
        `(H, W)` or `(H, W, 3)` uint8.
    points
        `(K, 2)`, (x, y) in px, of one face.
    crop
        A name of `CROPS`: "lfw" or "arcface".
    side
        Of the result, px.
    names
        What the points are, K of the names that the crop has; the default are the usual five.

    Returns
    -------
    ndarray
        `(side, side[, 3])` uint8; what lies outside the image is its nearest edge.

    Raises
    ------
    PatchBatchError
        Unknown names, and as `similarity`.
    """
    places = CROPS[crop].points
    unknown = [name for name in names if name not in places]
    if unknown:
        raise PatchBatchError(f"the crop {crop} has no {unknown[0]}; it has {', '.join(places)}")
    # Shares count from the corner of the first pixel, whose centre is at (0, 0).
    matrix = similarity(points, np.array([places[name] for name in names]) * side - 0.5)
    scale = float(np.hypot(*matrix[:, 0]))
    if scale < 1:  # a warp takes single pixels: without the blur that a smaller size needs, they flicker
        image = _blurred(image, scale)
    moved = cv2.warpAffine(
        image, matrix, (side, side), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(moved, np.uint8)


def _blurred(image: NDArray[np.uint8], scale: float) -> NDArray[np.uint8]:
    sigma = 0.5 * np.sqrt(1 / scale**2 - 1)
    return np.asarray(cv2.GaussianBlur(image, (0, 0), sigma), np.uint8) if sigma > 0.1 else image
