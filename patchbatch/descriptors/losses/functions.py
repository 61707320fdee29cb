"""The formulas of the descriptor losses.

`positive` and `negative` are L2 distances D >= 0 of matching and of non-matching pairs, float32 or float64,
any shape. Every loss is the mean over all pairs; over no pairs it is 0, so that a batch without matches
teaches nothing instead of NaN. Options are checked by the classes in `losses`.
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from patchbatch.errors import PatchBatchError

Score = Literal["distance", "squared", "loss"]


def drlim(positive: Tensor, negative: Tensor, margin: float = 100.0) -> Tensor:
    """DrLIM, the "spring": mean of D²/2 over matches and max(0, m - D)²/2 over non-matches.

    The push on a non-match is strongest at D = 0. Source: Hadsell, Chopra, LeCun, CVPR 2006.
    """
    return _mean(*_spring_terms(positive, negative, margin))


def cent_drlim(positive: Tensor, negative: Tensor, margin: float = 100.0) -> Tensor:
    """CENT-DrLIM, the "centrifuge": mean of D² over matches and max(0, m² - D²) over non-matches.

    The push on a non-match grows with its distance up to the margin. Source: Gadot & Wolf, CVPR 2016.
    """
    return _mean(*_centrifuge_terms(positive, negative, margin))


def spread(positive: Tensor, negative: Tensor, biased: bool = True) -> Tensor:
    """SD term: sigma_0 + sigma_1, the standard deviations over the matches and over the non-matches.

    The arguments may be any scores of the pairs. `biased` divides the sum of squares by n, otherwise by
    n - 1; of fewer than two scores the deviation is 0. Source: Gadot & Wolf, CVPR 2016.
    """
    return _deviation(positive, biased) + _deviation(negative, biased)


def drlim_sd(
    positive: Tensor, negative: Tensor, margin: float = 100.0, balance: float = 0.8,
    of: Score = "distance", biased: bool = True,
) -> Tensor:  # fmt: skip
    """DrLIM+SD: λ * DrLIM + (1 - λ) * (sigma_0 + sigma_1), options as in `SpreadOptions`.

    Source: Gadot & Wolf, CVPR 2016, where it is called SPRG+SD.
    """
    pull, push = _spring_terms(positive, negative, margin)
    sigmas = spread(*_scores(positive, negative, pull, push, of), biased)
    return balance * _mean(pull, push) + (1 - balance) * sigmas


def cent_drlim_sd(
    positive: Tensor, negative: Tensor, margin: float = 100.0, balance: float = 0.8,
    of: Score = "distance", biased: bool = True,
) -> Tensor:  # fmt: skip
    """CENT-DrLIM+SD: λ * CENT-DrLIM + (1 - λ) * (sigma_0 + sigma_1), options as in `SpreadOptions`.

    The first term reaches m², the deviation of D only about m: at m = 100 the SD term is a weak regulariser,
    that of D² a strong one. Source: Gadot & Wolf, CVPR 2016.
    """
    pull, push = _centrifuge_terms(positive, negative, margin)
    sigmas = spread(*_scores(positive, negative, pull, push, of), biased)
    return balance * _mean(pull, push) + (1 - balance) * sigmas


def hinge_sd(
    positive: Tensor, negative: Tensor, margin: float = 100.0, balance: float = 0.8,
    of: Literal["distance", "squared"] = "distance", biased: bool = True,
) -> Tensor:  # fmt: skip
    """Triplet hinge + SD: λ * mean of max(0, m + D⁺ - D⁻) + (1 - λ) * (sigma_0 + sigma_1).

    `positive` and `negative` have one shape: entry by entry they share the patch of image 1. A non-match that
    is farther than its match by m is left alone. Options as in `SpreadOptions`. Source: T. Schuster, Wolf,
    Gadot, CVPR 2017; hinge, SD and m = 100 are in the names of the released models, the way they are
    combined is not checked against the paper.

    Raises
    ------
    PatchBatchError
        When the shapes differ: broadcasting would silently make other triplets.
    """
    if positive.shape != negative.shape:
        raise PatchBatchError(
            f"triplets need one non-match per match, not shapes {tuple(positive.shape)} and "
            f"{tuple(negative.shape)}; repeat the matches"
        )
    hinge = F.relu(margin + positive - negative)
    sigmas = spread(*_scores(positive, negative, hinge, hinge, of), biased)
    return balance * _mean(hinge) + (1 - balance) * sigmas


def thresholded_hinge(
    positive: Tensor, negative: Tensor, margin: float = 1.0, threshold: float = 0.3, squared: bool = False
) -> Tensor:
    """Thresholded hinge embedding: mean of max(0, D - t) over matches, max(0, m + t - D) over non-matches.

    A match closer than t is good enough and left alone. With `squared`, D² stands in place of D. Source:
    Bailer, Varanasi, Stricker, CVPR 2017.
    """
    near, far = (positive.square(), negative.square()) if squared else (positive, negative)
    return _mean(F.relu(near - threshold), F.relu(margin + threshold - far))


def siamese(positive: Tensor, negative: Tensor, threshold: float = 50.0, scale: float = 0.1) -> Tensor:
    """Binary classification of pairs: cross entropy of "match" with probability 1 / (1 + exp(s (D - t))).

    Threshold t and scale s are given, not learned: a network whose descriptors are not of unit length sets
    the scale of D itself, so that only s * t matters, and the loss needs no place in the optimiser.
    Source: logistic regression on the distance; the loss that PatchBatch replaces.
    """
    return _mean(F.softplus(scale * (positive - threshold)), F.softplus(scale * (threshold - negative)))


def softmax_matching(similarity: Tensor, target: Tensor, temperature: float = 1.0) -> Tensor:
    """Cross entropy of picking the true match among all candidates (in-batch softmax, InfoNCE).

    Source: van den Oord, Li, Vinyals, arXiv 1807.03748.

    Parameters
    ----------
    similarity
        `(N, M)` similarities of N points to M candidates; -inf leaves a candidate out.
    target
        `(N,)` int64, index of the true candidate of each point.
    temperature
        Similarities are divided by it; a lower one looks more at the nearest wrong candidates.
    """
    return F.cross_entropy(similarity.float() / temperature, target)


def _spring_terms(positive: Tensor, negative: Tensor, margin: float) -> tuple[Tensor, Tensor]:
    return 0.5 * positive.square(), 0.5 * F.relu(margin - negative).square()


def _centrifuge_terms(positive: Tensor, negative: Tensor, margin: float) -> tuple[Tensor, Tensor]:
    return positive.square(), F.relu(margin**2 - negative.square())


def _scores(
    positive: Tensor, negative: Tensor, pull: Tensor, push: Tensor, of: Score
) -> tuple[Tensor, Tensor]:
    """Choose what the deviations are taken of: each pair's distance, its square, or its loss term."""
    if of == "distance":
        return positive, negative
    return (positive.square(), negative.square()) if of == "squared" else (pull, push)


def _mean(*terms: Tensor) -> Tensor:
    joined = torch.cat([term.flatten() for term in terms])
    return joined.sum() / max(1, joined.numel())


def _deviation(scores: Tensor, biased: bool) -> Tensor:
    if scores.numel() < 2:
        return scores.sum() * 0.0
    # The small constant keeps the gradient finite when all scores are equal.
    return (scores.var(correction=0 if biased else 1) + 1e-12).sqrt()
