"""Frames between two frames, by the flow both ways.

Each pixel of both frames is carried to where it is at a time t, as Baker et al. (A Database and Evaluation
Methodology for Optical Flow, IJCV 2011, section 3.3) carry those of the first. Of what arrives at a place
that wins which looks most alike in both frames; what only one frame shows is taken from that one.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from patchbatch.errors import PatchBatchError

Array = NDArray[np.float32]

# A pixel that arrives between four places is laid on all of them; so it covers what a zoom pulls apart.
_CORNERS = ((0, 0), (1, 0), (0, 1), (1, 1))
# What is not seen in the other frame counts as this unlike, so that all that is seen in both wins over it.
_UNSEEN = 1.0


@dataclass(frozen=True)
class Motion:
    """The flow from one frame to the other, `(H, W, 2)` px, and how likely each pixel is hidden there."""

    flow: Array
    occluded: Array


def frame_between(
    image1: Array, image2: Array, forward: Motion, backward: Motion, t: float
) -> Array:  # fmt: skip
    """Return what is seen at a time between two frames.

    Parameters
    ----------
    image1, image2
        `(H, W)` or `(H, W, 3)` float32 in [0, 1].
    forward, backward
        From image 1 to image 2, and from image 2 to image 1.
    t
        In (0, 1): 0 is image 1, 1 is image 2.

    Returns
    -------
    ndarray
        As the images.

    Raises
    ------
    PatchBatchError
        For a time outside, and shapes that differ.

    Examples
    --------
    >>> image1 = np.zeros((4, 8), np.float32)
    >>> image1[:, 2] = 1
    >>> image2 = np.roll(image1, 2, axis=1)
    >>> seen, right = np.zeros((4, 8), np.float32), np.float32([2, 0])
    >>> there, back = (Motion(np.tile(way, (4, 8, 1)), seen) for way in (right, -right))
    >>> frame_between(image1, image2, there, back, 0.5)[0].tolist()
    [0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0]
    """
    shape = image1.shape[:2]
    for array in (image2, forward.flow, backward.flow, forward.occluded, backward.occluded):
        if array.shape[:2] != shape:
            raise PatchBatchError(f"image 1 is {shape} but something else {array.shape[:2]}; make them fit")
    if not 0 < t < 1:
        raise PatchBatchError(f"the time is {t}; give one between 0 and 1")
    # Of each pixel of each frame: its motion from frame 1 to frame 2, and the weights of both frames.
    here = np.float32(1 - t)
    seen2, seen1 = 1 - forward.occluded, 1 - backward.occluded
    carried = [
        (forward.flow, np.float32(t), np.full(shape, here), np.float32(t) * seen2),
        (-backward.flow, -here, here * seen1, np.full(shape, np.float32(t))),
    ]
    motion, weight1, weight2 = _arrivals(carried, image1, image2, t)
    ys, xs = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
    from1, inside1 = _sampled(image1, xs - t * motion[..., 0], ys - t * motion[..., 1])
    from2, inside2 = _sampled(image2, xs + here * motion[..., 0], ys + here * motion[..., 1])
    # Outside one frame there is nothing to take; outside both the nearest that there is.
    weight1 = np.where(inside1 | ~inside2, weight1, 0) + np.float32(1e-6)
    weight2 = np.where(inside2 | ~inside1, weight2, 0) + np.float32(1e-6)
    share = weight2 / (weight1 + weight2)
    if image1.ndim == 3:
        share = share[..., None]
    return np.asarray(np.clip(from1 + share * (from2 - from1), 0, 1), np.float32)


def _arrivals(
    carried: list[tuple[Array, np.float32, Array, Array]], image1: Array, image2: Array, t: float
) -> tuple[Array, Array, Array]:
    """Return at each place the motion and the weights of the pixel that wins there."""
    height, width = image1.shape[:2]
    ys, xs = np.mgrid[:height, :width].astype(np.float32)
    places, unlike, values = [], [], []
    before, rest = np.float32(t), np.float32(1 - t)
    for motion, along, weight1, weight2 in carried:
        x, y = xs + along * motion[..., 0], ys + along * motion[..., 1]
        from1, inside1 = _sampled(image1, x - before * motion[..., 0], y - before * motion[..., 1])
        from2, inside2 = _sampled(image2, x + rest * motion[..., 0], y + rest * motion[..., 1])
        off = np.abs(from1 - from2)
        off = off.mean(axis=2) if off.ndim == 3 else off
        hidden = np.where(inside1 & inside2, 1 - (weight1 / (1 - t)) * (weight2 / t), 1)
        badness = off + np.float32(_UNSEEN) * hidden
        told = np.dstack([motion, weight1, weight2]).reshape(-1, 4)
        for right, down in _CORNERS:
            column, row = np.floor(x).astype(np.int64) + right, np.floor(y).astype(np.int64) + down
            # The nearer of the four places has it first; a whole pixel more is worth a grey level or two.
            apart = np.hypot(column - x, row - y)
            good = (column >= 0) & (column < width) & (row >= 0) & (row < height) & (apart < 1)
            places.append((row * width + column)[good])
            unlike.append((badness + np.float32(0.01) * apart)[good])
            values.append(told[good.ravel()])
    place, order = np.concatenate(places), np.argsort(-np.concatenate(unlike), kind="stable")
    won = np.full((height * width, 4), np.nan, np.float32)
    won[place[order]] = np.concatenate(values)[order]  # the last one that is laid down stays
    empty = np.isnan(won[:, 0]).reshape(height, width)
    won = won.reshape(height, width, 4)
    if empty.any() and not empty.all():
        nearest = ndimage.distance_transform_edt(empty, return_distances=False, return_indices=True)
        won = won[tuple(nearest)]
    won = np.nan_to_num(won)  # nothing arrives anywhere: frame 1 and frame 2 are mixed
    return won[..., :2], won[..., 2], won[..., 3]


def _sampled(image: Array, x: Array, y: Array) -> tuple[Array, NDArray[np.bool_]]:
    """Return an image at places, those outside from its border, and which lie inside."""
    height, width = image.shape[:2]
    seen = cv2.remap(
        image, x.astype(np.float32), y.astype(np.float32), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    inside = (x >= -0.5) & (x <= width - 0.5) & (y >= -0.5) & (y <= height - 0.5)
    return np.asarray(seen, np.float32), inside
