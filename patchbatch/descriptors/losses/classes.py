"""What the descriptors learn from: the losses with their options set and checked.

`make_loss("cent+sd", margin=50)(positive, negative)` takes the L2 distances of matching and of non-matching
pairs; the in-batch softmax takes similarities and stands apart. The formulas are in `loss_functions`.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Real
from types import MappingProxyType
from typing import Any, ClassVar, Literal, Protocol

from torch import Tensor

from patchbatch.descriptors.losses.functions import (
    Score,
    cent_drlim,
    cent_drlim_sd,
    drlim,
    drlim_sd,
    hinge_sd,
    siamese,
    softmax_matching,
    spread,
    thresholded_hinge,
)
from patchbatch.errors import PatchBatchError

__all__ = [
    "LOSSES",
    "CentDrLIM",
    "CentDrLIMSD",
    "DrLIM",
    "DrLIMSD",
    "HingeSD",
    "MarginOptions",
    "PairLoss",
    "Siamese",
    "SoftmaxMatching",
    "SpreadOptions",
    "ThresholdedHinge",
    "cent_drlim",
    "cent_drlim_sd",
    "drlim",
    "drlim_sd",
    "hinge_sd",
    "make_loss",
    "siamese",
    "softmax_matching",
    "spread",
    "thresholded_hinge",
]


class PairLoss(Protocol):
    """A loss of matching and non-matching pairs with its options set."""

    def __init__(self, **options: Any) -> None: ...

    def __call__(self, positive: Tensor, negative: Tensor) -> Tensor:
        """Return the mean loss, a scalar."""
        ...


@dataclass(frozen=True)
class MarginOptions:
    """Option of the DrLIM family.

    Attributes
    ----------
    margin
        m > 0, in units of distance: non-matches beyond it (for triplets: farther than the match by
        it) are left alone. A larger one spreads the descriptors further. 100 in the models of 2016.
    """

    margin: float = 100.0

    def __post_init__(self) -> None:
        _check_range("margin", self.margin, above=0.0)


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

    balance: float = 0.8
    of: Score = "distance"
    biased: bool = True

    scores: ClassVar[tuple[str, ...]] = ("distance", "squared", "loss")

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_range("balance", self.balance, least=0.0, most=1.0)
        _check_choice("of", self.of, self.scores)
        _check_choice("biased", self.biased, (True, False))


@dataclass(frozen=True)
class DrLIM(MarginOptions):
    """See `drlim` and `MarginOptions`."""

    def __call__(self, positive: Tensor, negative: Tensor) -> Tensor:
        """Return the mean loss, a scalar."""
        return drlim(positive, negative, self.margin)


@dataclass(frozen=True)
class CentDrLIM(MarginOptions):
    """See `cent_drlim` and `MarginOptions`."""

    def __call__(self, positive: Tensor, negative: Tensor) -> Tensor:
        """Return the mean loss, a scalar."""
        return cent_drlim(positive, negative, self.margin)


@dataclass(frozen=True)
class DrLIMSD(SpreadOptions):
    """See `drlim_sd` and `SpreadOptions`."""

    def __call__(self, positive: Tensor, negative: Tensor) -> Tensor:
        """Return the mean loss, a scalar."""
        return drlim_sd(positive, negative, self.margin, self.balance, self.of, self.biased)


@dataclass(frozen=True)
class CentDrLIMSD(SpreadOptions):
    """See `cent_drlim_sd` and `SpreadOptions`."""

    def __call__(self, positive: Tensor, negative: Tensor) -> Tensor:
        """Return the mean loss, a scalar."""
        return cent_drlim_sd(positive, negative, self.margin, self.balance, self.of, self.biased)


@dataclass(frozen=True)
class HingeSD(SpreadOptions):
    """See `hinge_sd` and `SpreadOptions`; a triplet's loss has no two sides, so `of` cannot be "loss"."""

    scores: ClassVar[tuple[str, ...]] = ("distance", "squared")

    def __call__(self, positive: Tensor, negative: Tensor) -> Tensor:
        """Return the mean loss, a scalar."""
        of: Literal["distance", "squared"] = "squared" if self.of == "squared" else "distance"
        return hinge_sd(positive, negative, self.margin, self.balance, of, self.biased)


