"""dlib's residual network for faces in torch: a chip of a face -> 128 numbers.

The layers are those of D. King's `dnn_face_recognition_ex.cpp` (29 convolutions, trained in 2017 on some
three million faces); the weights, which he gave to the public domain, come with the package
`face_recognition_models`. dlib's own evaluation takes 150 ms a face on a core, this 10 to 20.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from patchbatch.data.files import FilePath
from patchbatch.transfer.embeddings.dlib_file import DlibFile

SIDE, NUMBERS = 150, 128
_MEAN = (122.782, 117.001, 104.298)  # of RGB, of dlib's input layer, which divides by 256 then
# Channels of the residual units, from the input on, and whether a unit halves the map.
_UNITS = (
    *[(32, False)] * 3,
    (64, True), *[(64, False)] * 3,
    (128, True), *[(128, False)] * 2,
    (256, True), *[(256, False)] * 2,
    (256, True),
)  # fmt: skip


class _Convolution(nn.Conv2d):
    """A convolution and the scale behind it, in one. dlib pads by half, or not at all with a stride."""

    def __init__(self, inputs: int, outputs: int, size: int, stride: int) -> None:
        super().__init__(inputs, outputs, size, stride, padding=0 if stride > 1 else size // 2)

    @torch.no_grad()
    def read(self, file: DlibFile) -> None:
        """Take the next convolution and the next scale of a file."""
        values, scale = file.parameters("con_4").ravel(), file.parameters("affine_").ravel()
        count = len(values) - self.out_channels
        if count != self.weight.numel() or len(scale) != 2 * self.out_channels:
            raise file.unlike("the face network")
        weight = torch.from_numpy(values[:count]).view_as(self.weight)
        gain, shift = torch.from_numpy(scale).chunk(2)
        self.weight.copy_(weight * gain[:, None, None, None])
        assert self.bias is not None  # noqa: S101 - types
        self.bias.copy_(torch.from_numpy(values[count:]) * gain + shift)


class _Unit(nn.Module):
    def __init__(self, inputs: int, outputs: int, halves: bool) -> None:
        super().__init__()
        self.halves = halves
        self.first = _Convolution(inputs, outputs, 3, 2 if halves else 1)
        self.second = _Convolution(outputs, outputs, 3, 1)

    def forward(self, x: Tensor) -> Tensor:
        changed = self.second(F.relu(self.first(x)))
        short = F.avg_pool2d(x, 2) if self.halves else x
        # Where the two differ in size, in channels or by a row, dlib takes what is missing for 0.
        total = [max(a, b) for a, b in zip(changed.shape[1:], short.shape[1:], strict=True)]
        return F.relu(_padded(changed, total) + _padded(short, total))


def _padded(x: Tensor, sides: list[int]) -> Tensor:
    channels, height, width = (side - own for side, own in zip(sides, x.shape[1:], strict=True))
    return F.pad(x, (0, width, 0, height, 0, channels)) if channels or height or width else x


class DlibFaceNet(nn.Module):
    """Chips `(N, 3, 150, 150)`, RGB in [0, 255] -> `(N, 128)`; of one person's about 0.4 apart, of two's 0.8.

    Parameters
    ----------
    path
        `dlib_face_recognition_resnet_model_v1.dat`.

    Raises
    ------
    PatchBatchError
        The file is missing, or is not that network.
    """

    mean: Tensor

    def __init__(self, path: FilePath) -> None:
        super().__init__()
        self.first = _Convolution(3, 32, 7, 2)
        inputs, units = 32, []
        for outputs, halves in _UNITS:
            units.append(_Unit(inputs, outputs, halves))
            inputs = outputs
        self.units = nn.Sequential(*units)
        self.last = nn.Linear(inputs, NUMBERS, bias=False)
        self.register_buffer("mean", torch.tensor(_MEAN)[:, None, None])
        self._read(DlibFile(path))
        self.eval().requires_grad_(False)

    @torch.no_grad()
    def _read(self, file: DlibFile) -> None:
        for layer in self.modules():
            if isinstance(layer, _Convolution):
                layer.read(file)
        values: NDArray[Any] = file.parameters("fc_2", skip=2)
        if values.shape != (self.last.in_features, NUMBERS, 1, 1):
            raise file.unlike("the face network")
        self.last.weight.copy_(torch.from_numpy(np.ascontiguousarray(values[:, :, 0, 0].T)))

    def forward(self, chips: Tensor) -> Tensor:
        """Return the 128 numbers of each chip."""
        x = F.max_pool2d(F.relu(self.first((chips - self.mean) / 256)), 3, 2)
        numbers: Tensor = self.last(self.units(x).mean(dim=(2, 3)))
        return numbers
