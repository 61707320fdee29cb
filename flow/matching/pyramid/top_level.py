"""The exhaustive search at the coarsest level: the few nearest places in image 2 that lie apart."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from flow.matching.exact.search import squared_distances
from flow.matching.pyramid.levels import Hypotheses, Level
from patchbatch.compiled import njit, prange

RUN = 64  # distances whose least one is kept beside them
SIGN = np.int32(0x7FFFFFFF)  # all bits but the sign
INFINITE = np.int32(0x7F800000)  # the bits of an infinite float32


def search_everywhere(level: Level, keep: int, separation: int, block_mb: float) -> Hypotheses:
    """Compare every seed with the whole level. Seeds that share a pixel share the answer.

    Parameters
    ----------
    level
        The coarsest level.
    keep
        Places for each seed.
    separation
        px; places this near to a better one, on both axes, are not kept.
    block_mb
        MB that one block of distances may take.
    """
    height, width, length = level.descriptors1.shape
    seed_pixels = level.points[:, 1].astype(np.int64) * width + level.points[:, 0]
    pixels, which = np.unique(seed_pixels, return_inverse=True)
    asked = torch.as_tensor(pixels, device=level.descriptors1.device)
    queries = level.descriptors1.reshape(height * width, length)[asked].float()
    base = level.descriptors2.reshape(-1, length).float()
    norms1, norms2 = queries.square().sum(dim=1), base.square().sum(dim=1)
    block = max(1, int(block_mb * 1e6 / 4) // len(base))
    lowest = _lowest_on_cpu if base.device.type == "cpu" else lowest_distinct
    found = [
        lowest(
            squared_distances(queries[part], base, norms1[part], norms2),
            level.descriptors2.shape[1], keep, separation,
        )
        for part in (slice(first, first + block) for first in range(0, len(pixels), block))
    ]  # fmt: skip
    targets = np.concatenate([targets for targets, _ in found])[which]
    costs = np.concatenate([costs for _, costs in found])[which]
    return Hypotheses(targets - level.points[:, None], costs)


def lowest_distinct(
    distance: torch.Tensor, width: int, keep: int, separation: int
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Pick from rows of distances the lowest ones that lie apart, with torch alone; reference of the loop.

    Parameters
    ----------
    distance
        `(Q, B)` float32, of an image `width` px wide, none below 0 and none not a number; used up.
    width, keep, separation
        See `search_everywhere`.

    Returns
    -------
    `(Q, keep, 2)` int32, x then y, and `(Q, keep)` float32, cheapest first, of equal ones the first.
    A place that nothing fills has an infinite cost.
    """
    height = distance.shape[1] // width
    reach = torch.arange(-separation, separation + 1, device=distance.device)
    targets, costs = [], []
    for _ in range(keep):
        lowest, place = distance.min(dim=1)
        x, y = place % width, place // width
        targets.append(torch.stack([x, y], dim=1))
        costs.append(lowest)
        columns = (x[:, None] + reach).clamp(0, width - 1)
        rows = (y[:, None] + reach).clamp(0, height - 1)
        around = rows[:, :, None] * width + columns[:, None, :]
        distance.scatter_(1, around.flatten(1), torch.inf)
    return torch.stack(targets, dim=1).int().cpu().numpy(), torch.stack(costs, dim=1).cpu().numpy()


def _lowest_on_cpu(
    distance: torch.Tensor, width: int, keep: int, separation: int
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    targets = np.empty((len(distance), keep, 2), np.int32)
    costs = np.empty((len(distance), keep), np.int32)
    _pick_lowest(distance.view(torch.int32).numpy(), width, separation, targets, costs)
    return targets, costs.view(np.float32)


@njit()
def _least(bits: Any) -> Any:
    least = INFINITE
    for j in range(bits.shape[0]):
        least = min(least, bits[j] & SIGN)  # a zero may have a sign
    return least


@njit(parallel=True)
def _pick_lowest(distance: Any, width: Any, separation: Any, targets: Any, costs: Any) -> None:
    """Do the work of `lowest_distinct` on bits of float32, which order as the numbers do.

    The distances are read once: after that the least ones of runs tell where to look.
    """
    length = distance.shape[1]
    runs, height = (length + RUN - 1) // RUN, length // width
    for i in prange(distance.shape[0]):
        row, least = distance[i], np.empty(runs, np.int32)
        for run in range(runs):
            least[run] = _least(row[run * RUN : min(length, (run + 1) * RUN)])
        for k in range(targets.shape[1]):
            run = int(np.argmin(least))
            place = run * RUN
            while place < min(length, (run + 1) * RUN) - 1 and row[place] & SIGN != least[run]:
                place += 1
            x, y = place % width, place // width
            targets[i, k, 0], targets[i, k, 1], costs[i, k] = x, y, least[run]
            for ny in range(max(0, y - separation), min(height, y + separation + 1)):
                first = ny * width + max(0, x - separation)
                end = ny * width + min(width, x + separation + 1)
                row[first:end] = INFINITE
                for touched in range(first // RUN, (end - 1) // RUN + 1):
                    least[touched] = _least(row[touched * RUN : min(length, (touched + 1) * RUN)])
