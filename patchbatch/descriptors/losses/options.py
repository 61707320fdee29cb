"""Options of the descriptor losses, each checked; nothing here needs torch.

The losses themselves inherit from these classes, so that a command line can refuse an option without
importing what computes.
"""

from __future__ import annotations

from dataclasses import dataclass

from patchbatch.settings import Settings, setting


@dataclass(frozen=True)
class MarginOptions(Settings):
    """Option of the DrLIM family.

    Attributes
    ----------
    margin
        m > 0, in units of distance: non-matches beyond it (for triplets: farther than the match by
        it) are left alone. A larger one spreads the descriptors further. 100 in the models of 2016.
    """

    margin: float = setting(100.0, above=0)


@dataclass(frozen=True)
class SpreadOptions(MarginOptions):
    """Options of the losses with the SD term; the talk gives neither λ nor what exactly sigma is.

    Attributes
    ----------
    balance
        λ in [0, 1]; 1 switches the SD term off, a lower one asks for more even distances. 0.8 is our choice.
    of
        What sigma is the deviation of: "distance" D, "squared" D², or "loss", each pair's own loss term.
    biased
        Whether sigma² divides by n (True) or by n - 1.
    """

    balance: float = setting(0.8, least=0, most=1)
    of: str = setting("distance", choices=("distance", "squared", "loss"))
    biased: bool = setting(True)


@dataclass(frozen=True)
class TripletSpreadOptions(SpreadOptions):
    """As `SpreadOptions`, but for `of`: a triplet's loss has no two sides, so it cannot be "loss"."""

    of: str = setting("distance", choices=("distance", "squared"))


@dataclass(frozen=True)
class ThresholdOptions(Settings):
    """Options of the thresholded hinge; the defaults suit descriptors of unit length.

    Attributes
    ----------
    margin
        m > 0, in units of distance (squared distance with `squared`): matches and non-matches are to be
        this far apart.
    threshold
        t >= 0, same unit: matches closer than it are left alone; 0 gives the plain hinge embedding.
    squared
        Whether D² stands in place of D.
    """

    margin: float = setting(1.0, above=0)
    threshold: float = setting(0.3, least=0)
    squared: bool = setting(False)


@dataclass(frozen=True)
class SiameseOptions(Settings):
    """Options of the binary classification; the defaults suit distances that grow to about 100.

    Attributes
    ----------
    threshold
        t > 0, in units of distance: a pair at it is a match with probability 1/2.
    scale
        s > 0, per unit of distance: how sharply the probability falls around t.
    """

    threshold: float = setting(50.0, above=0)
    scale: float = setting(0.1, above=0)


@dataclass(frozen=True)
class SoftmaxOptions(Settings):
    """Option of the in-batch softmax.

    Attributes
    ----------
    temperature
        Above 0, in units of similarity: similarities are divided by it. A lower one looks more at the
        nearest wrong candidates; 0.05 suits descriptors of unit length.
    """

    temperature: float = setting(0.05, above=0)
