"""DrLIM, "spring", and CENT-DrLIM, "centrifuge", without and with the SD term.

`positive` and `negative` are L2 distances D >= 0 of matching and of non-matching pairs, float32 or float64,
any shape. Every loss is the mean over all pairs; over no pairs it is 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor

from patchbatch.descriptors.losses.options import MarginOptions, SpreadOptions
from patchbatch.descriptors.losses.statistics import mean_over_pairs, spread


@dataclass(frozen=True)
class DrLIM(MarginOptions):
    """DrLIM, the "spring": mean of D²/2 over matches and max(0, m - D)²/2 over non-matches.

    The push on a non-match is strongest at D = 0. Option as in `MarginOptions`. Source: Hadsell, Chopra,
    LeCun, CVPR 2006.
    """

    def __call__(self, positive: Tensor, negative: Tensor) -> Tensor:
        """Return the mean loss, a scalar."""
        return mean_over_pairs(*_spring(positive, negative, self.margin))


@dataclass(frozen=True)
class CentDrLIM(MarginOptions):
    """CENT-DrLIM, the "centrifuge": mean of D² over matches and max(0, m² - D²) over non-matches.

    The push on a non-match grows with its distance up to the margin. Option as in `MarginOptions`. Source:
    Gadot & Wolf, CVPR 2016.
    """

    def __call__(self, positive: Tensor, negative: Tensor) -> Tensor:
        """Return the mean loss, a scalar."""
        return mean_over_pairs(*_centrifuge(positive, negative, self.margin))


@dataclass(frozen=True)
class DrLIMSD(SpreadOptions):
    """DrLIM+SD: λ * DrLIM + (1 - λ) * (sigma_0 + sigma_1), options as in `SpreadOptions`.

    Source: Gadot & Wolf, CVPR 2016, where it is called SPRG+SD.
    """

    def __call__(self, positive: Tensor, negative: Tensor) -> Tensor:
        """Return the mean loss, a scalar."""
        return _with_spread(positive, negative, _spring(positive, negative, self.margin), self)


@dataclass(frozen=True)
class CentDrLIMSD(SpreadOptions):
    """CENT-DrLIM+SD: λ * CENT-DrLIM + (1 - λ) * (sigma_0 + sigma_1), options as in `SpreadOptions`.

    The first term reaches m², the deviation of D only about m: at m = 100 the SD term is a weak regulariser,
    that of D² a strong one. Source: Gadot & Wolf, CVPR 2016.
    """

    def __call__(self, positive: Tensor, negative: Tensor) -> Tensor:
        """Return the mean loss, a scalar."""
        return _with_spread(positive, negative, _centrifuge(positive, negative, self.margin), self)


def _spring(positive: Tensor, negative: Tensor, margin: float) -> tuple[Tensor, Tensor]:
    return positive.square() / 2, F.relu(margin - negative).square() / 2


def _centrifuge(positive: Tensor, negative: Tensor, margin: float) -> tuple[Tensor, Tensor]:
    return positive.square(), F.relu(margin**2 - negative.square())


def _with_spread(
    positive: Tensor, negative: Tensor, terms: tuple[Tensor, Tensor], options: SpreadOptions
) -> Tensor:
    """Weigh the mean of the terms against the deviation of distances, their squares, or the terms."""
    squares = (positive.square(), negative.square())
    scores = {"distance": (positive, negative), "squared": squares, "loss": terms}[options.of]
    sigmas = spread(*scores, options.biased)
    return options.balance * mean_over_pairs(*terms) + (1 - options.balance) * sigmas
