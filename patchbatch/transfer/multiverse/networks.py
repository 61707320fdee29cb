"""Trunks of the talk's experiments layer by layer, and a trunk with multiverse heads at any of its stages.

Both trunks give a representation `(N, d)` and leave the classifier to a `MultiverseHead`. Where the talk's
tables do not fit together, the layer that does is taken; each place says which.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from patchbatch.descriptors.network.normalization import ChannelBatchNorm
from patchbatch.errors import PatchBatchError
from patchbatch.transfer.multiverse.head import MultiverseHead
from patchbatch.transfer.multiverse.table import TrunkConfig


def _layers(*layers: nn.Module) -> nn.Sequential:
    return nn.Sequential(*layers)


def _convolution(inputs: int, outputs: int, size: int, normalized: bool) -> tuple[nn.Module, ...]:
    """Return a convolution that keeps the size of the map, with its normalisation if there is one."""
    # What the normalisation adds makes a bias of the convolution's own idle.
    convolution = nn.Conv2d(inputs, outputs, size, padding=size // 2, bias=not normalized)
    return (convolution, ChannelBatchNorm(outputs)) if normalized else (convolution,)


def _he(trunk: nn.Module) -> None:
    """Draw weights through which the signal keeps its size; with torch's own it fades in nine layers."""
    for layer in trunk.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


class NetworkInNetwork(nn.Sequential):
    """Nine convolutions in three blocks, each a spatial one and two of 1 x 1: 984,356 parameters.

    Sources: Lin, Chen & Yan, ICLR 2014; the talk's table for CIFAR-100. Its Conv23 has 100 filters although
    192 channels follow: 192 here. The second pooling is the mean, as in the original; the talk does not say.

    Parameters
    ----------
    channels
        3 for RGB.
    dropout
        Share of the values dropped after the first two blocks in training; 0 is off.
    widths
        Outputs of the nine convolutions; the last is the width of the representation.
    normalized
        Whether every convolution is followed by batch normalisation; the talk's are not.

    Shape
    -----
    `(N, channels, 32, 32)`, values of about unit variance -> `(N, 100)`. Other sizes from 11 x 11 up work; at
    32 x 32 the last mean is the talk's, over 7 x 7. Stages: `block1`, `block2`, `block3`, `pool`.
    """

    features = 100  # of the talk's widths; an instance has its own

    def __init__(
        self,
        channels: int = 3,
        dropout: float = 0.5,
        widths: Sequence[int] = (192, 160, 96, 192, 192, 192, 192, 192, 100),
        normalized: bool = False,
    ):
        last = (nn.MaxPool2d(3, 2), nn.Dropout(dropout)), (nn.AvgPool2d(3, 2), nn.Dropout(dropout)), ()
        sizes, blocks = (5, 5, 3), OrderedDict[str, nn.Module]()
        for number, (size, ends) in enumerate(zip(sizes, last, strict=True)):
            layers: list[nn.Module] = []
            for width, side in zip(widths[3 * number : 3 * number + 3], (size, 1, 1), strict=True):
                layers += [*_convolution(channels, width, side, normalized), nn.ReLU(inplace=True)]
                channels = width
            blocks[f"block{number + 1}"] = _layers(*layers, *ends)
        blocks["pool"] = _layers(nn.AdaptiveAvgPool2d(1), nn.Flatten())
        super().__init__(blocks)
        self.features = channels
        _he(self)


