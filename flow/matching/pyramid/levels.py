"""What the searches on pyramids share: pyramids that fit together, and seeds trying vectors on one level."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray

from flow.matching.exact.search import check_pair
from flow.matching.pyramid.belief_propagation import agreed_beliefs, most_believed_first
from flow.matching.pyramid.candidates import choose_among, choose_on_cpu
from patchbatch.descriptors.half_precision import shared_array
from patchbatch.errors import PatchBatchError

ROUNDING = 1e-4  # of a mean over a million squares
SEEDS_AT_ONCE = 1 << 13  # on devices that list all candidates; bounds their memory


@dataclass(frozen=True)
class Hypotheses:
    """What the seeds hold on one level: distinct vectors `(S, K, 2)` int32, px, costs `(S, K)` float32."""

    vectors: NDArray[np.int32]
    costs: NDArray[np.float32]


@dataclass(frozen=True)
class Level:
    """One level of one direction: descriptors of both images and the seeds on this level, `(S, 2)` px."""

    descriptors1: torch.Tensor
    descriptors2: torch.Tensor
    points: NDArray[np.int32]

    def choose(
        self,
        vectors: NDArray[np.int32],
        around: NDArray[np.int32],
        separation: int,
        keep: int,
        held: Hypotheses | None = None,
    ) -> Hypotheses:
        """Try vectors and what lies around them; keep the cheapest that lie apart, cheapest first.

        Parameters
        ----------
        vectors, around
            `(S, C, 2)` and `(A, 2)` int32, px: each seed tries all sums of its vectors with the offsets.
            Targets outside image 2 are moved to its border.
        separation
            Vectors within this many px of a better one, on both axes, are versions of it: not kept.
        keep
            Hypotheses of a seed, K. Places that nothing fills repeat the first, at an infinite cost.
        held
            Hypotheses that the new ones compete with; their costs are known.
        """
        count = len(self.points)
        if held is None:
            held = Hypotheses(np.empty((count, 0, 2), np.int32), np.empty((count, 0), np.float32))
        kept = Hypotheses(np.empty((count, keep, 2), np.int32), np.empty((count, keep), np.float32))
        if self.descriptors1.device.type == "cpu":
            described = shared_array(self.descriptors1), shared_array(self.descriptors2)
            # Contiguous, or all is compiled once more for arrays that are not.
            asked = (np.ascontiguousarray(each) for each in (vectors, around, held.vectors, held.costs))
            choose_on_cpu(*described, self.points, *asked, separation, kept.vectors, kept.costs)
        else:
            for first in range(0, count, SEEDS_AT_ONCE):
                rows = slice(first, first + SEEDS_AT_ONCE)
                choose_among(
                    self.descriptors1, self.descriptors2, self.points[rows], vectors[rows], around,
                    held.vectors[rows], held.costs[rows], separation, kept.vectors[rows], kept.costs[rows],
                )  # fmt: skip
        return kept


def agreed(
    held: Hypotheses,
    grid: tuple[int, int],
    smoothness: float,
    limit: float,
    rounds: int,
    prices: NDArray[np.float32] | None = None,
) -> Hypotheses:
    """Put first, for every seed of a grid, the hypothesis that suits its neighbourhood best, in place.

    `smoothness`, `limit` and `rounds` are those of `CoarseToFineSettings`. `prices`, `(S, K)`, count as costs
    for the choice alone.
    """
    costs = held.costs if prices is None else np.asarray(held.costs + prices, np.float32)
    vectors = held.vectors.reshape(*grid, -1, 2)
    beliefs = agreed_beliefs(vectors, costs.reshape(*grid, -1), smoothness, limit, rounds)
    most_believed_first(beliefs.reshape(held.costs.shape), held.vectors, held.costs)
    return held


def mean_distance(descriptors1: torch.Tensor, descriptors2: torch.Tensor) -> float:
    """Return the mean squared distance between all descriptors of one image and all of the other.

    0 where they are all the same, but for rounding: nothing is told apart then.
    """
    squares, means = 0.0, []
    for descriptors in (descriptors1, descriptors2):
        rows = descriptors.flatten(0, 1).float()
        numbers = rows.flatten()
        squares += float(numbers @ numbers) / len(rows)  # as one product: no table of squares is made
        means.append(rows.mean(dim=0))
    distance = squares - 2 * float(means[0] @ means[1])
    return distance if distance > ROUNDING * squares else 0.0


def square(radius: int) -> NDArray[np.int32]:
    """Return the offsets of a square, its middle first so that it wins ties, `((2 radius + 1)^2, 2)`."""
    y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    offsets = np.stack([x.ravel(), y.ravel()], axis=1).astype(np.int32)
    return offsets[np.argsort(np.abs(offsets).max(axis=1), kind="stable")]


def check_pyramids(pyramid1: Sequence[torch.Tensor], pyramid2: Sequence[torch.Tensor]) -> None:
    """Raise PatchBatchError unless both have as many levels, fit level by level, and halve, rounding up."""
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
