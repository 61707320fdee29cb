"""Joint Bayesian: are two vectors of one class, for classes never seen? The model and its estimation."""

from __future__ import annotations

from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import ArrayLike

from patchbatch.errors import PatchBatchError
from patchbatch.transfer.checks import (
    Booleans,
    Floats,
    as_classes,
    as_labels,
    as_same,
    as_samples,
    index_classes,
)
from patchbatch.transfer.joint_bayesian import em, files
from patchbatch.transfer.joint_bayesian import fit as fitting
from patchbatch.transfer.joint_bayesian.calibration import Calibration
from patchbatch.transfer.joint_bayesian.eigen import eigen_form
from patchbatch.transfer.joint_bayesian.fit import Covariances, FitResult
from patchbatch.transfer.joint_bayesian.scoring import JointBayesianScoring

METHODS = ("closed_form", "em", "shortcut")


class JointBayesian(JointBayesianScoring):
    """x = mean + mu + eps: mu ~ N(0, S_mu) once for a class, eps ~ N(0, S_eps) for every sample.

    Singular scatter, the policy: directions without any variance are left out. If the scatter within classes
    is singular in what is left (always so when there are fewer than d + K samples of K classes), the fit is
    refused unless `rank` or `shrinkage` was asked for, because the likelihood has no maximum there.

    Parameters
    ----------
    method
        `"closed_form"`: analysis of variance, unbiased, at once. `"em"`: maximum likelihood, better for
        classes of unequal sizes, many steps. `"shortcut"`: the widespread EM without the posterior
        covariance, to compare with; it loses directions in which S_mu is below about 3/m of S_eps for
        classes of m samples.
    rank
        Most principal directions of all samples to work in; None for all. Lower is steadier with few samples.
    shrinkage
        Share t in [0, 1): S_eps becomes (1 - t) S_eps + t tr(S_eps) / r I. 0: off.
    max_iter
        Most steps of `"em"` and `"shortcut"`.
    tol
        Relative change of the covariances at which they stop.

    Attributes
    ----------
    mean_ : ndarray
        `(d,)`, the mean of all samples.
    S_mu_, S_eps_ : ndarray
        `(d, d)` covariances between and within classes; of rank r where directions were left out.
    gamma_ : ndarray
        `(k,)`, S_mu over S_eps along the directions of the eigen-form, falling, all above 0.
    rank_, n_features_in_, n_iter_, converged_, method_
        r, d, steps taken, whether they ended before `max_iter`, and how the covariances were come by.
    objective_ : ndarray
        Log-likelihood of a sample (with shrinkage: and the log prior) before each step and after the last.
    calibration_ : Calibration
        Scale and offset from `calibrate`; 1 and 0 until then.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> labels = np.repeat(np.arange(200), 5)
    >>> X = 2 * rng.normal(size=(200, 8))[labels] + rng.normal(size=(1000, 8))
    >>> model = JointBayesian().fit(X, labels)
    >>> (model.score(X[0::5], X[1::5]) > model.threshold()).mean() > 0.9
    np.True_
    """

    def __init__(
        self,
        method: str = "closed_form",
        *,
        rank: int | None = None,
        shrinkage: float = 0.0,
        max_iter: int = 500,
        tol: float = 1e-5,
    ) -> None:
        self.method = method
        self.rank = rank
        self.shrinkage = shrinkage
        self.max_iter = max_iter
        self.tol = tol

    def fit(self, X: ArrayLike, y: ArrayLike, method: str | None = None) -> Self:
        """Learn the covariances from labelled samples.

        Parameters
        ----------
        X
            `(N, d)`, finite.
        y
            `(N,)` the class of each, whole numbers or texts; two classes or more, of any sizes, one of them
            with two samples or more.
        method
            As in the constructor, for this fit only; None: the constructor's.

        Returns
        -------
        JointBayesian
            Itself.

        Raises
        ------
        PatchBatchError
            Bad settings, NaN, labels of another kind, one class, no class with two samples, singular scatter.
        """
        method = self._checked_method(method)
        samples = as_samples(X, least=2)
        _, index, counts = index_classes(as_classes(y, "y", len(samples)))
        mean, basis, rotated = self._rotated(samples)
        stats = fitting.class_statistics(rotated, index, counts)
        if method == "closed_form":
            covariances = fitting.closed_form(stats, self.shrinkage)
            result = FitResult(covariances, [em.log_likelihood(stats, covariances)])
        else:
            result = em.iterate(stats, self.shrinkage, method, self.max_iter, self.tol)
        return self._adopt(mean, basis, result, method)

    def fit_pairs(self, a: ArrayLike, b: ArrayLike, same: ArrayLike | None = None) -> Self:
        """Learn from pairs, as patches or descriptors come: row i of `a` and row i of `b`.

        Parameters
        ----------
        a, b
            `(n, d)`, finite.
        same
            `(n,)` booleans: matching or not. The others should be drawn like those the model will meet;
            half the scatter of their differences stands for S_mu + S_eps. None: all match, each pair a
            class of its own, and the closed form.

        Raises
        ------
        PatchBatchError
            As for `fit`, unequal shapes, or pairs of one kind only.
        """
        self._checked_method(None)
        first = as_samples(a, "a")
        second = as_samples(b, "b", width=first.shape[1])
        if len(first) != len(second):
            raise PatchBatchError(f"a has {len(first)} samples and b {len(second)}; give as many of both")
        both = np.concatenate((first, second))
        if same is None:
            return self.fit(both, np.tile(np.arange(len(first)), 2), "closed_form")
        return self._fit_both_kinds(both, as_same(same, len(first)))

    def _fit_both_kinds(self, both: Floats, truth: Booleans) -> Self:
        mean, basis, rotated = self._rotated(both)
        first, second = np.split(rotated, 2)
        result = FitResult(fitting.pair_covariances(first, second, truth, self.shrinkage))
        return self._adopt(mean, basis, result, "pairs")

    @classmethod
    def from_covariances(cls, mean: ArrayLike, S_mu: ArrayLike, S_eps: ArrayLike) -> Self:
        """Make a model of known covariances.

        Parameters
        ----------
        mean
            `(d,)`.
        S_mu
            `(d, d)`, symmetric, positive semidefinite and not zero; may be singular.
        S_eps
            `(d, d)`, symmetric, positive definite.

        Raises
        ------
        PatchBatchError
            The shapes do not fit, NaN, not symmetric, not definite as said.
        """
        centre = as_samples(np.atleast_2d(np.asarray(mean)), "mean")[0]
        between, within = (
            _checked_covariance(value, name, len(centre))
            for value, name in ((S_mu, "S_mu"), (S_eps, "S_eps"))
        )
        smallest, largest = np.linalg.eigvalsh(between)[[0, -1]]
        if smallest < -1e-9 * max(largest, 0):
            raise PatchBatchError(f"S_mu has the eigenvalue {smallest:.3g}; a covariance has none below 0")
        given = FitResult(Covariances(between, within))
        return cls()._adopt(centre, np.eye(len(centre)), given, "given")

    @property
    def mean_(self) -> Floats:
        """Mean of all samples, `(d,)`."""
        return self._form().mean

    @property
    def gamma_(self) -> Floats:
        """Variance between classes over variance within, `(k,)`, falling."""
        return self._form().gamma

    @property
    def S_mu_(self) -> Floats:  # noqa: N802 (the name of the model's matrix)
        """Covariance between classes, `(d, d)`; made when asked for."""
        self._form()
        return np.asarray(self.basis_ @ self.covariances_.S_mu @ self.basis_.T)

    @property
    def S_eps_(self) -> Floats:  # noqa: N802 (the name of the model's matrix)
        """Covariance within a class, `(d, d)`; made when asked for."""
        self._form()
        return np.asarray(self.basis_ @ self.covariances_.S_eps @ self.basis_.T)

    def log_likelihood(self, X: ArrayLike, labels: ArrayLike) -> float:
        """Return the log density of labelled samples `(N, d)`, divided by N; for held-out classes too.

        Directions that the model leaves out are left out here.
        """
        samples = self._samples(X, "X")
        values = as_labels(labels, len(samples))
        if len(values) == 0:
            raise PatchBatchError("X has 0 samples; give 1 or more")
        _, index, counts = np.unique(values, return_inverse=True, return_counts=True)
        stats = fitting.class_statistics((samples - self.mean_) @ self.basis_, index, counts)
        return em.log_likelihood(stats, self.covariances_)

    def save(self, path: str | Path) -> None:
        """Write the model as safetensors; the file holds no code and `load` runs none.

        Raises
        ------
        PatchBatchError
            Not fitted, or the file cannot be written.
        """
        form = self._form()
        files.write_model(
            path,
            {
                "mean": form.mean, "basis": self.basis_, "projection": form.projection, "gamma": form.gamma,
                "S_mu": self.covariances_.S_mu, "S_eps": self.covariances_.S_eps,
                "objective": self.objective_,
                "calibration": np.array([self.calibration_.scale, self.calibration_.offset]),
            },
            {"settings": self.get_params(), "method": self.method_, "converged": self.converged_},
        )  # fmt: skip

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a model that `save` wrote; it gives the same scores to the last bit.

        Raises
        ------
        PatchBatchError
            The file is missing, of another kind, damaged, or holds values that no model has.
        """
        stored = files.read_model(path)
        try:
            model = cls(**stored.notes["settings"])
            model.method_, model.converged_ = str(stored.notes["method"]), bool(stored.notes["converged"])
        except (TypeError, KeyError) as error:
            raise PatchBatchError(f"{path} has settings this version does not know; save it anew") from error
        model.eigen_, model.covariances_ = stored.form, stored.covariances
        model.basis_, model.objective_ = stored.basis, stored.objective
        model.calibration_ = stored.calibration
        model._count()
        return model

    def _checked_method(self, method: str | None) -> str:
        """Return the method to use, after a look at all settings."""
        method = self.method if method is None else method
        if method not in METHODS:
            raise PatchBatchError(f"method is {method!r}; give {', '.join(METHODS)}")
        if not 0 <= self.shrinkage < 1:
            raise PatchBatchError(f"shrinkage is {self.shrinkage}; give 0 or more, below 1")
        if self.max_iter < 1 or self.tol < 0:
            raise PatchBatchError("max_iter must be 1 or more, and tol 0 or more")
        return method

    def _rotated(self, samples: Floats) -> tuple[Floats, Floats, Floats]:
        """Return the mean, the principal basis, and the centred samples in it."""
        mean = samples.mean(axis=0)
        centred = samples - mean
        basis = fitting.principal_basis(centred, self.rank)
        return mean, basis, centred @ basis

    def _adopt(self, mean: Floats, basis: Floats, result: FitResult, method: str) -> Self:
        """Take over covariances as the fitted state."""
        gamma, vectors = fitting.whiten(result.covariances)
        self.eigen_ = eigen_form(mean, basis, gamma, vectors)
        self.basis_, self.covariances_ = basis, result.covariances
        self.objective_, self.converged_ = np.array(result.objective), result.converged
        self.method_, self.calibration_ = method, Calibration()
        self._count()
        return self

    def _count(self) -> None:
        self.n_features_in_, self.rank_ = self.basis_.shape
        self.n_iter_ = max(len(self.objective_) - 1, 0)


def _checked_covariance(values: ArrayLike, name: str, width: int) -> Floats:
    matrix = as_samples(values, name, width=width)
    if len(matrix) != width or not np.allclose(matrix, matrix.T, rtol=1e-8, atol=1e-8 * np.abs(matrix).max()):
        raise PatchBatchError(f"{name} is not a symmetric ({width}, {width}) matrix; give a covariance")
    return 0.5 * (matrix + matrix.T)
