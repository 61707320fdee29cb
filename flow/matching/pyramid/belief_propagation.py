"""Choose among the hypotheses of every seed so that neighbours agree: min-sum belief propagation.

The energy is the sum over seeds of `cost / scale` and, over pairs of seeds next to each other, of
`weight * min(|v - v'|, limit)`, where v and v' are the vectors chosen. With two to four hypotheses per seed a
round is a few operations, so the choice is cheap beside the descriptor comparisons. All messages of
a round are computed from those of the round before.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from patchbatch.compiled import njit, prange

LEFT, RIGHT, UP, DOWN = range(4)  # where a message comes from
_VACANT = np.float32(1e6)  # stands for an infinite cost, so that differences stay numbers


@njit(parallel=True)
def _price_differences(u: Any, v: Any, weight: Any, limit: Any, right: Any, down: Any) -> None:
    """Price every hypothesis beside every one of the seed to the right, and of the seed below."""
    rows, labels = u.shape[:2]
    for y in prange(rows):
        for k in range(labels):
            for j in range(labels):
                _price(u[y, k, :-1], v[y, k, :-1], u[y, j, 1:], v[y, j, 1:], weight, limit, right[y, k, j])
                if y < rows - 1:
                    _price(u[y, k], v[y, k], u[y + 1, j], v[y + 1, j], weight, limit, down[y, k, j])


@njit()
def _price(u1: Any, v1: Any, u2: Any, v2: Any, weight: Any, limit: Any, price: Any) -> None:
    for x in range(u1.shape[0]):
        du, dv = u1[x] - u2[x], v1[x] - v2[x]
        price[x] = weight * min(np.sqrt(du * du + dv * dv), limit)


@njit(parallel=True)
def _exchange(beliefs: Any, messages: Any, right: Any, down: Any, sent: Any) -> None:
    """Send messages: `messages` and `sent` are `(4, G, K, W)`, all else as in `_price_differences`.

    The sender leaves out of its belief what the receiver told it. All loops run along a row of seeds.
    """
    rows, labels = beliefs.shape[:2]
    for y in prange(rows):
        for k in range(labels):
            sent[:, y, k] = np.inf
            for j in range(labels):
                belief = beliefs[y, j]
                _offer(belief[:-1], messages[RIGHT, y, j, :-1], right[y, j, k], sent[LEFT, y, k, 1:])
                _offer(belief[1:], messages[LEFT, y, j, 1:], right[y, k, j], sent[RIGHT, y, k, :-1])
                if y > 0:
                    _offer(beliefs[y - 1, j], messages[DOWN, y - 1, j], down[y - 1, j, k], sent[UP, y, k])
                if y < rows - 1:
                    _offer(beliefs[y + 1, j], messages[UP, y + 1, j], down[y, k, j], sent[DOWN, y, k])
        for side in range(4):
            _take_off_lowest(sent[side, y])


@njit()
def _offer(belief: Any, told: Any, price: Any, lowest: Any) -> None:
    for x in range(belief.shape[0]):
        lowest[x] = min(lowest[x], belief[x] - told[x] + price[x])


@njit()
def _take_off_lowest(sent: Any) -> None:
    # Only differences matter; without this the sums grow without end. From beyond the border comes nothing.
    lowest = sent[0].copy()
    for k in range(1, sent.shape[0]):
        for x in range(lowest.shape[0]):
            lowest[x] = min(lowest[x], sent[k, x])
    for k in range(sent.shape[0]):
        for x in range(lowest.shape[0]):
            sent[k, x] = sent[k, x] - lowest[x] if lowest[x] < np.inf else np.float32(0)


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
    rows, columns, labels = costs.shape
    unary = np.ascontiguousarray(np.minimum(costs / np.float32(scale), _VACANT).transpose(0, 2, 1))
    u, v = (np.ascontiguousarray(vectors[..., i].transpose(0, 2, 1), np.float32) for i in (0, 1))
    right = np.empty((rows, labels, labels, columns - 1), np.float32)
    down = np.empty((rows, labels, labels, columns), np.float32)
    _price_differences(u, v, np.float32(weight), np.float32(limit), right, down)
    messages, sent = (np.zeros((4, rows, labels, columns), np.float32) for _ in range(2))
    beliefs = unary
    for _ in range(rounds):
        _exchange(beliefs, messages, right, down, sent)
        messages, sent = sent, messages
        beliefs = unary + messages[0] + messages[1] + messages[2] + messages[3]
    return np.ascontiguousarray(beliefs.transpose(0, 2, 1))


@njit(parallel=True)
def most_believed_first(beliefs: Any, vectors: Any, costs: Any) -> None:
    """Sort hypotheses by belief, all in place; of equal beliefs the earlier hypothesis stays first.

    Parameters
    ----------
    beliefs, vectors, costs
        `(S, K)` float32, see `agreed_beliefs`, `(S, K, 2)` int32 and `(S, K)` float32.
    """
    for seed in prange(beliefs.shape[0]):
        for k in range(1, beliefs.shape[1]):
            belief, cost = beliefs[seed, k], costs[seed, k]
            x, y = vectors[seed, k, 0], vectors[seed, k, 1]
            place = k
            while place > 0 and belief < beliefs[seed, place - 1]:
                beliefs[seed, place], costs[seed, place] = beliefs[seed, place - 1], costs[seed, place - 1]
                # Number by number: to copy a row takes seconds to compile.
                vectors[seed, place, 0] = vectors[seed, place - 1, 0]
                vectors[seed, place, 1] = vectors[seed, place - 1, 1]
                place -= 1
            beliefs[seed, place], costs[seed, place] = belief, cost
            vectors[seed, place, 0], vectors[seed, place, 1] = x, y
