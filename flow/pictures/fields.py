"""Flow fields and matches as pictures with a legend; what is sparse as dots that can be seen."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from flow.pictures.canvas import (
    Picture,
    Scale,
    key,
    scale_for,
    side_by_side,
    stacked,
    text_block,
    with_legend,
)
from flow.visualize import LEAST_RADIUS_PX, flow_to_color, matches_to_color
from patchbatch.data.flow_arrays import known_flow

# Below this share of known pixels a field is painted as dots.
DENSE = 0.5


def flow_picture(
    flow: NDArray[Any],
    valid: NDArray[np.bool_] | None = None,
    max_radius: float | None = None,
    *,
    legend: bool = True,
    caption: str | None = None,
) -> Picture:
    """Paint a flow in the Middlebury colours; one that is known at less than half of the pixels as dots.

    Parameters
    ----------
    flow, valid, max_radius
        As `flow.visualize.flow_to_color`.
    legend
        Set the wheel, the length in px of its rim and the meaning of black beneath.
    caption
        A line above the legend.

    Returns
    -------
    ndarray
        `(H, W, 3)` uint8 RGB; with a legend or a caption higher, and at least 200 px wide.

    Raises
    ------
    PatchBatchError
        As `flow_to_color`.
    """
    vectors, known = known_flow(flow, valid)
    if known.mean() >= DENSE or not known.any():
        picture = flow_to_color(vectors, known, max_radius)
    else:
        y, x = np.nonzero(known)
        points = np.stack([x, y], axis=1)
        picture = matches_to_color(points, vectors[known], known.shape, max_radius, dot_px(known))
    blocks = flow_legend(vectors, known, max_radius, scale_for(picture.shape)) if legend else []
    return with_legend(picture, blocks, caption)


def match_picture(
    points1: NDArray[Any],
    vectors: NDArray[Any],
    shape: tuple[int, int],
    max_radius: float | None = None,
    *,
    legend: bool = True,
    caption: str | None = None,
) -> Picture:
    """Paint matches as dots in the colours of their motion, large enough to be seen.

    Parameters
    ----------
    points1, vectors, shape, max_radius
        As `flow.visualize.matches_to_color`.
    legend, caption
        As `flow_picture`.

    Returns
    -------
    ndarray
        As `flow_picture`.

    Raises
    ------
    PatchBatchError
        As `matches_to_color`.
    """
    moves = np.asarray(vectors, np.float32).reshape(-1, 2)
    picture = matches_to_color(points1, vectors, shape, max_radius, _dot_px(len(moves), shape))
    if not legend:
        return with_legend(picture, [], caption)
    known = np.ones((1, len(moves)), np.bool_)
    scale = scale_for(picture.shape)
    blocks = flow_legend(moves[None], known, max_radius, scale, f"no match ({len(moves)} matches)")
    return with_legend(picture, blocks, caption)


def dot_px(known: NDArray[np.bool_]) -> int:
    """Return the side in px of the dots that a sparse field is painted with: odd, 3 or more."""
    height, width = known.shape
    return _dot_px(int(known.sum()), (height, width))


def _dot_px(count: int, shape: tuple[int, int]) -> int:
    """Return a side that covers about a third of the picture, but no more than a hundredth of its width."""
    fitting = np.sqrt(shape[0] * shape[1] / 3 / max(count, 1))
    most = max(3.0, max(shape) / 100)
    return 2 * int(np.clip(fitting, 3, most) / 2) + 1


def flow_legend(
    flow: NDArray[np.float32],
    known: NDArray[np.bool_],
    max_radius: float | None,
    scale: Scale,
    black: str = "unknown",
) -> list[Picture]:
    """Return the blocks that explain the colours of a flow `(H, W, 2)` px, known where `known` `(H, W)`."""
    longest = float(np.hypot(flow[..., 0], flow[..., 1])[known].max()) if known.any() else 0.0
    rim = max_radius or max(longest, LEAST_RADIUS_PX)
    words = ["colour: direction of the motion", f"white: none, full colour: {in_px(rim)}"]
    if longest > rim * 1.001:
        words.append(f"darker: longer, up to {in_px(longest)}")
    lines = [text_block(line, scale) for line in words]
    blocks = [side_by_side([wheel_disc(4 * scale.line), stacked(lines)], scale.gap)]
    if not known.all() or black != "unknown":
        blocks.append(key((0, 0, 0), black, scale))
    return blocks


def in_px(length: float) -> str:
    """Write a length with three figures.

    Examples
    --------
    >>> in_px(12.345), in_px(1234.5), in_px(1.0)
    ('12.3 px', '1234 px', '1 px')
    """
    return f"{length:.0f} px" if length >= 100 else f"{length:.3g} px"


def wheel_disc(side: int) -> Picture:
    """Return the colours of all directions as a disc `(side, side, 3)` on white, full colour at its rim."""
    v, u = np.mgrid[-1 : 1 : side * 1j, -1 : 1 : side * 1j]
    picture = flow_to_color(np.stack([u, v], axis=-1), max_radius=1.0)
    picture[np.hypot(u, v) > 1] = 255
    return picture
