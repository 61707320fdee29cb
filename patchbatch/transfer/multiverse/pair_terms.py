"""Losses over the pairs within a batch, which may stand beside the multiverse loss."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def softmax_over_batch(unit: Tensor, labels: Tensor, temperature: float) -> Tensor:
    """Return the mean surprise at the images of the same class, among all others of the batch.

    Source: Khosla et al., "Supervised contrastive learning", NeurIPS 2020, its L_out.

    Parameters
    ----------
    unit
        `(N, d)` of length 1, float32.
    labels
        `(N,)` class numbers.
    temperature
        Cosines are divided by it.

    Returns
    -------
    Tensor
        A scalar; 0 for a batch without two images of a class.
    """
    itself = torch.eye(len(unit), dtype=torch.bool, device=unit.device)
    # Not -inf: 0 times it, in the sum over those of the same class, would be no number.
    logits = (unit @ unit.T / temperature).masked_fill(itself, -1e9)
    same = (labels[:, None] == labels[None, :]) & ~itself
    count = same.sum(dim=1)
    surprise = -(F.log_softmax(logits, dim=1) * same).sum(dim=1) / count.clamp_min(1)
    return surprise.sum() / (count > 0).sum().clamp_min(1)


def contrastive_over_batch(unit: Tensor, labels: Tensor, margin: float) -> Tensor:
    """Return the mean over same pairs of D² plus the mean over others of max(0, m² - D²).

    Source: the talk's CENT-DrLIM, Gadot & Wolf 2016, without the SD term; of all pairs of a batch.

    Parameters
    ----------
    unit
        `(N, d)` of length 1, so that D² is at most 4.
    labels
        `(N,)` class numbers.
    margin
        m: others farther apart than this are left alone.

    Returns
    -------
    Tensor
        A scalar; a kind of pair that the batch has not counts 0.
    """
    first, second = torch.triu_indices(len(unit), len(unit), offset=1, device=unit.device)
    squared = 2 - 2 * (unit @ unit.T)[first, second]
    same = labels[first] == labels[second]
    near = (squared * same).sum() / same.sum().clamp_min(1)
    far = ((margin**2 - squared).clamp_min(0) * ~same).sum() / (~same).sum().clamp_min(1)
    return near + far
