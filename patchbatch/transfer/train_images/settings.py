"""What a training on labelled images is set by: schedule, loss, samples, who is learned; torch-free."""

from __future__ import annotations

from dataclasses import dataclass

from patchbatch.errors import PatchBatchError
from patchbatch.settings import Settings, setting
from patchbatch.tables import Entry, Table
from patchbatch.transfer.multiverse.table import PAIR_TERMS

RATES = {"adamw": 2e-3, "sgd": 0.05}
"""The optimisers, and a peak step size that suits each."""


@dataclass(frozen=True)
class ImageSchedule(Settings):
    """How long and how fast to learn.

    Attributes
    ----------
    steps, batch
        Number of updates, and images per update.
    optimizer
        "adamw", or "sgd" with momentum 0.9.
    learning_rate
        Peak of the step size; it rises linearly over `warmup` steps and falls as a cosine. See `RATES`.
    weight_decay
        Of the trunk; the classifiers have λ1 of their own.
    warmup
        Steps.
    clip
        Largest gradient norm; longer gradients are shortened. Infinite: off.
    seed
        Of the initial weights, of the order of the images, and of how each is changed.
    precision
        Of the products: "auto" takes bfloat16 where the device multiplies it in hardware.
    report_every, validate_every, save_every
        Steps between lines of the log, between validations and between checkpoints.
    """

    steps: int = setting(5000, least=1)
    batch: int = setting(128, least=2, unit="images")
    optimizer: str = setting("sgd", choices=tuple(RATES))
    learning_rate: float = setting(RATES["sgd"], above=0)
    weight_decay: float = setting(5e-4, least=0)
    warmup: int = setting(200, least=0)
    clip: float = setting(5.0, above=0, infinite=True)
    seed: int = setting(0, least=0)
    precision: str = setting("auto", choices=("auto", "float32", "bfloat16"))
    report_every: int = setting(50, least=1)
    validate_every: int = setting(500, least=1)
    save_every: int = setting(100, least=1)


@dataclass(frozen=True)
class ImageObjective(Settings):
    """The loss: the multiverse loss, and perhaps a term of pairs beside it.

    Attributes
    ----------
    copies
        m of the head.
    weight_penalty, orthogonality, inner_product
        λ1, λ2 and the inner product, see `MultiverseSettings`.
    pair_term
        A name of `PAIR_TERMS`; it sees the representation at unit length.
    pair_weight
        Of that term, the multiverse loss having weight 1.
    temperature
        Of "softmax".
    margin
        Of "contrastive"; unit vectors are at most 2 apart.
    """

    copies: int = setting(1, least=1)
    weight_penalty: float = setting(5e-4, least=0)
    orthogonality: float = setting(1e-2, least=0)
    inner_product: str = setting("plain", choices=("plain", "within"))
    pair_term: str = setting("none")
    pair_weight: float = setting(1.0, above=0)
    temperature: float = setting(0.1, above=0)
    margin: float = setting(1.2, above=0, below=2)

    def __post_init__(self) -> None:
        super().__post_init__()
        PAIR_TERMS[self.pair_term]


@dataclass(frozen=True)
class Sampling(Settings):
    """Which images make a batch.

    Attributes
    ----------
    people
        So many classes a batch; 0: all images in random order, again and again.
    per_person
        Images of each of them; who has fewer gives some again, changed in another way.
    several
        Share of the people that are drawn among those with two images or more.
    """

    people: int = setting(0, least=0)
    per_person: int = setting(4, least=2)
    several: float = setting(0.7, least=0, most=1)


@dataclass(frozen=True)
class Augmentation(Settings):
    """How an image is changed each time it is seen; all drawn anew, 0 switches off.

    Attributes
    ----------
    mirror
        Whether left and right are exchanged half of the time.
    shift
        Largest shift on both axes, as a share of the side.
    rotation
        Largest angle, to both sides.
    scale
        Largest change of size, as a share.
    light
        Strength of changes of gain, offset and gamma.
    erase
        Share of the images in which a rectangle of up to a half of each side is made flat.
    """

    mirror: bool = setting(True)
    shift: float = setting(0.0, least=0, most=0.5)
    rotation: float = setting(0.0, least=0, most=180, unit="degrees")
    scale: float = setting(0.0, least=0, below=1)
    light: float = setting(0.0, least=0, most=2)
    erase: float = setting(0.0, least=0, most=1)


@dataclass(frozen=True)
class Augmented(Entry):
    """A named way to change images."""

    changes: Augmentation = Augmentation()


AUGMENTATIONS = Table(
    "augmentation",
    [
        Augmented("none", "images as they are", changes=Augmentation(mirror=False)),
        Augmented("objects", "mirrored, and shifted by up to an eighth", changes=Augmentation(shift=0.125)),
        Augmented(
            "faces", "mirrored, shifted, turned, scaled, in another light, a part hidden",
            changes=Augmentation(shift=0.06, rotation=10, scale=0.12, light=1, erase=0.3),
        ),
    ],
)  # fmt: skip


@dataclass(frozen=True)
class Learned(Settings):
    """Who is learned and who is kept apart.

    Attributes
    ----------
    target_classes
        So many classes are not learned; of sets with validation images.
    class_seed
        Of which ones.
    folds
        Of LFW: the people to learn; the others are for the test.
    held_out
        Share of people that is not learned, but judged as the training goes on, and for thresholds; of sets
        of people.
    """

    target_classes: int = setting(0, least=0)
    class_seed: int = setting(0, least=0)
    folds: tuple[int, ...] = setting((6, 7, 8, 9, 10), least=1, most=10)
    held_out: float = setting(0.1, least=0, most=0.9)


def check_together(schedule: ImageSchedule, sampling: Sampling) -> None:
    """Refuse a batch that the sampling does not make.

    Raises
    ------
    PatchBatchError
        When people times images is not the batch.
    """
    made = sampling.people * sampling.per_person
    if sampling.people and made != schedule.batch:
        raise PatchBatchError(
            f"{sampling.people} people with {sampling.per_person} images make {made}, not a batch of "
            f"{schedule.batch}; give a batch of {made}"
        )
