"""PatchMatch: approximate nearest neighbours by random starts, propagation and random search.

`patchmatch` is the sequential form with the settings of the paper's code (Barnes et al., SIGGRAPH 2009;
Gadot & Wolf, CVPR 2016): few passes and a local search, so large motion must come from the random start
and spread. `flow.matching.jump_flood` is the form for parallel machines.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from flow.matching.exact.search import NearestNeighbours, check_pair
from flow.matching.search_settings import PatchMatchSettings
from patchbatch.compiled import njit, prange
from patchbatch.descriptors.half_precision import number, shared_array
from patchbatch.errors import PatchBatchError

EXIT_AFTER = 32  # numbers of a descriptor between two looks at whether the sum is too large already


def patchmatch(
    descriptors1: torch.Tensor, descriptors2: torch.Tensor, settings: PatchMatchSettings | None = None
) -> NearestNeighbours:
    """Find near neighbours for every pixel of both images.

    Both directions start from the same field of random displacements.

    Parameters
    ----------
    descriptors1, descriptors2
        `(H1, W1, D)` and `(H2, W2, D)`, any floating type, on the CPU; the sizes may differ.
    settings
        `PatchMatchSettings`; None takes the defaults.

    Returns
    -------
    `NearestNeighbours`: every pixel has a match, not always the nearest one. The distance is infinite
    where no distance that was tried is a number.

    Raises
    ------
    PatchBatchError
        If the shapes or devices do not fit together, or the descriptors are not on the CPU.
    """
    settings = settings or PatchMatchSettings()
    check_pair(descriptors1, descriptors2)
    if descriptors1.device.type != "cpu":
        raise PatchBatchError(
            f"descriptors are on {descriptors1.device}; PatchMatch runs on the CPU, jump flooding anywhere"
        )
    stored = shared_array(descriptors1), shared_array(descriptors2)
    height1, width1, height2, width2 = (*stored[0].shape[:2], *stored[1].shape[:2])
    size = max(height1, height2), max(width1, width2)
    start_x = size[1] if settings.start_x is None else settings.start_x
    start_y = size[0] if settings.start_y is None else settings.start_y
    radius = float(max(size)) if settings.search_radius is None else settings.search_radius
    start = random_displacements(size, start_x, start_y, settings.seed)
    matches = (
        start_matches(start, (height1, width1), (height2, width2)),
        start_matches(start, (height2, width2), (height1, width1)),
    )
    costs = np.empty((height1, width1), np.float32), np.empty((height2, width2), np.float32)
    _search_both_ways(stored, matches, costs, settings.passes, radius, settings.seed)
    return NearestNeighbours(
        matches[0][..., 1] * width2 + matches[0][..., 0],
        costs[0],
        matches[1][..., 1] * width1 + matches[1][..., 0],
        costs[1],
    )


def random_displacements(shape: tuple[int, int], start_x: int, start_y: int, seed: int) -> NDArray[np.int32]:
    """Draw displacements uniform in +-start_x and +-start_y whole pixels, `(H, W, 2)`, x then y."""
    reach = np.array([start_x, start_y], dtype=np.int32)
    return np.random.default_rng(seed).integers(-reach, reach + 1, size=(*shape, 2), dtype=np.int32)


def start_matches(
    displacements: NDArray[np.int32], shape: tuple[int, int], other: tuple[int, int]
) -> NDArray[np.int32]:
    """Move every pixel of an image of one shape by its displacement, to a place inside the other."""
    y, x = np.indices(shape, dtype=np.int32)
    moved = np.stack([x, y], axis=-1) + displacements[: shape[0], : shape[1]]
    inside: NDArray[np.int32] = np.clip(moved, 0, np.array([other[1] - 1, other[0] - 1], dtype=np.int32))
    return inside


@njit(fastmath={"reassoc", "contract"})
def _squared_distance_below(descriptor1: Any, descriptor2: Any, limit: Any) -> Any:
    total = np.float32(0)
    for first in range(0, descriptor1.shape[0], EXIT_AFTER):
        for i in range(first, min(first + EXIT_AFTER, descriptor1.shape[0])):
            difference = number(descriptor1[i]) - number(descriptor2[i])
            total += difference * difference
        if not total < limit:
            return np.float32(np.inf)
    return total


@njit()
def _random_below(state: Any, count: Any) -> Any:
    # splitmix64 (Steele, Lea & Flood, 2014): a number for each count of calls, on every platform the same.
    state[0] += np.uint64(0x9E3779B97F4A7C15)
    mixed = state[0]
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed ^= mixed >> np.uint64(31)
    return np.int64((mixed >> np.uint64(32)) * np.uint64(count) >> np.uint64(32))


@njit()
def _try_match(query: Any, stored2: Any, x: Any, y: Any, match: Any, cost: Any) -> Any:
    """Take a match that is nearer than what is held; of equal ones the old stays. Return the cost held."""
    found = _squared_distance_below(query, stored2[y, x], cost)
    if found < cost:
        match[0], match[1] = x, y
        return found
    return cost


@njit()
def _search_at_random(query: Any, stored2: Any, match: Any, cost: Any, radius: Any, state: Any) -> Any:
    height, width = stored2.shape[:2]
    while radius >= 1:
        # As in the paper's code the upper ends do not belong to the window.
        left, top = max(0, int(match[0] - radius)), max(0, int(match[1] - radius))
        right, bottom = min(width - 1, int(match[0] + radius)), min(height - 1, int(match[1] + radius))
        x = left + _random_below(state, max(1, right - left))
        y = top + _random_below(state, max(1, bottom - top))
        cost = _try_match(query, stored2, x, y, match, cost)
        radius *= 0.5
    return cost


@njit()
def _pass(stored1: Any, stored2: Any, matches: Any, costs: Any, radius: Any, state: Any, step: Any) -> None:
    """Visit the pixels row by row, forward for a step of 1 and backward for -1."""
    (height, width), (height2, width2) = costs.shape, stored2.shape[:2]
    for row in range(height):
        y = row if step > 0 else height - 1 - row
        for column in range(width):
            x = column if step > 0 else width - 1 - column
            query, match, cost = stored1[y, x], matches[y, x], costs[y, x]
            if column > 0:
                beside = matches[y, x - step]
                across = min(max(beside[0] + step, 0), width2 - 1)
                cost = _try_match(query, stored2, across, beside[1], match, cost)
            if row > 0:
                beside = matches[y - step, x]
                down = min(max(beside[1] + step, 0), height2 - 1)
                cost = _try_match(query, stored2, beside[0], down, match, cost)
            costs[y, x] = _search_at_random(query, stored2, match, cost, radius, state)


@njit()
def _search_one_way(
    stored1: Any, stored2: Any, matches: Any, costs: Any, passes: Any, radius: Any, seed: Any
) -> None:
    for y in range(costs.shape[0]):
        for x in range(costs.shape[1]):
            match = matches[y, x]
            costs[y, x] = _squared_distance_below(
                stored1[y, x], stored2[match[1], match[0]], np.float32(np.inf)
            )
    state = np.array([seed], np.uint64)
    for number_of_pass in range(passes):
        step = 1 if number_of_pass % 2 == 0 else -1
        _pass(stored1, stored2, matches, costs, radius, state, step)


@njit(parallel=True)
def _search_both_ways(stored: Any, matches: Any, costs: Any, passes: Any, radius: Any, seed: Any) -> None:
    for way in prange(2):
        if way == 0:
            _search_one_way(stored[0], stored[1], matches[0], costs[0], passes, radius, 2 * seed)
        else:
            _search_one_way(stored[1], stored[0], matches[1], costs[1], passes, radius, 2 * seed + 1)
