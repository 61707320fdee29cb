"""Covariances of the Joint Bayesian model from samples: what they are made of, and the closed form.

A centred sample is x = mu + eps, with mu ~ N(0, S_mu) drawn once for its class and eps ~ N(0, S_eps) drawn
for itself (Chen, Cao, Wang, Wen and Sun, "Bayesian Face Revisited", ECCV 2012; also known as two-covariance
PLDA). All steps work in the basis where S_eps is the identity and S_mu is diagonal: there a class of m
samples has the posterior variance gamma / (1 + m gamma) along each axis, and no matrix grows with m.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from scipy.linalg import LinAlgError, eigh, svd

from patchbatch.errors import PatchBatchError
from patchbatch.transfer.checks import Booleans, Floats, Integers

# A within-class variance below this share of the total one counts as none: rounding leaves about 1e-14.
SINGULAR = 1e-10


@dataclass(frozen=True)
class Covariances:
    """The two covariances of the model, `(r, r)` each, in squared units of the features."""

    S_mu: Floats  # between classes, positive semidefinite
    S_eps: Floats  # within a class, positive definite


@dataclass(frozen=True)
class ClassStatistics:
    """What a fit needs of the samples, all centred at the mean of all samples."""

    within: Floats  # (r, r), sum over samples of the outer product of their offsets from their class mean
    means: Floats  # (K, r), the class means
    counts: Integers  # (K,), samples of each class

    @property
    def samples(self) -> int:
        """Number of samples N."""
        return int(self.counts.sum())


@dataclass(frozen=True)
class FitResult:
    """Covariances, and how they were come by."""

    covariances: Covariances
    objective: list[float] = field(
        default_factory=list
    )  # log-likelihood of a sample, one per step; see `em.step`
    converged: bool = True  # False: stopped at the limit of steps


def principal_basis(centred: Floats, rank: int | None) -> Floats:
    """Return the leading principal axes of centred samples, without the null space of their scatter.

    Parameters
    ----------
    centred
        `(N, d)`, centred.
    rank
        Most axes to keep; None for all that carry variance.

    Returns
    -------
    ndarray
        `(d, r)` orthonormal, by falling variance.

    Raises
    ------
    PatchBatchError
        The rank is not between 1 and d, or all samples are equal.
    """
    count, features = centred.shape
    if rank is not None and not (isinstance(rank, int | np.integer) and 1 <= rank <= features):
        raise PatchBatchError(
            f"rank is {rank}, with {features} features; give a whole number of 1 to {features}"
        )
    if count < features:  # the scatter matrix would be larger than the samples
        _, scale, axes = svd(centred, full_matrices=False)
        variance, basis = scale**2, axes.T
    else:
        # Only what is asked for: of 2,592 directions, 100 take a third of the time of all.
        wanted = None if rank is None else [features - int(rank), features - 1]
        variance, basis = eigh(centred.T @ centred, subset_by_index=wanted)
        variance, basis = variance[::-1], basis[:, ::-1]
    kept = int(np.sum(variance > max(count, features) * np.finfo(np.float64).eps * variance[0]))
    if kept == 0:
        raise PatchBatchError("all samples are equal; give samples that differ")
    return np.ascontiguousarray(basis[:, : min(kept, rank or kept)])


def class_statistics(centred: Floats, index: Integers, counts: Integers) -> ClassStatistics:
    """Return the statistics of centred samples `(N, r)` whose class numbers are `index` `(N,)`."""
    order = np.argsort(index, kind="stable")
    starts = np.cumsum(counts) - counts
    means = np.add.reduceat(centred[order], starts, axis=0) / counts[:, None]
    offsets = centred - means[index]
    return ClassStatistics(offsets.T @ offsets, means, counts)


def closed_form(stats: ClassStatistics, shrinkage: float) -> Covariances:
    """Return the analysis-of-variance estimate: unbiased, for classes of any sizes.

    S_eps = SSW / (N - K), S_mu = (SSB / (K - 1) - S_eps) / n0 with n0 = (N - sum m_k^2 / N) / (K - 1).
    Directions in which the class means differ less than chance would have them get no variance in S_mu.

    Parameters
    ----------
    stats
        Statistics of the samples.
    shrinkage
        Share t of the even part in S_eps: (1 - t) S_eps + t tr(S_eps) / r I.

    Raises
    ------
    PatchBatchError
        S_eps is singular after shrinkage.
    """
    count, classes = stats.samples, len(stats.counts)
    weights = stats.counts[:, None]
    S_eps = stats.within / (count - classes)
    even_size = (count - np.sum(stats.counts.astype(float) ** 2) / count) / (classes - 1)
    S_mu = ((stats.means * weights).T @ stats.means / (classes - 1) - S_eps) / even_size
    return clip(S_mu, shrink(S_eps, shrinkage), S_mu + S_eps, count - classes)


def plain_covariances(stats: ClassStatistics, shrinkage: float) -> Covariances:
    """Return the covariance of the class means, and SSW / N: where the shortcut is usually started.

    Biased: the first holds S_eps / m beside S_mu, the second is too small by the share K / N.
    """
    offsets = stats.means - stats.means.mean(axis=0)
    S_mu = offsets.T @ offsets / len(offsets)
    S_eps = stats.within / stats.samples
    return clip(S_mu, shrink(S_eps, shrinkage), S_mu + S_eps, stats.samples - len(offsets))


def pair_covariances(first: Floats, second: Floats, same: Booleans, shrinkage: float) -> Covariances:
    """Return the estimate from pairs of both kinds, centred, `(n, r)` each.

    Half the scatter of differences is S_eps over the matching pairs, and S_mu + S_eps over the others.
    """
    differences = first - second
    S_eps = 0.5 * differences[same].T @ differences[same] / same.sum()
    total = 0.5 * differences[~same].T @ differences[~same] / (~same).sum()
    return clip(total - S_eps, shrink(S_eps, shrinkage), total, int(same.sum()))


def shrink(S_eps: Floats, shrinkage: float) -> Floats:
    """Return (1 - t) S_eps + t tr(S_eps) / r I."""
    size = len(S_eps)
    shrunk: Floats = (1 - shrinkage) * S_eps + shrinkage * np.trace(S_eps) / size * np.eye(size)
    return shrunk


def clip(S_mu: Floats, S_eps: Floats, total: Floats, freedom: int) -> Covariances:
    """Set the negative directions of S_mu (against S_eps) to zero; refuse a singular S_eps.

    Clipping in this basis, not in that of S_mu alone, keeps the estimate the same under any invertible map
    of the features.
    """
    size = len(S_eps)
    scale = np.sqrt(np.maximum(np.diag(total + S_eps), np.finfo(np.float64).tiny))
    if eigh(S_eps / np.outer(scale, scale), eigvals_only=True)[0] < SINGULAR:
        raise PatchBatchError(
            f"within-class scatter is singular: {freedom} within-class differences for {size} dimensions; "
            f"give more samples, a rank below {freedom + 1}, or shrinkage above 0"
        )
    gamma, basis = whiten(Covariances(S_mu, S_eps))
    back = S_eps @ basis
    return Covariances((back * np.maximum(gamma, 0)) @ back.T, S_eps)


def whiten(covariances: Covariances) -> tuple[Floats, Floats]:
    """Return gamma `(r,)`, falling, and V `(r, r)` with V^T S_eps V = I and V^T S_mu V = diag(gamma).

    Raises
    ------
    PatchBatchError
        S_eps is not positive definite.
    """
    try:
        gamma, basis = eigh(covariances.S_mu, covariances.S_eps)
    except LinAlgError:
        raise PatchBatchError(
            "S_eps is not positive definite; set shrinkage above 0 or a lower rank"
        ) from None
    return gamma[::-1], np.ascontiguousarray(basis[:, ::-1])
