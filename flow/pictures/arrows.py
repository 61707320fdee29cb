"""Motion as arrows on the first image."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from flow.pictures.canvas import Picture, scale_for, text_block, with_legend
from flow.pictures.fields import in_px
from flow.visualize import flow_to_color
from patchbatch.data.flow_arrays import known_flow
from patchbatch.errors import PatchBatchError

# Arrows stand this far apart at least, px, and so many of them fit on the shorter side.
_LEAST_STEP_PX = 12
_ARROWS = 20
# Lengths are shown times one of these, so that the longer ones nearly reach the next arrow.
_FACTORS = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0)
_LONG = 0.95


def arrow_picture(
    image: NDArray[Any],
    flow: NDArray[Any],
    valid: NDArray[np.bool_] | None = None,
    *,
    legend: bool = True,
    caption: str | None = None,
) -> Picture:
    """Draw the motion as arrows on the paled image 1; a dot where nothing moves, nothing where it is unknown.

    Parameters
    ----------
    image
        `(H, W)` or `(H, W, 3)` RGB, uint8 or float in [0, 1]; grey and paled in the picture.
    flow, valid
        As `flow.visualize.flow_to_color`.
    legend, caption
        As `flow_picture`; the legend says how much longer or shorter than the motion arrows are.

    Returns
    -------
    ndarray
        `(H, W, 3)` uint8 RGB; with a legend or a caption higher, and at least 200 px wide.

    Raises
    ------
    PatchBatchError
        Shapes that are none or differ.
    """
    vectors, known = known_flow(flow, valid)
    if np.shape(image)[:2] != known.shape:
        raise PatchBatchError(
            f"the image has shape {np.shape(image)} but the flow {vectors.shape}; match them"
        )
    step = max(_LEAST_STEP_PX, min(known.shape) // _ARROWS)
    rows = np.arange(min(step // 2, known.shape[0] - 1), known.shape[0], step)
    columns = np.arange(min(step // 2, known.shape[1] - 1), known.shape[1], step)
    y, x = (axis.ravel() for axis in np.meshgrid(rows, columns, indexing="ij"))
    y, x = y[known[y, x]], x[known[y, x]]
    moves = vectors[y, x]
    factor = _factor(np.hypot(*moves.T), step)
    picture = _paled(image)
    width = max(1, step // 16)
    for start, move, colour in zip(np.stack([x, y], axis=1), moves, _strong(moves), strict=True):
        _arrow(picture, start, factor * move, colour, width)
    words = (
        "arrows: as long as the motion" if factor == 1 else f"arrows: {factor:g} times as long as the motion"
    )
    longest = in_px(float(np.hypot(*moves.T).max(initial=0)))
    blocks = [text_block(f"{words}, at most {longest}", scale_for(picture.shape))]
    return with_legend(picture, blocks if legend else [], caption)


def _factor(lengths: NDArray[np.float32], step: int) -> float:
    """Return the factor that brings long arrows nearest to the distance between arrows."""
    long = float(np.quantile(lengths, _LONG)) if len(lengths) else 0.0
    fitting = [factor for factor in _FACTORS if factor * max(long, 0.5) <= 1.2 * step]
    return max(fitting, default=_FACTORS[0])


def _paled(image: NDArray[Any]) -> Picture:
    """Return an image in dark grey, on which colours stand out."""
    values = np.asarray(image)
    if values.dtype.kind != "f":
        values = values.astype(np.float32) / np.iinfo(values.dtype).max
    grey = values if values.ndim == 2 else values[..., :3].mean(axis=-1)
    dark: NDArray[np.uint8] = np.rint(110 * np.clip(grey, 0, 1)).astype(np.uint8)
    pale: Picture = np.repeat(dark[..., None], 3, axis=2)
    return pale


def _strong(moves: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return the colours of the directions at full strength, `(N, 3)`."""
    if not len(moves):
        return np.zeros((0, 3), np.uint8)
    lengths = np.hypot(*moves.T)[:, None]
    colours: NDArray[np.uint8] = flow_to_color((moves / np.maximum(lengths, 1e-6))[None], max_radius=1.0)[0]
    return colours


def _arrow(
    picture: Picture,
    start: NDArray[np.intp],
    move: NDArray[np.float32],
    colour: NDArray[np.uint8],
    width: int,
) -> None:
    """Draw one arrow, or a dot for one that would be too short to be seen."""
    paint = tuple(int(part) for part in colour)
    length = float(np.hypot(*move))
    if length < 2:
        cv2.circle(picture, (int(start[0]), int(start[1])), width, paint, -1, cv2.LINE_AA)
        return
    bits = 4  # ends between pixels
    ends = [tuple(round(float(part) * 2**bits) for part in point) for point in (start, start + move)]
    cv2.line(picture, ends[0], ends[1], paint, width, cv2.LINE_AA, bits)
    head = min(0.4 * length, 4.0 * width + 2)
    for angle in (2.6, -2.6):
        cosine, sine = np.cos(angle), np.sin(angle)
        side = (
            np.array([cosine * move[0] - sine * move[1], sine * move[0] + cosine * move[1]]) / length * head
        )
        tip = tuple(round(float(part) * 2**bits) for part in start + move + side)
        cv2.line(picture, ends[1], tip, paint, width, cv2.LINE_AA, bits)
