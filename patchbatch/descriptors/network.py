"""The patch network of Table 1: one patch in, one descriptor out, or a whole image at once.

Source: Gadot & Wolf, "PatchBatch: a batch augmented loss for optical flow", CVPR 2016, Table 1.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from patchbatch.errors import PatchBatchError


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
    slope
        Slope of the leaky ReLU for negative input.
    unit_length
        True: descriptors are divided by their length.
    input_mean, input_std
        Grey level (of [0, 1]) and contrast that the first convolution sees as 0 and 1. `describe` brings
        each whole image to this mean and deviation first, as the 2016 code standardises whole images.
    """

    patch_size: int = 51
    channels: tuple[int, ...] = (32, 64, 128, 256, 512)
    partial_windows: bool = True
    normalization: str = "fine-grained"
    slope: float = 0.1
    unit_length: bool = False
    input_mean: float = 0.45
    input_std: float = 0.25

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain values, for a file header."""
        return asdict(self) | {"channels": list(self.channels)}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> PatchNetConfig:
        """Rebuild a config from `to_dict`; unknown keys are refused."""
        unknown = set(values) - {field.name for field in fields(cls)}
        if unknown:
            raise PatchBatchError(
                f"unknown network settings {sorted(unknown)}; use weights made by this version"
            )
        return cls(**(values | {"channels": tuple(values["channels"])} if "channels" in values else values))


PRESETS: dict[str, PatchNetConfig] = {
    # Table 1, patch by patch.
    "accurate": PatchNetConfig(),
    # The same stack without overhanging windows sees 62 px (3 4 8 10 18 22 38 46 62), and with statistics
    # shared over positions a whole image can be evaluated at once.
    "fast": PatchNetConfig(
        patch_size=62, partial_windows=False, normalization="per-channel", unit_length=True
    ),
}


class FineGrainedBatchNorm(nn.Module):
    """Batch normalisation with one mean, deviation, gain and offset per channel, row and column.

    Source: Gadot & Wolf 2016; details (eps, running deviation instead of variance, gain in
    [0.95, 1.05]) from the authors' published layer.

    Parameters
    ----------
    channels, height, width
        Shape of one feature map.
    eps
        Added to the batch variance before the square root.
    momentum
        Share of the new batch in the running mean and deviation.

    Shape
    -----
    `(N, channels, height, width)` -> the same.
    """

    running_mean: Tensor
    running_std: Tensor

    def __init__(self, channels: int, height: int, width: int, eps: float = 1e-3, momentum: float = 0.01):
        super().__init__()
        self.eps, self.momentum = eps, momentum
        self.weight = nn.Parameter(torch.empty(channels, height, width).uniform_(0.95, 1.05))
        self.bias = nn.Parameter(torch.zeros(channels, height, width))
        self.register_buffer("running_mean", torch.zeros(channels, height, width))
        self.register_buffer("running_std", torch.ones(channels, height, width))

    def forward(self, x: Tensor) -> Tensor:
        """Normalise a batch; in training mode with its own statistics, which also move the running ones."""
        if not self.training:
            return (x - self.running_mean) / self.running_std * self.weight + self.bias
        mean = x.mean(dim=0)
        std = (x.var(dim=0, unbiased=False) + self.eps).sqrt()
        with torch.no_grad():
            self.running_mean.lerp_(mean.to(self.running_mean.dtype), self.momentum)
            self.running_std.lerp_(std.to(self.running_std.dtype), self.momentum)
        return (x - mean) / std * self.weight + self.bias


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
        kernels = [3] * (len(config.channels) - 1) + [2]
        self.convolutions = nn.ModuleList()
        self.normalizations = nn.ModuleList()
        size, inputs = config.patch_size, 1
        for index, (outputs, kernel) in enumerate(zip(config.channels, kernels, strict=True)):
            size -= kernel - 1
            if size < 1:
                raise PatchBatchError(
                    f"a {config.patch_size}-px patch is too small for this network; use 46 or more"
                )
            self.convolutions.append(nn.Conv2d(inputs, outputs, kernel))
            self.normalizations.append(self._normalization(outputs, size))
            if index < len(kernels) - 1:
                size = -(-size // 2) if config.partial_windows else size // 2
            inputs = outputs
        self.output_size = size
        self.dimension = config.channels[-1] * size * size

    def _normalization(self, channels: int, size: int) -> nn.Module:
        if self.config.normalization == "fine-grained":
            return FineGrainedBatchNorm(channels, size, size)
        if self.config.normalization == "per-channel":
            return nn.BatchNorm2d(channels)
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
        x = self._standardize(patches)
        last = len(self.convolutions) - 1
        for index, (convolution, normalization) in enumerate(
            zip(self.convolutions, self.normalizations, strict=True)
        ):
            x = normalization(convolution(x))
            if index < last:
                x = F.max_pool2d(x, 2, ceil_mode=self.config.partial_windows)
            x = F.leaky_relu(x, self.config.slope)
        return self._finish(x.flatten(1))

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
        x, dilation, last = self._standardize(images), 1, len(self.convolutions) - 1
        for index, (convolution, normalization) in enumerate(
            zip(self.convolutions, self.normalizations, strict=True)
        ):
            assert isinstance(convolution, nn.Conv2d)  # noqa: S101 - tells the type checker
            x = F.conv2d(x, convolution.weight, convolution.bias, dilation=dilation)
            x = normalization(x)
            if index < last and stride > 1:
                x, stride = F.max_pool2d(x, 2), stride // 2
            elif index < last:
                x = F.max_pool2d(x, 2, stride=1, dilation=dilation)
                dilation *= 2
            x = F.leaky_relu(x, self.config.slope)
        return self._finish(x)

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
    return 2 * sum(i * o * a for i, o, a in zip(inputs, config.channels, areas, strict=True))


def flops_per_patch(config: PatchNetConfig) -> int:
    """Arithmetic of one patch by itself, in floating-point operations (two for a multiply-add)."""
    size, inputs, total = config.patch_size, 1, 0
    last = len(config.channels) - 1
    for index, outputs in enumerate(config.channels):
        kernel = 2 if index == last else 3
        size -= kernel - 1
        total += 2 * inputs * outputs * kernel**2 * size**2
        size, inputs = (-(-size // 2) if config.partial_windows else size // 2), outputs
    return total
