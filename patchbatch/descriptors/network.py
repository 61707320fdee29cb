"""The patch network of Table 1: one patch in, one descriptor out, or a whole image at once.

Source: Gadot & Wolf, "PatchBatch: a batch augmented loss for optical flow", CVPR 2016, Table 1.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from patchbatch.descriptors.fused_training import is_fusible, normalize_pool_activate
from patchbatch.descriptors.normalization import ChannelBatchNorm, FineGrainedBatchNorm
from patchbatch.descriptors.scales import ScaleJoin
from patchbatch.errors import PatchBatchError

_TUPLES = ("channels", "sides", "context", "joint")


@dataclass(frozen=True)
class PatchNetConfig:
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
        Grey level (of [0, 1]) and contrast that the first convolution sees as 0 and 1. `describe` brings
        each whole image to this mean and deviation first, as the 2016 code standardises whole images.
    """

    patch_size: int = 51
    channels: tuple[int, ...] = (32, 64, 128, 256, 512)
    partial_windows: bool = True
    normalization: str = "fine-grained"
    activation: str = "leaky-relu"
    slope: float = 0.1
    sides: tuple[int, ...] = ()
    unit_length: bool = False
    context: tuple[float, ...] = ()
    joint: tuple[int, ...] = ()
    input_mean: float = 0.45
    input_std: float = 0.25

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain values, for a file header."""
        return asdict(self) | {name: list(getattr(self, name)) for name in _TUPLES}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> PatchNetConfig:
        """Rebuild a config from `to_dict`; unknown keys are refused."""
        unknown = set(values) - {field.name for field in fields(cls)}
        if unknown:
            raise PatchBatchError(
                f"unknown network settings {sorted(unknown)}; use weights made by this version"
            )
        tuples: dict[str, Any] = {name: tuple(values[name]) for name in _TUPLES if name in values}
        return cls(**(values | tuples))


PRESETS: dict[str, PatchNetConfig] = {
    # Table 1, patch by patch. What it says of coarser scales is put beside it, as for `fast`.
    "accurate": PatchNetConfig(context=(0.7, 0.5)),
    # The same layers on 71 px end in 2x2 places of 512 numbers. The paper's ACCURATE-PS71 by inference.
    "accurate-71": PatchNetConfig(patch_size=71),
    # The same stack without overhanging windows sees 62 px (3 4 8 10 18 22 38 46 62), and with statistics
    # shared over positions a whole image can be evaluated at once. Its sides are ours.
    "fast": PatchNetConfig(
        patch_size=62, partial_windows=False, normalization="per-channel", unit_length=True,
        sides=(2, 3), context=(0.7, 0.5),
    ),
    # A tenth of its arithmetic and an eighth of its numbers.
    "compact": PatchNetConfig(
        patch_size=62, partial_windows=False, normalization="per-channel", unit_length=True,
        channels=(16, 32, 48, 80, 64), sides=(2, 3, 4), context=(0.7, 0.5), joint=(80, 64),
    ),
}  # fmt: skip


class PatchNet(nn.Module):
    """Five convolutions, each with normalisation, leaky ReLU and (but the last) 2x2 max pooling.

    Pooling stands before the activation here: both orders give the same numbers, since the activation
    rises, and this one activates a quarter of the values.

    Shape
    -----
    Patches `(N, 1, P, P)` with grey levels in [0, 1], P = `config.patch_size` -> `(N, D)`, so that the
    module can be handed to `kornia.feature.LAFDescriptor`.

    Examples
    --------
    >>> net = PatchNet(PRESETS["fast"]).eval()
    >>> net(torch.rand(2, 1, 62, 62)).shape
    torch.Size([2, 512])
    """

    def __init__(self, config: PatchNetConfig):
        super().__init__()
        self.config = config
        self.patch_size = config.patch_size
        self._check_config()
        kernels = [3] * (len(config.channels) - 1) + [2]
        self.convolutions = nn.ModuleList()
        self.normalizations = nn.ModuleList()
        self.map_sizes = []  # side of each convolution's output on one patch
        size, inputs = config.patch_size, 1
        for index, (outputs, kernel) in enumerate(zip(config.channels, kernels, strict=True)):
            size -= kernel - 1
            if size < 1:
                raise PatchBatchError(
                    f"a {config.patch_size}-px patch is too small for this network; use "
                    f"{47 if config.partial_windows else 62} or more"
                )
            self.convolutions.append(nn.Conv2d(inputs, outputs, kernel))
            self.normalizations.append(self._normalization(outputs, size))
            self.map_sizes.append(size)
            if index < len(kernels) - 1:
                size = -(-size // 2) if config.partial_windows else size // 2
            inputs = outputs
        self.output_size = size
        self.dimension = config.channels[-1] * size * size
        self.sides = nn.ModuleDict(
            {str(number): nn.Conv2d(config.channels[number - 1], self.dimension, 1, bias=False)
             for number in config.sides}
        )  # fmt: skip
        scales = self.dimension * (1 + len(config.context))
        self.joining = ScaleJoin(scales, config.joint, config.slope) if config.joint else None

    def _check_config(self) -> None:
        config = self.config
        if config.activation not in ("leaky-relu", "elu"):
            raise PatchBatchError(f"unknown activation {config.activation!r}; use 'leaky-relu' or 'elu'")
        if not set(config.sides) <= set(range(1, len(config.channels))):
            raise PatchBatchError(f"sides {config.sides} are not numbers of convolutions before the last")

    def _normalization(self, channels: int, size: int) -> nn.Module:
        if self.config.normalization == "fine-grained":
            return FineGrainedBatchNorm(channels, size, size)
        if self.config.normalization == "per-channel":
            return ChannelBatchNorm(channels)
        raise PatchBatchError(
            f"unknown normalization {self.config.normalization!r}; use 'fine-grained' or 'per-channel'"
        )

    @property
    def is_dense(self) -> bool:
        """Whether a whole image can be evaluated at once with the same result as patch by patch."""
        return (
            self.config.normalization == "per-channel"
            and not self.config.partial_windows
            and self.output_size == 1
        )

    def forward(self, patches: Tensor) -> Tensor:
        """Describe patches `(N, 1, P, P)` in [0, 1] -> `(N, D)`.

        Raises
        ------
        PatchBatchError
            When the patches have another shape.
        """
        size = self.patch_size
        if patches.ndim != 4 or patches.shape[1:] != (1, size, size):
            raise PatchBatchError(
                f"patches have shape {tuple(patches.shape)}; this network takes (N, 1, {size}, {size})"
            )
        x, sides = self._standardize(patches), torch.zeros((), device=patches.device)
        last = len(self.convolutions) - 1
        for index, (convolution, normalization) in enumerate(
            zip(self.convolutions, self.normalizations, strict=True)
        ):
            x = convolution(x)
            if index < last and self._fuses(index, x):
                assert isinstance(normalization, FineGrainedBatchNorm)  # noqa: S101 - tells the type checker
                x = normalize_pool_activate(x, normalization, self.config.partial_windows, self.config.slope)
                continue
            x = normalization(x)
            if index + 1 in self.config.sides:
                middle = self.map_sizes[index] // 2
                sides = sides + self._side(index, x[:, :, middle : middle + 1, middle : middle + 1]).flatten(
                    1
                )
            if index < last:
                x = F.max_pool2d(x, 2, ceil_mode=self.config.partial_windows)
            x = self.activate(x)
        return self._finish(x.flatten(1) + sides if self.config.sides else x.flatten(1))

    def _fuses(self, index: int, x: Tensor) -> bool:
        plain = self.config.activation == "leaky-relu" and index + 1 not in self.config.sides
        return plain and is_fusible(x, self.normalizations[index])

    def dense(self, images: Tensor, stride: int = 1) -> Tensor:
        """Describe every patch of whole images: `(N, 1, H, W)` -> `(N, D, (H-P)//stride+1, (W-P)//stride+1)`.

        The strides of the pooling layers are replaced by dilation (Giusti et al. 2013), except the first
        `log2(stride)` ones, which then stay. Output (i, j) is what `forward` gives for the patch whose
        top left pixel is (i, j) * stride, to rounding.

        Raises
        ------
        PatchBatchError
            When the network's statistics depend on the place in the patch (`is_dense` is False), the
            stride is not 1, 2, 4 ... 16, or an image is smaller than a patch.
        """
        self._check_dense(images, stride)
        x, step, last = self._standardize(images), 1, len(self.convolutions) - 1
        sides = []  # of each: index, feature map, its step in px
        for index, (convolution, normalization) in enumerate(
            zip(self.convolutions, self.normalizations, strict=True)
        ):
            assert isinstance(convolution, nn.Conv2d)  # noqa: S101 - tells the type checker
            dilation = 2**index // step
            x = F.conv2d(x, convolution.weight, convolution.bias, dilation=dilation)
            x = normalization(x)
            if index + 1 in self.config.sides:
                sides.append((index, x, step))
            if index < last and step < stride:
                x, step = F.max_pool2d(x, 2), step * 2
            elif index < last:
                x = F.max_pool2d(x, 2, stride=1, dilation=dilation)
            x = self.activate(x)
        for index, features, step in sides:
            x = x + self._side(index, self.at_centres(index, features, step, stride, x.shape[-2:]))
        return self._finish(x)

    def at_centres(self, index: int, features: Tensor, step: int, stride: int, shape: torch.Size) -> Tensor:
        """Cut what a convolution says of the described pixels out of its dense output.

        Parameters
        ----------
        index
            Of the convolution, from 0.
        features
            Its output `(N, C, H, W)`, one value every `step` px.
        stride, shape
            Pixels between descriptors, and rows and columns of them.
        """
        start = self.map_sizes[index] // 2 * 2**index // step
        every = stride // step
        rows, columns = ((size - 1) * every + 1 for size in shape)
        return features[:, :, start : start + rows : every, start : start + columns : every]

    def activate(self, x: Tensor) -> Tensor:
        """Apply the activation function of the config."""
        return F.elu(x) if self.config.activation == "elu" else F.leaky_relu(x, self.config.slope)

    def _side(self, index: int, features: Tensor) -> Tensor:
        projected: Tensor = self.sides[str(index + 1)](self.activate(features))
        return projected

    def _check_dense(self, images: Tensor, stride: int) -> None:
        if not self.is_dense:
            raise PatchBatchError(
                "this network has to be evaluated patch by patch; use forward, or the fast model"
            )
        if stride not in (1, 2, 4, 8, 16):
            raise PatchBatchError(f"stride {stride} is not 1, 2, 4, 8 or 16")
        if min(images.shape[-2:]) < self.patch_size:
            raise PatchBatchError(
                f"image of {images.shape[-1]}x{images.shape[-2]} is smaller than the "
                f"{self.patch_size}-px patch; pad it"
            )

    def _standardize(self, x: Tensor) -> Tensor:
        return (x - self.config.input_mean) / self.config.input_std

    def _finish(self, x: Tensor) -> Tensor:
        # In float32: the length of a 512-vector loses digits in half precision.
        return F.normalize(x.float(), dim=1) if self.config.unit_length else x


def flops_per_pixel(config: PatchNetConfig) -> int:
    """Arithmetic of dense evaluation, in floating-point operations per pixel (two for a multiply-add)."""
    inputs = (1, *config.channels[:-1])
    areas = [9] * (len(config.channels) - 1) + [4]
    trunk = sum(i * o * a for i, o, a in zip(inputs, config.channels, areas, strict=True))
    return 2 * (trunk + sum(config.channels[number - 1] * config.channels[-1] for number in config.sides))


def flops_per_patch(config: PatchNetConfig) -> int:
    """Arithmetic of one patch by itself, in floating-point operations (two for a multiply-add)."""
    size, inputs, total = config.patch_size, 1, 0
    last = len(config.channels) - 1
    for index, outputs in enumerate(config.channels):
        kernel = 2 if index == last else 3
        size -= kernel - 1
        total += 2 * inputs * outputs * kernel**2 * size**2
        if index < last:
            size = -(-size // 2) if config.partial_windows else size // 2
        inputs = outputs
    dimension = config.channels[-1] * size**2
    return total + 2 * sum(config.channels[number - 1] * dimension for number in config.sides)
