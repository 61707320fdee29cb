"""Image 2 as it is seen from image 1, by a flow."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from patchbatch.data.given.fields import given_flow_array
from patchbatch.data.given.images import ImageLike, given_image
from patchbatch.errors import PatchBatchError

# Rounding of a sum of float32 coordinates; so far out a target still is on the border.
_ROUNDING_PX = 1e-3


def warp(
    image2: ImageLike, flow: Any, valid: NDArray[np.bool_] | None = None, fill: float = 0.0
) -> NDArray[np.float32]:
    """Return image 2 at the places that a flow leads to.

    Parameters
    ----------
    image2
        A file, array, tensor or picture, as `given_image` takes it.
    flow
        `(H, W, 2)` px of the size of image 2, or a tensor `(2, H, W)`.
    valid
        `(H, W)` bool, where the flow has a value; None: everywhere.
    fill
        In [0, 1], where there is no value or the flow leads out of image 2.

    Returns
    -------
    NDArray
        `(H, W)` or `(H, W, 3)` float32 in [0, 1], bilinear between pixels.

    Raises
    ------
    PatchBatchError
        For sizes that differ, or input of the wrong kind.

    Examples
    --------
    >>> warp(np.array([[0.0, 0.5, 1.0]]), np.full((1, 3, 2), [1, 0]))
    array([[0.5, 1. , 0. ]], dtype=float32)
    """
    if not 0 <= fill <= 1:
        raise PatchBatchError(f"fill is {fill}; give a grey level from 0 to 1")
    image = given_image(image2, "image 2")
    height, width = image.shape[:2]
    vectors = given_flow_array(flow, (height, width))
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    x, y = x + vectors[..., 0], y + vectors[..., 1]
    seen = (np.abs(x - (width - 1) / 2) <= (width - 1) / 2 + _ROUNDING_PX) & (
        np.abs(y - (height - 1) / 2) <= (height - 1) / 2 + _ROUNDING_PX
    )
    if valid is not None:
        seen &= np.asarray(valid, np.bool_)
    x, y = np.where(seen, x, np.float32(0)), np.where(seen, y, np.float32(0))
    warped = np.asarray(_bilinear(image, x, y), np.float32)
    warped[~seen] = fill
    return warped


def _bilinear(image: NDArray[np.float32], x: NDArray[np.float32], y: NDArray[np.float32]) -> NDArray[Any]:
    """Read an image between its pixels; `cv2.remap` does so in steps of 1/32 px, up to 32,767 px."""
    height, width = image.shape[:2]
    left, above = np.floor(x).astype(np.intp), np.floor(y).astype(np.intp)
    left, above = np.clip(left, 0, width - 1), np.clip(above, 0, height - 1)
    right, below = np.minimum(left + 1, width - 1), np.minimum(above + 1, height - 1)
    across, down = np.clip(x - left, 0, 1), np.clip(y - above, 0, 1)
    if image.ndim == 3:
        across, down = across[..., None], down[..., None]
    upper = image[above, left] + across * (image[above, right] - image[above, left])
    lower = image[below, left] + across * (image[below, right] - image[below, left])
    return np.asarray(upper + down * (lower - upper))
