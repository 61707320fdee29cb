"""Sparse matches to a dense flow along the edges of the image (Revaud et al., EpicFlow, CVPR 2015)."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from flow.interpolation.edges import gradient_edges, saliency
from flow.interpolation.estimators import locally_weighted_affine, nadaraya_watson, robust_affine
from flow.interpolation.geodesic import distance_transform
from flow.interpolation.neighbours import cell_graph, nearest_on_graph
from flow.interpolation.support import neighbour_support
from flow.matching.matches import Matches
from patchbatch.errors import PatchBatchError

_Estimator = Callable[
    [NDArray[np.float32], NDArray[np.float32], NDArray[np.int32], NDArray[np.float32], float],
    NDArray[np.float64],
]
_ESTIMATORS: MappingProxyType[str, _Estimator] = MappingProxyType(
    {"affine": locally_weighted_affine, "nadaraya-watson": nadaraya_watson, "robust": robust_affine}
)

# The confidence of a filled pixel falls to a third at this distance from the closest match: ten steps of a
# 3-px seed grid. A choice, not a fit; it orders pixels in holes by how deep they lie.
_CONFIDENCE_REACH_PX = 32.0


@dataclass(frozen=True)
class InterpolationSettings:
    """How far a match speaks, and which matches are believed.

    The defaults are those of EpicFlow without a preset. Distances are geodesic: the sum of edge strength plus
    `cost_floor` over the pixels of a path.
    """

    neighbours: int = 100  # matches per local fit, itself included; more are smoother and slower
    kernel_decay: float = (
        0.8  # per unit of geodesic distance; higher lets edges cut harder, 0 ignores distance
    )
    prefilter_neighbours: int = 25  # other matches that judge each match beforehand; 0 is off
    consistency_px: float = 5.0  # px from the judges' mean at which a match is dropped; infinite is off
    saliency: float = 0.045  # Lab units per px, matches on flatter spots are dropped; 0 is off
    cost_floor: float = (
        0.001  # cost of a pixel without edge, above 0; higher prefers close matches in flat areas
    )
    estimator: str = "affine"  # or "robust" (bears more wrong matches, slower), "nadaraya-watson" (no slopes)
    range_margin_px: float = (
        math.inf
    )  # px that the flow may leave the range of its neighbours' vectors; infinite is off

    def __post_init__(self) -> None:
        if self.estimator not in _ESTIMATORS:
            raise PatchBatchError(
                f"no estimator is called {self.estimator!r}; use one of {', '.join(_ESTIMATORS)}"
            )
        if self.neighbours < 1:
            raise PatchBatchError(f"neighbours is {self.neighbours}; it must be at least 1")
        if not (math.isfinite(self.cost_floor) and self.cost_floor > 0):
            raise PatchBatchError(f"cost_floor is {self.cost_floor}; it must be above 0")
        for name in ("kernel_decay", "prefilter_neighbours", "consistency_px", "saliency", "range_margin_px"):
            if not getattr(self, name) >= 0:
                raise PatchBatchError(f"{name} is {getattr(self, name)}; it must be 0 or more")


_BENCHMARKS = InterpolationSettings(neighbours=160, kernel_decay=1.1)
PRESETS = MappingProxyType(
    {
        "default": InterpolationSettings(),
        "sintel": _BENCHMARKS,
        "kitti": _BENCHMARKS,
        "middlebury": InterpolationSettings(neighbours=65, kernel_decay=0.2, prefilter_neighbours=15),
        "robust": replace(_BENCHMARKS, estimator="robust", range_margin_px=20.0),
    }
)
"""The settings of EpicFlow's authors per data set, and `robust`: ours, for matches with many wrong ones."""


