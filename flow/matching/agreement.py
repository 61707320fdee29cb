"""Choose among the hypotheses of every seed so that neighbours agree: min-sum belief propagation.

The energy is the sum over seeds of `cost / scale` and, over pairs of seeds next to each other, of
`weight * min(|v - v'|, limit)`, where v and v' are the vectors chosen. With two to four hypotheses per seed a
round is a few operations, so the choice is cheap beside the descriptor comparisons. All messages of
a round are computed from those of the round before.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

# Left, right, up, down; a seed's message from `side` was sent by the neighbour towards its `side ^ 1`.
_SIDES = np.array([(-1, 0), (1, 0), (0, -1), (0, 1)], dtype=np.int64)
_VACANT = np.float32(1e6)  # stands for an infinite cost, so that differences stay numbers


@njit(cache=True, nogil=True, parallel=True)
def _exchange(beliefs: Any, messages: Any, vectors: Any, weight: Any, limit: Any, sent: Any) -> None:
    rows, columns, labels = beliefs.shape
    for y in prange(rows):
        for x in range(columns):
            for side in range(4):
                nx, ny = x + _SIDES[side, 0], y + _SIDES[side, 1]
                if nx < 0 or ny < 0 or nx >= columns or ny >= rows:
                    continue
                lowest = np.float32(np.inf)
                for k in range(labels):
                    best = np.float32(np.inf)
                    for j in range(labels):
                        du = np.float32(vectors[y, x, k, 0] - vectors[ny, nx, j, 0])
                        dv = np.float32(vectors[y, x, k, 1] - vectors[ny, nx, j, 1])
                        apart = weight * min(np.sqrt(du * du + dv * dv), limit)
                        best = min(best, beliefs[ny, nx, j] - messages[ny, nx, side ^ 1, j] + apart)
                    sent[y, x, side, k] = best
                    lowest = min(lowest, best)
                for k in range(labels):  # only differences matter; without this the sums grow without end
                    sent[y, x, side, k] -= lowest


def agreed_beliefs(
    vectors: NDArray[np.int32],
    costs: NDArray[np.float32],
    weight: float,
    limit: float,
    rounds: int,
) -> NDArray[np.float32]:
    """Weigh every hypothesis by its own cost and by how well its neighbourhood can live with it.

    Parameters
    ----------
    vectors, costs
        `(G, W, K, 2)` int32 in px and `(G, W, K)` float32, the hypotheses of a grid of seeds.
    weight
        Price of one px of difference between neighbours, in median lowest costs; larger is smoother.
    limit
        px beyond which a difference costs no more, so that motion borders may be sharp.
    rounds
        Messages travel one seed a round. On a single chain of seeds as many rounds as seeds give the exact
        minimum; on a grid the answer is an approximation, as ever with loopy belief propagation.

    Returns
    -------
    `(G, W, K)` float32, lower is better. Hypotheses without a finite cost get a very large number.
    """
    lowest = costs.min(axis=-1)
    finite = lowest[np.isfinite(lowest)]
    scale = max(float(np.median(finite)) if finite.size else 0.0, 1e-12)
    unary: NDArray[np.float32] = np.minimum(costs / np.float32(scale), _VACANT).astype(np.float32)
    messages = np.zeros((*costs.shape[:2], 4, costs.shape[2]), np.float32)
    beliefs = unary
    for _ in range(rounds):
        sent = np.zeros_like(messages)
        _exchange(beliefs, messages, vectors, np.float32(weight), np.float32(limit), sent)
        # Four slices added are several times as fast as a sum over so short an axis.
        messages, beliefs = sent, unary + sent[:, :, 0] + sent[:, :, 1] + sent[:, :, 2] + sent[:, :, 3]
    return beliefs
