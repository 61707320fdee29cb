"""Means and deviations over the pairs of a batch, finite for no pair, one pair and equal pairs."""

from __future__ import annotations

import torch
from torch import Tensor


def mean_over_pairs(*terms: Tensor) -> Tensor:
    """Return the mean of all values of all terms, a scalar.

    Over no pairs it is 0, so that a batch without matches teaches nothing instead of NaN.
    """
    joined = torch.cat([term.flatten() for term in terms])
    return joined.sum() / max(1, joined.numel())


def spread(positive: Tensor, negative: Tensor, biased: bool = True) -> Tensor:
    """Return the SD term: sigma_0 + sigma_1, the deviations over the matches and over the non-matches.

    The arguments may be any scores of the pairs. `biased` divides the sum of squares by n, otherwise by
    n - 1; of fewer than two scores the deviation is 0. Source: Gadot & Wolf, CVPR 2016.
    """
    return _deviation(positive, biased) + _deviation(negative, biased)


def _deviation(scores: Tensor, biased: bool) -> Tensor:
    if scores.numel() < 2:
        return scores.sum() * 0.0
    # The small constant keeps the gradient finite when all scores are equal.
    return (scores.var(correction=0 if biased else 1) + 1e-12).sqrt()
