"""Sparse matches to a dense flow along the edges of the image (Revaud et al., EpicFlow, CVPR 2015)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from flow.edges.gradient import gradient_edges
from flow.inputs import EdgesLike, MatchesLike, given_edges, given_matches
from flow.interpolation.estimators.weights import kernel_weights
from flow.interpolation.extrapolation import blend_regional_motion
from flow.interpolation.geodesic import distance_transform
from flow.interpolation.neighbours import cell_graph, nearest_on_graph
from flow.interpolation.pruning import (
    consistent,
    one_per_pixel,
    salient,
    seed_pixels,
    started_inside,
    without_islands,
)
from flow.interpolation.settings import InterpolationSettings
from flow.interpolation.support import neighbour_support
from flow.interpolation.table import ESTIMATORS
from flow.matching.matches import Matches
from patchbatch.compiled import njit, prange
from patchbatch.data.given.images import ImageLike, given_image
from patchbatch.errors import PatchBatchError

# The confidence of a filled pixel falls to a third at this distance from the closest match: ten steps of a
# 3-px seed grid. A choice, not a fit; it orders pixels in holes by how deep they lie.
_CONFIDENCE_REACH_PX = 32.0
# The first pass misses a border by about a cell of the matches.
_BORDER_REACH_PX, _JUMP_PX = 4, 3.0
# A match without any confidence still counts where it is the only one.
_LEAST_TRUST = 1e-3


@dataclass(frozen=True)
class Cells:
    """The cells that matches cut an image into, and the flow read out over them.

    Attributes
    ----------
    matches
        The N matches that were believed, one a cell.
    models, support
        `(N, 2, 3)` float64 local models, see `estimators`; `(N,)` float32, how far neighbours agree.
    label, distance
        `(H, W)` int32 and float32, whose cell a pixel lies in and how far its match is over the edges.
    edges
        `(H, W)` float32 in [0, 1], the strength of borders that decided.
    flow, confidence
        `(H, W, 2)` px and `(H, W)`, as `interpolate` returns them.
    """

    matches: Matches
    models: NDArray[np.float64]
    support: NDArray[np.float32]
    label: NDArray[np.int32]
    distance: NDArray[np.float32]
    edges: NDArray[np.float32]
    flow: NDArray[np.float32]
    confidence: NDArray[np.float32]


def interpolate(
    matches: MatchesLike,
    image: ImageLike,
    edges: EdgesLike | None = None,
    settings: InterpolationSettings | None = None,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return a flow for every pixel and how far to trust it.

    Matches on flat spots, at odds with their neighbours or in small islands are dropped; if that would leave
    none, the test is not applied. Each pixel follows the local model of its closest match, over a distance
    that edges make long, and the motion of its region where that match is far.

    Parameters
    ----------
    matches
        Any number, as `flow.inputs.given_matches` takes them. Starts outside are moved to the border of the
        image; of several on one pixel the most confident counts. Ends may lie outside.
    image
        Image 1, a file, array, tensor or picture as `given_image` takes it.
    edges
        `(H, W)` in [0, 1] or a file, strength of motion borders; `None` means `gradient_edges(image)`.
    settings
        `None` means `InterpolationSettings()`.

    Returns
    -------
    flow, confidence
        `(H, W, 2)` float32, u to the right and v downward, in px; `(H, W)` float32 in [0, 1]. The confidence
        is that of the neighbouring matches, each weighted by the kernel and by how well it fits the local
        model (half at 1 px), times `exp(-a d)` with the geodesic and `exp(-r / 32)` with the pixel distance
        to the closest match. Without a match both are 0.

    Raises
    ------
    PatchBatchError
        When shapes do not fit, or the matches or edges hold values that are not finite.

    Examples
    --------
    >>> point = np.array([[2, 1]], np.float32)
    >>> match = Matches(point, point + 1, np.zeros(1, np.float32), np.ones(1, np.float32))
    >>> flow, confidence = interpolate(match, np.zeros((4, 6), np.float32))
    >>> flow[0, 0].tolist(), round(float(confidence[1, 2]), 2)
    ([1.0, 1.0], 1.0)
    """
    image = given_image(image)
    if not isinstance(matches, Matches):
        matches = given_matches(matches, image.shape[:2])
    edges = None if edges is None else given_edges(edges, image.shape[:2])
    cells = fit_cells(matches, image, edges, settings)
    if cells is None:
        return np.zeros((*image.shape[:2], 2), np.float32), np.zeros(image.shape[:2], np.float32)
    return cells.flow, cells.confidence


