"""All that is known of a pair when the choice begins."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from flow.interpolation.stage import Cells
from flow.matching.filtering import two_way_error
from flow.matching.stage import JudgedMatches
from patchbatch.descriptors.half_precision import shared_array

# Colours are compared between places that a fraction of a pixel separates.
_SMOOTHING_PX = 1.0
# Backward matches count by exp(-r / 3 px), r being how far off they come back.
_RETURN_PX, _RETURN_MOST = 3.0, 30.0


@dataclass(frozen=True)
class Scene:
    """A pair with its matches and the flow interpolated from them.

    Attributes
    ----------
    image1, image2
        `(H, W, 3)` float32 in [0, 1], slightly smoothed.
    descriptors1, descriptors2
        `(H, W, D)` as `shared_array` gives them.
    judged
        Matches of both directions.
    cells
        Of image 1.
    cost_scale
        Median cost of the matches that are kept, the unit of all costs.
    forward_error
        `(G, W)` float32, px: how far each match comes back from where it left.
    backward_trust
        `(G2, W2)` float32 in [0, 1]: how well each backward match comes back.
    """

    image1: NDArray[np.float32]
    image2: NDArray[np.float32]
    descriptors1: NDArray[Any]
    descriptors2: NDArray[Any]
    judged: JudgedMatches
    cells: Cells
    cost_scale: np.float32
    forward_error: NDArray[np.float32]
    backward_trust: NDArray[np.float32]

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in px."""
        return self.image1.shape[0], self.image1.shape[1]


def scene_of(
    image1: NDArray[np.float32], image2: NDArray[np.float32], descriptors1: Tensor, descriptors2: Tensor,
    judged: JudgedMatches, cells: Cells,
) -> Scene:  # fmt: skip
    """Gather what the choice looks at.

    Parameters
    ----------
    image1, image2
        `(H, W)` or `(H, W, 3)` float32 in [0, 1].
    descriptors1, descriptors2
        `(H, W, D)` of the full images, on any device.
    judged, cells
        Matches, and the interpolation from them.
    """
    forward, backward = judged.dense.forward, judged.dense.backward
    kept = forward.cost[judged.keep]
    scale = np.float32(max(float(np.median(kept)) if kept.size else 1.0, 1e-12))
    error = two_way_error(backward, forward, 1)
    trust = np.exp(-np.minimum(error, _RETURN_MOST) / _RETURN_PX)
    trust[~np.isfinite(backward.cost)] = 0
    return Scene(
        _smooth_colours(image1), _smooth_colours(image2), shared_array(descriptors1.cpu()),
        shared_array(descriptors2.cpu()), judged, cells, scale, two_way_error(forward, backward, 1),
        trust.astype(np.float32),
    )  # fmt: skip


def _smooth_colours(image: NDArray[np.float32]) -> NDArray[np.float32]:
    colours = np.repeat(image[..., None], 3, axis=-1) if image.ndim == 2 else image
    return np.ascontiguousarray(cv2.GaussianBlur(colours, (0, 0), _SMOOTHING_PX), np.float32)
