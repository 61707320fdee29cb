"""Confidences and probabilities as pictures in colour, with a legend."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from flow.pictures.canvas import Picture, Scale, key, scale_for, side_by_side, text_block, with_legend
from flow.pictures.fields import DENSE, dot_px
from flow.visualize import confidence_to_image

# What has no value; a colour that the map from blue to yellow does not have.
NO_VALUE = (128, 128, 128)
# Matches start this far from each other, px, and their places are surer than those between.
MATCHES_PX = 3
CONFIDENCE_ENDS = ("guessed 0", "1 sure")
OCCLUSION_ENDS = ("seen in image 2: 0", "1 hidden")


def share_picture(
    values: NDArray[Any],
    valid: NDArray[np.bool_] | None = None,
    ends: tuple[str, str] = CONFIDENCE_ENDS,
    *,
    smooth_px: int = 1,
    legend: bool = True,
    caption: str | None = None,
) -> Picture:
    """Paint a confidence or a probability from dark blue (0) through green to yellow (1).

    The map is matplotlib's viridis: its lightness rises evenly, so it is read without colour as well.

    Parameters
    ----------
    values
        `(H, W)` in [0, 1]; what lies outside is clipped.
    valid
        `(H, W)` bool, where there is a value; the rest is grey. Where less than half has one, each value is
        painted as a dot. None for everywhere.
    ends
        Words at the two ends of the legend.
    smooth_px
        Values of a dense map are averaged over squares of this odd side. With the distance between matches it
        takes away the lattice of places that are surer because a match starts there. 1 leaves all as it is.
    legend, caption
        As `flow_picture`.

    Returns
    -------
    ndarray
        `(H, W, 3)` uint8 RGB; with a legend or a caption higher, and at least 200 px wide.

    Raises
    ------
    PatchBatchError
        Another shape, or NaN.
    """
    levels = confidence_to_image(values)  # refuses what is none
    known = np.ones(levels.shape, np.bool_) if valid is None else np.asarray(valid, np.bool_)
    if known.any() and known.mean() < DENSE:
        levels, known = _as_dots(levels, known)
    elif smooth_px > 1:
        levels = confidence_to_image(_smooth(np.asarray(values, np.float64), known, smooth_px))
    picture = in_colour(levels)
    picture[~known] = NO_VALUE
    scale = scale_for(picture.shape)
    blocks = _legend(ends, scale) if legend else []
    if legend and not known.all():
        blocks.append(key(NO_VALUE, "no value", scale))
    return with_legend(picture, blocks, caption)


def in_colour(levels: NDArray[np.uint8]) -> Picture:
    """Return `(H, W)` uint8 in the colours of the map, `(H, W, 3)` uint8 RGB."""
    return np.ascontiguousarray(cv2.applyColorMap(levels, cv2.COLORMAP_VIRIDIS)[..., ::-1])


def _smooth(values: NDArray[Any], known: NDArray[np.bool_], side: int) -> NDArray[Any]:
    """Average known values over squares."""
    weight = cv2.boxFilter(known.astype(np.float64), -1, (side, side))
    total = cv2.boxFilter(np.where(known, np.clip(values, 0, 1), 0), -1, (side, side))
    return np.asarray(total / np.maximum(weight, 1e-9))


def _as_dots(levels: NDArray[np.uint8], known: NDArray[np.bool_]) -> tuple[Picture, NDArray[np.bool_]]:
    """Spread every known value over a dot; where dots meet, the higher value stays."""
    dot = np.ones((dot_px(known), dot_px(known)), np.uint8)
    spread = cv2.dilate(np.where(known, levels, np.uint8(0)), dot)
    return np.asarray(spread, np.uint8), cv2.dilate(known.astype(np.uint8), dot) > 0


def _legend(ends: tuple[str, str], scale: Scale) -> list[Picture]:
    ramp = np.repeat(np.linspace(0, 255, 10 * scale.line)[None], scale.line, axis=0)
    bar = in_colour(np.rint(ramp).astype(np.uint8))
    return [side_by_side([text_block(ends[0], scale), bar, text_block(ends[1], scale)], scale.gap)]
