"""Matching from coarse to fine on a grid of seeds: exact at the top, then propagation and search.

The idea is that of coarse-to-fine PatchMatch (Hu, Song & Li, CVPR 2016): the same seeds on all levels,
each level starting from twice the vectors of the one above. Three things differ. The top level is searched
exactly. All seeds are updated at once from the state before (Jacobi), so the result depends neither on
an order nor on the number of threads. And every seed carries several hypotheses, so that what is
thin or fast and loses on the coarse levels can still win on the fine ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray

from flow.matching.agreement import agreed_beliefs
from flow.matching.costs import candidate_costs, keep_distinct, leave_out_repeats
from flow.matching.exact import check_pair, squared_distances
from flow.matching.seeds import SeedField, neighbour_indices, seed_grid
from flow.matching.subpixel import subpixel_offsets
from patchbatch.errors import PatchBatchError


@dataclass(frozen=True)
class CoarseToFineSettings:
    """Settings of the coarse-to-fine search.

    Attributes
    ----------
    step
        Pixels of the full image between seeds; time falls with its square.
    hypotheses
        Distinct vectors that a seed carries from level to level; 1 is plain coarse-to-fine matching.
    separation
        Vectors closer than this on both axes are one hypothesis.
    strides
        One pass on every level for each: how far away the eight seeds are whose vectors are tried.
    search_radii
        In each pass, one random offset to the best vector for each radius; empty for no random search.
    smoothness
        Price of one px of difference between seeds next to each other, in median costs. It decides which
        of its hypotheses a seed believes; 0 leaves that to the cost alone.
    smoothness_limit
        Difference beyond which the price rises no more.
    smoothness_rounds
        How far, in seeds, the neighbourhood reaches that has a say.
    local_radius
        Radius of the full search at the end, around the best vector on the finest level; 0 for none.
    rival_distance
        A match at least this far from the best one, on either axis, counts as its rival.
    top_megabytes
        MB that one block of distances at the top level may take.
    seed
        Of the random search; the same seed gives the same matches.
    """

    step: int = 3  # px
    hypotheses: int = 3
    separation: int = 1  # px of the level
    strides: tuple[int, ...] = (1, 2, 1)  # seeds
    search_radii: tuple[int, ...] = (4, 2, 1)  # px of the level
    smoothness: float = 0.1  # median costs per px of the level
    smoothness_limit: float = 10.0  # px of the level
    smoothness_rounds: int = 5
    local_radius: int = 1  # px
    rival_distance: int = 4  # px
    top_megabytes: float = 32.0  # MB
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("step", "hypotheses", "separation", "rival_distance", "top_megabytes"):
            if not getattr(self, name) > 0:
                raise PatchBatchError(f"{name} is {getattr(self, name)}; give a number above 0")
        for name in ("smoothness", "smoothness_limit", "smoothness_rounds", "local_radius", "seed"):
            if not getattr(self, name) >= 0:
                raise PatchBatchError(f"{name} is {getattr(self, name)}; give 0 or more")
        for name in ("strides", "search_radii"):
            if any(value <= 0 for value in getattr(self, name)):
                raise PatchBatchError(f"{name} is {getattr(self, name)}; give numbers above 0")


@dataclass(frozen=True)
class DenseMatches:
    """Both directions of matching: `forward` has the seeds of image 1, `backward` those of image 2."""

    forward: SeedField
    backward: SeedField


@dataclass(frozen=True)
class _Level:
    """One level of one direction: descriptors of both images and the seeds on this level, `(S, 2)` px."""

    descriptors1: torch.Tensor
    descriptors2: torch.Tensor
    points: NDArray[np.int32]

    def inside(self, targets: NDArray[np.int32]) -> NDArray[np.int32]:
        """Move targets that lie outside image 2 to its border."""
        height, width = self.descriptors2.shape[:2]
        return np.clip(targets, 0, np.array([width - 1, height - 1], dtype=np.int32))

    def costs(self, targets: NDArray[np.int32]) -> NDArray[np.float32]:
        """Return the costs `(S, C)` of targets `(S, C, 2)`."""
        return candidate_costs(self.descriptors1, self.descriptors2, self.points, targets)


@dataclass(frozen=True)
class _Hypotheses:
    """What the seeds hold on one level, most believed first: targets `(S, K, 2)` px, costs `(S, K)`."""

    targets: NDArray[np.int32]
    costs: NDArray[np.float32]

    def challenged(
        self, level: _Level, candidates: NDArray[np.int32], separation: int, keep: int
    ) -> _Hypotheses:
        """Compare candidates `(S, C, 2)` with what is held and keep the best distinct ones."""
        known = self.targets.shape[1]
        targets = np.concatenate([self.targets, level.inside(candidates)], axis=1)
        asked = targets.copy()
        leave_out_repeats(asked, known)
        costs = level.costs(asked)
        costs[:, :known] = self.costs
        return _distinct(targets, costs, separation, keep)


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
    _check_pyramids(pyramid1, pyramid2)
    return DenseMatches(
        _match_one_way(pyramid1, pyramid2, settings), _match_one_way(pyramid2, pyramid1, settings)
    )


def _check_pyramids(pyramid1: Sequence[torch.Tensor], pyramid2: Sequence[torch.Tensor]) -> None:
    if not pyramid1 or len(pyramid1) != len(pyramid2):
        raise PatchBatchError(
            f"the pyramids have {len(pyramid1)} and {len(pyramid2)} levels; give both the same, at least one"
        )
    for number, pyramid in ((1, pyramid1), (2, pyramid2)):
        for finer, coarser in pairwise(pyramid):
            expected = tuple((length + 1) // 2 for length in finer.shape[:2])
            if tuple(coarser.shape[:2]) != expected:
                raise PatchBatchError(
                    f"pyramid {number} has a level of {tuple(coarser.shape[:2])} px under one of "
                    f"{tuple(finer.shape[:2])} px; halve and round up, to {expected}"
                )
    for descriptors1, descriptors2 in zip(pyramid1, pyramid2, strict=True):
        check_pair(descriptors1, descriptors2)


def _match_one_way(
    pyramid1: Sequence[torch.Tensor], pyramid2: Sequence[torch.Tensor], settings: CoarseToFineSettings
) -> SeedField:
    height, width, _ = pyramid1[0].shape
    seeds = seed_grid(height, width, settings.step)
    grid, points = (seeds.shape[0], seeds.shape[1]), seeds.reshape(-1, 2)
    top = len(pyramid1) - 1
    level = _Level(pyramid1[top], pyramid2[top], points >> top)
    held = _search_everywhere(level, settings)
    for depth in range(top - 1, -1, -1):
        vectors = 2 * (held.targets - level.points[:, None])
        level = _Level(pyramid1[depth], pyramid2[depth], points >> depth)
        held = _start_from_coarser(level, vectors, settings)
        held = _propagate(level, held, grid, depth, settings)
    return _seed_field(level, held, grid, settings)


def _search_everywhere(level: _Level, settings: CoarseToFineSettings) -> _Hypotheses:
    """Compare every seed with the whole level. Seeds that share a pixel share the answer."""
    width = level.descriptors1.shape[1]
    seed_pixels = level.points[:, 1].astype(np.int64) * width + level.points[:, 0]
    pixels, which = np.unique(seed_pixels, return_inverse=True)
    base = level.descriptors2.reshape(-1, level.descriptors2.shape[2]).float()
    base_norms = base.square().sum(dim=1)
    block = max(1, int(settings.top_megabytes * 1e6 / 4) // len(base))
    found = []
    for first in range(0, len(pixels), block):
        rows = torch.as_tensor(pixels[first : first + block], device=base.device)
        queries = level.descriptors1.reshape(-1, base.shape[1])[rows].float()
        distance = squared_distances(queries, base, queries.square().sum(dim=1), base_norms)
        found.append(_lowest_distinct(distance, level.descriptors2.shape[1], settings))
    targets = np.concatenate([targets for targets, _ in found])
    costs = np.concatenate([costs for _, costs in found])
    return _Hypotheses(targets[which], costs[which])


def _lowest_distinct(
    distance: torch.Tensor, width: int, settings: CoarseToFineSettings
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Pick from each row of `(Q, B)` distances the lowest ones that lie apart; the distances are used up."""
    height = distance.shape[1] // width
    reach = torch.arange(-settings.separation, settings.separation + 1, device=distance.device)
    targets, costs = [], []
    for _ in range(settings.hypotheses):
        lowest, place = distance.min(dim=1)
        x, y = place % width, place // width
        targets.append(torch.stack([x, y], dim=1))
        costs.append(lowest)
        columns = (x[:, None] + reach).clamp(0, width - 1)
        rows = (y[:, None] + reach).clamp(0, height - 1)
        around = rows[:, :, None] * width + columns[:, None, :]
        distance.scatter_(1, around.flatten(1), torch.inf)
    return torch.stack(targets, dim=1).int().cpu().numpy(), torch.stack(costs, dim=1).cpu().numpy()


