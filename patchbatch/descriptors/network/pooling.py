"""Normalisation with statistics per place, 2x2 max pooling and leaky ReLU in one pass over the memory.

Apart, these steps move a network's widest maps through memory several times and take longer than its
convolutions. The plain form in torch is the reference, and what other devices than the CPU run.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from patchbatch.compiled import njit, prange
from patchbatch.descriptors.half_precision import number, shared_array, store

# Patches that take turns on a row of gains and offsets while these are in the first-level cache.
PATCHES_PER_TURN = 16


@dataclass(frozen=True)
class PlaceNorm:
    """Normalisation of one map, as a gain and an offset.

    Attributes
    ----------
    gain, offset
        `(S, S, C)` float32 each, contiguous, for maps of S x S places and C channels.
    slope
        Of the leaky ReLU for negative input; 1 leaves the values as they are.
    pooled
        Side of the map after pooling: S / 2, rounded up where windows hang over the edge.
    """

    gain: Tensor
    offset: Tensor
    slope: float
    pooled: int


@dataclass(frozen=True)
class Maps:
    """Square windows of channels-last maps.

    Attributes
    ----------
    values
        `(pixels, C)`, float32, bfloat16 or float16.
    starts
        `(N,)` int64, the first pixel of each window.
    row
        Pixels from one row of a window to the next.
    """

    values: Tensor
    starts: Tensor
    row: int

    @classmethod
    def whole(cls, batch: Tensor) -> Maps:
        """Take a batch `(N, C, S, S)` whole, without a copy if its memory is channels-last."""
        count, channels, size, _ = batch.shape
        values = batch.permute(0, 2, 3, 1).reshape(-1, channels)
        return cls(values, torch.arange(count, device=batch.device) * size * size, size)

    def windows(self, size: int) -> Tensor:
        """Return the windows `(N, size, size, C)`."""
        steps = torch.arange(size, device=self.values.device)
        pixels = self.starts[:, None, None] + steps[:, None] * self.row + steps
        return self.values[pixels]

    def at(self, place: int) -> Tensor:
        """Return the values `(N, C)` in row and column `place` of each window."""
        return self.values[self.starts + place * self.row + place]


def normalize_and_pool(maps: Maps, norm: PlaceNorm, dtype: torch.dtype) -> Tensor:
    """Normalise, pool and activate -> `(N, C, pooled, pooled)` in `dtype`, channels-last in memory.

    The gain stands before the maximum: it differs within a window and may be negative.
    """
    compiled = (torch.float32, torch.bfloat16)
    if maps.values.device.type != "cpu" or maps.values.dtype not in compiled or dtype not in compiled:
        return plain_normalize_and_pool(maps, norm, dtype)
    size, _, channels = norm.gain.shape
    pooled = torch.empty(len(maps.starts), norm.pooled, norm.pooled, channels, dtype=dtype)
    gain, offset = (values.reshape(size, -1).numpy() for values in (norm.gain, norm.offset))
    _normalize_and_pool(
        shared_array(maps.values.reshape(-1)), maps.starts.numpy(), maps.row, gain, offset,
        np.float32(norm.slope), shared_array(pooled),
    )  # fmt: skip
    return pooled.permute(0, 3, 1, 2)


def plain_normalize_and_pool(maps: Maps, norm: PlaceNorm, dtype: torch.dtype) -> Tensor:
    """Do what `normalize_and_pool` does step by step, on any device."""
    size = len(norm.gain)
    windows = maps.windows(size)
    normalized = torch.addcmul(norm.offset.to(windows.dtype), windows, norm.gain.to(windows.dtype))
    overhang = norm.pooled * 2 > size
    pooled = F.max_pool2d(normalized.permute(0, 3, 1, 2), 2, ceil_mode=overhang)
    return F.leaky_relu(pooled, norm.slope).to(dtype, memory_format=torch.channels_last)


@njit(parallel=True)
def _normalize_and_pool(
    values: Any, starts: Any, row: int, gain: Any, offset: Any, slope: Any, pooled: Any
) -> None:
    """Patches in turns, each by whole rows: `values` is flat, gain and offset `(S, S * C)`."""
    count = starts.shape[0]
    for turn in prange(-(-count // PATCHES_PER_TURN)):
        best = np.empty(gain.shape[1], np.float32)
        last = min(count, (turn + 1) * PATCHES_PER_TURN)
        for y in range(pooled.shape[1]):
            upper, lower = 2 * y, min(2 * y + 1, gain.shape[0] - 1)
            for patch in range(turn * PATCHES_PER_TURN, last):
                start = starts[patch]
                _higher_row(values, start, row, upper, lower, gain, offset, best)
                _pool_row(best, slope, pooled[patch, y])


@njit(fastmath={"contract"})
def _higher_row(
    values: Any, start: int, row: int, upper: int, lower: int, gain: Any, offset: Any, best: Any
) -> None:
    """Normalise two rows of a window and keep the higher value of each place."""
    channels = best.shape[0] // gain.shape[0]
    above = values[(start + upper * row) * channels :][: best.shape[0]]
    below = values[(start + lower * row) * channels :][: best.shape[0]]
    gain1, gain2, offset1, offset2 = gain[upper], gain[lower], offset[upper], offset[lower]
    for i in range(best.shape[0]):
        one = number(above[i]) * gain1[i] + offset1[i]
        other = number(below[i]) * gain2[i] + offset2[i]
        best[i] = one if one > other else other


@njit(fastmath={"contract"})
def _pool_row(best: Any, slope: Any, pooled: Any) -> None:
    """Keep the higher of each two columns and activate it: `(S * C,)` -> `(pooled, C)`."""
    channels = pooled.shape[1]
    last = best.shape[0] - channels
    for x in range(pooled.shape[0]):
        left = 2 * x * channels
        right = min(left + channels, last)
        place = pooled[x]
        for c in range(channels):
            one, other = best[left + c], best[right + c]
            high = one if one > other else other
            store(place, c, high if high > 0 else slope * high)
