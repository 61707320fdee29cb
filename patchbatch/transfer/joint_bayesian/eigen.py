"""The Joint Bayesian score in its eigen-form: O(k) a pair, matrix products for all pairs.

With V^T S_eps V = I, V^T S_mu V = diag(gamma) and y = V^T (x - mean), the log-likelihood ratio of "one class"
to "two classes" is, summed over the k directions with gamma > 0,

    a/2 (y1^2 + y2^2) + h y1 y2 + log(1 + gamma) - 1/2 log(1 + 2 gamma),
    a = -gamma^2 / ((1 + gamma)(1 + 2 gamma)),  h = gamma / (1 + 2 gamma).

Directions with gamma = 0 add nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from patchbatch.compiled import njit, prange
from patchbatch.errors import PatchBatchError
from patchbatch.transfer.checks import Floats, Integers

# A direction whose gamma is below this share of the largest adds less than rounding to a score.
NO_GAMMA = 1e-12
BLOCK_ROWS = 512


@njit(fastmath={"reassoc", "contract"})
def _pair_score(first: Any, second: Any, square: Any, product: Any) -> Any:
    # Leave to reorder the sum lets the compiler use vector registers; the order is the same in every
    # thread, so the score does not depend on their number.
    total = square.dtype.type(0)
    for k in range(len(square)):
        one, two = first[k], second[k]
        total += square[k] * (one * one + two * two) + product[k] * (one * two)
    return total


@njit(parallel=True)
def _pair_scores(y1: Any, y2: Any, pairs: Any, square: Any, product: Any, constant: Any, out: Any) -> None:
    for pair in prange(len(out)):
        out[pair] = _pair_score(y1[pairs[pair, 0]], y2[pairs[pair, 1]], square, product) + constant


@dataclass(frozen=True)
class Enrolment:
    """People (or classes) enrolled with one image or several, in eigen-form."""

    labels: Integers  # (P,), sorted
    means: Floats  # (P, k), mean of the images in eigen-form
    counts: Integers  # (P,), images of each


@dataclass(frozen=True)
class EigenForm:
    """The map to the eigen-form, and the scores there.

    Examples
    --------
    >>> form = EigenForm(np.zeros(1), np.eye(1), np.array([1.0]))
    >>> form.pair_scores(np.array([[1.0]]), np.array([[1.0]]), None).round(4)
    array([0.3105])
    """

    mean: Floats  # (d,), in units of the features
    projection: Floats  # (d, k), eigenvectors in columns, by falling gamma
    gamma: Floats  # (k,), variance between classes over variance within, all above 0

    @cached_property
    def half_square(self) -> Floats:
        """The factor a/2 of y1^2 + y2^2, `(k,)`."""
        return -0.5 * self.gamma**2 / ((1 + self.gamma) * (1 + 2 * self.gamma))

    @cached_property
    def product(self) -> Floats:
        """The factor h of y1 y2, `(k,)`."""
        return self.gamma / (1 + 2 * self.gamma)

    @cached_property
    def constant(self) -> float:
        """The part of the score that is the same for every pair."""
        return float(np.sum(np.log1p(self.gamma) - 0.5 * np.log1p(2 * self.gamma)))

    def project(self, X: Floats) -> Floats:
        """Return samples `(n, d)` in eigen-form `(n, k)`, float64."""
        # The mean is taken off first: subtracting two large projections would lose digits.
        return (X - self.mean) @ self.projection

    def pair_scores(self, y1: NDArray[Any], y2: NDArray[Any], pairs: Integers | None) -> NDArray[Any]:
        """Return the log-likelihood ratio of pairs of rows, in the precision of the rows.

        Parameters
        ----------
        y1, y2
            `(n1, k)` and `(n2, k)`, samples in eigen-form; float32 for both, else float64 is computed in.
        pairs
            `(n, 2)`, rows of `y1` and of `y2`; None for row by row.

        Returns
        -------
        ndarray
            `(n,)`.

        Raises
        ------
        PatchBatchError
            Another width, unequal numbers of rows without `pairs`, or rows that are not there.
        """
        dtype = self._common(y1, y2)
        rows = _checked_pairs(len(y1), len(y2), pairs)
        out = np.empty(len(rows), dtype)
        _pair_scores(
            np.ascontiguousarray(y1, dtype), np.ascontiguousarray(y2, dtype), rows,
            self.half_square.astype(dtype), self.product.astype(dtype), dtype.type(self.constant), out,
        )  # fmt: skip
        return out

    def matrix_blocks(
        self, y1: NDArray[Any], y2: NDArray[Any], dtype: Any, rows: int
    ) -> Iterator[tuple[slice, NDArray[Any]]]:
        """Yield the scores of all pairs, some rows of `y1` at a time: (slice of rows, `(rows, n2)`)."""
        first, second = self._factors(y1, y2, dtype)
        for start in range(0, len(first), rows):
            part = slice(start, min(start + rows, len(first)))
            yield part, first[part] @ second

    def fill_matrix(self, y1: NDArray[Any], y2: NDArray[Any], out: NDArray[Any], rows: int) -> None:
        """Write the scores of all pairs to `out` `(n1, n2)`, an array or memory map of floats."""
        if out.shape != (len(y1), len(y2)):
            raise PatchBatchError(f"out has shape {out.shape}; give ({len(y1)}, {len(y2)})")
        if out.dtype not in (np.float32, np.float64):
            raise PatchBatchError(f"out holds {out.dtype}; give float32 or float64")
        first, second = self._factors(y1, y2, out.dtype)
        for start in range(0, len(first), rows):
            np.matmul(first[start : start + rows], second, out=out[start : start + rows])

    def enrol(self, y: Floats, labels: Integers) -> Enrolment:
        """Return the people with these labels, each from all of its rows of `y` `(n, k)`."""
        people, index, counts = np.unique(labels, return_inverse=True, return_counts=True)
        sums = np.zeros((len(people), y.shape[1]))
        np.add.at(sums, index, y)
        return Enrolment(people, sums / counts[:, None], counts.astype(np.int64))

    def enrolled_scores(self, enrolment: Enrolment, y: Floats) -> Floats:
        """Return how much likelier each sample is as one more of the person's than of somebody new.

        Along each direction the next sample of a person with m images of mean b is
        N(m gamma b / (1 + m gamma), 1 + gamma / (1 + m gamma)), that of somebody new N(0, 1 + gamma).

        Parameters
        ----------
        enrolment
            P people.
        y
            `(n, k)`, samples in eigen-form.

        Returns
        -------
        ndarray
            `(P, n)`, log-likelihood ratios.
        """
        self._common(enrolment.means, y)
        count, gamma = enrolment.counts[:, None], self.gamma
        weight = count * gamma / (1 + count * gamma)
        variance = 1 + gamma / (1 + count * gamma)
        expected = weight * enrolment.means
        alone = 0.5 * np.sum(np.log((1 + gamma) / variance) - expected**2 / variance, axis=1)
        curvature = 0.5 * (1 / (1 + gamma) - 1 / variance)
        scores: Floats = alone[:, None] + (expected / variance) @ y.T + curvature @ (y**2).T
        return scores

    def _factors(self, y1: NDArray[Any], y2: NDArray[Any], dtype: Any) -> tuple[NDArray[Any], NDArray[Any]]:
        """Return two matrices whose product scores all pairs: two extra columns carry the squares."""
        self._common(y1, y2)
        own1, own2 = (y1**2) @ self.half_square, (y2**2) @ self.half_square + self.constant
        first = np.column_stack((y1 * self.product, own1, np.ones(len(y1)))).astype(dtype)
        second = np.column_stack((y2, np.ones(len(y2)), own2)).astype(dtype)
        return first, second.T

    def _common(self, y1: NDArray[Any], y2: NDArray[Any]) -> np.dtype[Any]:
        """Check the widths, and return the precision to compute in."""
        width = len(self.gamma)
        for rows in (y1, y2):
            if rows.ndim != 2 or rows.shape[1] != width:
                raise PatchBatchError(f"eigen-form has shape {rows.shape}; give (n, {width}) from project")
        single = y1.dtype == np.float32 and y2.dtype == np.float32
        return np.dtype(np.float32 if single else np.float64)


def _checked_pairs(count1: int, count2: int, pairs: Integers | None) -> Integers:
    """Return the rows of both sides, `(n, 2)`; the kernel itself does not look at bounds."""
    if pairs is None:
        if count1 != count2:
            raise PatchBatchError(f"{count1} samples against {count2}; give as many of both, or pairs")
        return np.repeat(np.arange(count1), 2).reshape(-1, 2)
    if pairs.ndim != 2 or pairs.shape[1] != 2 or pairs.dtype.kind not in "iu":
        raise PatchBatchError(f"pairs have shape {pairs.shape} and type {pairs.dtype}; give integers (n, 2)")
    if len(pairs) and (pairs.min() < 0 or (pairs.max(axis=0) >= (count1, count2)).any()):
        raise PatchBatchError(f"pairs name rows outside 0 to {count1 - 1} and 0 to {count2 - 1}")
    return np.ascontiguousarray(pairs, np.int64)


def eigen_form(mean: Floats, basis: Floats, gamma: Floats, vectors: Floats) -> EigenForm:
    """Keep the directions with gamma > 0 and carry them to the features.

    Parameters
    ----------
    mean, basis
        `(d,)` and `(d, r)`, the subspace of the model.
    gamma, vectors
        `(r,)`, falling, and `(r, r)`: eigenvalues and eigenvectors there.

    Raises
    ------
    PatchBatchError
        No direction is left.
    """
    kept = int(np.sum(gamma > NO_GAMMA * max(gamma[0], 0))) if gamma[0] > 0 else 0
    if kept == 0:
        raise PatchBatchError("class means differ no more than chance would have them; check the labels")
    return EigenForm(mean, np.ascontiguousarray(basis @ vectors[:, :kept]), gamma[:kept].copy())
