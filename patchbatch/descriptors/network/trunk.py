"""The patch network of Table 1: one patch in, one descriptor out, or a whole image at once.

Source: Gadot & Wolf, "PatchBatch: a batch augmented loss for optical flow", CVPR 2016, Table 1.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from patchbatch.descriptors.network.config import PatchNetConfig
from patchbatch.descriptors.network.fused_step import is_fusible, normalize_pool_activate
from patchbatch.descriptors.network.normalization import ChannelBatchNorm, FineGrainedBatchNorm
from patchbatch.descriptors.network.patches import given_patches
from patchbatch.descriptors.network.scale_join import ScaleJoin
from patchbatch.errors import PatchBatchError


class PatchTrunk(nn.Module):
    """Five convolutions, each with normalisation, leaky ReLU and (but the last) 2x2 max pooling.

    Pooling stands before the activation here: both orders give the same numbers, since the activation
    rises, and this one activates a quarter of the values.

    Shape
    -----
    Patches `(N, 1, P, P)` with grey levels in [0, 1], P = `config.patch_size` -> `(N, D)`, so that the
    module can be handed to `kornia.feature.LAFDescriptor`.

    Examples
    --------
    >>> from patchbatch.descriptors.network.config import PRESETS
    >>> net = PatchTrunk(PRESETS["fast"]).eval()
    >>> net(torch.rand(2, 1, 62, 62)).shape
    torch.Size([2, 512])
    """

    def __init__(self, config: PatchNetConfig):
        super().__init__()
        self.config = config
        self.patch_size = config.patch_size
        kernels = [3] * (len(config.channels) - 1) + [2]
        self.map_sizes = config.map_sizes()  # side of each convolution's output on one patch
        self.convolutions, self.normalizations = nn.ModuleList(), nn.ModuleList()
        inputs = (1, *config.channels[:-1])
        layers = zip(inputs, config.channels, kernels, self.map_sizes, strict=True)
        for channels, outputs, kernel, size in layers:  # in turn, as weights are drawn from one generator
            self.convolutions.append(nn.Conv2d(channels, outputs, kernel))
            self.normalizations.append(self._normalization(outputs, size))
        self.output_size = self.map_sizes[-1]
        self.patch_dimension = config.patch_dimension
        self.sides = nn.ModuleDict(
            {str(number): nn.Conv2d(config.channels[number - 1], self.patch_dimension, 1, bias=False)
             for number in config.sides}
        )  # fmt: skip
        scales = self.patch_dimension * (1 + len(config.context))
        self.joining = ScaleJoin(scales, config.joint, config.slope) if config.joint else None

    def _normalization(self, channels: int, size: int) -> nn.Module:
        if self.config.normalization == "fine-grained":
            return FineGrainedBatchNorm(channels, size, size)
        return ChannelBatchNorm(channels)

    @property
    def is_dense(self) -> bool:
        """Whether a whole image can be evaluated at once, see `PatchNetConfig.is_dense`."""
        return self.config.is_dense

    def forward(self, patches: Tensor) -> Tensor:
        """Describe patches `(N, 1, P, P)` in [0, 1] -> `(N, D)`.

        Whole numbers of 8 or 16 bits are brought to [0, 1], arrays and lists to tensors; other scales are
        refused, see `given_patches`.

        Raises
        ------
        PatchBatchError
            When the patches have another shape, scale or device, or hold numbers that are not finite.
        """
        weight = self.convolutions[0].get_parameter("weight")
        return self.evaluate(given_patches(patches, self.patch_size, weight, check=not self.training))

    def evaluate(self, patches: Tensor) -> Tensor:
        """Do the work of `forward` on float patches that need no checks; standardised ones leave [0, 1]."""
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

    def __prepare_scriptable__(self) -> PatchTrunk:
        raise PatchBatchError(
            "torch.jit.script does not take this network: TorchScript is deprecated and knows none of its "
            "checks; use patchbatch-export MODEL OUT.pt2 (torch.export), OUT.onnx, or torch.jit.trace"
        )

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
