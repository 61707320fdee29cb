"""Made classes with known covariances, and slow obvious forms of what the model computes."""

import numpy as np
from scipy.stats import multivariate_normal


def random_covariance(rng, size, rank=None):
    factor = rng.normal(size=(size, 2 * size if rank is None else rank))
    return factor @ factor.T / factor.shape[1]


def draw_classes(rng, sizes, S_mu, S_eps, mean=0.0):
    """Return samples (N, d) and labels (N,) of classes of these sizes."""
    labels = np.repeat(np.arange(len(sizes)), sizes)
    class_means = rng.normal(size=(len(sizes), len(S_mu))) @ _root(S_mu)
    return mean + class_means[labels] + rng.normal(size=(len(labels), len(S_mu))) @ _root(S_eps), labels


def _root(covariance):
    values, axes = np.linalg.eigh(covariance)
    return (axes * np.sqrt(np.maximum(values, 0))) @ axes.T


def stacked_covariance(S_mu, S_eps, m):
    """Covariance of m samples of one class, one after the other."""
    return np.kron(np.ones((m, m)), S_mu) + np.kron(np.eye(m), S_eps)


def log_density(samples, S_mu, S_eps):
    """Log density of the centred samples (m, d) of one class."""
    return multivariate_normal(cov=stacked_covariance(S_mu, S_eps, len(samples))).logpdf(samples.ravel())


def density_ratio(enrolled, probe, S_mu, S_eps):
    """Log ratio of "the probe is of the class of the enrolled" to "of another", by Gaussian densities."""
    together = np.vstack((enrolled, probe))
    return (
        log_density(together, S_mu, S_eps)
        - log_density(np.atleast_2d(enrolled), S_mu, S_eps)
        - log_density(np.atleast_2d(probe), S_mu, S_eps)
    )


def relative_error(estimate, truth):
    return np.linalg.norm(estimate - truth) / np.linalg.norm(truth)


def equal_error_rate(same_scores, other_scores):
    """Rate at which misses and false alarms meet, over all thresholds."""
    thresholds = np.sort(np.concatenate((same_scores, other_scores)))
    misses = np.searchsorted(np.sort(same_scores), thresholds) / len(same_scores)
    alarms = 1 - np.searchsorted(np.sort(other_scores), thresholds) / len(other_scores)
    at = np.argmin(np.abs(misses - alarms))
    return (misses[at] + alarms[at]) / 2
