"""How far to trust a match: a logistic function of its return error and of its lead over the rival."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

NO_RIVAL = 1.0  # the lead of a match whose search met no rival: as clear as can be
LARGEST_ERROR = 10.0  # px; coming back further off than this is no worse

# Logistic regression of "within 3 px of the truth", every pair weighing the same, on the seeds with ground
# truth of 15 pairs: six of KITTI 2015, one of KITTI 2012, two of Sintel in both renderings, two each of
# Middlebury and FlyingChairs. Descriptors: 128 gradient histograms; default coarse-to-fine search, errors
# from the cell hit. Fitted on every second pair only, it ranks the seeds of the others with an area under
# the ROC curve of 0.92, and of those it rates above 0.9 (87 %), 97.5 % are right.
BIAS, LEAD_WEIGHT, ERROR_WEIGHT = 2.92, 0.95, 2.60


def match_confidence(
    cost: NDArray[np.float32], second_cost: NDArray[np.float32], two_way_error: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Estimate the probability that matches are within 3 px of the truth.

    Parameters
    ----------
    cost, second_cost
        Any one shape, float32: distance of each match and of its rival, the best at a clearly different
        place; infinite where there is none. Only their ratio counts, not the length of descriptors.
    two_way_error
        The same shape, px, see `filtering.two_way_error`.

    Returns
    -------
    float32 in [0, 1], the same shape: falls with the error, rises with the lead, see `rival_lead`.
    Matches without a finite cost get 0.
    """
    lead = rival_lead(cost, second_cost)
    error = np.minimum(two_way_error, LARGEST_ERROR)
    score = BIAS + LEAD_WEIGHT * lead - ERROR_WEIGHT * np.log1p(error)
    confidence = np.where(np.isfinite(cost), 1 / (1 + np.exp(-score)), 0)
    return np.asarray(confidence, dtype=np.float32)


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
