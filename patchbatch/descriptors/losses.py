"""What the descriptors learn from: distances of matching and non-matching pairs.

`positive` and `negative` are L2 distances D >= 0, any shape; all losses are means over their pairs.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def drlim(positive: Tensor, negative: Tensor, margin: float = 100.0) -> Tensor:
    """DrLIM, the "spring": mean of D²/2 over matches and max(0, m - D)²/2 over non-matches.

    Source: Hadsell, Chopra, LeCun, CVPR 2006.
    """
    pull = 0.5 * positive.square()
    push = 0.5 * F.relu(margin - negative).square()
    return torch.cat([pull.flatten(), push.flatten()]).mean()


def cent_drlim(positive: Tensor, negative: Tensor, margin: float = 100.0) -> Tensor:
    """CENT-DrLIM, the "centrifuge": mean of D² over matches and max(0, m² - D²) over non-matches.

    The push on a non-match grows with its distance up to the margin. Source: Gadot & Wolf, CVPR 2016.
    """
    pull = positive.square()
    push = F.relu(margin**2 - negative.square())
    return torch.cat([pull.flatten(), push.flatten()]).mean()


def spread(positive: Tensor, negative: Tensor) -> Tensor:
    """SD term: standard deviation of D over the batch's matches plus that over its non-matches.

    The talk does not say of what the deviation is taken, nor how it is normalised: here D, biased.
    Source: Gadot & Wolf, CVPR 2016.
    """
    # The small constant keeps the gradient finite when all distances are equal.
    sigma_0 = (positive.var(unbiased=False) + 1e-12).sqrt()
    sigma_1 = (negative.var(unbiased=False) + 1e-12).sqrt()
    return sigma_0 + sigma_1


def cent_drlim_sd(positive: Tensor, negative: Tensor, margin: float = 100.0, balance: float = 0.8) -> Tensor:
    """CENT-DrLIM+SD: balance * CENT-DrLIM + (1 - balance) * (sigma_0 + sigma_1).

    Parameters
    ----------
    positive, negative
        L2 distances of matching and of non-matching pairs of one batch.
    margin
        m, in units of distance; non-matches beyond it are left alone. 100 in the 2016 models.
    balance
        λ in [0, 1]; 1 switches the SD term off. The paper's value is not in the talk.
    """
    return balance * cent_drlim(positive, negative, margin) + (1 - balance) * spread(positive, negative)


def softmax_matching(similarity: Tensor, target: Tensor) -> Tensor:
    """Cross entropy of picking the true match among all candidates (in-batch softmax, InfoNCE).

    Parameters
    ----------
    similarity
        `(N, M)` scaled similarities of N points to M candidates; -inf leaves a candidate out.
    target
        `(N,)` int64, index of the true candidate of each point.
    """
    return F.cross_entropy(similarity.float(), target)
