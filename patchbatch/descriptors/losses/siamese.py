"""Binary classification of pairs by their distance."""

from __future__ import annotations

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor

from patchbatch.descriptors.losses.options import SiameseOptions
from patchbatch.descriptors.losses.statistics import mean_over_pairs


@dataclass(frozen=True)
class Siamese(SiameseOptions):
    """Cross entropy of "match" with probability 1 / (1 + exp(s (D - t))), the mean over all pairs.

    Threshold t and scale s are given, not learned: a network whose descriptors are not of unit length sets
    the scale of D itself, so that only s * t matters, and the loss needs no place in the optimiser. Options
    as in `SiameseOptions`. Source: logistic regression on the distance; the loss that PatchBatch replaces.
    """

    def __call__(self, positive: Tensor, negative: Tensor) -> Tensor:
        """Return the mean loss of distances D of matches and of non-matches, any shape, a scalar."""
        matches = F.softplus(self.scale * (positive - self.threshold))
        return mean_over_pairs(matches, F.softplus(self.scale * (self.threshold - negative)))
