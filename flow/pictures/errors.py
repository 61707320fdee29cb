"""The error map of KITTI with its legend."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from flow.pictures.canvas import Picture, key, scale_for, text_block, with_legend
from flow.visualize import ERROR_COLOURS, ERROR_ENDS, kitti_error_map
from patchbatch.data.flow_arrays import known_flow

# An outlier of KITTI is off by 3 px or more and by 5 % of the motion or more.
OUTLIER_PX, OUTLIER_SHARE = 3.0, 0.05


def error_picture(
    flow: NDArray[Any],
    truth: NDArray[Any],
    valid: NDArray[np.bool_],
    noc: NDArray[np.bool_] | None = None,
    *,
    legend: bool = True,
    caption: str | None = None,
) -> Picture:
    """Paint the errors of a flow in the colours of the KITTI 2015 devkit, with what each colour means.

    Parameters
    ----------
    flow, truth, valid, noc
        As `flow.visualize.kitti_error_map`.
    legend, caption
        As `flow_picture`.

    Returns
    -------
    ndarray
        `(H, W, 3)` uint8 RGB; with a legend or a caption higher, and at least 200 px wide.

    Raises
    ------
    PatchBatchError
        As `kitti_error_map`.
    """
    picture = kitti_error_map(flow, truth, valid, noc)
    if not legend:
        return with_legend(picture, [], caption)
    scale = scale_for(picture.shape)
    ends = [f"{OUTLIER_PX * end:.2g}" for end in ERROR_ENDS]
    words = [f"to {end}" for end in ends] + [f"over {ends[-1]}"]
    blocks = [text_block("error in px:", scale)]
    blocks += [key(colour, word, scale) for colour, word in zip(ERROR_COLOURS, words, strict=True)]
    blocks.append(text_block("yellow to red: outliers, over 3 px and 5 % of the motion", scale))
    if _far(truth, valid):
        blocks.append(text_block("motion over 60 px: 3 stands for 5 % of it", scale))
    if not np.asarray(valid, np.bool_).all():
        blocks.append(key((0, 0, 0), "not compared", scale))
    if noc is not None:
        blocks.append(text_block("half as bright: hidden in image 2", scale))
    return with_legend(picture, blocks, caption)


def _far(truth: NDArray[Any], valid: NDArray[np.bool_]) -> bool:
    """Return whether the colours of a pixel are those of 5 % of its motion."""
    vectors, known = known_flow(truth, valid)
    return bool((np.hypot(vectors[..., 0], vectors[..., 1])[known] > OUTLIER_PX / OUTLIER_SHARE).any())
