"""Scoring with a fitted Joint Bayesian model: pairs, all pairs, enrolled people, probabilities."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from patchbatch.errors import PatchBatchError
from patchbatch.transfer.checks import Floats, as_labels, as_numpy, as_same, as_samples
from patchbatch.transfer.joint_bayesian.calibration import Calibration, fit_calibration
from patchbatch.transfer.joint_bayesian.eigen import BLOCK_ROWS, EigenForm, Enrolment
from patchbatch.transfer.parameters import PairEstimator, not_fitted


class JointBayesianScoring(PairEstimator):
    """The half of `JointBayesian` that reads its eigen-form. Scores are log-likelihood ratios in nats.

    A score is log p(a, b | one class) - log p(a, b | two classes), constant included: above 0 the pair is
    likelier of one class. All methods take numpy, torch or lists and give numpy.
    """

    eigen_: EigenForm
    calibration_: Calibration

    def _form(self) -> EigenForm:
        if not hasattr(self, "eigen_"):
            raise not_fitted("this JointBayesian is not fitted; call fit or load first")
        return self.eigen_

    def _samples(self, X: ArrayLike, name: str) -> Floats:
        return as_samples(X, name, width=len(self._form().mean), least=0, model=type(self).__name__)

    def project(self, X: ArrayLike) -> Floats:
        """Return samples `(n, d)` in eigen-form `(n, k)`.

        Variance within a class is 1 in every column, variance between classes falls from left to right.
        Project once and score often: `score_projected` costs O(k) a pair.

        Raises
        ------
        PatchBatchError
            Not fitted, another number of features than at the fit, NaN.
        """
        return self._form().project(self._samples(X, "X"))

    def projection(self, dimension: int) -> NDArray[np.float32]:
        """Return a map to few numbers whose Euclidean distances rank pairs as the scores do.

        With W the result, a score is -|W^T a - W^T b|^2 / 2 plus a term of each sample alone, which varies
        little; the columns are the leading generalised eigenvectors of (S_mu, S_eps), scaled by the root of
        gamma / (1 + 2 gamma).

        Parameters
        ----------
        dimension
            Numbers to keep; more keep more of the score.

        Returns
        -------
        ndarray
            `(d, dimension)` float32; use `descriptors @ W`. The mean cancels in differences.

        Raises
        ------
        PatchBatchError
            Not fitted, or more directions than the model has.
        """
        form = self._form()
        if not 1 <= dimension <= len(form.gamma):
            raise PatchBatchError(
                f"dimension is {dimension}; the model has 1 to {len(form.gamma)} directions"
            )
        return (form.projection * np.sqrt(form.product))[:, :dimension].astype(np.float32)

    def _pair_scores(self, a: ArrayLike, b: ArrayLike) -> Floats:
        form = self._form()
        first, second = form.project(self._samples(a, "a")), form.project(self._samples(b, "b"))
        return form.pair_scores(first, second, None)

    def score_projected(
        self, y1: ArrayLike, y2: ArrayLike, pairs: ArrayLike | None = None
    ) -> NDArray[np.floating]:
        """Return the scores of samples already in eigen-form; the way to score millions of pairs.

        Parameters
        ----------
        y1, y2
            `(n1, k)` and `(n2, k)` from `project`; float32 rows are scored in float32, at twice the speed.
        pairs
            `(n, 2)` integers, rows of `y1` and of `y2`; None: row i against row i.

        Returns
        -------
        ndarray
            `(n,)` in the precision of the rows. NaN in a row gives NaN.

        Raises
        ------
        PatchBatchError
            Not fitted, another width, unequal numbers of rows, pairs outside the rows.
        """
        rows = None if pairs is None else as_numpy(pairs, "pairs")
        return self._form().pair_scores(as_numpy(y1, "y1"), as_numpy(y2, "y2"), rows)

    def score_matrix(
        self,
        a: ArrayLike,
        b: ArrayLike | None = None,
        *,
        out: NDArray[Any] | None = None,
        dtype: Any = np.float32,
        rows: int = BLOCK_ROWS,
    ) -> NDArray[Any]:
        """Return the scores of every row of `a` against every row of `b`.

        Parameters
        ----------
        a, b
            `(n1, d)` and `(n2, d)`; None for `b`: `a` against itself.
        out
            `(n1, n2)` array or `numpy.memmap` of float32 or float64 to write to; None: a new one.
        dtype
            Of the new array: float32 (relative error about 1e-6, 4 n1 n2 bytes) or float64.
        rows
            Rows of `a` at a time. Beside `out` only the projections are held, whatever its size.

        Returns
        -------
        ndarray
            `out`, or the new array.

        Raises
        ------
        PatchBatchError
            Not fitted, another number of features, NaN, `out` of another shape or type.
        """
        y1, y2 = self._two_sides(a, b, rows)
        result = np.empty((len(y1), len(y2)), dtype) if out is None else out
        self._form().fill_matrix(y1, y2, result, rows)
        return result

    def iter_score_matrix(
        self, a: ArrayLike, b: ArrayLike | None = None, *, dtype: Any = np.float32, rows: int = BLOCK_ROWS
    ) -> Iterator[tuple[slice, NDArray[Any]]]:
        """Yield `score_matrix` some rows at a time, as (slice of the rows, their scores `(rows, n2)`).

        One block of `rows * n2` numbers is held at a time; settings and errors as for `score_matrix`.
        """
        y1, y2 = self._two_sides(a, b, rows)
        return self._form().matrix_blocks(y1, y2, dtype, rows)

    def _two_sides(self, a: ArrayLike, b: ArrayLike | None, rows: int) -> tuple[Floats, Floats]:
        if rows < 1:
            raise PatchBatchError(f"rows is {rows}; give 1 or more rows at a time")
        y1 = self._form().project(self._samples(a, "a"))
        return y1, y1 if b is None else self._form().project(self._samples(b, "b"))

    def enrol(self, X: ArrayLike, labels: ArrayLike | None = None) -> Enrolment:
        """Enrol people with one image or several each.

        Parameters
        ----------
        X
            `(n, d)`, at least one sample.
        labels
            `(n,)` integers, who is on which; None: all samples are of one person, who gets the label 0.

        Raises
        ------
        PatchBatchError
            Not fitted, no sample, another number of features, NaN, labels not integers.
        """
        samples = as_samples(X, "X", width=len(self._form().mean))
        people = np.zeros(len(samples), np.int64) if labels is None else as_labels(labels, len(samples))
        return self._form().enrol(self._form().project(samples), people)

    def score_enrolled(self, enrolment: Enrolment, X: ArrayLike) -> Floats:
        """Return the scores `(people, n)` of samples `(n, d)` against every enrolled person.

        All images of a person count as one observation of the same class, which is better than the mean of
        the pair scores. With one image each it is `score_matrix`.
        """
        return self._form().enrolled_scores(enrolment, self._form().project(self._samples(X, "X")))

    def calibrate(self, scores: ArrayLike, same: ArrayLike) -> Calibration:
        """Learn from pairs of known truth how far to trust the scores; `probability` then uses it.

        A model that fits needs none: its scores are log-likelihood ratios. Real classes are seldom Gaussian.

        Parameters
        ----------
        scores
            `(n,)`, of pairs that the model was not fitted on.
        same
            `(n,)` booleans, both kinds present; their shares do not matter.

        Raises
        ------
        PatchBatchError
            Pairs of one kind only, NaN, equal scores, or scores that are lower for same pairs.
        """
        values = as_samples(as_numpy(scores, "scores").reshape(-1, 1), "scores")[:, 0]
        self.calibration_ = fit_calibration(values, as_same(same, len(values)))
        return self.calibration_

    def probability(self, scores: ArrayLike, prior: float = 0.5) -> Floats:
        """Return the probability that pairs of these scores (any shape) are of one class.

        Parameters
        ----------
        scores
            From any of the scoring methods.
        prior
            Share of same pairs where the model is used, in (0, 1); lower lowers the probabilities.
        """
        self._form()
        return self.calibration_.probability(as_numpy(scores, "scores").astype(np.float64), prior)

    def threshold(self, prior: float = 0.5) -> float:
        """Return the score above which "same" is likelier than not, for a share `prior` of same pairs.

        0 for an uncalibrated model and the default.
        """
        self._form()
        return self.calibration_.threshold(prior)
