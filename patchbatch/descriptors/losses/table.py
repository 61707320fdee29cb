"""The losses by name; nothing here needs torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from patchbatch.errors import PatchBatchError
from patchbatch.settings import settings_fields
from patchbatch.tables import Entry, Table

if TYPE_CHECKING:
    from torch import Tensor

    from patchbatch.descriptors.losses.options import LossOptions

OPTIONS = "patchbatch.descriptors.losses.options"
PLACE = "patchbatch.descriptors.losses"


@dataclass(frozen=True)
class Loss(Entry):
    """A loss.

    Attributes
    ----------
    name, help, target, settings
        As of every `Entry`: `target` is the loss, a class made from its options and called with tensors;
        `settings` is the class of its options, which it inherits from.
    takes
        "distances": of matches and of non-matches. "similarities": of points to all candidates, and which
        candidate is the match.
    unit_length
        Whether it wants descriptors of unit length; others let distances grow to the margin.
    """

    takes: str = "distances"
    unit_length: bool = False


LOSSES = Table(
    "loss",
    [
        Loss("drlim", "the spring: pushes near non-matches most", f"{PLACE}.drlim:DrLIM",
             f"{OPTIONS}:MarginOptions"),
        Loss("drlim+sd", "drlim and the SD term, which evens out the distances", f"{PLACE}.drlim:DrLIMSD",
             f"{OPTIONS}:SpreadOptions"),
        Loss("cent", "the centrifuge: pushes non-matches most at the margin", f"{PLACE}.drlim:CentDrLIM",
             f"{OPTIONS}:MarginOptions"),
        Loss("cent+sd", "cent and the SD term, the loss of the talk", f"{PLACE}.drlim:CentDrLIMSD",
             f"{OPTIONS}:SpreadOptions"),
        Loss("hinge+sd", "hinge of triplets and the SD term", f"{PLACE}.hinge:HingeSD",
             f"{OPTIONS}:TripletSpreadOptions"),
        Loss("bailer", "hinge that leaves near matches alone", f"{PLACE}.hinge:ThresholdedHinge",
             f"{OPTIONS}:ThresholdOptions", unit_length=True),
        Loss("siamese", "match or not, by logistic regression on the distance", f"{PLACE}.siamese:Siamese",
             f"{OPTIONS}:SiameseOptions"),
        Loss("softmax", "the match among all points of the other crop", f"{PLACE}.softmax:SoftmaxMatching",
             f"{OPTIONS}:SoftmaxOptions", takes="similarities", unit_length=True),
    ],
)  # fmt: skip


def make_loss(name: str, **options: Any) -> Callable[[Tensor, Tensor], Tensor]:
    """Make the loss of that name in `LOSSES`; options not given keep the defaults of its class.

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
    check_names(name, options)
    made: Callable[[Tensor, Tensor], Tensor] = LOSSES[name].load()(**options)
    return made


def check_names(name: str, options: Mapping[str, Any]) -> None:
    """Refuse options that the loss of that name does not have.

    Raises
    ------
    PatchBatchError
        For such an option, or an unknown loss.
    """
    known = [one.name for one in settings_fields(LOSSES[name].load_settings())]
    for option in options:
        if option not in known:
            raise PatchBatchError(f"the loss {name!r} has no option {option!r}; it takes {', '.join(known)}")


def options_for(name: str, given: Mapping[str, Any], unit_length: bool) -> dict[str, Any]:
    """Return all options of a loss, those not given chosen for the length of the descriptors.

    Parameters
    ----------
    name
        In `LOSSES`.
    given
        Options by name.
    unit_length
        Whether descriptors have unit length; then margins and thresholds are of another order.

    Raises
    ------
    PatchBatchError
        As `make_loss`, and for a given margin or threshold that never acts, see `LossOptions`.

    Examples
    --------
    >>> options_for("cent", {}, unit_length=True), options_for("cent", {}, unit_length=False)
    ({'margin': 1.0}, {'margin': 100.0})
    """
    check_names(name, given)
    cls: type[LossOptions] = LOSSES[name].load_settings()
    filled = cls(**given)
    if unit_length:
        filled = filled.for_unit_length(given)
        filled.check_acts()
    return filled.to_table()
