"""What a training run is set by: its schedule, its loss, its samples; nothing here needs torch."""

from __future__ import annotations

from dataclasses import dataclass, replace

from patchbatch.descriptors.losses.table import LOSSES, options_for
from patchbatch.errors import PatchBatchError
from patchbatch.settings import Settings, setting

RATES = {"adamw": 2e-3, "adadelta": 1.0}
"""The optimisers, and a peak step size that suits each; AdaDelta scales its own steps."""

TRAIN_PRECISIONS = ("auto", "float32", "bfloat16")


@dataclass(frozen=True)
class TrainSettings(Settings):
    """How long and how fast to learn.

    Attributes
    ----------
    steps, batch
        Number of updates, and pairs per update.
    optimizer
        "adamw", or "adadelta" as in 2016.
    learning_rate
        Peak of the step size; it rises linearly over `warmup` steps and falls as a cosine. See `RATES`.
    weight_decay
        Of AdamW.
    warmup
        Steps.
    clip
        Largest gradient norm; longer gradients are shortened. Infinite: off.
    seed
        Of the initial weights and of the samples.
    precision
        Of the products: "float32", "bfloat16" (weights and statistics stay float32), or "auto": bfloat16
        where the device has units for it.
    report_every, validate_every, save_every
        Steps between lines of the log, between validations and between checkpoints.
    """

    steps: int = setting(5000, least=1)
    batch: int = setting(3, least=1, unit="pairs")
    optimizer: str = setting("adamw", choices=tuple(RATES))
    learning_rate: float = setting(RATES["adamw"], above=0)
    weight_decay: float = setting(1e-4, least=0)
    warmup: int = setting(100, least=0)
    clip: float = setting(5.0, above=0, infinite=True)
    seed: int = setting(0, least=0)
    precision: str = setting("auto", choices=TRAIN_PRECISIONS)
    report_every: int = setting(50, least=1)
    validate_every: int = setting(250, least=1)
    save_every: int = setting(100, least=1)


@dataclass(frozen=True)
class ObjectiveSettings(Settings):
    """Which loss, and on what pairs.

    Attributes
    ----------
    loss
        A name in `losses.table.LOSSES`, "cent+sd" being the talk's. "softmax" goes over all described points
        of the other crop, both ways.
    options
        Options of a pair loss, (name, value) each. What is not given is chosen by `for_network`; without that
        it is the default of the loss's class.
    temperature
        Similarities are divided by it before the softmax.
    near
        Sampled non-matches lie 1 to this many pixels from the true match.
    normal
        True: their distance is normally distributed with deviation near / 2; False: uniform.
    hard
        Share of the non-matches of a pair loss that is replaced by the nearest wrong point described in the
        other crop. For a dense network that is what an exact matcher would have taken.
    distill
        Weight of the teacher in [0, 1] against the data, where there is a teacher.
    stride
        Grid step of dense networks in pixels.
    surround
        So many pixels at the border of a crop are seen by the coarser scales of a network only.
    alone
        Weight of the loss of the finest scale by itself, for networks that join scales.
    tolerance
        A point counts as the match when it is at most this far (px) from the true target.
    exclude
        Points closer than this (px) to the true target, but the match, are never non-matches.
    points
        At most so many matches of one pair are used.
    """

    loss: str = setting("cent+sd")
    options: tuple[tuple[str, float | str | bool], ...] = setting(())
    temperature: float = setting(0.05, above=0)
    near: float = setting(8.0, least=1, unit="px")
    normal: bool = setting(False)
    hard: float = setting(0.0, least=0, most=1)
    distill: float = setting(0.5, least=0, most=1)
    stride: int = setting(2, choices=(1, 2, 4, 8, 16), unit="px")
    surround: int = setting(0, least=0, unit="px")
    alone: float = setting(0.3, least=0)
    tolerance: float = setting(0.75, least=0, unit="px")
    exclude: float = setting(1.9, least=0, unit="px")
    points: int = setting(400, least=1)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.of_pairs:
            options_for(self.loss, dict(self.options), unit_length=False)
        elif self.options:
            names = ", ".join(name for name, _ in self.options)
            raise PatchBatchError(
                f"the loss {self.loss!r} takes no {names}; leave it out (its temperature is a setting beside)"
            )

    @property
    def of_pairs(self) -> bool:
        """Whether the loss takes the distances of pairs, and not all similarities."""
        return LOSSES[self.loss].takes == "distances"

    def for_network(self, unit_length: bool) -> ObjectiveSettings:
        """Return the same with all options of a pair loss filled in, see `losses.table.options_for`.

        Parameters
        ----------
        unit_length
            Whether the network's descriptors have unit length: `PatchNetConfig.ends_in_unit_length`.

        Raises
        ------
        PatchBatchError
            For a margin or threshold that can never act on such descriptors.
        """
        if not self.of_pairs:
            return self
        options = options_for(self.loss, dict(self.options), unit_length)
        return replace(self, options=tuple(options.items()))


@dataclass(frozen=True)
class SourceSettings(Settings):
    """Where training pairs come from and how they look.

    Attributes
    ----------
    crop
        Side of the square crops in pixels.
    street, real
        Shares of street scenes and of real pairs among the samples; the rest are layered photographs.
    half, quarter
        Shares of samples made from photographs or pairs shrunk to a half and a quarter, as the coarse
        levels of an image pyramid show them.
    light
        Strength of photometric change and degradation; 0 switches both off.
    mean, std
        Grey level and contrast that the crops are brought to (`PatchNetConfig.input_mean`, `input_std`).
    """

    crop: int = setting(190, least=1, most=4096, unit="px")
    street: float = setting(0.4, least=0, most=1)
    real: float = setting(0.25, least=0, most=1)
    half: float = setting(0.25, least=0, most=1)
    quarter: float = setting(0.1, least=0, most=1)
    light: float = setting(1.0, least=0)
    mean: float = setting(0.45)
    std: float = setting(0.25, above=0)

    def __post_init__(self) -> None:
        super().__post_init__()
        for one, other in (("street", "real"), ("half", "quarter")):
            if getattr(self, one) + getattr(self, other) > 1:
                raise PatchBatchError(f"{one} and {other} are shares of one whole; give at most 1 together")