def interpolate(
    matches: Matches,
    image: NDArray[np.float32],
    edges: NDArray[np.float32] | None = None,
    settings: InterpolationSettings | None = None,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return a flow for every pixel and how far to trust it.

    Matches on flat spots or at odds with their neighbours are dropped; if that would leave none, the test is
    not applied. Each pixel follows the local model of its closest match, over a distance that edges make
    long.

    Parameters
    ----------
    matches
        Any number. End points outside are clamped to the image; of several on one pixel the most confident
        counts.
    image
        Image 1, `(H, W)` or `(H, W, 3)` RGB float32 in [0, 1].
    edges
        `(H, W)` float32 in [0, 1], strength of motion borders; `None` means `gradient_edges(image)`.
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
    settings = settings or InterpolationSettings()
    _check(matches, image, edges)
    cost = (gradient_edges(image) if edges is None else edges) + np.float32(settings.cost_floor)
    believed = _one_per_pixel(_clamped(matches, cost.shape), cost.shape)
    if not len(believed):
        return np.zeros((*cost.shape, 2), np.float32), np.zeros(cost.shape, np.float32)
    believed = _salient(believed, image, settings)
    believed = _consistent(believed, cost, settings)
    return _dense(believed, cost, settings)


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


def _clamped(matches: Matches, shape: tuple[int, ...]) -> Matches:
    limit = np.array([shape[1] - 1, shape[0] - 1], np.float32)
    points1, points2 = (
        np.clip(points, 0, limit).astype(np.float32) for points in (matches.points1, matches.points2)
    )
    return Matches(points1, points2, matches.cost, matches.confidence)


def _seeds(matches: Matches) -> NDArray[np.intp]:
    """Return the `(N, 2)` pixels the matches sit on: truncated, as in the EpicFlow program."""
    return matches.points1.astype(np.intp)


def _one_per_pixel(matches: Matches, shape: tuple[int, ...]) -> Matches:
    seeds = _seeds(matches)
    pixel = seeds[:, 1] * shape[1] + seeds[:, 0]
    # Sorted by pixel, then confidence, then place in the list: the last of each pixel is the one to keep.
    order = np.lexsort((matches.confidence, pixel))
    last = np.append(pixel[order][1:] != pixel[order][:-1], True)[: len(order)]
    return matches.select(np.sort(order[last]))


def _salient(matches: Matches, image: NDArray[np.float32], settings: InterpolationSettings) -> Matches:
    if not settings.saliency:
        return matches
    x, y = _seeds(matches).T
    keep = saliency(image)[y, x] >= settings.saliency
    return matches.select(keep) if keep.any() else matches


def _consistent(matches: Matches, cost: NDArray[np.float32], settings: InterpolationSettings) -> Matches:
    """Drop matches far from the kernel-weighted mean of their neighbours, themselves included."""
    if not settings.prefilter_neighbours or math.isinf(settings.consistency_px):
        return matches
    _, _, index, distance = _neighbourhoods(matches, cost, settings.prefilter_neighbours + 1)
    mean = nadaraya_watson(matches.points1, matches.vectors, index, distance, settings.kernel_decay)[:, :, 2]
    keep = np.linalg.norm(mean - matches.vectors, axis=1) < settings.consistency_px
    return matches.select(keep) if keep.any() else matches


def _neighbourhoods(
    matches: Matches, cost: NDArray[np.float32], n: int
) -> tuple[NDArray[np.float32], NDArray[np.int32], NDArray[np.int32], NDArray[np.float32]]:
    """Return distance and label of each pixel, then index and distance of each match's n nearest."""
    distance, label = distance_transform(cost, _seeds(matches))
    index, path = nearest_on_graph(cell_graph(distance, label, len(matches)), min(n, len(matches)))
    return distance, label, index, path


def _dense(
    matches: Matches, cost: NDArray[np.float32], settings: InterpolationSettings
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Fit one model per match and read it out over its cell."""
    a = settings.kernel_decay
    distance, label, index, path = _neighbourhoods(matches, cost, settings.neighbours)
    models = _ESTIMATORS[settings.estimator](matches.points1, matches.vectors, index, path, a)
    support, bounds = neighbour_support(
        matches.points1, matches.vectors, matches.confidence, index, path, a, models
    )
    bounds += np.array([-settings.range_margin_px, settings.range_margin_px], np.float32)
    flow, confidence = np.empty((*cost.shape, 2), np.float32), np.empty(cost.shape, np.float32)
    _read_out(distance - cost, label, matches.points1, models, bounds, support, a, flow, confidence)
    return flow, confidence


@njit(cache=True, nogil=True, parallel=True)
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
