"""Searches for the nearest descriptor as matchers: their answers as fields of seeds, with rivals."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from flow.matching.costs import NOWHERE, candidate_costs
from flow.matching.exact.search import NearestNeighbours, nearest_neighbours
from flow.matching.jump_flood import jump_flooding
from flow.matching.patch_match import patchmatch
from flow.matching.search_settings import (
    ExactMatcherSettings,
    JumpFloodingMatcherSettings,
    PatchMatchMatcherSettings,
)
from flow.matching.seeds import DenseMatches, SeedField, neighbour_indices, seed_grid


def match_exactly(
    pyramid1: Sequence[torch.Tensor],
    pyramid2: Sequence[torch.Tensor],
    settings: ExactMatcherSettings | None = None,
) -> DenseMatches:
    """Match the seeds of each image to the nearest descriptor of the whole other one.

    Parameters
    ----------
    pyramid1, pyramid2
        Lists whose first level `(H, W, D)` counts.
    settings
        None takes the defaults.
    """
    settings = settings or ExactMatcherSettings()
    first, second = pyramid1[0], pyramid2[0]
    found = nearest_neighbours(first, second, settings)
    forward = field_of(found.index12, found.distance12, first, second, settings.step)
    if settings.step == 1:  # one sweep answers both ways
        backward = field_of(found.index21, found.distance21, second, first, 1)
    else:  # the sweep knows only seeds of image 1, and a match has to be nearest among all pixels
        found = nearest_neighbours(second, first, settings)
        backward = field_of(found.index12, found.distance12, second, first, settings.step)
    return DenseMatches(with_rivals(forward, first, second, settings.rival_distance), backward)


def match_by_patchmatch(
    pyramid1: Sequence[torch.Tensor],
    pyramid2: Sequence[torch.Tensor],
    settings: PatchMatchMatcherSettings | None = None,
) -> DenseMatches:
    """Match all pixels both ways by PatchMatch; image 1 is thinned to seeds. As `match_exactly`."""
    settings = settings or PatchMatchMatcherSettings()
    return _thinned(patchmatch(pyramid1[0], pyramid2[0], settings), pyramid1[0], pyramid2[0], settings)


def match_by_jump_flooding(
    pyramid1: Sequence[torch.Tensor],
    pyramid2: Sequence[torch.Tensor],
    settings: JumpFloodingMatcherSettings | None = None,
) -> DenseMatches:
    """Match all pixels both ways by jump flooding; image 1 is thinned to seeds. As `match_exactly`."""
    settings = settings or JumpFloodingMatcherSettings()
    return _thinned(jump_flooding(pyramid1[0], pyramid2[0], settings), pyramid1[0], pyramid2[0], settings)


def _thinned(
    found: NearestNeighbours, first: torch.Tensor, second: torch.Tensor,
    settings: PatchMatchMatcherSettings | JumpFloodingMatcherSettings,
) -> DenseMatches:  # fmt: skip
    x, y = np.moveaxis(seed_grid(first.shape[0], first.shape[1], settings.step), -1, 0)
    forward = field_of(found.index12[y, x], found.distance12[y, x], first, second, settings.step)
    backward = field_of(found.index21, found.distance21, second, first, 1)
    return DenseMatches(with_rivals(forward, first, second, settings.rival_distance), backward)


def field_of(
    index: NDArray[np.int32], cost: NDArray[np.float32], first: torch.Tensor, second: torch.Tensor, step: int
) -> SeedField:
    """Turn nearest neighbours of the seeds of one image into vectors.

    Parameters
    ----------
    index, cost
        `(G, W)` of the seed grid of `step` px: flat indices of pixels of the other image, -1 for none, and
        squared distances.
    first, second
        Descriptors `(H, W, D)` of the image with the seeds and of the other.

    Returns
    -------
    `SeedField` in px of the full image; nobody has a rival yet.
    """
    seeds = seed_grid(first.shape[0], first.shape[1], step)
    y, x = np.divmod(index, second.shape[1])
    vectors = np.where(index[..., None] >= 0, np.stack([x, y], axis=-1) - seeds, 0).astype(np.float32)
    return SeedField(seeds.astype(np.float32), vectors, cost, np.full_like(cost, np.inf), step)


def with_rivals(
    forward: SeedField, descriptors1: torch.Tensor, descriptors2: torch.Tensor, distance: int
) -> SeedField:
    """Fill in the rivals' costs: such a search keeps no second best, so neighbours' vectors stand in."""
    points = forward.points.reshape(-1, 2).astype(np.int32)
    vectors = forward.vectors.reshape(-1, 2).astype(np.int32)
    offered = vectors[neighbour_indices(*forward.grid, 1)]
    targets = points[:, None] + offered
    height, width = descriptors2.shape[:2]
    inside = (targets >= 0).all(axis=-1) & (targets < (width, height)).all(axis=-1)
    far = np.abs(offered - vectors[:, None]).max(axis=-1) >= distance
    targets[~(inside & far), 0] = NOWHERE
    costs = candidate_costs(descriptors1, descriptors2, points, targets)
    lowest = costs.min(axis=1).reshape(forward.cost.shape)
    return SeedField(forward.points, forward.vectors, forward.cost, lowest, forward.step)
