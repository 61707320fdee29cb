"""Pictures of flow, errors, confidence and matches, as uint8 arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from patchbatch.data.flow_arrays import known_flow
from patchbatch.errors import PatchBatchError

Picture = NDArray[np.uint8]

# Middlebury wheel: from each of these colours to the next in so many steps.
_WHEEL_CORNERS = ((255, 0, 0), (255, 255, 0), (0, 255, 0), (0, 255, 255), (0, 0, 255), (255, 0, 255))
_WHEEL_STEPS = (15, 6, 4, 11, 13, 6)
LEAST_RADIUS_PX = 1.0
"""Shorter motion than this never gets full colour of itself: what hardly moves looks still, not wild."""
# KITTI 2015 devkit: upper ends of the error bins, in units of the outlier threshold, and their colours.
ERROR_ENDS = (0.0625, 0.125, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
ERROR_COLOURS = np.array(
    [
        (49, 54, 149),
        (69, 117, 180),
        (116, 173, 209),
        (171, 217, 233),
        (224, 243, 248),
        (254, 224, 144),
        (253, 174, 97),
        (244, 109, 67),
        (215, 48, 39),
        (165, 0, 38),
    ],
    np.uint8,
)


def color_wheel() -> Picture:
    """Return the Middlebury colour wheel.

    Returns
    -------
    ndarray
        `(55, 3)` uint8 RGB: red, yellow, green, cyan, blue, magenta and back, in 15, 6, 4, 11, 13 and
        6 steps, which are finer where the eye tells hues apart.
    """
    colours = []
    for index, steps in enumerate(_WHEEL_STEPS):
        start = np.array(_WHEEL_CORNERS[index])
        change = np.array(_WHEEL_CORNERS[(index + 1) % len(_WHEEL_STEPS)]) - start
        ramp = 255 * np.arange(steps) // steps  # whole numbers, rounded before the sign as in the source
        colours.append(start + np.sign(change) * ramp[:, None])
    return np.concatenate(colours).astype(np.uint8)


def flow_to_color(
    flow: NDArray[Any], valid: NDArray[np.bool_] | None = None, max_radius: float | None = None
) -> Picture:
    """Paint a flow in the Middlebury code: hue is direction, saturation is length.

    Parameters
    ----------
    flow
        `(H, W, 2)` in pixels, u to the right and v downward.
    valid
        `(H, W)` bool; what is not valid, not finite or beyond 1e9 is black. None for everywhere.
    max_radius
        Length in pixels that gets full saturation, above 0; longer vectors are darkened. A higher one
        makes the picture paler. None takes the longest known vector, at least 1 px; give one for a
        sequence.

    Returns
    -------
    ndarray
        `(H, W, 3)` uint8 RGB.

    Raises
    ------
    PatchBatchError
        Another shape, a mask of another size, or a radius that is not positive.

    Examples
    --------
    >>> flow_to_color(np.array([[[1.0, 0.0], [0.0, 0.0]]]))
    array([[[255,   0,   0],
            [255, 255, 255]]], dtype=uint8)
    """
    vectors, known = known_flow(flow, valid)
    if max_radius is not None and not 0 < max_radius < np.inf:
        raise PatchBatchError(f"max_radius is a length above 0, not {max_radius}")
    length = np.linalg.norm(vectors.astype(np.float64), axis=2)
    radius = length / (max_radius or max(length.max(), LEAST_RADIUS_PX))
    picture = _wheel_colour(vectors, radius).astype(np.uint8)
    picture[~known] = 0
    return picture


def _wheel_colour(vectors: NDArray[np.float32], radius: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mix the two nearest wheel entries, then fade to white inside the circle, darken outside."""
    wheel = color_wheel().astype(np.float64)
    # Adding 0 turns -0.0 into 0.0, which would flip the angle of (1, 0) to the other end of the wheel.
    u, v = np.moveaxis(vectors.astype(np.float64) + 0.0, 2, 0)
    angle = np.arctan2(-v, -u) / np.pi
    position = (angle + 1) / 2 * (len(wheel) - 1)
    below = position.astype(np.intp)
    part = (position - below)[..., None]
    hue = (1 - part) * wheel[below] + part * wheel[(below + 1) % len(wheel)]
    length = radius[..., None]
    faded: NDArray[np.float64] = np.where(length <= 1, 255 - length * (255 - hue), 0.75 * hue)
    return faded


