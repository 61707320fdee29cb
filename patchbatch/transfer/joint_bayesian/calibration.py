"""From scores of pairs to probabilities: a scale and an offset, learned from pairs of both kinds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit

from patchbatch.errors import PatchBatchError
from patchbatch.transfer.checks import Booleans, Floats


@dataclass(frozen=True)
class Calibration:
    """The log-likelihood ratio of "same" to "not same" as `scale * score + offset`."""

    scale: float = 1.0  # nats per unit of the score, above 0; 1 with offset 0: the score as it is
    offset: float = 0.0  # nats

    def probability(self, scores: Floats, prior: float) -> Floats:
        """Return the probability of "same" given a share `prior` of same pairs, in (0, 1)."""
        return np.asarray(expit(self.scale * scores + self.offset + _log_odds(prior)))

    def threshold(self, prior: float) -> float:
        """Return the score at which the probability is one half."""
        return -(self.offset + _log_odds(prior)) / self.scale


def fit_calibration(scores: NDArray[np.floating], same: Booleans) -> Calibration:
    """Fit the scale and the offset by logistic regression, with both kinds weighted alike.

    The targets are drawn in from 0 and 1 as far as one pair more of each kind would (J. Platt,
    "Probabilistic outputs for support vector machines", 1999), so separable scores give finite values.

    Parameters
    ----------
    scores
        `(n,)`, higher for more alike; not those of the pairs the model was fitted on.
    same
        `(n,)`, both kinds present.

    Raises
    ------
    PatchBatchError
        The scores are equal, or higher for pairs that are not the same.
    """
    centre, spread = float(np.mean(scores)), float(np.std(scores))
    if not spread > 0:
        raise PatchBatchError("all scores are equal; give pairs of different scores to calibrate with")
    z = (np.asarray(scores, np.float64) - centre) / spread
    positives, negatives = int(same.sum()), int((~same).sum())
    target = np.where(same, (positives + 1) / (positives + 2), 1 / (negatives + 2))
    weight = np.where(same, 0.5 / positives, 0.5 / negatives)

    def loss(parameters: Floats) -> tuple[float, Floats]:
        logit = parameters[0] * z + parameters[1]
        error = weight * (expit(logit) - target)
        value = float(np.sum(weight * (np.logaddexp(0, logit) - target * logit)))
        return value, np.array([error @ z, error.sum()])

    slope, level = minimize(loss, np.array([1.0, 0.0]), jac=True, method="BFGS", options={"gtol": 1e-9}).x
    if slope <= 0:
        raise PatchBatchError("scores are not higher for same pairs; check the truth of the pairs")
    return Calibration(float(slope / spread), float(level - slope * centre / spread))


def _log_odds(prior: float) -> float:
    if not 0 < prior < 1:
        raise PatchBatchError(f"prior is {prior}; give a share of same pairs between 0 and 1")
    return float(np.log(prior) - np.log1p(-prior))