def _start_from_coarser(
    level: _Level, vectors: NDArray[np.int32], settings: CoarseToFineSettings
) -> _Hypotheses:
    """Try every vector from above and those a pixel beside it: the coarser level knows no better."""
    count = len(level.points)
    targets = level.points[:, None, None] + vectors[:, :, None] + _square(1)
    targets = level.inside(targets.reshape(count, -1, 2))
    asked = targets.copy()
    leave_out_repeats(asked, 0)
    return _distinct(targets, level.costs(asked), settings.separation, settings.hypotheses)


def _propagate(
    level: _Level, held: _Hypotheses, shape: tuple[int, int], depth: int, settings: CoarseToFineSettings
) -> _Hypotheses:
    """Let seeds try the vectors of seeds around them and random ones near their own, once per stride."""
    for number, stride in enumerate(settings.strides):
        neighbours = neighbour_indices(shape[0], shape[1], stride)
        vectors = held.targets[:, 0] - level.points
        offered = level.points[:, None] + vectors[neighbours]
        generator = np.random.default_rng([settings.seed, depth, number])
        radii = np.array(settings.search_radii, dtype=np.int32)[:, None]
        offsets = generator.integers(-radii, radii + 1, size=(len(vectors), len(radii), 2), dtype=np.int32)
        candidates = np.concatenate([offered, held.targets[:, :1] + offsets], axis=1)
        held = held.challenged(level, candidates, settings.separation, settings.hypotheses)
        held = _agree(level, held, shape, settings)
    return held