def fit_cells(
    matches: Matches,
    image: NDArray[np.float32],
    edges: NDArray[np.float32] | None = None,
    settings: InterpolationSettings | None = None,
) -> Cells | None:
    """Do the work of `interpolate`, and return all that it found; None without a match.

    Arguments and errors are those of `interpolate`.
    """
    settings = settings or InterpolationSettings()
    _check(matches, image, edges)
    strength = gradient_edges(image) if edges is None else edges
    cost = strength + np.float32(settings.cost_floor)
    believed = one_per_pixel(started_inside(matches, cost.shape), cost.shape)
    if not len(believed):
        return None
    believed = salient(believed, image, settings.saliency)
    believed = consistent(believed, cost, settings)
    believed = without_islands(believed, cost, settings)
    cells = _dense(believed, strength, settings)
    if settings.motion_edges == 0:
        return cells
    share = np.float32(settings.motion_edges)
    return _dense(believed, strength * (1 - share + share * motion_borders(cells.flow)), settings)


def motion_borders(flow: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return how sharply the flow changes around each pixel.

    Parameters
    ----------
    flow
        `(H, W, 2)` in px.

    Returns
    -------
    NDArray
        `(H, W)` float32 in [0, 1]: the largest difference within `_BORDER_REACH_PX`, 1 from `_JUMP_PX` on.
    """
    around = np.ones((2 * _BORDER_REACH_PX + 1,) * 2, np.uint8)
    channels = [np.ascontiguousarray(flow[..., c], np.float32) for c in range(2)]
    spread = np.maximum(*(cv2.morphologyEx(c, cv2.MORPH_GRADIENT, around) for c in channels))
    return np.minimum(spread / np.float32(_JUMP_PX), 1).astype(np.float32)


def _check(matches: Matches, image: NDArray[np.float32], edges: NDArray[np.float32] | None) -> None:
    if image.ndim not in (2, 3) or not image.size:
        raise PatchBatchError(f"the image has shape {image.shape}; give (H, W) or (H, W, 3)")
    if edges is not None and edges.shape != image.shape[:2]:
        raise PatchBatchError(
            f"the edge map is {edges.shape} but the image {image.shape[:2]}; resize the edge map"
        )
    if edges is not None and not (np.isfinite(edges).all() and edges.min() >= 0):
        raise PatchBatchError("the edge map holds values that are negative or not finite; give 0 to 1")
    bad = ~np.isfinite(np.column_stack([matches.points1, matches.points2, matches.confidence])).all(axis=1)
    if bad.any():
        raise PatchBatchError(
            f"{bad.sum()} matches are not finite, the first is number {bad.argmax()}; drop them"
        )


def _dense(matches: Matches, edges: NDArray[np.float32], settings: InterpolationSettings) -> Cells:
    """Fit one model per match and read it out over its cell."""
    cost = edges + np.float32(settings.cost_floor)
    points, vectors, a = matches.points1, matches.vectors, settings.kernel_decay
    distance, label = distance_transform(cost, seed_pixels(matches))
    index, path = nearest_on_graph(
        cell_graph(distance, label, len(matches)), min(settings.neighbours, len(matches))
    )
    trust = np.maximum(matches.confidence, np.float32(_LEAST_TRUST)) ** np.float32(settings.confidence_power)
    weights = kernel_weights(index, path, a, trust)
    models = ESTIMATORS[settings.estimator].load()(points, vectors, index, weights, settings)
    support, bounds = neighbour_support(points, vectors, matches.confidence, index, weights, models)
    bounds += np.array([-settings.range_margin_px, settings.range_margin_px], np.float32)
    flow, confidence = np.empty((*cost.shape, 2), np.float32), np.empty(cost.shape, np.float32)
    _read_out(distance - cost, label, points, models, bounds, support, a, flow, confidence)
    blend_regional_motion(flow, matches, models, support, bounds, label, cost, settings.extrapolation_px)
    return Cells(matches, models, support, label, distance, edges, flow, confidence)


@njit(parallel=True)
def _read_out(
    distance: NDArray[np.float32],
    label: NDArray[np.int32],
    points: NDArray[np.float32],
    models: NDArray[np.float64],
    bounds: NDArray[np.float32],
    support: NDArray[np.float32],
    a: float,
    flow: NDArray[np.float32],
    confidence: NDArray[np.float32],
) -> None:
    """Write flow = clip(B (x - x0, y - y0, 1)) and its confidence at each pixel of each cell."""
    height, width = label.shape
    for y in prange(height):
        for x in range(width):
            m = label[y, x]
            dx, dy = x - points[m, 0], y - points[m, 1]
            for component in range(2):
                slope_x, slope_y, constant = models[m, component]
                value = slope_x * dx + slope_y * dy + constant
                flow[y, x, component] = min(max(value, bounds[m, component, 0]), bounds[m, component, 1])
            away = math.exp(-math.sqrt(dx * dx + dy * dy) / _CONFIDENCE_REACH_PX)
            trust = support[m] * away * math.exp(-a * max(distance[y, x], 0.0))
            confidence[y, x] = min(max(trust, 0.0), 1.0)
