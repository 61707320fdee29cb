"""Why pixels are wrong: the target out of the frame, hidden, a motion border near, or none of these."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from benchmarks.confidence.occlusion import leaves_frame
from benchmarks.metrics import Mask
from patchbatch.data.datasets.pairs import Truth

CAUSES = ("leaves", "hidden", "border", "other")
BORDER_REACH_PX = 8
JUMP_PX = 3.0


def motion_border(flow: NDArray[np.floating], valid: Mask) -> Mask:
    """Tell where the true motion jumps.

    Between two pixels side by side it jumps if the known pixels closest to each differ by more than 3 px, and
    by more than their distance, which the slope of a near road does not reach. Where truth is sparse the jump
    is so found half way between the known pixels on its sides.

    Parameters
    ----------
    flow
        `(H, W, 2)` px.
    valid
        `(H, W)` bool, where it is known.

    Returns
    -------
    ndarray
        `(H, W)` bool, the pixels on both sides of a jump.
    """
    border = np.zeros(valid.shape, np.bool_)
    if not valid.any():
        return border
    source = ndimage.distance_transform_edt(~valid, return_distances=False, return_indices=True)
    filled = flow[source[0], source[1]].astype(np.float64)
    places = np.moveaxis(source, 0, -1).astype(np.float64)
    for first, second in ((np.s_[:, :-1], np.s_[:, 1:]), (np.s_[:-1], np.s_[1:])):
        jump = np.linalg.norm(filled[first] - filled[second], axis=-1)
        jumps = (jump > JUMP_PX) & (jump > np.linalg.norm(places[first] - places[second], axis=-1))
        border[first] |= jumps
        border[second] |= jumps
    return border


def near_motion_border(truth: Truth) -> Mask:
    """Tell which pixels are within `BORDER_REACH_PX` of a motion border of the true flow, `(H, W)` bool."""
    border = motion_border(truth.flow, truth.valid)
    if not border.any():
        return border
    near: Mask = ndimage.distance_transform_edt(~border) <= BORDER_REACH_PX
    return near


def wrong_by_cause(truth: Truth, wrong: Mask, region: Mask) -> dict[str, float | None]:
    """Return the shares of wrong pixels by cause, in percent of all pixels of a region.

    Each wrong pixel counts once, for the first cause that holds: its true target `leaves` the frame; it is
    `hidden` inside the frame by the masks of the data set (never, where there are none); it is near a motion
    `border`; `other`.

    Parameters
    ----------
    truth
        Ground truth, `(H, W)`.
    wrong
        `(H, W)` bool.
    region
        `(H, W)` bool, the pixels that count, at least one.
    """
    nothing = np.zeros_like(region)
    hidden = nothing if truth.visible is None else ~truth.visible
    left = wrong & region
    shares: dict[str, float | None] = {}
    for name, cause in zip(
        CAUSES, (leaves_frame(truth.flow), hidden, near_motion_border(truth), ~nothing), strict=True
    ):
        shares[name] = 100 * float((left & cause).sum() / region.sum())
        left &= ~cause
    return shares
