"""Descriptors of a pyramid's levels brought together at each pixel of a level, in blocks of rows.

Coarser levels are enlarged bilinearly, as `torch.nn.functional.interpolate` does it without aligned corners.
Enlarging and the first matrix of a `ScaleJoin` are both linear, so the matrix comes first, where a level has
its own, fewer pixels. On a CPU enlarging is one compiled pass; the plain form in torch is its reference, and
what other devices run.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from patchbatch.compiled import njit, prange
from patchbatch.descriptors.evaluate.shift_and_stitch import COMPILED, to_unit_length
from patchbatch.descriptors.half_precision import number, shared_array, store
from patchbatch.descriptors.network.scale_join import ScaleJoin

PIXELS_AT_ONCE = 2**15


@dataclass(frozen=True)
class Between:
    """Which rows (or columns) of a coarser level some of a finer one lie between.

    Attributes
    ----------
    low, high
        `(n,)` int64; the same at the border.
    share
        `(n,)` float32 in [0, 1): weight of `high`.
    """

    low: NDArray[np.int64]
    high: NDArray[np.int64]
    share: NDArray[np.float32]

    @classmethod
    def of(cls, first: int, end: int, fine: int, coarse: int) -> Between:
        """Find them for rows `first` to `end - 1` of `fine` ones."""
        return cls.at(np.arange(first, end), fine, coarse)

    @classmethod
    def at(cls, places: NDArray[np.int64], fine: int, coarse: int) -> Between:
        """Find them for any of `fine` rows."""
        at = np.maximum((places + 0.5) * (coarse / fine) - 0.5, 0)
        low = np.minimum(at.astype(np.int64), coarse - 1)
        return cls(low, np.minimum(low + 1, coarse - 1), (at - low).astype(np.float32))

    def after(self, first: int) -> Between:
        """Count from another row."""
        return Between(self.low - first, self.high - first, self.share)


def fill_side_by_side(own: Tensor, coarser: list[Tensor], weights: tuple[float, ...]) -> None:
    """Put the coarser levels, enlarged and weighted, behind a level's own numbers.

    Parameters
    ----------
    own
        `(H, W, D * (1 + levels))`, contiguous; the first D numbers are given, the others written to.
    coarser
        Levels `(h, w, any)`, contiguous, whose first D numbers count.
    weights
        Of the levels.
    """
    height, width, length = own.shape
    dimension = length // (1 + len(weights))
    for place, (weight, level) in enumerate(zip(weights, coarser, strict=True), 1):
        columns = Between.of(0, width, width, level.shape[1])
        for top, bottom in _blocks(height, width):
            rows = Between.of(top, bottom, height, len(level))
            numbers = range(place * dimension, (place + 1) * dimension)
            enlarge(level, rows, columns, weight, own[top:bottom], numbers, add=False)


def join(own: Tensor, coarser: list[Tensor], weights: tuple[float, ...], joining: ScaleJoin) -> Tensor:
    """Join a level with the coarser ones, enlarged and weighted.

    Parameters
    ----------
    own, coarser
        `(H, W, D)`, and levels `(h, w, D)`, contiguous, in one number type.
    weights, joining
        Of the levels; the net that takes all scales side by side.

    Returns
    -------
    Tensor
        `(H, W, E)` in the number type of the levels, E the last width of `joining`.
    """
    (height, width, dimension), dtype = own.shape, own.dtype
    matrix, bias = (joining.layers[0].get_parameter(name).detach().to(dtype) for name in ("weight", "bias"))
    parts = torch.split(matrix, dimension, dim=1)
    joined = own.new_empty(height, width, len(joining.layers[-1].get_parameter("bias")))
    for top, bottom in _blocks(height, width):
        hidden = F.linear(own[top:bottom], parts[0], bias)
        for weight, level, part in zip(weights, coarser, parts[1:], strict=True):
            rows = Between.of(top, bottom, height, len(level))
            columns = Between.of(0, width, width, level.shape[1])
            first = int(rows.low[0])
            projected = F.linear(level[first : int(rows.high[-1]) + 1], part)
            enlarge(projected, rows.after(first), columns, weight, hidden, range(len(bias)), add=True)
        with torch.autocast(own.device.type, dtype, enabled=dtype != torch.float32):
            rest = joining.rest(hidden)
        to_unit_length(rest, joined[top:bottom])
    return joined


def _blocks(height: int, width: int) -> Iterator[tuple[int, int]]:
    """Cut an image into blocks of rows: the first, and the first after it."""
    rows = max(1, PIXELS_AT_ONCE // width)
    for top in range(0, height, rows):
        yield top, min(height, top + rows)


def enlarge(
    level: Tensor, rows: Between, columns: Between, weight: float, block: Tensor, numbers: range, *, add: bool
) -> None:
    """Write a level, enlarged and weighted, to a block of rows of a finer one.

    Parameters
    ----------
    level
        `(h, w, at least n)`, contiguous, of which the first n numbers count.
    rows, columns
        What the rows and columns of the block lie between.
    weight
        Of the level.
    block
        `(R, W, E)`, contiguous, written to.
    numbers
        n neighbouring numbers of the E.
    add
        Whether to add to what stands there.
    """
    if not (level.device.type == "cpu" and level.dtype in COMPILED):
        plain_enlarge(level, rows, columns, weight, block, numbers, add=add)
        return
    _enlarge(
        shared_array(level), rows.low, rows.high, rows.share, columns.low, columns.high, columns.share,
        np.float32(weight), shared_array(block), numbers.start, numbers.stop, add,
    )  # fmt: skip


def plain_enlarge(
    level: Tensor, rows: Between, columns: Between, weight: float, block: Tensor, numbers: range, *, add: bool
) -> None:
    """Do what `enlarge` does step by step, on any device."""
    above, below, down, left, right, across = (
        torch.as_tensor(values, device=level.device)
        for values in (rows.low, rows.high, rows.share, columns.low, columns.high, columns.share)
    )
    counted = level[..., : len(numbers)].float()
    between = torch.lerp(counted[above], counted[below], down[:, None, None])
    enlarged = weight * torch.lerp(between[:, left], between[:, right], across[:, None])
    target = block[..., numbers.start : numbers.stop]
    target.copy_(target.float() + enlarged if add else enlarged)


@njit(parallel=True)
def _enlarge(
    level: Any, above: Any, below: Any, down: Any, left: Any, right: Any, across: Any, weight: Any,
    block: Any, first: int, end: int, add: bool,
) -> None:  # fmt: skip
    """Run the rows: between two rows of the level first, then between columns."""
    for y in prange(block.shape[0]):
        between = np.empty((level.shape[1], end - first), np.float32)
        share = down[y] * weight
        for x in range(level.shape[1]):
            _mix(level[above[y], x], level[below[y], x], weight - share, share, between[x])
        for x in range(block.shape[1]):
            _put(between[left[x]], between[right[x]], across[x], block[y, x, first:end], add)


@njit(fastmath={"contract"})
def _mix(one: Any, other: Any, share_one: Any, share_other: Any, mixed: Any) -> None:
    for c in range(mixed.shape[0]):
        mixed[c] = number(one[c]) * share_one + number(other[c]) * share_other


@njit(fastmath={"contract"})
def _put(one: Any, other: Any, share: Any, place: Any, add: bool) -> None:
    if add:
        for c in range(place.shape[0]):
            store(place, c, number(place[c]) + one[c] + (other[c] - one[c]) * share)
    else:
        for c in range(place.shape[0]):
            store(place, c, one[c] + (other[c] - one[c]) * share)
