"""How far to trust a match: a logistic function of its cost, its lead over the rival and its return error.

`python -m benchmarks matching ROOT --fit-confidence` fits the weights anew; `WEIGHTS` holds its answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import astuple
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from flow.matching.settings import ConfidenceWeights
from patchbatch.errors import PatchBatchError

NO_RIVAL = 1.0  # the lead of a match whose search met no rival: as clear as can be
LARGEST_ERROR = 10.0  # px; coming back further off than this is no worse
LARGEST_COST = 8.0  # median costs; looking less alike than this is no worse

NEWTON_STEPS = 50
RIDGE = 1e-3  # of a seed: holds the weights where matches are all right or all wrong


# Logistic regression of "within 3 px of the truth", every pair weighing the same, on the seeds with ground
# truth of 15 pairs: six of KITTI 2015, one of KITTI 2012, two of Sintel in both renderings, two each of
# Middlebury and FlyingChairs. Descriptors of the model `compact`, default coarse-to-fine search. Fitted on
# every second pair only, it ranks the seeds of the others with an area under the ROC curve of 0.95, and
# of those it rates above 0.9 (75 %), 97.9 % are right.
WEIGHTS = ConfidenceWeights(bias=4.09, lead=1.05, error=-2.11, cost=-1.49)

# By model and matcher. What is not here is not calibrated, and is served by `WEIGHTS`.
FITTED: Mapping[tuple[str, str], ConfidenceWeights] = MappingProxyType(
    {("compact", "coarse-to-fine"): WEIGHTS}
)


def match_confidence(
    cost: NDArray[np.float32],
    second_cost: NDArray[np.float32],
    two_way_error: NDArray[np.float32],
    weights: ConfidenceWeights = WEIGHTS,
) -> NDArray[np.float32]:
    """Estimate the probability that matches are within 3 px of the truth.

    Parameters
    ----------
    cost, second_cost
        Any one shape, float32: distance of each match and of its rival, the best at a clearly different
        place; infinite where there is none. Only ratios count, not the length of descriptors. Hand in all
        matches of a pair together: costs are compared with their median.
    two_way_error
        The same shape, px, see `filtering.two_way_error`.
    weights
        Others than the ones that ship, for other descriptors or another search.

    Returns
    -------
    float32 in [0, 1], the same shape. Matches without a finite cost get 0.

    Examples
    --------
    >>> costs, rivals = np.float32([0.1, 0.1, np.inf]), np.float32([0.5, 0.1, 0.5])
    >>> clear, tied, none = match_confidence(costs, rivals, np.float32([0, 9, 0]))
    >>> bool(clear > 0.9 > 0.5 > tied), float(none)
    (True, 0.0)
    """
    confidence = weighted_confidence(confidence_features(cost, second_cost, two_way_error), weights)
    return np.where(np.isfinite(cost), confidence, 0).astype(np.float32)


def weighted_confidence(features: NDArray[np.float64], weights: ConfidenceWeights) -> NDArray[np.float64]:
    """Return the logistic function of features `(..., 3)`, see `confidence_features`: float64 in [0, 1]."""
    bias, *slopes = astuple(weights)
    # Beyond 80 the answer is 0 or 1 in float32 anyway, and the exponential stays a number.
    score = np.clip(bias + features @ np.array(slopes), -80, 80)
    return np.asarray(1 / (1 + np.exp(-score)))


def confidence_features(
    cost: NDArray[np.float32], second_cost: NDArray[np.float32], two_way_error: NDArray[np.float32]
) -> NDArray[np.float64]:
    """Return what the confidence is a function of; arguments as for `match_confidence`.

    Returns
    -------
    float64, the shape of `cost` and 3: the lead over the rival (`rival_lead`); the logarithm of 1 plus the
    return error in px, at most `LARGEST_ERROR`; that of 1 plus the cost in units of the median cost,
    at most `LARGEST_COST`.
    """
    finite = np.isfinite(cost)
    median = float(np.median(cost[finite])) if finite.any() else 0.0
    relative = np.minimum(np.where(finite, cost, 0) / max(median, 1e-12), LARGEST_COST)
    error = np.minimum(two_way_error, LARGEST_ERROR)
    lead = rival_lead(cost, second_cost)
    return np.stack([lead, np.log1p(error), np.log1p(relative)], axis=-1).astype(np.float64)


def fit_confidence(
    features: NDArray[np.float64], right: NDArray[np.bool_], importance: NDArray[np.float64]
) -> ConfidenceWeights:
    """Fit the weights by logistic regression.

    Parameters
    ----------
    features
        `(N, 3)`, see `confidence_features`.
    right
        `(N,)` bool, which matches are within 3 px of the truth.
    importance
        `(N,)` positive, how much each match counts.

    Returns
    -------
    `ConfidenceWeights` that maximise the likelihood, found by Newton's method.

    Raises
    ------
    PatchBatchError
        If there is nothing to fit to: no matches, or all of them right, or all wrong.
    """
    if right.all() or not right.any():
        raise PatchBatchError(
            f"of {right.size} matches {np.count_nonzero(right)} are right; fit the confidence to pairs "
            "that have both right and wrong ones"
        )
    design = np.column_stack([np.ones(len(features)), features])
    importance = importance * (len(importance) / importance.sum())
    weights = np.zeros(design.shape[1])
    for _ in range(NEWTON_STEPS):
        estimate = 1 / (1 + np.exp(-np.clip(design @ weights, -80, 80)))
        slope = design.T @ (importance * (right - estimate)) - RIDGE * weights
        curvature = (design * (importance * estimate * (1 - estimate))[:, None]).T @ design
        step = np.linalg.solve(curvature + RIDGE * np.eye(len(weights)), slope)
        weights += step
        if np.abs(step).max() < 1e-9:
            break
    return ConfidenceWeights(*weights.tolist())


def rival_lead(cost: NDArray[np.float32], second_cost: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return by how much a match beats its rival, in [-1, 1]: `second_cost - cost` over the larger of both.

    0 is a tie, also of two zeros; negative where the rival is cheaper; `NO_RIVAL` where there is none, and 0
    where there is no match.
    """
    both = np.isfinite(cost) & np.isfinite(second_cost)
    first, second = np.where(both, cost, 0), np.where(both, second_cost, 0)
    largest = np.maximum(first, second)
    # Over the larger of the two a true lead is 1 - cost / second_cost, and a rival's lead ends at -1.
    lead = np.divide(second - first, largest, out=np.zeros_like(largest), where=largest > 0)
    lead[np.isfinite(cost) & ~np.isfinite(second_cost)] = NO_RIVAL
    return np.asarray(lead, dtype=np.float32)
