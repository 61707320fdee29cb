"""From what the nodes chose to every pixel."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flow.completion.motions import flow_of
from flow.completion.nodes import STEP, Nodes
from patchbatch.compiled import njit, prange

_AROUND = 1  # nodes to each side that a pixel asks, so nine
_NEARNESS = 0.7  # a node counts exp(-0.7 d^2), d in steps of the grid
_LEAST_TRUST = 0.1  # an unsure node still counts where there is no other


def read_out(
    nodes: Nodes, models: NDArray[np.float32], right: NDArray[np.float32], hidden: NDArray[np.float32],
    image: NDArray[np.float32], flow: NDArray[np.float32], settled: NDArray[np.bool_], colour_reach: float,
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:  # fmt: skip
    """Let every pixel follow the motion that most of the nodes around it chose.

    A node counts by nearness, by how sure it is and by likeness of colour. The motions that agree
    with the one on which most weight lies are averaged. Settled pixels keep their flow.

    Parameters
    ----------
    nodes
        The grid.
    models
        `(R, C, 10)` float32, centre and model of what each node chose.
    right, hidden
        `(R, C)` float32 in [0, 1], probabilities of each node.
    image
        `(H, W, 3)` float32.
    flow, settled
        `(H, W, 2)` px and `(H, W)`: the interpolated flow and where it is kept.
    colour_reach
        Difference of colours at which a node counts a third.

    Returns
    -------
    flow, right, hidden
        `(H, W, 2)` px, `(H, W)`, `(H, W)`.
    """
    filled, sure = flow.copy(), np.empty(settled.shape, np.float32)
    unseen = np.empty(settled.shape, np.float32)
    origin = np.array([nodes.xs[0], nodes.ys[0]], np.int64)
    _read_out(models, right, hidden, image, settled, origin, np.float32(colour_reach), filled, sure, unseen)
    return filled, sure, unseen


@njit(parallel=True)
def _read_out(
    models: Any, right: Any, hidden: Any, image: Any, settled: Any, origin: Any, colour_reach: Any,
    flow: Any, sure: Any, unseen: Any,
) -> None:  # fmt: skip
    height, width = settled.shape
    for y in prange(height):
        moves = np.empty(((2 * _AROUND + 1) ** 2, 2), np.float32)
        weights, where = np.empty(len(moves), np.float32), np.empty((len(moves), 2), np.int64)
        for x in range(width):
            count = _ask_around(models, right, image, x, y, origin, colour_reach, moves, weights, where)
            if settled[y, x]:
                u, v = flow[y, x, 0], flow[y, x, 1]
            else:
                u, v = _most_agreed(moves, weights, count)
            total = np.float32(1e-9)
            u_sum, v_sum, sure_sum, unseen_sum = np.float32(0), np.float32(0), np.float32(0), np.float32(0)
            for i in range(count):
                apart = (moves[i, 0] - u) ** 2 + (moves[i, 1] - v) ** 2
                weight = weights[i] / (1 + apart) ** 2
                total += weight
                u_sum += weight * moves[i, 0]
                v_sum += weight * moves[i, 1]
                sure_sum += weight * right[where[i, 0], where[i, 1]]
                unseen_sum += weight * hidden[where[i, 0], where[i, 1]]
            sure[y, x], unseen[y, x] = sure_sum / total, unseen_sum / total
            if not settled[y, x]:
                flow[y, x, 0], flow[y, x, 1] = u_sum / total, v_sum / total


@njit()
def _ask_around(
    models: Any, right: Any, image: Any, x: Any, y: Any, origin: Any, colour_reach: Any, moves: Any,
    weights: Any, where: Any,
) -> int:  # fmt: skip
    """Write the motions, weights and places of the nodes around a pixel, and return how many there are."""
    rows, columns = right.shape
    row = math.floor((y - origin[1]) / STEP + 0.5)
    column = math.floor((x - origin[0]) / STEP + 0.5)
    count = 0
    for r in range(max(row - _AROUND, 0), min(row + _AROUND + 1, rows)):
        for c in range(max(column - _AROUND, 0), min(column + _AROUND + 1, columns)):
            model = models[r, c]
            u, v = flow_of(model[2:], np.float32(x) - model[0], np.float32(y) - model[1])
            nx, ny = origin[0] + STEP * c, origin[1] + STEP * r
            away = np.float32((nx - x) ** 2 + (ny - y) ** 2) / (STEP * STEP)
            unlike = np.float32(0)
            for i in range(3):
                unlike += abs(image[y, x, i] - image[ny, nx, i])
            moves[count, 0], moves[count, 1] = u, v
            weights[count] = -_NEARNESS * away - unlike / colour_reach
            where[count, 0], where[count, 1] = r, c
            count += 1
    # By the largest, as they are shares: where no node is of the pixel's colour all are as good as 0.
    largest = weights[:count].max()
    for i in range(count):
        trust = _LEAST_TRUST + right[where[i, 0], where[i, 1]]
        weights[i] = math.exp(weights[i] - largest) * trust
    return count


@njit()
def _most_agreed(moves: Any, weights: Any, count: Any) -> tuple[Any, Any]:
    """Return the motion around which most of the weight lies."""
    best, most = 0, np.float32(-1)
    for j in range(count):
        agreed = np.float32(0)
        for i in range(count):
            apart = (moves[i, 0] - moves[j, 0]) ** 2 + (moves[i, 1] - moves[j, 1]) ** 2
            agreed += weights[i] / (1 + apart)
        if agreed > most:
            best, most = j, agreed
    return moves[best, 0], moves[best, 1]
