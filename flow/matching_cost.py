"""How much arithmetic the matrix products of matching are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from flow.matching.pyramid.semiglobal import window_reach
from flow.matching.seeds import seed_axis

if TYPE_CHECKING:  # the matcher's settings name those of every method
    from flow.matching.stage import Descriptors, MatchingSettings


def product_flop(descriptors1: Descriptors, descriptors2: Descriptors, settings: MatchingSettings) -> float:
    """Return the floating-point operations of the matrix products that `match` does, both ways.

    That is two for every number of every pair of descriptors that the method has to compare: of all of the
    top level for coarse to fine, of the windows of the volume for semi-global, of the finest level or its
    windows for exact. Arguments as for `match`.

    Candidates that are compared one by one below the top level are not in it, since how many there are
    depends on the images: coarse to fine, about a fifth as much again for a pair of KITTI's size.
    """
    first, second = _finest_to_top(descriptors1), _finest_to_top(descriptors2)
    numbers = first[0].shape[2]
    if settings.method == "exact":
        step, window = settings.exact.step, settings.exact.window
        return 2.0 * numbers * _pairs(first[0], second[0], step, (window, window))
    top = len(first) - 1
    ways = ((first, second), (second, first))
    if settings.method == "semi-global":
        reach = (window_reach(a[top], b[top], top, settings.semiglobal) for a, b in ways)
        pairs = sum(_pairs(a[top], b[top], 1, (y, x)) for (a, b), (x, y) in zip(ways, reach, strict=True))
        return 2.0 * numbers * pairs
    pairs = 0
    for a, b in ways:
        seeds = [seed_axis(side, settings.coarse_to_fine.step) >> top for side in a[0].shape[:2]]
        asked = len(np.unique(seeds[0])) * len(np.unique(seeds[1]))
        pairs += asked * b[top].shape[0] * b[top].shape[1]
    return 2.0 * numbers * pairs


def _finest_to_top(descriptors: Descriptors) -> list[Tensor]:
    return [descriptors] if isinstance(descriptors, Tensor) else list(descriptors)


def _pairs(first: Tensor, second: Tensor, step: int, window: tuple[int | None, int | None]) -> int:
    """Count pairs of a grid of one image with the pixels of the other inside a window, (y, x) px."""
    pairs = 1
    for length1, length2, reach in zip(first.shape[:2], second.shape[:2], window, strict=True):
        places = seed_axis(length1, step)
        pairs *= _met(places, length2, length2 + length1 if reach is None else reach)
    return pairs


def _met(places: NDArray[np.int32], length: int, reach: int) -> int:
    ends = np.minimum(places + reach + 1, length) - np.maximum(places - reach, 0)
    return int(np.maximum(ends, 0).sum())
