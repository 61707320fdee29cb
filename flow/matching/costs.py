"""The two primitives of the searches by candidates: what candidates cost, and which of them to keep."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from patchbatch.compiled import njit, prange
from patchbatch.descriptors.half_precision import number, shared_array, squared_distance

NOWHERE = -1  # the x of a candidate that is not to be looked at; its cost is infinite
DEVICE_NUMBERS = 1 << 26  # float32 numbers gathered at a time on other devices: 256 MB


@njit(parallel=True)
def _costs_on_cpu(descriptors1: Any, descriptors2: Any, points: Any, targets: Any, costs: Any) -> None:
    for seed in prange(points.shape[0]):
        stored = descriptors1[points[seed, 1], points[seed, 0]]
        query = np.empty(stored.shape[0], np.float32)  # unpacked once, compared many times
        for i in range(query.shape[0]):
            query[i] = number(stored[i])
        for k in range(targets.shape[1]):
            x, y = targets[seed, k, 0], targets[seed, k, 1]
            if x != NOWHERE:
                costs[seed, k] = squared_distance(query, descriptors2[y, x])


def candidate_costs(
    descriptors1: torch.Tensor,
    descriptors2: torch.Tensor,
    points: NDArray[np.int32],
    targets: NDArray[np.int32],
) -> NDArray[np.float32]:
    """Compare each seed's descriptor with those at its candidate targets.

    Parameters
    ----------
    descriptors1, descriptors2
        `(H1, W1, D)` and `(H2, W2, D)`, on one device. The CPU runs a numba loop that reads float32
        and 16-bit numbers in place; other devices gather, `DEVICE_NUMBERS` numbers at a time.
    points
        `(S, 2)` int32, x then y, seeds of image 1 in pixels.
    targets
        `(S, C, 2)` int32, x then y, in pixels inside image 2; x = `NOWHERE` leaves a candidate out.

    Returns
    -------
    `(S, C)` float32, squared L2 distances, summed in float32; infinite for candidates left out.
    """
    costs = np.full(targets.shape[:2], np.inf, np.float32)
    if descriptors1.device.type == "cpu":
        _costs_on_cpu(shared_array(descriptors1), shared_array(descriptors2), points, targets, costs)
        return costs
    per_seed = targets.shape[1] * descriptors1.shape[2]
    for part in np.array_split(np.arange(len(points)), 1 + len(points) * per_seed // DEVICE_NUMBERS):
        costs[part] = gathered_costs(descriptors1, descriptors2, points[part], targets[part])
    return costs


def gathered_costs(
    descriptors1: torch.Tensor,
    descriptors2: torch.Tensor,
    points: NDArray[np.int32],
    targets: NDArray[np.int32],
) -> NDArray[np.float32]:
    """Do the work of `candidate_costs` with torch's indexing, on any device, all at once."""
    device = descriptors1.device
    x1, y1 = torch.as_tensor(points, dtype=torch.int64, device=device).unbind(-1)
    x2, y2 = torch.as_tensor(targets, dtype=torch.int64, device=device).unbind(-1)
    query = descriptors1[y1, x1].float()[:, None]
    found = descriptors2[y2.clamp(min=0), x2.clamp(min=0)].float()
    costs = (query - found).square().sum(dim=-1)
    costs[x2 == NOWHERE] = torch.inf
    result: NDArray[np.float32] = costs.cpu().numpy()
    return result


@njit(parallel=True)
def leave_out_repeats(targets: Any, known: int) -> None:
    """Write `NOWHERE` over candidates that repeat an earlier one of their seed, and over the first `known`.

    The known ones have been compared already. Neighbours mostly agree, so this saves most of the work.
    """
    for seed in prange(targets.shape[0]):
        for k in range(targets.shape[1] - 1, -1, -1):
            repeated = k < known
            for earlier in range(k):
                if targets[seed, earlier, 0] == targets[seed, k, 0] and (
                    targets[seed, earlier, 1] == targets[seed, k, 1]
                ):
                    repeated = True
                    break
            if repeated:
                targets[seed, k, 0] = NOWHERE


@njit(parallel=True)
def keep_distinct(targets: Any, costs: Any, separation: int, kept: Any, kept_costs: Any) -> None:
    """Keep for every seed the cheapest candidates that lie apart from each other, cheapest first.

    Parameters
    ----------
    targets, costs
        `(S, C, 2)` int32 and `(S, C)` float32. Of equal costs the earlier candidate wins.
    separation
        Candidates within this many pixels of a kept one, on both axes, are versions of it: not kept.
    kept, kept_costs
        `(S, K, 2)` int32 and `(S, K)` float32, written. A place that no candidate fills repeats the first
        one and has an infinite cost; where nothing has a finite cost, the first candidate is kept.
    """
    for seed in prange(targets.shape[0]):
        keep_distinct_of_seed(
            targets[seed], costs[seed], targets.shape[1], separation, kept[seed], kept_costs[seed]
        )


@njit()
def keep_distinct_of_seed(
    targets: Any, costs: Any, count: Any, separation: Any, kept: Any, kept_costs: Any
) -> None:
    """Do the work of `keep_distinct` for one seed, on the first `count` of its candidates."""
    for place in range(kept.shape[0]):
        best, best_cost = -1, np.float32(np.inf)
        for k in range(count):
            if not costs[k] < best_cost:
                continue
            free = True
            for other in range(place):
                dx, dy = targets[k, 0] - kept[other, 0], targets[k, 1] - kept[other, 1]
                if -separation <= dx <= separation and -separation <= dy <= separation:
                    free = False
            if free:
                best, best_cost = k, costs[k]
        kept_costs[place] = best_cost
        if best < 0 and place > 0:
            kept[place, 0], kept[place, 1] = kept[0, 0], kept[0, 1]
        else:  # number by number: to copy a row takes seconds to compile
            k = max(best, 0)
            kept[place, 0], kept[place, 1] = targets[k, 0], targets[k, 1]
