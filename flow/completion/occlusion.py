"""Which pixels of image 1 image 2 does not show: told by where the flow takes them and what lands there."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from patchbatch.errors import PatchBatchError

# What lands on one place and moves alike is of one surface; beyond this one pixel hides the other.
_OTHER_MOTION_PX = 3.0
# The splat of a surface that grows has holes of a pixel.
_SMOOTHED_PX = 5
# Of a logistic; chosen by hand, so that an inner pixel needs both another on its place and little confidence.
_BIAS, _OUTSIDE, _COVERED, _DOUBT = -4.0, 8.0, 4.0, 3.0


def occlusion_evidence(flow: NDArray[np.float32], confidence: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return how likely each pixel of image 1 is not seen in image 2, hidden or out of the frame.

    Parameters
    ----------
    flow
        `(H, W, 2)` from image 1 to image 2, px; a value everywhere.
    confidence
        `(H, W)` in [0, 1], of the flow.

    Returns
    -------
    NDArray
        `(H, W)` float32 in [0, 1]: a logistic of whether the target leaves the frame, of how much around the
        pixel is covered (another pixel, with another motion and no less confidence, lands there too), and of
        the doubt `1 - confidence`. Its weights are chosen by hand, so it ranks better than it counts.

    Raises
    ------
    PatchBatchError
        When shapes do not fit.

    Examples
    --------
    >>> flow = np.zeros((4, 6, 2), np.float32)
    >>> flow[:, 5] = (2, 0)  # out to the right
    >>> occlusion_evidence(flow, np.ones((4, 6), np.float32)).round(1)[0].tolist()
    [0.0, 0.0, 0.0, 0.0, 0.0, 1.0]
    """
    if flow.ndim != 3 or flow.shape != (*confidence.shape, 2):
        raise PatchBatchError(f"the flow has shape {flow.shape} and the confidence {confidence.shape}")
    column, row, inside = landing_pixels(flow)
    covered = covered_pixels(flow, confidence, column, row, inside)
    share = cv2.blur(covered.astype(np.float32), (_SMOOTHED_PX, _SMOOTHED_PX))
    doubt = 1 - np.clip(confidence, 0, 1)
    # The logistic function, without half a second for importing scipy's.
    evidence = 0.5 + 0.5 * np.tanh(0.5 * (_BIAS + _OUTSIDE * ~inside + _COVERED * share + _DOUBT * doubt))
    return np.asarray(evidence, np.float32)


def with_what_leaves(
    occluded: NDArray[np.float32], flow: NDArray[np.float32], confidence: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Return the probability with what the flow itself says: a target outside the frame is not seen.

    Where the flow leads outside, that is at least as likely as the flow is right.

    Parameters
    ----------
    occluded, confidence
        `(H, W)` in [0, 1].
    flow
        `(H, W, 2)` px.
    """
    *_, inside = landing_pixels(flow)
    return np.where(inside, occluded, np.maximum(occluded, confidence)).astype(np.float32)


def landing_pixels(
    flow: NDArray[np.float32],
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.bool_]]:
    """Return column and row of the pixel of image 2 on which each lands, and whether that is inside.

    All are `(H, W)`; columns and rows outside are brought to the border.
    """
    height, width = flow.shape[:2]
    y, x = np.mgrid[:height, :width]
    x2, y2 = x + flow[..., 0], y + flow[..., 1]
    inside = (x2 >= 0) & (y2 >= 0) & (x2 <= width - 1) & (y2 <= height - 1)
    column = np.rint(np.clip(x2, 0, width - 1)).astype(np.intp)
    row = np.rint(np.clip(y2, 0, height - 1)).astype(np.intp)
    return column, row, np.asarray(inside)


def covered_pixels(
    flow: NDArray[np.float32], confidence: NDArray[np.float32],
    column: NDArray[np.intp], row: NDArray[np.intp], inside: NDArray[np.bool_],
) -> NDArray[np.bool_]:  # fmt: skip
    """Tell where another pixel, no less confident and of clearly other motion, lands on the same pixel.

    Parameters
    ----------
    flow, confidence
        `(H, W, 2)` px and `(H, W)`.
    column, row, inside
        As `landing_pixels` returns them; what lands outside neither covers nor is covered.

    Returns
    -------
    NDArray
        `(H, W)` bool.
    """
    shape = confidence.shape
    place = np.ravel_multi_index((row, column), shape).ravel()
    order = np.argsort(confidence, axis=None, kind="stable")
    order = order[inside.ravel()[order]]
    winner = np.arange(place.size)
    strongest = np.full(place.size, -1, np.intp)
    strongest[place[order]] = order  # of several on one place the last one stays
    winner[order] = strongest[place[order]]
    vectors = flow.reshape(-1, 2)
    apart = np.linalg.norm(vectors[winner] - vectors, axis=1) > _OTHER_MOTION_PX
    return np.asarray(apart.reshape(shape))
