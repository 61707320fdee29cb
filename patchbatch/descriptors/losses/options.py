"""Options of the descriptor losses, each checked; nothing here needs torch.

The losses themselves inherit from these classes, so that a command line can refuse an option without
importing what computes.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Self

from patchbatch.errors import PatchBatchError
from patchbatch.settings import Settings, setting

UNIT_DIAMETER = 2.0
"""Largest distance of two descriptors of unit length."""
UNIT_MARGIN = 1.0
"""Margin that is chosen for descriptors of unit length, see `LossOptions`."""


@dataclass(frozen=True)
class LossOptions(Settings):
    """What the options of all losses have in common.

    A hinge acts where it can stop: a distance of at least `UNIT_DIAMETER` is reached by no descriptors of
    unit length, so that every non-match would be pushed for ever. The defaults of the classes are those of
    the literature, mostly for descriptors of any length; `for_unit_length` has others. A distance of 1 is an
    angle of 60 degrees: well above the distances of near things before training, and below √2, where the
    distances of unrelated descriptors of many numbers lie, so that these are left alone.
    """

    def for_unit_length(self, given: Collection[str]) -> Self:
        """Return the same with the options that are not among the given ones chosen for unit length."""
        return self

    def turning_point(self) -> tuple[str, float]:
        """Name what sets the distance beyond which non-matches are (nearly) left alone, and the distance."""
        return "", 0.0

    def check_acts(self) -> None:
        """Refuse what can never act on descriptors of unit length.

        Raises
        ------
        PatchBatchError
            When the turning point is 2 or more.
        """
        what, distance = self.turning_point()
        if distance >= UNIT_DIAMETER:
            raise PatchBatchError(
                f"{what} is {distance:g}, but descriptors of unit length (joined scales always are) are at "
                f"most {UNIT_DIAMETER:g} apart, so it never acts; give less than {UNIT_DIAMETER:g}, or leave "
                "it out"
            )


@dataclass(frozen=True)
class MarginOptions(LossOptions):
    """Option of the DrLIM family.

    Attributes
    ----------
    margin
        m > 0, in units of distance: non-matches beyond it (for triplets: farther than the match by
        it) are left alone. A larger one spreads the descriptors further. 100 in the models of 2016.
    """

    margin: float = setting(100.0, above=0)

    def for_unit_length(self, given: Collection[str]) -> Self:
        """Return the same with a margin of 1 if none is given."""
        return self if "margin" in given else replace(self, margin=UNIT_MARGIN)

    def turning_point(self) -> tuple[str, float]:
        """Return the margin; for triplets a difference of distances, which 2 bounds as well."""
        return "margin", self.margin


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

    def for_unit_length(self, given: Collection[str]) -> Self:
        """Return the same with the margin, and the weight of the SD term, of the talk's loss in other units.

        In units of the margin D = k d, with k the margin at any length over the one here. DrLIM and CENT grow
        as k² and the deviation of D as k, so λ : (1 - λ) becomes λ : (1 - λ) / k, 0.9975 for 0.8. With the
        weights as they were, the SD term outweighs the push between near descriptors, and all descriptors
        become one. The deviations of D² and of the loss grow as k² too.
        """
        fitted = super().for_unit_length(given)
        if "balance" in given or self.of != "distance":
            return fitted
        share = (1 - self.balance) * fitted.margin / MarginOptions().margin
        return replace(fitted, balance=self.balance / (self.balance + share))


@dataclass(frozen=True)
class TripletSpreadOptions(SpreadOptions):
    """As `SpreadOptions`, but for `of`: a triplet's loss has no two sides, so it cannot be "loss"."""

    of: str = setting("distance", choices=("distance", "squared"))

    def for_unit_length(self, given: Collection[str]) -> Self:
        """Return the same with a margin of 1 if none is given; the hinge grows as the deviation does."""
        return self if "margin" in given else replace(self, margin=UNIT_MARGIN)


@dataclass(frozen=True)
class ThresholdOptions(LossOptions):
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

    def turning_point(self) -> tuple[str, float]:
        """Return where the hinge of the non-matches ends, as a distance."""
        end = self.margin + self.threshold
        return ("the root of margin + threshold", end**0.5) if self.squared else ("margin + threshold", end)


@dataclass(frozen=True)
class SiameseOptions(LossOptions):
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

    def for_unit_length(self, given: Collection[str]) -> Self:
        """Return the same with a threshold of 1 if none is given, and a scale of 5 over the threshold.

        The product is that of the defaults, and the loss depends on it alone.
        """
        usual = SiameseOptions()
        threshold = self.threshold if "threshold" in given else UNIT_MARGIN
        scale = self.scale if "scale" in given else usual.scale * usual.threshold / threshold
        return replace(self, threshold=threshold, scale=scale)

    def turning_point(self) -> tuple[str, float]:
        """Return the threshold, beyond which a pair counts as a non-match."""
        return "threshold", self.threshold


@dataclass(frozen=True)
class SoftmaxOptions(LossOptions):
    """Option of the in-batch softmax.

    Attributes
    ----------
    temperature
        Above 0, in units of similarity: similarities are divided by it. A lower one looks more at the
        nearest wrong candidates; 0.05 suits descriptors of unit length.
    """

    temperature: float = setting(0.05, above=0)
