"""Semi-global aggregation: the costs of labels smoothed along straight paths from many directions.

On a path the cost of a label is its own plus the cheapest way to get there from the pixel before,

    L(p, l) = C(p, l) + min over l' of (L(q, l') + price(l, l')) - min over l' of L(q, l'),

and the sum over the directions stands for the cost of the label in its whole surroundings (Hirschmüller, IEEE
PAMI 30(2), 2008; for 2-D labels as in DCFlow: Xu, Ranftl & Koltun, CVPR 2017). Paths of one direction do not
touch, so they run in parallel and the sums do not depend on the number of threads.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from patchbatch.compiled import njit, prange

DIRECTIONS = ((1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (-1, -1), (1, -1), (-1, 1))
VACANT = np.float32(1e6)  # stands for an infinite cost, so that differences stay numbers

# Minima may be taken in any order, and nothing here is NaN: what it takes for vector registers.
_FAST = {"nnan", "nsz", "reassoc", "contract"}


def aggregate_volume(
    volume: NDArray[np.uint8], small_penalty: int, large_penalty: int, directions: int
) -> NDArray[np.uint16]:
    """Sum the path costs of a full window of 2-D labels.

    Parameters
    ----------
    volume
        `(H, W, V, U)` uint8, the cost of the label (u, v) at each pixel.
    small_penalty
        Price of a step to one of the four labels beside.
    large_penalty
        Price of any other change of label, at most 7000.
    directions
        The first so many of `DIRECTIONS`.

    Returns
    -------
    `(H, W, V, U)` uint16. Memory: twice the volume's.
    """
    total = np.zeros(volume.shape, np.uint16)
    prices = np.float32(small_penalty), np.float32(large_penalty)
    rows, columns = volume.shape[:2]
    for dx, dy in DIRECTIONS[:directions]:
        _volume_paths(volume, path_starts(rows, columns, dx, dy), dx, dy, *prices, total)
    return total


def aggregate_lists(
    vectors: NDArray[np.float32],
    costs: NDArray[np.float32],
    small_penalty: float,
    large_penalty: float,
    directions: int,
) -> NDArray[np.float32]:
    """Sum the path costs of labels that every pixel lists for itself.

    Parameters
    ----------
    vectors
        `(H, W, 2, L)` float32, px: the labels of each pixel, x then y.
    costs
        `(H, W, L)` float32, finite; `VACANT` for a place in the list that is not used.
    small_penalty
        Price of one px of difference, on either axis, between the labels of pixels next to each other.
    large_penalty
        The highest price.
    directions
        The first so many of `DIRECTIONS`.

    Returns
    -------
    `(H, W, L)` float32. Time grows with L squared.
    """
    total = np.zeros(costs.shape, np.float32)
    prices = np.float32(small_penalty), np.float32(large_penalty)
    rows, columns, _ = costs.shape
    for dx, dy in DIRECTIONS[:directions]:
        _list_paths(vectors, costs, path_starts(rows, columns, dx, dy), dx, dy, *prices, total)
    return total


def path_starts(rows: int, columns: int, dx: int, dy: int) -> NDArray[np.int32]:
    """Return the pixels that have none before them in a direction, `(N, 2)` int32, x then y."""
    y, x = np.mgrid[:rows, :columns]
    before_x, before_y = x - dx, y - dy
    outside = (before_x < 0) | (before_y < 0) | (before_x >= columns) | (before_y >= rows)
    return np.stack([x[outside], y[outside]], axis=1).astype(np.int32)


@njit(fastmath=_FAST)
def _volume_step(costs: Any, before: Any, now: Any, lowest: Any, small: Any, large: Any, total: Any) -> Any:
    """Go on by one pixel; `before` and `now` have a border, so that every label has four beside it."""
    new_lowest = VACANT
    for v in range(costs.shape[0]):
        for u in range(costs.shape[1]):
            across = min(before[v + 1, u], before[v + 1, u + 2])
            along = min(before[v, u + 1], before[v + 2, u + 1])
            best = min(before[v + 1, u + 1], min(across, along) + small, lowest + large)
            value = np.float32(costs[v, u]) + best - lowest
            now[v + 1, u + 1] = value
            new_lowest = min(new_lowest, value)
            total[v, u] += np.uint16(value)
    return new_lowest


@njit(parallel=True)
def _volume_paths(volume: Any, starts: Any, dx: int, dy: int, small: Any, large: Any, total: Any) -> None:
    rows, columns, count_v, count_u = volume.shape
    for path in prange(starts.shape[0]):
        before = np.full((count_v + 2, count_u + 2), VACANT, np.float32)
        now = np.full((count_v + 2, count_u + 2), VACANT, np.float32)
        before[1:-1, 1:-1] = 0
        lowest = np.float32(0)
        x, y = starts[path, 0], starts[path, 1]
        while 0 <= x < columns and 0 <= y < rows:
            lowest = _volume_step(volume[y, x], before, now, lowest, small, large, total[y, x])
            before, now = now, before
            x += dx
            y += dy


@njit(fastmath=_FAST)
def _cheapest_way(u: Any, v: Any, vectors: Any, before: Any, small: Any, most: Any) -> Any:
    best = most
    for j in range(before.shape[0]):
        apart = abs(u - vectors[0, j]) + abs(v - vectors[1, j])
        best = min(best, before[j] + small * apart)
    return best


@njit(parallel=True)
def _list_paths(
    vectors: Any, costs: Any, starts: Any, dx: int, dy: int, small: Any, large: Any, total: Any
) -> None:
    rows, columns, labels = costs.shape
    for path in prange(starts.shape[0]):
        x, y = starts[path, 0], starts[path, 1]
        before, now = costs[y, x].copy(), np.empty(labels, np.float32)
        total[y, x] += before
        x += dx
        y += dy
        while 0 <= x < columns and 0 <= y < rows:
            lowest = before.min()
            for k in range(labels):
                u, v = vectors[y, x, 0, k], vectors[y, x, 1, k]
                way = _cheapest_way(u, v, vectors[y - dy, x - dx], before, small, lowest + large)
                now[k] = costs[y, x, k] + way - lowest
                total[y, x, k] += now[k]
            before, now = now, before
            x += dx
            y += dy


@njit(parallel=True)
def lowest_labels(total: Any, separation: int, kept: Any) -> None:
    """Find at each pixel the lowest labels that lie apart from each other, the lowest first.

    Parameters
    ----------
    total
        `(H, W, V, U)`, any number type.
    separation
        Labels within this many px of a kept one, on both axes, are versions of it.
    kept
        `(H, W, K, 2)` int32, written: column and row of the label in the window. Where fewer than K lie apart
        the first is repeated.
    """
    rows, columns, count_v, count_u = total.shape
    for y in prange(rows):
        for x in range(columns):
            for place in range(kept.shape[2]):
                best_u, best_v, found = kept[y, x, 0, 0], kept[y, x, 0, 1], False
                for v in range(count_v):
                    for u in range(count_u):
                        if found and total[y, x, v, u] >= total[y, x, best_v, best_u]:
                            continue
                        free = True
                        for other in range(place):
                            far_u = abs(u - kept[y, x, other, 0]) > separation
                            free = free and (far_u or abs(v - kept[y, x, other, 1]) > separation)
                        if free:
                            best_u, best_v, found = u, v, True
                kept[y, x, place, 0], kept[y, x, place, 1] = best_u, best_v
