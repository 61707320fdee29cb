"""Which matches are believed: one a pixel, on structure, in agreement with those around them.

If a test would leave no match at all, it is not applied.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from flow.edges.gradient import saliency
from flow.interpolation.estimators.least_squares import locally_weighted_affine, nadaraya_watson
from flow.interpolation.estimators.weights import kernel_weights
from flow.interpolation.geodesic import distance_transform
from flow.interpolation.neighbours import cell_graph, nearest_on_graph
from flow.interpolation.settings import InterpolationSettings
from flow.matching.matches import Matches

# Of the default seed grid with some seeds missing: matches this near are held to the tolerance as it is.
_SPACING_PX = 10.0
_OWN_SAY = 0.01  # not 0: it may be its only neighbour


def seed_pixels(matches: Matches) -> NDArray[np.intp]:
    """Return the `(N, 2)` pixels the matches sit on, x then y: truncated, as in the EpicFlow program."""
    return matches.points1.astype(np.intp)


def started_inside(matches: Matches, shape: tuple[int, ...]) -> Matches:
    """Return the matches with their starts moved into an image of shape `(H, W)`, their ends as they are.

    What leaves the image is told by its end. The EpicFlow program moves ends inside too; a matcher that
    looks inside image 2 only never notices.
    """
    limit = np.array([shape[1] - 1, shape[0] - 1], np.float32)
    points1 = np.clip(matches.points1, 0, limit).astype(np.float32)
    return Matches(points1, matches.points2, matches.cost, matches.confidence)


def one_per_pixel(matches: Matches, shape: tuple[int, ...]) -> Matches:
    """Return the most confident match of each pixel of an image `(H, W)`, the later one of equals."""
    seeds = seed_pixels(matches)
    return matches.select(best_of_each(seeds[:, 1] * shape[1] + seeds[:, 0], matches.confidence))


def best_of_each(group: NDArray[np.intp], score: NDArray[np.float32]) -> NDArray[np.intp]:
    """Return, rising, where each group has its highest score, `(N,)` both; of equals it is the last."""
    # Sorted by group, then score, then place in the list: the last of each group is the one to keep.
    order = np.lexsort((score, group))
    last = np.append(group[order][1:] != group[order][:-1], True)[: len(order)]
    return np.sort(order[last])


def salient(matches: Matches, image: NDArray[np.float32], threshold: float) -> Matches:
    """Drop matches where `saliency(image)` is below a threshold in Lab units per px; 0 is off."""
    if not threshold:
        return matches
    x, y = seed_pixels(matches).T
    keep = saliency(image)[y, x] >= threshold
    return matches.select(keep) if keep.any() else matches


def consistent(matches: Matches, cost: NDArray[np.float32], settings: InterpolationSettings) -> Matches:
    """Drop matches far from the kernel-weighted mean of their neighbours, themselves included.

    Where the motion has a slope, a match beside which others lie on one side alone is far from their mean and
    right: with `slope_px`, what is near the affine model of its neighbours, in which it has next to no say
    itself, stays too.

    Parameters
    ----------
    matches
        One a pixel at most.
    cost
        `(H, W)` float32, price of a pixel of path.
    settings
        `prefilter_neighbours`, `consistency_px` and `kernel_decay`.
    """
    if not settings.prefilter_neighbours or math.isinf(settings.consistency_px):
        return matches
    graph = cell_graph(*distance_transform(cost, seed_pixels(matches)), len(matches))
    index, distance = nearest_on_graph(graph, min(settings.prefilter_neighbours + 1, len(matches)))
    weights = kernel_weights(index, distance, settings.kernel_decay)
    mean = nadaraya_watson(matches.points1, matches.vectors, index, weights)[:, :, 2]
    keep = np.linalg.norm(mean - matches.vectors, axis=1) < settings.consistency_px
    if settings.slope_px:
        weights[:, 0] *= _OWN_SAY
        predicted = locally_weighted_affine(matches.points1, matches.vectors, index, weights)[:, :, 2]
        keep |= np.linalg.norm(predicted - matches.vectors, axis=1) < settings.slope_px
    return matches.select(keep) if keep.any() else matches


def without_islands(matches: Matches, cost: NDArray[np.float32], settings: InterpolationSettings) -> Matches:
    """Drop matches that hang together with too few others.

    Two matches hang together when their cells touch and their vectors differ by at most
    `island_tolerance_px`, for matches further apart than `_SPACING_PX` by as much more. A wrong cluster
    agrees within itself, so only its size gives it away; small objects are the price.

    Parameters
    ----------
    matches, cost
        As for `consistent`.
    settings
        `smallest_island` and `island_tolerance_px`; an island is never asked for more than a tenth of all
        matches, so that a small image keeps its own.
    """
    smallest = min(settings.smallest_island, len(matches) // 10)
    if smallest <= 1:
        return matches
    graph = cell_graph(*distance_transform(cost, seed_pixels(matches)), len(matches)).tocoo()
    agree = _agree(matches, graph.row, graph.col, settings.island_tolerance_px)
    links = sparse.coo_array((np.ones(agree.sum()), (graph.row[agree], graph.col[agree])), shape=graph.shape)
    _, island = connected_components(links, directed=False)
    keep = np.bincount(island)[island] >= smallest
    return matches.select(keep) if keep.any() else matches


def _agree(
    matches: Matches, first: NDArray[np.intp], second: NDArray[np.intp], tolerance: float
) -> NDArray[np.bool_]:
    """Return which pairs of matches, given by number, differ by no more than their distance explains."""
    difference = np.linalg.norm(matches.vectors[first] - matches.vectors[second], axis=1)
    distance = np.linalg.norm(matches.points1[first] - matches.points1[second], axis=1)
    agree: NDArray[np.bool_] = difference <= tolerance * np.maximum(distance / _SPACING_PX, 1)
    return agree
