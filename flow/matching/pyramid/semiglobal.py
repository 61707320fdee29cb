"""Semi-global matching: a cost volume at the coarsest level, then short lists of labels, then a small search.

At the coarsest level of a pyramid every pixel is compared with a whole window of image 2 (one matrix product
a row) and the volume is smoothed by semi-global aggregation (`aggregation`). On the levels below, down to the
grid that the settings name, a pixel lists the labels around what the level above found for it and
for its neighbours, the cheapest few are smoothed in the same way, and several survive. From there the seeds
of the full image go on alone: small exact searches with the descriptors of the finer levels, vectors tried
from the seeds around, and belief propagation among what they hold. A volume of the whole range at a quarter
of the size, as DCFlow has it (Xu, Ranftl & Koltun, CVPR 2017), is `volume_level` 2.

Memory beyond the descriptors: three bytes a label of the volume, about 800 bytes a pixel of the grid level.
`volume_mb` bounds the volume: one that is larger is made and smoothed in bands of rows that overlap, so that
paths up and down begin anew a quarter of a band before the rows that are kept. Time falls to a quarter with
each level that the grid is coarser.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from flow.matching.costs import keep_distinct
from flow.matching.pyramid.aggregation import (
    VACANT,
    aggregate_lists,
    aggregate_volume,
    lowest_labels,
)
from flow.matching.pyramid.levels import Hypotheses, Level, agreed, check_pyramids, square
from flow.matching.pyramid.volume import MEDIAN, cost_volume, median_lowest_cost
from flow.matching.search_settings import SemiGlobalSettings
from flow.matching.seeds import DenseMatches, SeedField, neighbour_indices, seed_grid
from flow.matching.subpixel import subpixel_offsets
from patchbatch.errors import PatchBatchError

BESIDE = (1, 3, 4, 6)  # of the eight neighbours: above, left, right, below
LEAST_ROWS = 4  # of a band of the volume


def match_semiglobal(
    pyramid1: Sequence[torch.Tensor],
    pyramid2: Sequence[torch.Tensor],
    settings: SemiGlobalSettings | None = None,
) -> DenseMatches:
    """Match a grid of seeds of each image into the other by semi-global aggregation.

    Parameters
    ----------
    pyramid1, pyramid2
        Descriptors `(H, W, D)` of each level, the full image first, each level half the size of the one
        before (rounded up). The coarsest one, or that which the settings name, is compared in full.
    settings
        `SemiGlobalSettings`; None takes the defaults.

    Returns
    -------
    `DenseMatches`, px of the full image with fractions, every target inside the image.

    Raises
    ------
    PatchBatchError
        If the pyramids do not fit together, or not even a few rows of the volume fit into `volume_mb`.
    """
    settings = settings or SemiGlobalSettings()
    check_pyramids(pyramid1, pyramid2)
    return DenseMatches(
        _match_one_way(pyramid1, pyramid2, settings), _match_one_way(pyramid2, pyramid1, settings)
    )


def _match_one_way(
    pyramid1: Sequence[torch.Tensor], pyramid2: Sequence[torch.Tensor], settings: SemiGlobalSettings
) -> SeedField:
    top = volume_level(len(pyramid1), settings)
    unit = median_lowest_cost(pyramid1[top], pyramid2[top])
    vectors = _search_volume(pyramid1[top], pyramid2[top], unit, top, settings)
    finest = min(top, settings.grid_level)
    for depth in range(top - 1, finest - 1, -1):
        vectors = _search_lists(pyramid1[depth], pyramid2[depth], vectors, settings)
    return _search_seeds(pyramid1, pyramid2, vectors, finest, settings)


def volume_level(levels: int, settings: SemiGlobalSettings) -> int:
    """Return the number of the level that is compared in full, of so many levels."""
    return levels - 1 if settings.volume_level is None else min(levels - 1, settings.volume_level)


def _search_volume(
    descriptors1: torch.Tensor,
    descriptors2: torch.Tensor,
    unit: float,
    depth: int,
    settings: SemiGlobalSettings,
) -> NDArray[np.int32]:
    """Return the best distinct vectors of each pixel in the aggregated volume, `(H, W, K, 2)` px."""
    height, width = descriptors1.shape[:2]
    reach_x, reach_y = window_reach(descriptors1, descriptors2, depth, settings.max_motion)
    small, large = (round(MEDIAN * p) for p in (settings.small_penalty, settings.large_penalty))
    labels = np.zeros((height, width, settings.hypotheses, 2), np.int32)
    row_megabytes = 3e-6 * width * (2 * reach_y + 1) * (2 * reach_x + 1)
    for wide, kept in bands(height, row_megabytes, settings.volume_mb):
        volume = cost_volume(descriptors1, descriptors2, reach_x, reach_y, unit, wide)
        total = aggregate_volume(volume, small, large, settings.directions)
        inside = slice(kept.start - wide.start, kept.stop - wide.start)
        lowest_labels(total[inside], 1, labels[kept.start : kept.stop])
    return labels - np.array([reach_x, reach_y], np.int32)


def window_reach(
    descriptors1: torch.Tensor, descriptors2: torch.Tensor, depth: int, max_motion: int
) -> tuple[int, int]:
    """Return how far the window of the volume reaches on each axis, (x, y) px of the level.

    No farther than `max_motion` px of the full image, nor than the images do.
    """
    reach_y, reach_x = (
        min(-(-max_motion // 2**depth), max(sizes) - 1)
        for sizes in zip(descriptors1.shape[:2], descriptors2.shape[:2], strict=True)
    )
    return reach_x, reach_y


def bands(height: int, row_megabytes: float, megabytes: float) -> list[tuple[range, range]]:
    """Cut the rows of a volume into bands that fit into memory: the rows of each, and those kept of it.

    A band reaches a quarter of itself beyond what is kept of it, above and below, as far as there are rows.

    Raises
    ------
    PatchBatchError
        If fewer than four rows fit.
    """
    fit = int(megabytes / row_megabytes)
    if fit >= height:
        return [(range(height), range(height))]
    if fit < LEAST_ROWS:
        raise PatchBatchError(
            f"{LEAST_ROWS} rows of the cost volume take {LEAST_ROWS * row_megabytes:.0f} MB; "
            f"give a smaller max_motion or a coarser volume_level, or raise volume_mb ({megabytes:g})"
        )
    beyond = fit // 4
    step = fit - 2 * beyond
    kept = [range(top, min(top + step, height)) for top in range(0, height, step)]
    return [(range(max(0, one.start - beyond), min(height, one.stop + beyond)), one) for one in kept]


def _search_lists(
    descriptors1: torch.Tensor,
    descriptors2: torch.Tensor,
    coarse: NDArray[np.int32],
    settings: SemiGlobalSettings,
) -> NDArray[np.int32]:
    """List labels around the vectors of the level above, `(h, w, K, 2)`, and aggregate: `(H, W, K, 2)` px."""
    height, width = descriptors1.shape[:2]
    level = Level(descriptors1, descriptors2, seed_grid(height, width, 1).reshape(-1, 2))
    offered = _offered(2 * coarse, level.points >> 1)
    listed = level.choose(offered, square(settings.list_radius), 0, settings.labels)
    vectors, costs = listed.vectors, listed.costs
    scale = max(float(np.median(costs[:, 0])), 1e-12)
    finite = np.minimum(costs / np.float32(scale), VACANT).reshape(height, width, -1)
    labels = np.ascontiguousarray(
        vectors.reshape(height, width, -1, 2).transpose(0, 1, 3, 2).astype(np.float32)
    )
    total = aggregate_lists(
        labels, finite, settings.small_penalty, settings.large_penalty, settings.directions
    )
    total[finite >= VACANT] = np.inf
    kept = np.empty((len(vectors), settings.hypotheses, 2), np.int32)
    kept_costs = np.empty(kept.shape[:2], np.float32)
    keep_distinct(vectors, total.reshape(len(vectors), -1), 1, kept, kept_costs)
    return kept.reshape(height, width, -1, 2)


def _offered(coarse: NDArray[np.int32], places: NDArray[np.int32]) -> NDArray[np.int32]:
    """Return all vectors that the coarse pixel at each place holds and the first of those beside it."""
    rows, columns = coarse.shape[:2]
    beside = neighbour_indices(rows, columns, 1)[:, BESIDE]
    flat = coarse.reshape(rows * columns, -1, 2)
    own = np.minimum(places[:, 1], rows - 1) * columns + np.minimum(places[:, 0], columns - 1)
    return np.concatenate([flat[own], flat[beside[own], 0]], axis=1)


def _search_seeds(
    pyramid1: Sequence[torch.Tensor],
    pyramid2: Sequence[torch.Tensor],
    vectors: NDArray[np.int32],
    depth: int,
    settings: SemiGlobalSettings,
) -> SeedField:
    """Bring the vectors of a level to the seeds of the full image, by an exact search on each finer level."""
    height, width, _ = pyramid1[0].shape
    seeds = seed_grid(height, width, settings.step)
    points = seeds.reshape(-1, 2)
    held = _offered(vectors, points >> depth)
    for finer in range(depth - 1, -1, -1):
        level = Level(pyramid1[finer], pyramid2[finer], points >> finer)
        held = level.choose(2 * held, square(1), 1, settings.hypotheses).vectors
    level = Level(pyramid1[0], pyramid2[0], points)
    grid = (seeds.shape[0], seeds.shape[1])
    offered = np.concatenate([held, held[:, :1] + square(settings.search_radius)], axis=1)
    chosen = _chosen(level, offered, grid, settings)
    for stride in settings.strides:
        beside = chosen.vectors[neighbour_indices(*grid, stride), 0]
        chosen = _chosen(level, np.concatenate([chosen.vectors, beside], axis=1), grid, settings)
    return _seed_field(level, chosen, grid, settings.step)


def _chosen(
    level: Level, offered: NDArray[np.int32], grid: tuple[int, int], settings: SemiGlobalSettings
) -> Hypotheses:
    """Keep hypotheses as far apart as rivals: within that the cost decides, between them the neighbours."""
    apart = settings.rival_distance - 1
    kept = level.choose(offered, square(0), apart, settings.hypotheses)
    return agreed(kept, grid, settings.smoothness, settings.smoothness_limit, settings.smoothness_rounds)


def _seed_field(level: Level, held: Hypotheses, grid: tuple[int, int], step: int) -> SeedField:
    """Take the first vector of each seed, to a fraction of a pixel; the best of the others is its rival."""
    vectors, costs = held.vectors[:, 0], held.costs
    fraction = subpixel_offsets(level.descriptors1, level.descriptors2, level.points, level.points + vectors)
    return SeedField(
        level.points.reshape(*grid, 2).astype(np.float32),
        (vectors.astype(np.float32) + fraction).reshape(*grid, 2),
        costs[:, 0].reshape(grid),
        costs[:, 1:].min(axis=1, initial=np.inf).reshape(grid),
        step,
    )