class ScratchNet(nn.Sequential):
    """Ten 3 x 3 convolutions in five blocks for grey faces: 1,752,768 parameters.

    Sources: Yi, Lei, Liao & Li, arXiv 1411.7923, 2014; the talk's table, whose final "320 -> 100" is left to
    the head (with the 10,575 people of CASIA-WebFace 5,147,343 parameters in all). Its 6 x 6 mean belongs to
    images of 100 x 100. As in the original no ReLU follows the last convolution: features may be negative.

    Parameters
    ----------
    channels
        1 for grey.
    dropout
        Share of the representation dropped in training; 0 is off.
    widths
        Outputs of the ten convolutions; the last is the width of the representation.
    normalized
        Whether every convolution is followed by batch normalisation; the talk's are not.

    Shape
    -----
    `(N, channels, 100, 100)` -> `(N, 320)`. Other sizes from 16 x 16 up work. Stages: `block1` to `block5`,
    `pool`.
    """

    features = 320  # of the talk's widths; an instance has its own

    def __init__(
        self,
        channels: int = 1,
        dropout: float = 0.3,
        widths: Sequence[int] = (32, 64, 64, 128, 96, 192, 128, 256, 160, 320),
        normalized: bool = False,
    ):
        blocks: OrderedDict[str, nn.Module] = OrderedDict()
        for number in range(5):
            one, two = widths[2 * number : 2 * number + 2]
            ends = (nn.ReLU(inplace=True), nn.MaxPool2d(2)) if number < 4 else ()
            blocks[f"block{number + 1}"] = _layers(
                *_convolution(channels, one, 3, normalized), nn.ReLU(inplace=True),
                *_convolution(one, two, 3, normalized), *ends,
            )  # fmt: skip
            channels = two
        blocks["pool"] = _layers(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(dropout))
        super().__init__(blocks)
        self.features = channels
        _he(self)


def make_trunk(config: TrunkConfig) -> NetworkInNetwork | ScratchNet:
    """Return the untrained trunk that a config describes."""
    kind = NetworkInNetwork if config.layers == "nin" else ScratchNet
    return kind(config.inputs, config.dropout, config.channels, config.normalization == "batch")


class MultiverseNet(nn.Module):
    """A trunk of named stages with a multiverse head behind one or several of them.

    Parameters
    ----------
    trunk
        Stages run one after the other, such as `NetworkInNetwork`; its output is the representation.
    heads
        Name of a stage -> the head that looks at its output. Maps `(N, C, H, W)` are averaged over the place
        first, so the head's width is C.

    Raises
    ------
    PatchBatchError
        For no head at all, and for a stage that the trunk does not have.

    Examples
    --------
    >>> trunk = nn.Sequential(nn.Linear(10, 32), nn.ReLU(), nn.Linear(32, 16))
    >>> heads = {"1": MultiverseHead(32, 4, copies=2), "2": MultiverseHead(16, 4, copies=3)}
    >>> net = MultiverseNet(trunk, heads)
    >>> x, labels = torch.randn(8, 10), torch.arange(8) % 4
    >>> net(x, labels).backward()  # the sum of the heads' losses
    >>> net(x).shape               # the representation
    torch.Size([8, 16])
    """

    def __init__(self, trunk: nn.Sequential, heads: Mapping[str, MultiverseHead]):
        super().__init__()
        stages = [name for name, _ in trunk.named_children()]
        unknown = [name for name in heads if name not in stages]
        if unknown or not heads:
            wrong = ", ".join(unknown) or "no stage"
            raise PatchBatchError(f"heads at {wrong}; the trunk's stages are {', '.join(stages)}")
        self.trunk, self.heads = trunk, nn.ModuleDict(heads)

    def forward(self, inputs: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return the representation or, given labels `(N,)`, the sum of the heads' losses, a scalar."""
        outputs = self.stage_outputs(inputs)
        if labels is None:
            return outputs[next(reversed(outputs))]
        losses = [head(outputs[name], labels) for name, head in self.heads.items()]
        return torch.stack(losses).sum()

    def stage_outputs(self, inputs: Tensor) -> dict[str, Tensor]:
        """Return what each head sees, `(N, C)`, by its stage's name, and the last stage's output, last."""
        x, outputs = inputs, {}
        for name, stage in self.trunk.named_children():
            x = stage(x)
            outputs[name] = x.mean(dim=(2, 3)) if x.ndim == 4 else x
        last = next(reversed(outputs))
        return {name: value for name, value in outputs.items() if name in self.heads or name == last}
