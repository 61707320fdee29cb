"""Networks for labelled images by name, and terms that may stand beside the multiverse loss; torch-free."""

from __future__ import annotations

from dataclasses import dataclass

from patchbatch.errors import PatchBatchError
from patchbatch.settings import Settings, setting
from patchbatch.tables import Entry, Table

LAYERS = {"nin": 9, "scratch": 10}
"""The two stacks of the talk, and how many convolutions each has."""


@dataclass(frozen=True)
class TrunkConfig(Settings):
    """What a network for labelled images is made of; stored beside its weights.

    Attributes
    ----------
    layers
        "nin": nine convolutions in three blocks; "scratch": ten in five; see `networks.py`.
    channels
        Outputs of the convolutions; the last is the width of the representation.
    inputs
        1 for grey, 3 for RGB.
    size
        Side of the images it is made for; others work.
    dropout
        Share of values dropped in training, see the networks; 0 is off.
    normalization
        "none" as in the talk, or "batch": per channel, after every convolution.
    standardization
        What the first convolution sees: "fixed", pixels in [0, 1] less 0.45 and divided by 0.25; or "image",
        every image brought to mean 0 and deviation 1, which takes light away.
    """

    layers: str = setting("nin", choices=tuple(LAYERS))
    channels: tuple[int, ...] = setting((192, 160, 96, 192, 192, 192, 192, 192, 100), least=1)
    inputs: int = setting(3, choices=(1, 3))
    size: int = setting(32, least=16, most=1024, unit="px")
    dropout: float = setting(0.5, least=0, below=1)
    normalization: str = setting("none", choices=("none", "batch"))
    standardization: str = setting("fixed", choices=("fixed", "image"))

    def __post_init__(self) -> None:
        super().__post_init__()
        count = LAYERS[self.layers]
        if len(self.channels) != count:
            raise PatchBatchError(f"{self.layers} has {count} convolutions; give as many channels")

    @property
    def features(self) -> int:
        """Width of the representation."""
        return self.channels[-1]


@dataclass(frozen=True)
class ImageNetwork(Entry):
    """A network to train on labelled images.

    Attributes
    ----------
    name, help, target, settings
        As of every `Entry`.
    config
        What it is made of.
    """

    config: TrunkConfig = TrunkConfig()


_SCRATCH = (32, 64, 64, 128, 96, 192, 128, 256, 160, 320)
NETWORKS = Table(
    "image network",
    [
        ImageNetwork("nin", "the talk's for CIFAR-100: Network in Network, 100 numbers"),
        # A quarter of the channels; the representation stays as wide as the talk's, or there would be no
        # room for copies that are orthogonal and right. Normalised, or so few steps would not teach it.
        ImageNetwork(
            "nin-narrow", "the same with a quarter of the channels, normalised per channel; for two cores",
            config=TrunkConfig(
                channels=(48, 40, 24, 48, 48, 48, 48, 48, 100), dropout=0.1, normalization="batch"
            ),
        ),
        ImageNetwork(
            "scratch", "the talk's for faces: ten convolutions, grey 100 x 100, 320 numbers",
            config=TrunkConfig(
                "scratch", _SCRATCH, inputs=1, size=100, dropout=0.3, standardization="image"
            ),
        ),
        ImageNetwork(
            "scratch-narrow",
            "the same with a quarter of the channels, normalised per channel; for two cores",
            config=TrunkConfig(
                "scratch", tuple(one // 4 for one in _SCRATCH), inputs=1, size=100, dropout=0.3,
                normalization="batch", standardization="image",
            ),
        ),
    ],
)  # fmt: skip

PLACE = "patchbatch.transfer.multiverse.pair_terms"
PAIR_TERMS = Table(
    "pair term",
    [
        Entry("none", "the multiverse loss by itself, as in the talk"),
        Entry("softmax", "in a batch, images of a person before all others (Khosla et al. 2020)",
              f"{PLACE}:softmax_over_batch"),
        Entry("contrastive", "pairs of a batch: alike one person, apart beyond a margin",
              f"{PLACE}:contrastive_over_batch"),
    ],
)  # fmt: skip
"""Targets take unit vectors `(N, d)`, class numbers `(N,)` and a number, and return a scalar."""
