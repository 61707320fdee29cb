"""Hinge losses: of triplets with the SD term, and the thresholded embedding.

Distances as in `drlim`. Every loss is the mean over all pairs or triplets; over none it is 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor

from patchbatch.descriptors.losses.options import ThresholdOptions, TripletSpreadOptions
from patchbatch.descriptors.losses.statistics import mean_over_pairs, spread
from patchbatch.errors import PatchBatchError


@dataclass(frozen=True)
class HingeSD(TripletSpreadOptions):
    """Triplet hinge + SD: λ * mean of max(0, m + D⁺ - D⁻) + (1 - λ) * (sigma_0 + sigma_1).

    A non-match that is farther than its match by m is left alone. Options as in `TripletSpreadOptions`.
    Source: T. Schuster, Wolf, Gadot, CVPR 2017; hinge, SD and m = 100 are in the names of the released
    models, the way they are combined is not checked against the paper.
    """

    def __call__(self, positive: Tensor, negative: Tensor) -> Tensor:
        """Return the mean loss, a scalar.

        Parameters
        ----------
        positive, negative
            Of one shape: entry by entry they share the patch of image 1.

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
        hinge = F.relu(self.margin + positive - negative)
        squared = self.of == "squared"
        scores = (positive.square(), negative.square()) if squared else (positive, negative)
        return self.balance * mean_over_pairs(hinge) + (1 - self.balance) * spread(*scores, self.biased)


@dataclass(frozen=True)
class ThresholdedHinge(ThresholdOptions):
    """Thresholded hinge embedding: mean of max(0, D - t) over matches, max(0, m + t - D) over non-matches.

    A match closer than t is good enough and left alone. With `squared`, D² stands in place of D. Options as
    in `ThresholdOptions`. Source: Bailer, Varanasi, Stricker, CVPR 2017.
    """

    def __call__(self, positive: Tensor, negative: Tensor) -> Tensor:
        """Return the mean loss, a scalar."""
        near, far = (positive.square(), negative.square()) if self.squared else (positive, negative)
        return mean_over_pairs(F.relu(near - self.threshold), F.relu(self.margin + self.threshold - far))
