"""Choosing among the vectors that seeds may take: all of it in one compiled loop, and step by step."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from flow.matching.costs import candidate_costs, keep_distinct, keep_distinct_of_seed, leave_out_repeats
from patchbatch.compiled import njit, prange
from patchbatch.descriptors.half_precision import number, squared_distance

SEEDS_OF_TASK = 256  # they share the scratch arrays of one thread


@njit(parallel=True)
def choose_on_cpu(
    descriptors1: Any, descriptors2: Any, points: Any, vectors: Any, around: Any,
    held: Any, held_costs: Any, separation: int, kept: Any, kept_costs: Any,
) -> None:  # fmt: skip
    """Do the work of `choose_among` on shared arrays; no list of targets or costs leaves the cache."""
    seeds, known = points.shape[0], held.shape[1]
    most = known + vectors.shape[1] * around.shape[0] + 1  # one more for a repeat at the end
    right, bottom = descriptors2.shape[1] - 1, descriptors2.shape[0] - 1
    for task in prange((seeds + SEEDS_OF_TASK - 1) // SEEDS_OF_TASK):
        tried, costs = np.empty((most, 2), np.int32), np.empty(most, np.float32)
        places = np.empty(most, np.int64)
        query = np.empty(descriptors1.shape[2], np.float32)
        for seed in range(task * SEEDS_OF_TASK, min(seeds, (task + 1) * SEEDS_OF_TASK)):
            x1, y1 = points[seed, 0], points[seed, 1]
            for i in range(query.shape[0]):  # unpacked once, compared many times
                query[i] = number(descriptors1[y1, x1, i])
            for k in range(known):
                x, y = held[seed, k, 0], held[seed, k, 1]
                tried[k, 0], tried[k, 1], costs[k] = x, y, held_costs[seed, k]
                places[k] = (y1 + y) * (right + 1) + x1 + x
            count = known
            for c in range(vectors.shape[1]):
                for a in range(around.shape[0]):
                    x = min(max(x1 + vectors[seed, c, 0] + around[a, 0], 0), right)
                    y = min(max(y1 + vectors[seed, c, 1] + around[a, 1], 0), bottom)
                    places[count] = y * (right + 1) + x
                    # Neighbours mostly agree, so leaving out repeats saves most of the work.
                    if not _among(places[count], places, count):
                        tried[count, 0], tried[count, 1] = x - x1, y - y1
                        count += 1
            for k in range(known, count):  # a loop of its own, for the processor to fetch ahead
                costs[k] = squared_distance(query, descriptors2[y1 + tried[k, 1], x1 + tried[k, 0]])
            keep_distinct_of_seed(tried, costs, count, separation, kept[seed], kept_costs[seed])


@njit()
def _among(place: Any, places: Any, count: Any) -> Any:
    found = False
    for k in range(count):  # without a way out: the loop uses vector registers
        found |= places[k] == place
    return found


def choose_among(
    descriptors1: torch.Tensor,
    descriptors2: torch.Tensor,
    points: NDArray[np.int32],
    vectors: NDArray[np.int32],
    around: NDArray[np.int32],
    held: NDArray[np.int32],
    held_costs: NDArray[np.float32],
    separation: int,
    kept: NDArray[np.int32],
    kept_costs: NDArray[np.float32],
) -> None:
    """Let every seed try vectors and what lies around them beside what it holds, step by step on any device.

    Parameters
    ----------
    descriptors1, descriptors2
        `(H1, W1, D)` and `(H2, W2, D)`.
    points
        `(S, 2)` int32, x then y, seeds of image 1 in px.
    vectors, around
        `(S, C, 2)` and `(A, 2)` int32, px; the sums are tried, their targets moved into image 2.
    held, held_costs
        `(S, K, 2)` int32 and `(S, K)` float32: vectors inside image 2 with known costs, which win ties.
    separation, kept, kept_costs
        See `flow.matching.costs.keep_distinct`; vectors in place of targets.
    """
    height, width = descriptors2.shape[:2]
    last = np.array([width - 1, height - 1], np.int32)
    offered = (vectors[:, :, None] + around).reshape(len(points), -1, 2)
    offered = np.clip(points[:, None] + offered, 0, last) - points[:, None]
    tried = np.concatenate([held, offered], axis=1)
    asked = points[:, None] + tried
    leave_out_repeats(asked, held.shape[1])
    costs = candidate_costs(descriptors1, descriptors2, points, asked)
    costs[:, : held.shape[1]] = held_costs
    keep_distinct(tried, costs, separation, kept, kept_costs)


@njit(parallel=True)
def vectors_nearby(vectors: Any, stride: int, offsets: Any, offered: Any) -> None:
    """Write what seeds offer each other, and vectors near their own.

    Parameters
    ----------
    vectors
        `(G, W, 2)` int32, the vector that each seed believes.
    stride
        How far away, in seeds, the eight neighbours are; beyond the border the nearest seed stands in.
    offsets
        `(G, W, R, 2)` int32, added to a seed's own vector.
    offered
        `(G, W, 8 + R, 2)` int32, written: the neighbours' vectors row by row, then the others.
    """
    rows, columns = vectors.shape[:2]
    for y in prange(rows):
        for x in range(columns):
            k = 0
            for dy in range(-stride, stride + 1, stride):
                for dx in range(-stride, stride + 1, stride):
                    if dx == 0 and dy == 0:
                        continue
                    ny, nx = min(max(y + dy, 0), rows - 1), min(max(x + dx, 0), columns - 1)
                    offered[y, x, k, 0], offered[y, x, k, 1] = vectors[ny, nx, 0], vectors[ny, nx, 1]
                    k += 1
            for r in range(offsets.shape[2]):
                offered[y, x, k + r, 0] = vectors[y, x, 0] + offsets[y, x, r, 0]
                offered[y, x, k + r, 1] = vectors[y, x, 1] + offsets[y, x, r, 1]
