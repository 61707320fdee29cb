"""The whole of matching: search both ways, check, drop islands, say how sure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from flow.matching.confidence import WEIGHTS, match_confidence
from flow.matching.filtering import remove_small_islands, two_way_error
from flow.matching.matches import Matches
from flow.matching.seeds import DenseMatches
from flow.matching.settings import MatchingSettings
from flow.matching.table import MATCHERS, Matcher
from patchbatch.data.given.descriptors import given_pyramid
from patchbatch.errors import PatchBatchError

Descriptors = torch.Tensor | Sequence[torch.Tensor]


def match(descriptors1: Any, descriptors2: Any, settings: MatchingSettings | None = None) -> Matches:
    """Match two described images and keep what can be believed.

    Parameters
    ----------
    descriptors1, descriptors2
        Pyramids, that is lists of `(H, W, D)` tensors or arrays, the full image first, each level half the
        size of the one before (rounded up), as `describe_pyramid` makes them; or, for methods that look at
        the full image alone, one such tensor each.
    settings
        `MatchingSettings`; None takes the defaults.

    Returns
    -------
    `Matches` on the CPU, row by row through image 1; `cost` is the squared L2 distance of the descriptors.
    Methods that look for nearest neighbours give whole pixels.

    Raises
    ------
    PatchBatchError
        If the descriptors do not fit the method or each other.

    Examples
    --------
    >>> from flow.matching.search_settings import ExactMatcherSettings
    >>> d = torch.eye(12).reshape(3, 4, 12)
    >>> settings = MatchingSettings("exact", ExactMatcherSettings(step=1), smallest_island=1)
    >>> match(d, d, settings).vectors.max()
    np.float32(0.0)
    """
    return judged_matches(descriptors1, descriptors2, settings).matches


def judged_matches(
    descriptors1: Any, descriptors2: Any, settings: MatchingSettings | None = None
) -> JudgedMatches:
    """Do the work of `match`, and keep what it drops beside it. Arguments and errors are the same."""
    first, second = given_pyramid(descriptors1, "descriptors 1"), given_pyramid(descriptors2, "descriptors 2")
    if first[0].shape[2] != second[0].shape[2] or first[0].device != second[0].device:
        raise PatchBatchError(
            f"descriptors 1 have {first[0].shape[2]} numbers on {first[0].device}, descriptors 2 "
            f"{second[0].shape[2]} on {second[0].device}; describe both images by one model"
        )
    single = [isinstance(given, torch.Tensor | np.ndarray) for given in (descriptors1, descriptors2)]
    return match_and_judge(first[0] if single[0] else first, second[0] if single[1] else second, settings)


@dataclass(frozen=True)
class JudgedMatches:
    """Every seed's match in both directions, and what is believed of those of image 1.

    Attributes
    ----------
    dense
        What the search found.
    keep, confidence
        `(G, W)` bool and float32 in [0, 1], of the seeds of image 1.
    """

    dense: DenseMatches
    keep: NDArray[np.bool_]
    confidence: NDArray[np.float32]

    @property
    def matches(self) -> Matches:
        """The matches that are kept, row by row."""
        forward, keep = self.dense.forward, self.keep
        points = forward.points[keep]
        vectors, cost = forward.vectors[keep], forward.cost[keep]
        return Matches(points, points + vectors, cost, self.confidence[keep], keep.size)


def match_and_judge(
    descriptors1: Descriptors, descriptors2: Descriptors, settings: MatchingSettings | None = None
) -> JudgedMatches:
    """Do the work of `judged_matches` on pyramids that need no checks."""
    settings = settings or MatchingSettings()
    dense = match_both_ways(descriptors1, descriptors2, settings)
    return JudgedMatches(dense, *judge(dense, settings))


def judge(dense: DenseMatches, settings: MatchingSettings) -> tuple[NDArray[np.bool_], NDArray[np.float32]]:
    """Say of every seed of image 1 whether its match is believed, and how far: `(G, W)` bool, float32."""
    forward = dense.forward
    error = two_way_error(forward, dense.backward, settings.check_reach)
    keep = np.isfinite(forward.cost) & (error <= settings.check_threshold)
    smallest = min(settings.smallest_island, keep.size // 10)
    keep = remove_small_islands(forward.vectors, keep, settings.island_tolerance, smallest)
    weights = settings.confidence or WEIGHTS
    return keep, match_confidence(forward.cost, forward.second_cost, error, weights)


def match_both_ways(
    descriptors1: Descriptors, descriptors2: Descriptors, settings: MatchingSettings
) -> DenseMatches:
    """Search both ways by the method of the settings; nothing is checked yet. Arguments as for `match`."""
    matcher = MATCHERS[settings.method]
    first, second = (_levels(each, matcher) for each in (descriptors1, descriptors2))
    found: DenseMatches = matcher.load()(first, second, settings.search)
    return found


def _levels(descriptors: Descriptors, matcher: Matcher) -> list[torch.Tensor]:
    if isinstance(descriptors, torch.Tensor):
        if matcher.pyramid:
            raise PatchBatchError(
                f"{matcher.name} matching needs a list of levels for each image; give those or method 'exact'"
            )
        return [descriptors]
    if not descriptors:
        raise PatchBatchError("a pyramid of descriptors is empty; give at least the full image")
    return list(descriptors)
