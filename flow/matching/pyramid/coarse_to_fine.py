"""Matching from coarse to fine on a grid of seeds: exact at the top, then propagation and search.

The idea is that of coarse-to-fine PatchMatch (Hu, Song & Li, CVPR 2016): the same seeds on all levels,
each level starting from twice the vectors of the one above. Three things differ. The top level is searched
exactly. All seeds are updated at once from the state before (Jacobi), so the result depends neither on
an order nor on the number of threads. And every seed carries several hypotheses, so that what is
thin or fast and loses on the coarse levels can still win on the fine ones.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from flow.matching.pyramid.candidates import vectors_nearby
from flow.matching.pyramid.levels import (
    Hypotheses,
    Level,
    agreed,
    check_pyramids,
    mean_distance,
    square,
)
from flow.matching.pyramid.top_level import search_everywhere
from flow.matching.search_settings import CoarseToFineSettings
from flow.matching.seeds import EIGHT_NEIGHBOURS, DenseMatches, SeedField, seed_grid
from flow.matching.subpixel import subpixel_offsets

GOOD_FIT = 0.1  # of the mean distance between descriptors: from there on a match is hardly one


def match_pyramids(
    pyramid1: Sequence[torch.Tensor],
    pyramid2: Sequence[torch.Tensor],
    settings: CoarseToFineSettings | None = None,
) -> DenseMatches:
    """Match a grid of seeds of each image into the other, from coarse to fine.

    Parameters
    ----------
    pyramid1, pyramid2
        Descriptors `(H, W, D)` of each level, the full image first, each level half the size of the one
        before (rounded up). float32 and bfloat16 are used in place on the CPU. A level is worth having
        while its image is larger than the patch that a descriptor sees; the motion that can be found is
        not limited, since the last level is searched everywhere.
    settings
        `CoarseToFineSettings`; None takes the defaults.

    Returns
    -------
    `DenseMatches`, vectors in px of the full image with fractions of a pixel, every target inside the image.

    Raises
    ------
    PatchBatchError
        If the levels of a pyramid or the two pyramids do not fit together.
    """
    settings = settings or CoarseToFineSettings()
    check_pyramids(pyramid1, pyramid2)
    return DenseMatches(
        _match_one_way(pyramid1, pyramid2, settings), _match_one_way(pyramid2, pyramid1, settings)
    )


def _match_one_way(
    pyramid1: Sequence[torch.Tensor], pyramid2: Sequence[torch.Tensor], settings: CoarseToFineSettings
) -> SeedField:
    height, width, _ = pyramid1[0].shape
    seeds = seed_grid(height, width, settings.step)
    grid, points = (seeds.shape[0], seeds.shape[1]), seeds.reshape(-1, 2)
    top = len(pyramid1) - 1
    level = Level(pyramid1[top], pyramid2[top], points >> top)
    held = search_everywhere(level, settings.hypotheses, settings.separation, settings.top_megabytes)
    for depth in range(top - 1, -1, -1):
        level = Level(pyramid1[depth], pyramid2[depth], points >> depth)
        # Every vector from above and those a pixel beside it: the coarser level knows no better.
        held = level.choose(2 * held.vectors, square(1), settings.separation, settings.hypotheses)
        held = _propagate(level, held, grid, depth, settings)
    held = _prefer_small_motion(pyramid1, pyramid2, points, held, grid, settings)
    return _seed_field(level, held, grid, settings)


def _prefer_small_motion(
    pyramid1: Sequence[torch.Tensor],
    pyramid2: Sequence[torch.Tensor],
    points: NDArray[np.int32],
    held: Hypotheses,
    grid: tuple[int, int],
    settings: CoarseToFineSettings,
) -> Hypotheses:
    """Offer every seed the best motion near zero too, and decide among what costs the same by length.

    On patterns that repeat, many vectors cost nearly the same. Which of them a coarse level finds depends on
    how the pattern falls on its pixels, so the small one may not have come down at all.
    """
    unit = np.float32(mean_distance(pyramid1[0], pyramid2[0]) if settings.motion_price else 0)
    if unit == 0:
        return held
    small, reach = np.zeros((len(points), 1, 2), np.int32), square(settings.small_motion)
    for depth in range(min(1, len(pyramid1) - 1), -1, -1):
        level = Level(pyramid1[depth], pyramid2[depth], points >> depth)
        found = level.choose(2 * small, reach, 0, 1)
        small, reach = found.vectors, square(1)
    # What has no good match anywhere is as badly off near zero: not a tie, but a guess.
    costs = np.where(found.costs < GOOD_FIT * unit, found.costs, np.inf)
    both = Hypotheses(
        np.concatenate([held.vectors, small], axis=1), np.concatenate([held.costs, costs], axis=1)
    )
    length = np.minimum(np.linalg.norm(both.vectors, axis=-1), settings.price_limit)
    price = np.float32(settings.motion_price) * unit * length
    return agreed(
        both, grid, settings.smoothness, settings.smoothness_limit, settings.smoothness_rounds, price
    )


def _propagate(
    level: Level, held: Hypotheses, grid: tuple[int, int], depth: int, settings: CoarseToFineSettings
) -> Hypotheses:
    """Let seeds try the vectors of seeds around them and random ones near their own, once per stride."""
    radii = np.array(settings.search_radii, dtype=np.int32)[:, None]
    for number, stride in enumerate(settings.strides):
        generator = np.random.default_rng([settings.seed, depth, number])
        offsets = generator.integers(-radii, radii + 1, size=(*grid, len(radii), 2), dtype=np.int32)
        offered = np.empty((*grid, len(EIGHT_NEIGHBOURS) + len(radii), 2), np.int32)
        vectors_nearby(held.vectors[:, 0].reshape(*grid, 2), stride, offsets, offered)
        candidates = offered.reshape(len(level.points), -1, 2)
        held = level.choose(candidates, square(0), settings.separation, settings.hypotheses, held)
        held = agreed(held, grid, settings.smoothness, settings.smoothness_limit, settings.smoothness_rounds)
    return held


def _seed_field(
    level: Level, held: Hypotheses, grid: tuple[int, int], settings: CoarseToFineSettings
) -> SeedField:
    """Finish on the full image: local search, the rival's cost, and the fraction of a pixel."""
    first = Hypotheses(held.vectors[:, :1], held.costs[:, :1])
    chosen = level.choose(first.vectors, square(settings.local_radius), 0, 1, first)
    far = np.abs(held.vectors - chosen.vectors).max(axis=-1) >= settings.rival_distance
    second = np.where(far, held.costs, np.inf).min(axis=1).astype(np.float32)
    best = level.points + chosen.vectors[:, 0]
    fraction = subpixel_offsets(level.descriptors1, level.descriptors2, level.points, best)
    return SeedField(
        level.points.reshape(*grid, 2).astype(np.float32),
        (chosen.vectors[:, 0].astype(np.float32) + fraction).reshape(*grid, 2),
        chosen.costs.reshape(grid),
        second.reshape(grid),
        settings.step,
    )
