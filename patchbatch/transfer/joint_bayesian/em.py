"""Covariances of the Joint Bayesian model step by step: EM, and the popular shortcut.

The steps work in the basis that `fit` describes, where a class of m samples has the posterior variance
gamma / (1 + m gamma) along each axis.
"""

from __future__ import annotations

import logging

import numpy as np

from patchbatch.transfer.checks import Floats
from patchbatch.transfer.joint_bayesian.fit import (
    ClassStatistics,
    Covariances,
    FitResult,
    closed_form,
    plain_covariances,
    whiten,
)

logger = logging.getLogger(__name__)

# EM cannot leave a variance of zero, so it starts from at least this share of the within-class one.
EM_FLOOR = 1e-3


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
