"""Fast evaluation of networks that can be run on a whole image (`fast`, `compact`).

Pooling cuts the maps into fragments (see `fragments`), so that every convolution is undilated and
channels-last, which the CPU's libraries multiply at close to their peak. Each normalisation is folded into
its convolution. The image runs through all layers in bands of a few rows: each layer keeps the rows that its
next band needs, so nothing is computed twice, and maps are small enough to stay near the cache.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from patchbatch.descriptors.evaluate.shift_and_stitch import finish, pool_to_fragments, take_centres
from patchbatch.descriptors.network.trunk import PatchTrunk

# Rows of a band. More rows mean larger maps and fewer calls, which other devices than a CPU want.
BAND_CPU, BAND_DEVICE = 32, 256
# Columns at once on a CPU.
STRIP_CPU = 640


@dataclass(frozen=True)
class _Layer:
    """A convolution with its normalisation.

    Attributes
    ----------
    weight, bias
        `(outputs, inputs, k, k)` and `(outputs,)`.
    delay
        Rows from the first of the image to the first whose output has seen nothing from above it, counted at
        the last row of what it sees.
    centre
        Column, and row beyond the delay, of the first described pixel in the output; None without a side.
    first
        First column of its side in the matrix of all sides.
    """

    weight: Tensor
    bias: Tensor
    delay: int
    centre: int | None
    first: int


class DenseEngine:
    """Evaluates a dense network at every pixel of an image.

    Works with the running statistics, on the model's device.

    Parameters
    ----------
    model
        A `PatchTrunk` that is dense (`is_dense`).
    dtype
        Number type of products and maps. Lengths are float32.
    memory_mb
        Working memory in MB beyond image and result. Below about 8 MB the smallest tiles are used.

    Examples
    --------
    >>> from patchbatch.descriptors.network.config import PRESETS
    >>> engine = DenseEngine(PatchTrunk(PRESETS["compact"]).eval(), torch.float32)
    >>> out = torch.empty(3, 5, 64)
    >>> engine.everywhere(torch.rand(3 + 61, 5 + 61), out)
    >>> out.isfinite().all().item()
    True
    """

    def __init__(self, model: PatchTrunk, dtype: torch.dtype, memory_mb: int = 512):
        self.model, self.dtype = model, dtype
        self.device = next(model.parameters()).device
        # A slope of 1 leaves other activations to torch.
        self.slope = model.config.slope if model.config.activation == "leaky-relu" else 1.0
        self.layers: list[_Layer] = []
        for index in range(len(model.convolutions)):
            self.layers.append(self._layer(index))
        self.side_matrix = self._side_matrix()
        self.step: int = 2 ** (len(self.layers) - 1)  # px between places of a last fragment
        on_cpu = self.device.type == "cpu"
        self.band: int = max(self.step, BAND_CPU if on_cpu else BAND_DEVICE)
        columns = memory_mb * 2**20 // self._bytes_per_column() - model.patch_size
        self.strip = max(self.step, min(columns, STRIP_CPU) if on_cpu else columns)

    @torch.inference_mode()
    def everywhere(self, padded: Tensor, out: Tensor) -> None:
        """Describe all patches of an image.

        Parameters
        ----------
        padded
            `(H + P - 1, W + P - 1)` grey levels, P the patch size.
        out
            `(H, W, E)`, contiguous, E >= D; the first D numbers of each pixel are written to. `out[y, x]`
            belongs to the patch whose top left pixel is (x, y).
        """
        config = self.model.config
        width = out.shape[1]
        grey = ((padded - config.input_mean) / config.input_std).to(self.dtype)
        lead = -self.layers[-1].delay % self.band
        # Bands and fragments are whole; the first convolution has two rows above the first band.
        frame = [0, -width % self.step, lead + 2, -(lead + len(grey)) % self.band]
        grey = F.pad(grey, frame)
        overlap = self.model.patch_size - 1
        for left, right in self._strips(width):
            strip = grey[:, left : right + overlap].contiguous()
            self._describe(strip, lead, (left, right), out)

    def _strips(self, width: int) -> list[tuple[int, int]]:
        """Cut the columns into nearly equal strips of whole fragments."""
        steps = -(-width // self.step)
        edges = np.linspace(0, steps, -(-steps * self.step // self.strip) + 1).round().astype(int)
        return list(pairwise((edges * self.step).tolist()))

    def _describe(self, grey: Tensor, lead: int, columns: tuple[int, int], out: Tensor) -> None:
        """Describe a strip of whole fragments in bands; its last columns may lie beyond `out`."""
        inputs, lasts = self._kept(grey.shape[1])
        width = columns[1] - columns[0]
        ring = grey.new_zeros(self._ring_rows(), width, len(self.side_matrix))
        for top in range(0, len(grey) - 2, self.band):
            maps = grey[None, top : top + self.band + 2, :, None]
            for index, layer in enumerate(self.layers):
                if top + self.band <= lead + layer.delay:  # has seen nothing but what is above the image
                    break
                maps = _convolve(maps, layer)
                if layer.centre is not None:
                    row = top - lead - layer.delay - layer.centre
                    take_centres(maps, (layer.centre, row), self.slope, ring, layer.first)
                if index + 1 < len(self.layers):
                    maps = self._pool(lasts[index], maps, inputs[index])
            else:
                first = top - lead - self.layers[-1].delay
                self._finish(maps, ring, (first, columns[0]), out)

    def _pool(self, last: Tensor, maps: Tensor, kept: Tensor) -> Tensor:
        """Pool a band into the next layer's input behind the rows kept of the band before."""
        rows = maps.shape[1] // 2
        again = kept.shape[1] - rows
        kept[:, :again] = kept[:, rows:].clone()
        pool_to_fragments(last, maps, self.slope, kept)
        last.copy_(maps[:, -1:])
        if self.model.config.activation != "leaky-relu":
            kept[:, again:] = self.model.activate(kept[:, again:])
        return kept

    def _finish(self, trunk: Tensor, ring: Tensor, place: tuple[int, int], out: Tensor) -> None:
        """Write the descriptors of a band whose first row and column are `place`."""
        first = place[0] % len(ring)
        sides = self._activated(ring[first : first + self.band]) @ self.side_matrix
        finish(self._activated(trunk), sides, self.slope, self.model.config.unit_length, out, place)

    def _kept(self, columns: int) -> tuple[list[Tensor], list[Tensor]]:
        """Make what is kept between bands: inputs of all layers but the first, last rows before pooling."""
        inputs, lasts = [], []
        for index, layer in enumerate(self.layers[:-1]):
            across = 2**index
            width = columns - layer.weight.shape[-1] + 1
            channels = len(layer.weight)
            lasts.append(layer.weight.new_zeros(across**2, 1, width, channels))
            again = self.layers[index + 1].weight.shape[-1] - 1
            columns = width // 2
            rows = again + self.band // (2 * across)
            inputs.append(layer.weight.new_zeros(4 * across**2, rows, columns, channels))
        return inputs, lasts

    def _ring_rows(self) -> int:
        """Rows that sides have to wait for the trunk, and a band, in whole bands."""
        last = self.layers[-1].delay
        waits = [last - layer.delay - layer.centre for layer in self.layers if layer.centre is not None]
        bands = 1 + -(-max(waits, default=0) // self.band)
        return self.band * bands

    def _activated(self, values: Tensor) -> Tensor:
        """Apply an activation that the compiled passes do not know."""
        return values if self.model.config.activation == "leaky-relu" else self.model.activate(values)

    def _layer(self, index: int) -> _Layer:
        convolution, norm = self.model.convolutions[index], self.model.normalizations[index]
        assert isinstance(convolution, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d)  # noqa: S101 - types
        assert convolution.bias is not None and norm.running_mean is not None and norm.running_var is not None  # noqa: S101 - types
        gain = norm.weight / (norm.running_var + norm.eps).sqrt()
        weight = (convolution.weight * gain[:, None, None, None]).detach().to(self.dtype)
        bias = ((convolution.bias - norm.running_mean) * gain + norm.bias).detach().to(self.dtype)
        delay, first = 2, 0
        if index:
            before = self.layers[index - 1]
            delay = before.delay + 2 ** (index - 1) + (weight.shape[-1] - 1) * 2**index
            first = before.first + (0 if before.centre is None else len(before.weight))
        has_side = index + 1 in self.model.config.sides
        centre = self.model.map_sizes[index] // 2 * 2**index if has_side else None
        return _Layer(_channels_last(weight), bias, delay, centre, first)

    def _side_matrix(self) -> Tensor:
        """Return the matrices of all sides below each other, `(S, D)`."""
        numbers = sorted(self.model.config.sides)
        matrices = [self.model.sides[str(n)].get_parameter("weight").detach()[:, :, 0, 0] for n in numbers]
        none = torch.empty(self.model.patch_dimension, 0, device=self.device)
        return torch.cat([none, *matrices], dim=1).T.to(self.dtype).contiguous()

    def _bytes_per_column(self) -> int:
        """Bound all maps of a band and what is kept between bands, per column of a strip."""
        channels = (1, *self.model.config.channels)
        numbers: int = 2 * self.band * channels[-1] + self._ring_rows() * len(self.side_matrix)
        for index, (inputs, outputs) in enumerate(pairwise(channels)):
            numbers += (self.band + 2 * 2**index) * inputs + (self.band + 2**index) * outputs
        return numbers * self.dtype.itemsize


def _convolve(maps: Tensor, layer: _Layer) -> Tensor:
    """Convolve maps `(N, h, w, C)` -> `(N, h - k + 1, w - k + 1, outputs)`, contiguous."""
    product = F.conv2d(_channels_last(maps.permute(0, 3, 1, 2)), layer.weight, layer.bias)
    return product.permute(0, 2, 3, 1).contiguous()


def _channels_last(values: Tensor) -> Tensor:
    """Return `(N, C, h, w)` with channels-last strides also where C is 1.

    There torch leaves strides that fit both orders, takes the other one, and runs several times as long.
    """
    _, channels, height, width = values.shape
    moved = values.permute(0, 2, 3, 1).contiguous()
    return moved.as_strided(values.shape, (channels * height * width, 1, channels * width, channels))
