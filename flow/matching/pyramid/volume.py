"""The cost volume of semi-global matching: every pixel compared with a window of the other image."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from flow.matching.exact.search import squared_distances
from patchbatch.compiled import njit, prange

MEDIAN = 32  # the median lowest cost in the numbers of the volume; 255 / 32 medians and more are one cost
SAMPLES = 512  # pixels that the median is taken of


def median_lowest_cost(descriptors1: torch.Tensor, descriptors2: torch.Tensor) -> float:
    """Return the median, over pixels spread over image 1, of the lowest squared distance to image 2."""
    queries = descriptors1.flatten(0, 1)
    queries = queries[:: max(1, len(queries) // SAMPLES)].float()
    base = descriptors2.flatten(0, 1).float()
    lowest = torch.cdist(queries, base).amin(dim=1).square()
    return max(float(lowest.nan_to_num(nan=0.0).median()), 1e-12)


def cost_volume(
    descriptors1: torch.Tensor,
    descriptors2: torch.Tensor,
    reach_x: int,
    reach_y: int,
    unit: float,
    rows: range | None = None,
) -> NDArray[np.uint8]:
    """Compare every pixel with a window of image 2.

    Parameters
    ----------
    descriptors1, descriptors2
        `(H, W, D)` and `(H2, W2, D)`.
    reach_x, reach_y
        The window ends so many px to each side.
    unit
        The squared distance that becomes `MEDIAN`.
    rows
        Rows of image 1 that are compared; None for all H.

    Returns
    -------
    `(rows, W, 2 reach_y + 1, 2 reach_x + 1)` uint8; 255 for labels that lead out of image 2.
    """
    rows = range(len(descriptors1)) if rows is None else rows
    width = descriptors1.shape[1]
    height2, width2 = descriptors2.shape[:2]
    # In float32: products in 16 bits come out in 16 bits, coarser than the volume, and at the coarsest level
    # they are a small part of the time.
    queries, base = descriptors1[rows.start : rows.stop].float(), descriptors2.float().flatten(0, 1)
    norms1, norms2 = queries.square().sum(dim=-1), base.square().sum(dim=-1)
    volume = np.full((len(rows), width, 2 * reach_y + 1, 2 * reach_x + 1), 255, np.uint8)
    for place, y in enumerate(rows):
        top, bottom = max(0, y - reach_y), min(height2, y + reach_y + 1)
        if top >= bottom:
            continue
        window = slice(top * width2, bottom * width2)
        distance = squared_distances(queries[place], base[window], norms1[place], norms2[window])
        scaled = distance.mul_(MEDIAN / unit).round_().clamp_(max=255)
        band = scaled.to(torch.uint8).view(width, bottom - top, width2).cpu().numpy()
        _cut_window(band, reach_x, top - y + reach_y, volume[place])
    return volume


@njit(parallel=True)
def _cut_window(band: Any, reach: int, first: int, window: Any) -> None:
    """Copy from the costs of a row, `(W, R, W2)`, those of the columns around each pixel."""
    columns, rows, columns2 = band.shape
    for x in prange(columns):
        left, right = max(0, x - reach), min(columns2, x + reach + 1)
        for row in range(rows):
            for column in range(left, right):
                window[x, first + row, column - x + reach] = band[x, row, column]
