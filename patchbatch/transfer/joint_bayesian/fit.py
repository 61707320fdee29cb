"""Covariances of the Joint Bayesian model from samples: closed form, EM, and the popular shortcut.

A centred sample is x = mu + eps, with mu ~ N(0, S_mu) drawn once for its class and eps ~ N(0, S_eps) drawn
for itself (Chen, Cao, Wang, Wen and Sun, "Bayesian Face Revisited", ECCV 2012; also known as two-covariance
PLDA). All steps work in the basis where S_eps is the identity and S_mu is diagonal: there a class of m
samples has the posterior variance gamma / (1 + m gamma) along each axis, and no matrix grows with m.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field

import numpy as np
from scipy.linalg import LinAlgError, eigh, svd

from patchbatch.errors import PatchBatchError
from patchbatch.transfer.checks import Booleans, Floats, Integers

logger = logging.getLogger(__name__)

# A within-class variance below this share of the total one counts as none: rounding leaves about 1e-14.
SINGULAR = 1e-10
# EM cannot leave a variance of zero, so it starts from at least this share of the within-class one.
EM_FLOOR = 1e-3


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
    )  # log-likelihood of a sample, one per step; see `step`
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
        variance, basis = eigh(centred.T @ centred)
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


def log_likelihood(stats: ClassStatistics, covariances: Covariances) -> float:
    """Return the log density of the samples under the model, divided by their number."""
    gamma, basis = whiten(covariances)
    return _log_likelihood(stats, np.maximum(gamma, 0), basis)


def _log_likelihood(stats: ClassStatistics, gamma: Floats, basis: Floats) -> float:
    # A class of m samples is m - 1 contrasts ~ N(0, I) and sqrt(m) times its mean ~ N(0, 1 + m gamma).
    means, weights = stats.means @ basis, stats.counts[:, None]
    spread = 1 + weights * gamma
    squares = np.sum(basis * (stats.within @ basis)) + np.sum(weights * means**2 / spread)
    log_volume = -2 * stats.samples * np.linalg.slogdet(basis)[1] + np.sum(np.log(spread))
    constant = stats.samples * len(gamma) * np.log(2 * np.pi)
    return float(-0.5 * (constant + log_volume + squares) / stats.samples)


def step(
    stats: ClassStatistics, now: Covariances, prior: tuple[float, float], posterior_covariance: bool = True
) -> tuple[Covariances, float]:
    """Take one step, and return the objective of the covariances before it.

    Parameters
    ----------
    stats
        Statistics of the samples.
    now
        Covariances before the step.
    prior
        Shrinkage t and scale s: S_eps becomes (1 - t) S_eps + t s I. That is the maximum a posteriori step
        under an inverse Wishart prior, so the objective (log-likelihood and log prior, over N) still rises.
    posterior_covariance
        True: expectation maximisation. False: the shortcut, which takes the latent class means for known.
        It does not climb the likelihood, and it loses every direction of small gamma.

    Returns
    -------
    tuple
        The next covariances, and the objective of `now`.
    """
    gamma, basis = whiten(now)
    gamma = np.maximum(gamma, 0)
    weights = stats.counts[:, None].astype(np.float64)
    means = stats.means @ basis
    variance = gamma / (1 + weights * gamma)
    latent = weights * variance * means
    rest = means - latent
    S_mu = latent.T @ latent / len(means)
    S_eps = (basis.T @ stats.within @ basis + (weights * rest).T @ rest) / stats.samples
    if posterior_covariance:
        S_mu += np.diag(variance.mean(axis=0))
        S_eps += np.diag((weights * variance).sum(axis=0) / stats.samples)
    shrinkage, scale = prior
    back = now.S_eps @ basis
    S_eps = (1 - shrinkage) * _mapped(S_eps, back) + shrinkage * scale * np.eye(len(gamma))
    objective = _log_likelihood(stats, gamma, basis) + _log_prior(basis, shrinkage, scale)
    return Covariances(_mapped(S_mu, back), S_eps), objective


def _mapped(matrix: Floats, back: Floats) -> Floats:
    """Return the matrix in the coordinates of the features, exactly symmetric."""
    result = back @ matrix @ back.T
    return 0.5 * (result + result.T)


def _log_prior(basis: Floats, shrinkage: float, scale: float) -> float:
    """Return the log of the inverse Wishart prior over N, without its constant."""
    log_volume = -2 * np.linalg.slogdet(basis)[1]
    return float(-0.5 * shrinkage / (1 - shrinkage) * (log_volume + scale * np.sum(basis**2)))


def iterate(stats: ClassStatistics, shrinkage: float, method: str, max_iter: int, tol: float) -> FitResult:
    """Repeat `step` until neither covariance changes by more than a share `tol` of its norm.

    Parameters
    ----------
    stats
        Statistics of the samples.
    shrinkage
        Share t of the even part in S_eps at every step.
    method
        `"em"`, from the closed form, or `"shortcut"`, from the plain covariances.
    max_iter
        Most steps.
    tol
        Relative change at which to stop; smaller takes more steps.
    """
    start = (closed_form if method == "em" else plain_covariances)(stats, shrinkage)
    prior = (shrinkage, float(np.trace(start.S_eps)) / len(start.S_eps))
    now, objective, change = lift(start), [], np.inf
    for _ in range(max_iter):
        following, value = step(stats, now, prior, method == "em")
        objective.append(value)
        change = max(_change(now.S_mu, following.S_mu), _change(now.S_eps, following.S_eps))
        now = following
        if change <= tol:
            break
    else:
        logger.warning("%s stopped after %d steps at a relative change of %.1e", method, max_iter, change)
    objective.append(step(stats, now, prior)[1])
    return FitResult(now, objective, bool(change <= tol))


def lift(covariances: Covariances) -> Covariances:
    """Return the covariances with a little variance between classes in every direction."""
    gamma, basis = whiten(covariances)
    back = covariances.S_eps @ basis
    return Covariances((back * np.maximum(gamma, EM_FLOOR)) @ back.T, covariances.S_eps)


def _change(before: Floats, after: Floats) -> float:
    return float(np.linalg.norm(after - before) / max(np.linalg.norm(before), np.finfo(np.float64).tiny))