@dataclass(frozen=True)
class ThresholdedHinge:
    """See `thresholded_hinge`; the defaults suit descriptors of unit length.

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

    margin: float = 1.0
    threshold: float = 0.3
    squared: bool = False

    def __post_init__(self) -> None:
        _check_range("margin", self.margin, above=0.0)
        _check_range("threshold", self.threshold, least=0.0)
        _check_choice("squared", self.squared, (True, False))

    def __call__(self, positive: Tensor, negative: Tensor) -> Tensor:
        """Return the mean loss, a scalar."""
        return thresholded_hinge(positive, negative, self.margin, self.threshold, self.squared)


@dataclass(frozen=True)
class Siamese:
    """See `siamese`; the defaults suit distances that grow to about the margin 100 of the DrLIM family.

    Attributes
    ----------
    threshold
        t > 0, in units of distance: a pair at it is a match with probability 1/2.
    scale
        s > 0, per unit of distance: how sharply the probability falls around t.
    """

    threshold: float = 50.0
    scale: float = 0.1

    def __post_init__(self) -> None:
        _check_range("threshold", self.threshold, above=0.0)
        _check_range("scale", self.scale, above=0.0)

    def __call__(self, positive: Tensor, negative: Tensor) -> Tensor:
        """Return the mean loss, a scalar."""
        return siamese(positive, negative, self.threshold, self.scale)


@dataclass(frozen=True)
class SoftmaxMatching:
    """See `softmax_matching`.

    Attributes
    ----------
    temperature
        Above 0, in units of similarity; 0.05 suits descriptors of unit length.
    """

    temperature: float = 0.05

    def __post_init__(self) -> None:
        _check_range("temperature", self.temperature, above=0.0)

    def __call__(self, similarity: Tensor, target: Tensor) -> Tensor:
        """Return the mean loss, a scalar."""
        return softmax_matching(similarity, target, self.temperature)


LOSSES: Mapping[str, type[PairLoss]] = MappingProxyType(
    {
        "drlim": DrLIM,
        "drlim+sd": DrLIMSD,
        "cent": CentDrLIM,
        "cent+sd": CentDrLIMSD,
        "hinge+sd": HingeSD,
        "bailer": ThresholdedHinge,
        "siamese": Siamese,
    }
)


def make_loss(name: str, **options: Any) -> PairLoss:
    """Make the pair loss of that name in `LOSSES`; options not given keep the defaults of its class.

    Raises
    ------
    PatchBatchError
        For an unknown name, an option the loss does not have, or a value out of range.

    Examples
    --------
    >>> import torch
    >>> loss = make_loss("cent+sd", margin=10.0)
    >>> f"{loss(torch.tensor([1.0, 3.0]), torch.tensor([4.0, 12.0])):.1f}"
    '19.8'
    """
    if name not in LOSSES:
        raise PatchBatchError(f"unknown pair loss {name!r}; use one of {', '.join(LOSSES)}")
    known = inspect.signature(LOSSES[name]).parameters
    for option in options:
        if option not in known:
            raise PatchBatchError(f"the loss {name!r} has no option {option!r}; it takes {', '.join(known)}")
    return LOSSES[name](**options)


def _check_range(
    option: str, value: object, above: float = -math.inf, least: float = -math.inf, most: float = math.inf
) -> None:
    if (
        isinstance(value, Real)
        and math.isfinite(value)
        and above < float(value)
        and least <= float(value) <= most
    ):
        return
    floor = f"above {above:g}" if above > -math.inf else f"at least {least:g}"
    ceiling = f" and at most {most:g}" if most < math.inf else ""
    raise PatchBatchError(f"the loss option {option} is {value!r}; give a number {floor}{ceiling}")


def _check_choice(option: str, value: object, choices: tuple[object, ...]) -> None:
    if value not in choices:
        listed = " or ".join(map(repr, choices))
        raise PatchBatchError(f"the loss option {option} is {value!r}; use {listed}")
