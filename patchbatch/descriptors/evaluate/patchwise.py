"""Fast evaluation of networks that have to see each patch by itself (`accurate`).

Statistics per place in the patch keep neighbouring patches from sharing a map, but for one: what the first
convolution gives before its normalisation is the same in all patches, so it is computed once per tile of
the image. Each normalisation is a gain and an offset per place (the convolution's bias is in the offset)
and runs in one pass with pooling and activation; the other convolutions run channels-last in batches that
stay near the cache.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from patchbatch.descriptors.network.normalization import FineGrainedBatchNorm
from patchbatch.descriptors.network.pooling import Maps, PlaceNorm, normalize_and_pool
from patchbatch.descriptors.network.trunk import PatchTrunk
from patchbatch.progress import tell

# Patches at once: on a CPU the maps of more do not stay near the cache; other devices want many.
BATCH_CPU, BATCH_DEVICE = 128, 4096
# Side of a tile in px: 1.2 first convolutions a pixel for a 51-px patch.
LARGEST_TILE = 256
SMALLEST_TILE = 16
# Copies of its first windows that a patch costs where the pass over the memory is not compiled.
PLAIN_COPIES = 4


@dataclass(frozen=True)
class _Layer:
    """A convolution `(outputs, inputs, k, k)`, its normalisation, and the matrix of its side, if any."""

    weight: Tensor
    norm: PlaceNorm
    side: Tensor | None


class PatchEngine:
    """Evaluates a network patch by patch, at any pixels of an image.

    Works with the running statistics, on the model's device.

    Parameters
    ----------
    model
        Any `PatchTrunk`; it is meant for those that are not dense.
    dtype
        Number type of products and result. The first convolution is float32 on a CPU.
    memory_mb
        Working memory in MB beyond image and result. Below about 4 MB the smallest batches are used.

    Examples
    --------
    >>> from patchbatch.descriptors.network.config import PRESETS
    >>> engine = PatchEngine(PatchTrunk(PRESETS["accurate"]).eval(), torch.float32)
    >>> engine.at(torch.rand(60, 70), torch.tensor([[19, 9], [0, 0]])).shape
    torch.Size([2, 512])
    """

    def __init__(self, model: PatchTrunk, dtype: torch.dtype, memory_mb: int = 512):
        self.model, self.dtype = model, dtype
        self.device = next(model.parameters()).device
        on_cpu = self.device.type == "cpu"
        self.first_dtype = torch.float32 if on_cpu else dtype
        self.layers = [self._layer(index) for index in range(len(model.convolutions))]
        half = memory_mb * 2**20 // 2  # half for the tile, half for the batches
        channels = model.config.channels[0]
        side = int((half / (channels * self.first_dtype.itemsize)) ** 0.5) - model.patch_size
        self.tile_side = min(max(side, SMALLEST_TILE), LARGEST_TILE)
        largest = BATCH_CPU if on_cpu else BATCH_DEVICE
        self.batch = min(max(1, half // self._bytes_per_patch(on_cpu)), largest)

    def everywhere(self, padded: Tensor, out: Tensor) -> None:
        """Describe all patches of an image.

        Parameters
        ----------
        padded
            `(H + P - 1, W + P - 1)` grey levels, P the patch size.
        out
            `(H, W, E)`, E >= D; the first D numbers of each pixel are written to. `out[y, x]` belongs to the
            patch whose top left pixel is (x, y).
        """
        height, width = out.shape[:2]
        side, numbers, done = self.tile_side, self.model.patch_dimension, 0
        for top in range(0, height, side):
            for left in range(0, width, side):
                tile = out[top : top + side, left : left + side, :numbers]
                rows, columns = (torch.arange(size, device=self.device) for size in tile.shape[:2])
                y, x = (grid.flatten() for grid in torch.meshgrid(rows, columns, indexing="ij"))
                for some, described in self._in_tile(padded, left, top, x, y):
                    tile[y[some], x[some]] = described
                    done += len(some)
                    tell("patches", done, height * width)

    def at(self, padded: Tensor, corners: Tensor) -> Tensor:
        """Describe the patches with these top left pixels.

        Parameters
        ----------
        padded
            As in `everywhere`.
        corners
            `(N, 2)` int64, (x, y) of pixels that have a patch.

        Returns
        -------
        Tensor
            `(N, D)` in the engine's number type, in the order of the corners.
        """
        out = torch.empty(len(corners), self.model.patch_dimension, dtype=self.dtype, device=self.device)
        tiles = corners.div(self.tile_side, rounding_mode="floor")
        for tile in torch.unique(tiles, dim=0):
            mine = torch.nonzero((tiles == tile).all(dim=1))[:, 0]
            left, top = (tile * self.tile_side).tolist()
            x, y = (corners[mine] - tile * self.tile_side).T
            for some, described in self._in_tile(padded, left, top, x, y):
                out[mine[some]] = described
        return out

    def _in_tile(
        self, padded: Tensor, left: int, top: int, x: Tensor, y: Tensor
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Describe pixels of a tile, batch by batch: their numbers and their descriptors `(n, D)`."""
        reach = self.model.patch_size
        image = padded[top : top + int(y.max()) + reach, left : left + int(x.max()) + reach]
        config = self.model.config
        grey = ((image - config.input_mean) / config.input_std).to(self.first_dtype)
        first = F.conv2d(grey[None, None], self.layers[0].weight)[0].permute(1, 2, 0)
        values, row = first.reshape(-1, first.shape[2]), first.shape[1]
        starts = y * row + x
        for some in torch.split(torch.arange(len(x), device=self.device), self.batch):
            yield some, self._evaluate(Maps(values, starts[some], row))

    def _evaluate(self, maps: Maps) -> Tensor:
        """Describe the patches whose first convolution is given -> `(N, D)`."""
        sides: list[Tensor] = []
        for index, layer in enumerate(self.layers[:-1]):
            if layer.side is not None:
                sides.append(self._side(maps, layer.norm, layer.side))
            x = normalize_and_pool(maps, layer.norm, self.dtype)
            if self.model.config.activation != "leaky-relu":
                x = self.model.activate(x)
            if index + 2 < len(self.layers):
                maps = Maps.whole(F.conv2d(x, self.layers[index + 1].weight))
        described = self._last(x)
        for side in sides:
            described = described + side
        return (F.normalize(described, dim=1) if self.model.config.unit_length else described).to(self.dtype)

    def _last(self, x: Tensor) -> Tensor:
        """Run the last layer as one matrix product -> float32 `(N, D)`."""
        weight, norm = self.layers[-1].weight, self.layers[-1].norm
        kernel, size = weight.shape[-1], len(norm.gain)
        windows = x.permute(0, 2, 3, 1).unfold(1, kernel, 1).unfold(2, kernel, 1)  # (N, s, s, C, k, k)
        rows = windows.permute(0, 1, 2, 4, 5, 3).reshape(len(x) * size * size, -1)
        product = rows @ weight.permute(2, 3, 1, 0).reshape(-1, len(weight))
        normalized = torch.addcmul(norm.offset, product.view(len(x), size, size, -1).float(), norm.gain)
        return self.model.activate(normalized).permute(0, 3, 1, 2).flatten(1)

    def _side(self, maps: Maps, norm: PlaceNorm, matrix: Tensor) -> Tensor:
        """Return what a layer says of the described pixel itself -> float32 `(N, D)`."""
        middle = len(norm.gain) // 2
        gain, offset = norm.gain[middle, middle], norm.offset[middle, middle]
        normalized = torch.addcmul(offset, maps.at(middle).float(), gain)
        return F.linear(self.model.activate(normalized).to(self.dtype), matrix).float()

    def _layer(self, index: int) -> _Layer:
        model, size = self.model, self.model.map_sizes[index]
        convolution = model.convolutions[index]
        assert isinstance(convolution, nn.Conv2d) and convolution.bias is not None  # noqa: S101 - types
        gain, offset = _gain_and_offset(model.normalizations[index])
        offset = offset + convolution.bias[:, None, None] * gain
        per_place = [
            values.detach().expand(-1, size, size).permute(1, 2, 0).contiguous() for values in (gain, offset)
        ]
        # A slope of 1 leaves other activations to torch.
        slope = model.config.slope if model.config.activation == "leaky-relu" else 1.0
        pooled = -(-size // 2) if model.config.partial_windows else size // 2
        dtype = self.first_dtype if index == 0 else self.dtype
        weight = convolution.weight.detach().to(dtype, memory_format=torch.channels_last)
        return _Layer(weight, PlaceNorm(per_place[0], per_place[1], slope, pooled), self._side_matrix(index))

    def _side_matrix(self, index: int) -> Tensor | None:
        name = str(index + 1)
        if name not in self.model.sides:
            return None
        return self.model.sides[name].get_parameter("weight").detach()[:, :, 0, 0].to(self.dtype)

    def _bytes_per_patch(self, on_cpu: bool) -> int:
        """Bound the maps that live together for one patch: all of them, but for the shared first."""
        numbers = sum(layer.norm.gain.numel() for layer in self.layers[1:])
        numbers += sum(layer.norm.pooled**2 * layer.norm.gain.shape[2] for layer in self.layers[:-1])
        if not on_cpu:
            numbers += PLAIN_COPIES * self.layers[0].norm.gain.numel()
        return numbers * self.dtype.itemsize


def _gain_and_offset(norm: nn.Module) -> tuple[Tensor, Tensor]:
    """Return what a normalisation multiplies by and then adds, `(C, H, W)` or `(C, 1, 1)`."""
    if isinstance(norm, FineGrainedBatchNorm):
        gain = norm.weight / norm.running_std
        return gain, norm.bias - norm.running_mean * gain
    assert isinstance(norm, nn.BatchNorm2d)  # noqa: S101 - types
    assert norm.running_mean is not None and norm.running_var is not None  # noqa: S101 - types
    gain = norm.weight / (norm.running_var + norm.eps).sqrt()
    return gain[:, None, None], (norm.bias - norm.running_mean * gain)[:, None, None]
