"""What a patch network is made of, and the presets; nothing here needs torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from patchbatch.errors import PatchBatchError
from patchbatch.settings import Settings, setting, settings_fields
from patchbatch.tables import Entry, Table


@dataclass(frozen=True)
class PatchNetConfig(Settings):
    """What a `PatchNet` is made of; stored beside the weights.

    Attributes
    ----------
    patch_size
        Side of the square patch in pixels. Pixel `patch_size // 2` is the one described.
    channels
        Output channels of the five convolutions; the last is the descriptor's length.
    partial_windows
        True: pooling keeps the windows that hang over the right and bottom edge (51 -> 49 -> 25 ...
        of Table 1). False: no window hangs over, which makes dense evaluation exact.
    normalization
        "fine-grained": statistics per channel, row and column (the paper's). "per-channel": per channel.
    activation
        "leaky-relu" (2016) or "elu" (alpha 1, the 2017 models).
    slope
        Slope of the leaky ReLU for negative input.
    sides
        Numbers of convolutions (1 to 4) whose output at the described pixel is added to the descriptor,
        each through a matrix of its own. Their windows are small, so they know the place better than the last
        layer, which four poolings have blurred. Not in the paper.
    unit_length
        True: descriptors are divided by their length.
    context
        Weights of the descriptors of the image's halving, of its quarter and so on, that `describe_pyramid`
        puts beside a pixel's own; empty: none. `forward` and `dense` do not see them.
    joint
        Outputs of the layers of `ScaleJoin`, which makes one descriptor of these side by side; empty: they
        stay side by side.
    input_mean, input_std
        Grey level (of [0, 1]) and contrast that the first convolution sees as 0 and 1.
    standardization
        What `describe` brings to this mean and deviation first: the "surroundings" of every pixel, or the
        "image" as a whole, as the program of 2016 does; see `description.standardize`.
    """

    patch_size: int = setting(51, least=1, unit="px")
    channels: tuple[int, ...] = setting((32, 64, 128, 256, 512), least=1)
    partial_windows: bool = setting(True)
    normalization: str = setting("fine-grained", choices=("fine-grained", "per-channel"))
    activation: str = setting("leaky-relu", choices=("leaky-relu", "elu"))
    slope: float = setting(0.1, least=0)
    sides: tuple[int, ...] = setting((), least=1)
    unit_length: bool = setting(False)
    context: tuple[float, ...] = setting((), least=0)
    joint: tuple[int, ...] = setting((), least=1)
    input_mean: float = setting(0.45)
    input_std: float = setting(0.25, above=0)
    standardization: str = setting("surroundings", choices=("surroundings", "image"))

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.channels:
            raise PatchBatchError("channels is empty; give the outputs of each convolution")
        if any(number >= len(self.channels) for number in self.sides):
            raise PatchBatchError(f"sides {self.sides} are not numbers of convolutions before the last")
        self.map_sizes()

    def map_sizes(self) -> list[int]:
        """Return the side of each convolution's output on one patch, px.

        Raises
        ------
        PatchBatchError
            When the patch is too small for the layers.
        """
        size, sizes = self.patch_size, []
        last = len(self.channels) - 1
        for index in range(len(self.channels)):
            size -= 1 if index == last else 2
            if size < 1:
                raise PatchBatchError(
                    f"a {self.patch_size}-px patch is too small for this network; use "
                    f"{47 if self.partial_windows else 62} or more"
                )
            sizes.append(size)
            if index < last:
                size = -(-size // 2) if self.partial_windows else size // 2
        return sizes

    @property
    def patch_dimension(self) -> int:
        """Numbers that describe one patch by itself, without coarser scales."""
        return int(self.channels[-1] * self.map_sizes()[-1] ** 2)

    @property
    def dimension(self) -> int:
        """Numbers that describe a pixel of an image, coarser scales included."""
        return self.joint[-1] if self.joint else self.patch_dimension * (1 + len(self.context))

    @property
    def ends_in_unit_length(self) -> bool:
        """Whether what training compares has unit length: by `unit_length`, or as joined scales have."""
        return self.unit_length or bool(self.joint)

    @property
    def is_dense(self) -> bool:
        """Whether a whole image can be evaluated at once with the same result as patch by patch."""
        per_channel = self.normalization == "per-channel"
        return per_channel and not self.partial_windows and self.map_sizes()[-1] == 1

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain values, for a file header."""
        return self.to_table()

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> PatchNetConfig:
        """Rebuild a config from `to_dict`.

        Raises
        ------
        PatchBatchError
            For an unknown key, or a value of the wrong type or out of range.
        """
        unknown = set(values) - {one.name for one in settings_fields(cls)}
        if unknown:
            raise PatchBatchError(
                f"unknown network settings {sorted(unknown)}; use weights made by this version"
            )
        return cls.from_table(values)


@dataclass(frozen=True)
class Network(Entry):
    """A network to train.

    Attributes
    ----------
    name, help, target, settings
        As of every `Entry`.
    config
        What it is made of.
    """

    config: PatchNetConfig = PatchNetConfig()


NETWORKS = Table(
    "network",
    [
        # A tenth of the arithmetic of `fast` and an eighth of its numbers.
        Network(
            "compact", "dense, three scales joined into 64 numbers of unit length",
            config=PatchNetConfig(
                patch_size=62, partial_windows=False, normalization="per-channel", unit_length=True,
                channels=(16, 32, 48, 80, 64), sides=(2, 3, 4), context=(0.7, 0.5), joint=(80, 64),
            ),
        ),
        # Table 1 without overhanging windows sees 62 px (3 4 8 10 18 22 38 46 62), and with statistics shared
        # over positions a whole image can be evaluated at once. Its sides are ours.
        Network(
            "fast", "dense, 512 numbers, ten times the arithmetic of compact",
            config=PatchNetConfig(
                patch_size=62, partial_windows=False, normalization="per-channel", unit_length=True,
                sides=(2, 3), context=(0.7, 0.5),
            ),
        ),
        # What it says of coarser scales is put beside it, as for `fast`.
        Network(
            "accurate", "Table 1 as printed, patch by patch", config=PatchNetConfig(context=(0.7, 0.5))
        ),
        # The same layers on 71 px end in 2x2 places of 512 numbers. The paper's ACCURATE-PS71 by inference.
        Network(
            "accurate-71", "the same layers on 71 px, 2048 numbers", config=PatchNetConfig(patch_size=71)
        ),
    ],
)  # fmt: skip

PRESETS: Mapping[str, PatchNetConfig] = MappingProxyType({name: one.config for name, one in NETWORKS.items()})
"""The networks of `NETWORKS` by name."""
