"""The whole of matching: search both ways, check, drop islands, say how sure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from flow.matching.confidence import match_confidence
from flow.matching.costs import NOWHERE, candidate_costs
from flow.matching.exact.search import ExactSettings, nearest_neighbours
from flow.matching.filtering import remove_small_islands, two_way_error
from flow.matching.matches import Matches
from flow.matching.pyramid.coarse_to_fine import CoarseToFineSettings, DenseMatches, match_pyramids
from flow.matching.pyramid.semiglobal import SemiGlobalSettings, match_semiglobal
from flow.matching.seeds import SeedField, neighbour_indices, seed_grid
from patchbatch.errors import PatchBatchError

METHODS = ("coarse-to-fine", "semi-global", "exact")

Descriptors = torch.Tensor | Sequence[torch.Tensor]


@dataclass(frozen=True)
class MatchingSettings:
    """Settings of matching, from descriptors to the matches that are believed.

    Attributes
    ----------
    method
        "coarse-to-fine" and "semi-global" need a pyramid for each image; "exact" takes the nearest
        neighbour, of the first level if there are several.
    coarse_to_fine, semiglobal, exact
        Settings of the searches.
    exact_step
        Pixels between the pixels of image 1 whose exact matches are kept; 1 keeps every pixel.
    check_threshold
        How far a match may come back from where it left; infinite for no check.
    check_reach
        Seeds around the one hit whose answer is heard too, see `two_way_error`.
    island_tolerance, smallest_island
        See `remove_small_islands`; a smallest island of 1 drops nothing. It is never more than a tenth of all
        seeds, so that a small image keeps its matches.
    """

    method: Literal["coarse-to-fine", "semi-global", "exact"] = "coarse-to-fine"
    coarse_to_fine: CoarseToFineSettings = field(default_factory=CoarseToFineSettings)
    semiglobal: SemiGlobalSettings = field(default_factory=SemiGlobalSettings)
    exact: ExactSettings = field(default_factory=ExactSettings)
    exact_step: int = 3  # px
    check_threshold: float = 1.5  # px
    check_reach: int = 0  # seeds
    island_tolerance: float = 1.5  # px
    smallest_island: int = 50  # seeds

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise PatchBatchError(f"method is {self.method!r}; give one of {', '.join(METHODS)}")
        if self.exact_step < 1:
            raise PatchBatchError(f"exact_step is {self.exact_step} px; give 1 or more")
        for name in ("check_threshold", "check_reach", "island_tolerance", "smallest_island"):
            if not getattr(self, name) >= 0:
                raise PatchBatchError(f"{name} is {getattr(self, name)}; give 0 or more")


def match(
    descriptors1: Descriptors, descriptors2: Descriptors, settings: MatchingSettings | None = None
) -> Matches:
    """Match two described images and keep what can be believed.

    Parameters
    ----------
    descriptors1, descriptors2
        Pyramids, that is lists of `(H, W, D)` tensors, the full image first, each level half the size of the
        one before (rounded up); or, for the exact method, one `(H, W, D)` tensor each.
    settings
        `MatchingSettings`; None takes the defaults.

    Returns
    -------
    `Matches` on the CPU, row by row through image 1; `cost` is the squared L2 distance of the descriptors.
    The exact method gives whole pixels.

    Raises
    ------
    PatchBatchError
        If the descriptors do not fit the method or each other.

    Examples
    --------
    >>> d = torch.eye(12).reshape(3, 4, 12)
    >>> settings = MatchingSettings(method="exact", exact_step=1, smallest_island=1)
    >>> match(d, d, settings).vectors.max()
    np.float32(0.0)
    """
    settings = settings or MatchingSettings()
    dense = match_both_ways(descriptors1, descriptors2, settings)
    keep, confidence = judge(dense, settings)
    forward = dense.forward
    points = forward.points[keep]
    return Matches(points, points + forward.vectors[keep], forward.cost[keep], confidence[keep])


def judge(dense: DenseMatches, settings: MatchingSettings) -> tuple[NDArray[np.bool_], NDArray[np.float32]]:
    """Say of every seed of image 1 whether its match is believed, and how far: `(G, W)` bool, float32."""
    forward = dense.forward
    error = two_way_error(forward, dense.backward, settings.check_reach)
    keep = np.isfinite(forward.cost) & (error <= settings.check_threshold)
    smallest = min(settings.smallest_island, keep.size // 10)
    keep = remove_small_islands(forward.vectors, keep, settings.island_tolerance, smallest)
    return keep, match_confidence(forward.cost, forward.second_cost, error)


def match_both_ways(
    descriptors1: Descriptors, descriptors2: Descriptors, settings: MatchingSettings
) -> DenseMatches:
    """Search both ways by the method of the settings; nothing is checked yet. Arguments as for `match`."""
    single = isinstance(descriptors1, torch.Tensor), isinstance(descriptors2, torch.Tensor)
    if settings.method != "exact" and any(single):
        raise PatchBatchError(
            f"{settings.method} matching needs a list of levels for each image; give those or method 'exact'"
        )
    if settings.method == "coarse-to-fine":
        return match_pyramids(list(descriptors1), list(descriptors2), settings.coarse_to_fine)
    if settings.method == "semi-global":
        return match_semiglobal(list(descriptors1), list(descriptors2), settings.semiglobal)
    return _match_exactly(_finest(descriptors1), _finest(descriptors2), settings)


def _finest(descriptors: Descriptors) -> torch.Tensor:
    if isinstance(descriptors, torch.Tensor):
        return descriptors
    if not descriptors:
        raise PatchBatchError("a pyramid of descriptors is empty; give at least the full image")
    return descriptors[0]


def _match_exactly(
    descriptors1: torch.Tensor, descriptors2: torch.Tensor, settings: MatchingSettings
) -> DenseMatches:
    """Run the exact search; image 1 is thinned to a grid, image 2 keeps every pixel for the check."""
    nearest = nearest_neighbours(descriptors1, descriptors2, settings.exact)
    forward = _thinned(nearest.index12, nearest.distance12, descriptors2.shape[1], settings.exact_step)
    backward = _thinned(nearest.index21, nearest.distance21, descriptors1.shape[1], 1)
    second = _cost_of_neighbours_vectors(descriptors1, descriptors2, forward, settings)
    rivalled = SeedField(forward.points, forward.vectors, forward.cost, second, forward.step)
    return DenseMatches(rivalled, backward)


def _thinned(
    index: NDArray[np.integer[Any]], distance: NDArray[np.float32], width: int, step: int
) -> SeedField:
    height1, width1 = index.shape
    seeds = seed_grid(height1, width1, step)
    x, y = seeds[..., 0], seeds[..., 1]
    target = np.stack([index[y, x] % width, index[y, x] // width], axis=-1)
    cost = distance[y, x]
    vectors = np.where(np.isfinite(cost)[..., None], target - seeds, 0).astype(np.float32)
    return SeedField(seeds.astype(np.float32), vectors, cost, np.full_like(cost, np.inf), step)


def _cost_of_neighbours_vectors(
    descriptors1: torch.Tensor, descriptors2: torch.Tensor, forward: SeedField, settings: MatchingSettings
) -> NDArray[np.float32]:
    """Return the rivals' costs: the exact search keeps no second best, so neighbours' vectors stand in."""
    points = forward.points.reshape(-1, 2).astype(np.int32)
    vectors = forward.vectors.reshape(-1, 2).astype(np.int32)
    offered = vectors[neighbour_indices(*forward.grid, 1)]
    targets = points[:, None] + offered
    height, width = descriptors2.shape[:2]
    inside = (targets >= 0).all(axis=-1) & (targets < (width, height)).all(axis=-1)
    far = np.abs(offered - vectors[:, None]).max(axis=-1) >= settings.coarse_to_fine.rival_distance
    targets[~(inside & far), 0] = NOWHERE
    costs = candidate_costs(descriptors1, descriptors2, points, targets)
    lowest: NDArray[np.float32] = costs.min(axis=1).reshape(forward.cost.shape)
    return lowest
