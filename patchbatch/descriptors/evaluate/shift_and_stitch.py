"""Fragments of a map in place of dilation: pooling, picking and putting together, each in one pass.

Pooling a map from each of the four offsets and keeping every second place gives four fragments, which
together hold what pooling with stride 1 gives (Giusti et al. 2013). All later convolutions run on fragments
without dilation. After l poolings there are F x F fragments, F = 2^l; number `fy * F + fx` holds at (i, j)
what belongs to the place (i * F + fy, j * F + fx) of the image. Maps are channels-last, `(F * F, h, w, C)`,
and come in bands of rows, from the top of the image to its bottom.

On a CPU each step is one compiled pass, for float32 and bfloat16; the plain form in torch is its reference,
and what other devices run.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from patchbatch.compiled import njit, prange
from patchbatch.descriptors.half_precision import number, shared_array, store

COMPILED = (torch.float32, torch.bfloat16)


def pool_to_fragments(before: Tensor, maps: Tensor, slope: float, fragments: Tensor) -> None:
    """Pool 2x2 windows from all four offsets and activate.

    Parameters
    ----------
    before
        `(F * F, 1, 2 w + 1, C)`, contiguous: the row above the band.
    maps
        `(F * F, 2 h, 2 w + 1, C)`, contiguous.
    slope
        Of the leaky ReLU for negative input; 1 leaves the values as they are.
    fragments
        `(4 F * F, at least h, w, C)`, contiguous; the last h rows are written to.
    """
    if not _is_compiled(maps):
        plain_pool_to_fragments(before, maps, slope, fragments)
        return
    arrays = shared_array(before), shared_array(maps)
    _pool_to_fragments(*arrays, _across(maps), np.float32(slope), shared_array(fragments))


def plain_pool_to_fragments(before: Tensor, maps: Tensor, slope: float, fragments: Tensor) -> None:
    """Do what `pool_to_fragments` does step by step, on any device."""
    across, channels, (height, width) = _across(maps), maps.shape[3], (maps.shape[1] // 2, maps.shape[2] // 2)
    rows = torch.cat([before, maps], dim=1).permute(0, 3, 1, 2)
    pooled = F.leaky_relu(F.max_pool2d(rows, 2, stride=1), slope)
    apart = pooled.reshape(across, across, channels, height, 2, width, 2).permute(4, 0, 6, 1, 3, 5, 2)
    fragments[:, -height:] = apart.reshape(4 * len(maps), height, width, channels)


def take_centres(maps: Tensor, place: tuple[int, int], slope: float, ring: Tensor, first: int) -> None:
    """Activate the values of some columns of a band and put them into a ring of rows.

    Parameters
    ----------
    maps
        `(F * F, h, w, C)`, contiguous.
    place
        First column in px, a multiple of F; the row of the ring for the first row of the band, which wraps.
    slope
        As in `pool_to_fragments`.
    ring
        `(R, columns, S)`, contiguous, written to; R >= h * F.
    first
        First of the C numbers that are written.
    """
    if not _is_compiled(maps):
        plain_take_centres(maps, place, slope, ring, first)
        return
    across, (column, row) = _across(maps), place
    _take_centres(
        shared_array(maps), across, column // across, row, np.float32(slope), shared_array(ring), first
    )


def plain_take_centres(maps: Tensor, place: tuple[int, int], slope: float, ring: Tensor, first: int) -> None:
    """Do what `take_centres` does step by step, on any device."""
    picked = F.leaky_relu(whole(maps)[:, place[0] : place[0] + ring.shape[1]], slope)
    rows = (torch.arange(len(picked), device=maps.device) + place[1]) % len(ring)
    ring[rows, :, first : first + maps.shape[3]] = picked


def whole(maps: Tensor) -> Tensor:
    """Put fragments `(F * F, h, w, C)` together -> `(h * F, w * F, C)`."""
    across, (_, height, width, channels) = _across(maps), maps.shape
    apart = maps.reshape(across, across, height, width, channels)
    return apart.permute(2, 0, 3, 1, 4).reshape(height * across, width * across, channels)


def finish(
    trunk: Tensor, sides: Tensor, slope: float, unit_length: bool, out: Tensor, place: tuple[int, int]
) -> None:
    """Activate the last maps, add the sides, and put the descriptors where they belong.

    Parameters
    ----------
    trunk
        `(F * F, h, w, D)`, contiguous.
    sides
        `(h * F, w * F, D)`, contiguous.
    slope, unit_length
        Of the activation; whether descriptors are divided by their length.
    out
        `(H, W, E)`, contiguous, E >= D; the first D numbers of pixels are written to.
    place
        Row and column of the first descriptor; those that lie below or right of the image are dropped.
    """
    if not (_is_compiled(trunk) and out.dtype in COMPILED):
        plain_finish(trunk, sides, slope, unit_length, out, place)
        return
    arrays = shared_array(trunk), shared_array(sides)
    _finish(*arrays, _across(trunk), np.float32(slope), unit_length, shared_array(out), *place)


def plain_finish(
    trunk: Tensor, sides: Tensor, slope: float, unit_length: bool, out: Tensor, place: tuple[int, int]
) -> None:
    """Do what `finish` does step by step, on any device."""
    described = F.leaky_relu(whole(trunk).float(), slope) + sides
    if unit_length:
        described = F.normalize(described, dim=2)
    target = out[place[0] :, place[1] :][: len(described), : described.shape[1], : trunk.shape[3]]
    target.copy_(described[: target.shape[0], : target.shape[1]])


def to_unit_length(values: Tensor, out: Tensor) -> None:
    """Divide vectors `(H, W, D)` by their length, in float32, and write them to `out`; both contiguous."""
    if _is_compiled(values) and out.dtype in COMPILED:
        _to_unit_length(shared_array(values), shared_array(out))
    else:
        out.copy_(F.normalize(values.float(), dim=2))


def _is_compiled(maps: Tensor) -> bool:
    return maps.device.type == "cpu" and maps.dtype in COMPILED


def _across(maps: Tensor) -> int:
    """Fragments in a row of the image."""
    return math.isqrt(len(maps))


@njit(parallel=True)
def _pool_to_fragments(before: Any, maps: Any, across: int, slope: Any, fragments: Any) -> None:
    """Run the rows of all maps."""
    count, rows, width, channels = maps.shape
    skipped = fragments.shape[1] - rows // 2
    for job in prange(count * rows):
        source, y = job // rows, job % rows
        above = before[source, 0] if y == 0 else maps[source, y - 1]
        best = np.empty(width * channels, np.float32)
        _higher(above.reshape(-1), maps[source, y].reshape(-1), best)
        child_y = (y % 2 * across + source // across) * 2 * across
        for right in range(2):
            child = child_y + right * across + source % across
            _higher_neighbours(best[right * channels :], slope, fragments[child, skipped + y // 2])


@njit()
def _higher(above: Any, below: Any, best: Any) -> None:
    for i in range(best.shape[0]):
        one, other = number(above[i]), number(below[i])
        best[i] = one if one > other else other


@njit()
def _higher_neighbours(best: Any, slope: Any, row: Any) -> None:
    """Pool every second place of a row `(w, C)` with its right neighbour, and activate."""
    channels = row.shape[1]
    for x in range(row.shape[0]):
        left = best[2 * x * channels :][:channels]
        right = best[(2 * x + 1) * channels :][:channels]
        place = row[x]
        for c in range(channels):
            high = left[c] if left[c] > right[c] else right[c]
            store(place, c, high if high > 0 else slope * high)


@njit(parallel=True)
def _take_centres(maps: Any, across: int, column: int, row: int, slope: Any, ring: Any, first: int) -> None:
    for y in prange(maps.shape[1] * across):
        target = ring[(row + y) % ring.shape[0]]
        for x in range(target.shape[0]):
            values = maps[y % across * across + x % across, y // across, column + x // across]
            place = target[x, first : first + values.shape[0]]
            for c in range(values.shape[0]):
                value = number(values[c])
                store(place, c, value if value > 0 else slope * value)


@njit(parallel=True)
def _finish(
    trunk: Any, sides: Any, across: int, slope: Any, unit_length: bool, out: Any, top: int, left: int
) -> None:
    for y in prange(min(sides.shape[0], out.shape[0] - top)):
        described = np.empty(trunk.shape[3], np.float32)
        for x in range(min(sides.shape[1], out.shape[1] - left)):
            values = trunk[y % across * across + x % across, y // across, x // across]
            _activate_and_add(values, slope, sides[y, x], described)
            scale = _to_unit(described) if unit_length else np.float32(1)
            _put(described, scale, out[top + y, left + x])


@njit()
def _activate_and_add(values: Any, slope: Any, more: Any, total: Any) -> None:
    for d in range(total.shape[0]):
        value = number(values[d])
        total[d] = (value if value > 0 else slope * value) + number(more[d])


@njit(parallel=True)
def _to_unit_length(values: Any, out: Any) -> None:
    for y in prange(out.shape[0]):
        wide = np.empty(values.shape[2], np.float32)
        for x in range(out.shape[1]):
            given = values[y, x]
            for d in range(wide.shape[0]):
                wide[d] = number(given[d])
            _put(wide, _to_unit(wide), out[y, x])


@njit()
def _put(values: Any, scale: Any, place: Any) -> None:
    for d in range(values.shape[0]):
        store(place, d, values[d] * scale)


@njit(fastmath={"reassoc", "contract"})
def _to_unit(values: Any) -> Any:
    """Return the factor that makes a vector one of unit length."""
    square = np.float32(0)
    for value in values:
        square += value * value
    return np.float32(1) / max(np.sqrt(square), np.float32(1e-12))
