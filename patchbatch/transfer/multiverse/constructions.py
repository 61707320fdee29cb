"""Orthogonal copies of a softmax classifier that are almost as good as it: Theorem 3, made explicit.

The talk moves each class weight along the weakest direction of the representation until it is orthogonal to
the original, which divides by their product and has no limit where that product is 0. Here the part of every
weight in the m − 1 weakest directions is replaced by the corners of a regular simplex, so nothing is divided
by and the loss is bounded by a constant that can be written down.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.linalg import helmert
from scipy.spatial.distance import pdist

from patchbatch.errors import PatchBatchError
from patchbatch.transfer.checks import Floats, as_numpy, as_samples


@dataclass(frozen=True)
class OrthogonalCopies:
    """m classifiers whose weights are orthogonal class by class.

    Attributes
    ----------
    weights
        `(m, d, c)` float64, one column for each class.
    biases
        `(m, c)` float64.
    gap_bound
        At most this much is the cross entropy of all copies, summed over samples and copies, above m times
        that of the given classifier, provided that the given one is a minimiser on these samples.
    """

    weights: Floats
    biases: Floats
    gap_bound: float


def orthogonal_copies(
    representation: ArrayLike, weights: ArrayLike, bias: ArrayLike, copies: int = 2
) -> OrthogonalCopies:
    """Turn one softmax classifier into m that are mutually orthogonal for every class.

    With V the m − 1 weakest directions of the centred representation, λ_l their singular values, g_j the part
    of f_j outside V and w_r the corners of a regular simplex, copy r has weights g_j + √(m−1)·‖g_j‖·V w_r;
    its biases undo what this does to the mean sample. The gap is at most A·Σ λ_l², where A is an eighth of
    Σ_r max_jk ‖δ_j^r − δ_k^r‖² and δ_j^r is the move of class j in V.

    The gap is small only where the weak directions say little about the classes. If a weak direction matters,
    the weights along it are large, and so is A.

    Parameters
    ----------
    representation
        `(n, d)` samples in rows, those that the classifier was fitted to.
    weights, bias
        `(d, c)` and `(c,)`: the logits are `representation @ weights + bias`.
    copies
        m, from 1 to d. More copies reach into stronger directions and cost more.

    Returns
    -------
    OrthogonalCopies
        Copies r ≠ s have f_j^r · f_j^s = 0 for every class j, and all have norm √m·‖g_j‖.

    Raises
    ------
    PatchBatchError
        For shapes that do not fit, numbers that are not finite, or a wrong number of copies.

    Examples
    --------
    >>> samples = [[1.0, 0.0], [-1.0, 0.0], [0.0, 0.1], [0.0, -0.1]]
    >>> made = orthogonal_copies(samples, [[2.0, -2.0], [0.0, 0.0]], [0.0, 0.0])
    >>> float(made.weights[0, :, 0] @ made.weights[1, :, 0])
    0.0
    """
    samples, f, b = _checked(representation, weights, bias, copies)
    mean = samples.mean(axis=0)
    # all d directions are wanted, also where there are fewer samples than features
    _, strengths, rows = np.linalg.svd(samples - mean, full_matrices=len(samples) < samples.shape[1])
    weak = rows[len(rows) - (copies - 1) :].T
    inside = weak.T @ f
    outside = f - weak @ inside
    lengths = np.sqrt(copies - 1) * np.linalg.norm(outside, axis=0)
    moves = simplex(copies)[:, :, None] * lengths - inside
    energy = float((strengths[len(rows) - (copies - 1) :] ** 2).sum())  # absent values are 0
    return OrthogonalCopies(f + weak @ moves, b - (weak.T @ mean) @ moves, _largest_moves(moves) * energy / 8)


def simplex(corners: int) -> Floats:
    """Return the corners of a regular simplex on the unit sphere, centred at 0.

    Parameters
    ----------
    corners
        m ≥ 1.

    Returns
    -------
    ndarray
        `(m, m − 1)` float64, rows of length 1 whose products with each other are −1/(m − 1).
    """
    if corners < 1:
        raise PatchBatchError(f"a simplex has at least one corner, not {corners}")
    if corners == 1:
        return np.zeros((1, 0))
    turned: Floats = helmert(corners).T * np.sqrt(corners / (corners - 1))
    return turned


def _largest_moves(moves: Floats) -> float:
    """Σ_r max_jk ‖δ_j^r − δ_k^r‖² of moves `(m, m − 1, c)`."""
    return sum(float(pdist(move.T, "sqeuclidean").max(initial=0)) for move in moves)


def _checked(
    representation: ArrayLike, weights: ArrayLike, bias: ArrayLike, copies: int
) -> tuple[Floats, Floats, Floats]:
    samples = as_samples(representation, "representation")
    f = as_samples(weights, "weights")
    b = as_numpy(bias, "bias").astype(np.float64)
    width = samples.shape[1]
    if len(f) != width or b.shape != f.shape[1:]:
        raise PatchBatchError(
            f"weights {f.shape} and bias {b.shape} do not fit {width} features; give (d, c) and (c,)"
        )
    if not np.isfinite(b).all():
        raise PatchBatchError("bias holds NaN or infinity; give finite numbers")
    if not 1 <= copies <= width:
        raise PatchBatchError(
            f"{copies} orthogonal copies do not fit into {width} features; give 1 to {width}"
        )
    return samples, f, b