def kitti_error_map(
    flow: NDArray[Any],
    truth: NDArray[Any],
    valid: NDArray[np.bool_],
    noc: NDArray[np.bool_] | None = None,
) -> Picture:
    """Paint errors in the log colours of the KITTI 2015 devkit: blue is right, red is an outlier.

    The colour is that of min(err / 3 px, err / 5 % of the true length), an outlier from 1. Each
    pixel with truth is painted as a 3 x 3 block, in raster order, so that sparse truth can be seen;
    pixels of the outermost rows and columns are left out.

    Parameters
    ----------
    flow, truth
        `(H, W, 2)` in pixels.
    valid
        `(H, W)` bool, where there is truth, occluded pixels too (`flow_occ`).
    noc
        `(H, W)` bool, where there is truth and the target is visible (`flow_noc`); the other pixels
        are painted half as bright. None for no such distinction.

    Returns
    -------
    ndarray
        `(H, W, 3)` uint8 RGB, black without truth.

    Raises
    ------
    PatchBatchError
        Shapes that differ, or that are no flow.
    """
    estimate, _ = known_flow(flow)
    target, known = known_flow(truth, valid)
    if estimate.shape != target.shape:
        raise PatchBatchError(f"the flow has shape {estimate.shape} but the truth {target.shape}; match them")
    colours = ERROR_COLOURS[np.digitize(_outlier_measure(estimate, target), ERROR_ENDS)]
    if noc is not None:
        _, visible = known_flow(truth, noc)
        colours = np.where(visible[..., None], colours, colours // 2)
    return _painted_blocks(colours, known)


def _outlier_measure(estimate: NDArray[np.float32], truth: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return min(err / 3, 20 err / |truth|); where the truth has no length, only the first counts."""
    error = np.linalg.norm(estimate.astype(np.float64) - truth, axis=2)
    length = np.linalg.norm(truth.astype(np.float64), axis=2)
    relative = np.divide(20 * error, length, out=np.full_like(error, np.inf), where=length > 0)
    measure: NDArray[np.float64] = np.minimum(error / 3, relative)
    return measure


def _painted_blocks(colours: Picture, known: NDArray[np.bool_]) -> Picture:
    """Paint each known inner pixel over its 3 x 3 block, later pixels over earlier ones."""
    height, width = known.shape
    picture = np.zeros_like(colours)
    inner = known[1:-1, 1:-1]
    centre = colours[1:-1, 1:-1]
    # The last pixel in raster order to reach a place is the one to its lower right, so that offset of
    # the painted place from the painting pixel which is up and left comes last.
    for down in (1, 0, -1):
        for right in (1, 0, -1):
            target = picture[1 + down : height - 1 + down, 1 + right : width - 1 + right]
            np.copyto(target, centre, where=inner[..., None])
    return picture


def confidence_to_image(confidence: NDArray[Any]) -> Picture:
    """Return a confidence as grey: 0 black, 1 white.

    Parameters
    ----------
    confidence
        `(H, W)` in [0, 1]; what lies outside is clipped.

    Returns
    -------
    ndarray
        `(H, W)` uint8.

    Raises
    ------
    PatchBatchError
        Another shape, or NaN.
    """
    values = np.asarray(confidence, np.float64)
    if values.ndim != 2 or np.isnan(values).any():
        raise PatchBatchError(f"a confidence is (H, W) without NaN; this has shape {values.shape}")
    return np.rint(255 * np.clip(values, 0, 1)).astype(np.uint8)


def matches_to_color(
    points1: NDArray[Any],
    vectors: NDArray[Any],
    shape: tuple[int, int],
    max_radius: float | None = None,
    dot_px: int = 3,
) -> Picture:
    """Paint matches as square dots in the colours of `flow_to_color`, on black.

    Parameters
    ----------
    points1
        `(N, 2)`, x then y, in pixels of image 1; rounded, and dots outside are cut off.
    vectors
        `(N, 2)` displacements in pixels, as `Matches.vectors`. A later dot covers an earlier one.
    shape
        (height, width) of image 1 in pixels.
    max_radius
        As `flow_to_color`.
    dot_px
        Side of a dot in pixels, odd. Larger ones are seen in large pictures, and hide their neighbours.

    Returns
    -------
    ndarray
        `(H, W, 3)` uint8 RGB.

    Raises
    ------
    PatchBatchError
        Shapes that differ or points that are not finite.
    """
    points = np.asarray(points1, np.float64)
    if points.ndim != 2 or points.shape[1] != 2 or points.shape != np.shape(vectors):
        raise PatchBatchError(
            f"points and vectors are both (N, 2), not {points.shape} and {np.shape(vectors)}"
        )
    if not np.isfinite(points).all():
        raise PatchBatchError("points hold NaN or infinity; select the finite ones")
    picture = np.zeros((*shape, 3), np.uint8)
    if not len(points):
        return picture
    colours = flow_to_color(np.asarray(vectors)[None], max_radius=max_radius)[0]
    reach = dot_px // 2
    around = range(-reach, reach + 1)
    offsets = np.array([(right, down) for down in around for right in around])
    # Clipped first: a point far outside would overflow the integer. Dots reach a little further.
    whole = np.rint(np.clip(points, -reach - 1, np.array([shape[1], shape[0]]) + reach)).astype(np.intp)
    places = (whole[:, None] + offsets).reshape(-1, 2)
    inside = ((places >= 0) & (places < [shape[1], shape[0]])).all(axis=1)
    picture[places[inside, 1], places[inside, 0]] = np.repeat(colours, len(offsets), axis=0)[inside]
    return picture