def _agree(
    level: _Level, held: _Hypotheses, shape: tuple[int, int], settings: CoarseToFineSettings
) -> _Hypotheses:
    """Put first, for every seed, the hypothesis that suits its neighbourhood best."""
    vectors = (held.targets - level.points[:, None]).reshape(*shape, -1, 2)
    beliefs = agreed_beliefs(
        vectors,
        held.costs.reshape(*shape, -1),
        settings.smoothness,
        settings.smoothness_limit,
        settings.smoothness_rounds,
    )
    order = np.argsort(beliefs.reshape(held.costs.shape), axis=1, kind="stable")
    targets = np.take_along_axis(held.targets, order[..., None], axis=1)
    return _Hypotheses(targets, np.take_along_axis(held.costs, order, axis=1))


def _seed_field(
    level: _Level, held: _Hypotheses, shape: tuple[int, int], settings: CoarseToFineSettings
) -> SeedField:
    """Finish on the full image: local search, the rival's cost, and the fraction of a pixel."""
    chosen = _Hypotheses(held.targets[:, :1], held.costs[:, :1])
    chosen = chosen.challenged(level, held.targets[:, :1] + _square(settings.local_radius), 0, 1)
    best, cost = chosen.targets[:, 0], chosen.costs[:, 0]
    far = np.abs(held.targets - chosen.targets).max(axis=-1) >= settings.rival_distance
    second = np.where(far, held.costs, np.inf).min(axis=1).astype(np.float32)
    fraction = subpixel_offsets(level.descriptors1, level.descriptors2, level.points, best)
    vectors = (best - level.points).astype(np.float32) + fraction
    return SeedField(
        level.points.reshape(*shape, 2).astype(np.float32),
        vectors.reshape(*shape, 2),
        cost.reshape(shape),
        second.reshape(shape),
        settings.step,
    )


def _square(radius: int) -> NDArray[np.int32]:
    """Return the offsets of a square, its middle first so that it wins ties, `((2 radius + 1)^2, 2)`."""
    y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    offsets = np.stack([x.ravel(), y.ravel()], axis=1).astype(np.int32)
    return offsets[np.argsort(np.abs(offsets).max(axis=1), kind="stable")]


def _distinct(
    targets: NDArray[np.int32], costs: NDArray[np.float32], separation: int, keep: int
) -> _Hypotheses:
    kept = np.empty((len(targets), keep, 2), np.int32)
    kept_costs = np.empty((len(targets), keep), np.float32)
    keep_distinct(targets, costs, separation, kept, kept_costs)
    return _Hypotheses(kept, kept_costs)
