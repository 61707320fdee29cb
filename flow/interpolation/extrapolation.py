"""The motion of a whole region, for pixels too far from any match to trust a local slope.

A local model is fitted to a patch of a few pixels' size; its slopes carry it tens of pixels away from the
frame after a hundred. A region's model is the robust fit to one good match of every 24-px square around, by
the same machinery, so it reaches hundreds of pixels and its slopes hold as far.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from flow.interpolation.estimators.robust import robust_affine
from flow.interpolation.estimators.weights import kernel_weights
from flow.interpolation.geodesic import distance_transform
from flow.interpolation.neighbours import cell_graph, nearest_on_graph
from flow.interpolation.pruning import best_of_each, seed_pixels
from flow.matching.matches import Matches
from patchbatch.compiled import njit, prange

# Chosen on the three pairs of the EpicFlow reference; with twice as many neighbours the error changes by less
# than a hundredth of a pixel.
_SQUARE_PX = 24
_NEIGHBOURS = 100
_EXTRA_COST = 0.05  # a pixel, so that a region is rather round even where there are no edges
_DECAY = 0.2  # of the kernel per unit of distance


def blend_regional_motion(
    flow: NDArray[np.float32],
    matches: Matches,
    models: NDArray[np.float64],
    support: NDArray[np.float32],
    bounds: NDArray[np.float32],
    label: NDArray[np.int32],
    cost: NDArray[np.float32],
    reach_px: float,
) -> None:
    """Let the flow pass from the local model to the region's with the distance r to the cell's match.

    The local model counts `exp(-(r / reach)^2)`.

    Parameters
    ----------
    flow
        `(H, W, 2)` px, the local models read out; changed in place.
    matches
        N matches, one a pixel at most.
    models, support
        `(N, 2, 3)` local models of all matches, and `(N,)` how far their neighbours agree with them.
    bounds
        `(N, 2, 2)` px, per component the lowest and highest flow that a cell may have.
    label
        `(H, W)` int32, whose cell a pixel lies in.
    cost
        `(H, W)` float32, price of a pixel of path.
    reach_px
        Distance at which the region's model has most of the say; infinite leaves the flow alone.
    """
    if math.isinf(reach_px):
        return
    speakers = _speakers(matches, support)
    points = matches.points1[speakers]
    vectors = models[speakers, :, 2].astype(np.float32)
    wider = cost + np.float32(_EXTRA_COST)
    distance, region = distance_transform(wider, seed_pixels(matches.select(speakers)))
    graph = cell_graph(distance, region, len(points))
    index, path = nearest_on_graph(graph, min(_NEIGHBOURS, len(points)))
    weights = kernel_weights(index, path, _DECAY, support[speakers] + np.float32(1e-3))
    regional = robust_affine(points, vectors, index, weights)
    _blend(matches.points1, label, bounds, points, region, regional, reach_px, flow)


def _speakers(matches: Matches, support: NDArray[np.float32]) -> NDArray[np.intp]:
    """Return the index of the best supported match of every square that has any."""
    square = seed_pixels(matches) // _SQUARE_PX
    return best_of_each(square[:, 1] * (1 + square[:, 0].max()) + square[:, 0], support)


@njit(parallel=True)
def _blend(
    points: NDArray[np.float32],
    label: NDArray[np.int32],
    bounds: NDArray[np.float32],
    centres: NDArray[np.float32],
    region: NDArray[np.int32],
    regional: NDArray[np.float64],
    reach: float,
    flow: NDArray[np.float32],
) -> None:
    """Write local + (1 - exp(-(r / reach)^2)) (clip(regional) - local) at each pixel."""
    height, width = label.shape
    for y in prange(height):
        for x in range(width):
            m = label[y, x]
            dx, dy = x - points[m, 0], y - points[m, 1]
            given_way = -math.expm1(-(dx * dx + dy * dy) / (reach * reach))
            r = region[y, x]
            dx, dy = x - centres[r, 0], y - centres[r, 1]
            for component in range(2):
                slope_x, slope_y, constant = regional[r, component]
                value = slope_x * dx + slope_y * dy + constant
                value = min(max(value, bounds[m, component, 0]), bounds[m, component, 1])
                flow[y, x, component] += given_way * (value - flow[y, x, component])
