"""The tiles of the exact search: descriptors made ready for products, and which of them meet."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch

PACKED_AT_ONCE = 1 << 20  # numbers widened to float32 at a time: 4 MB, a few of which live at once
NORM_COLUMNS = 4


@dataclass(frozen=True)
class Rectangle:
    """Pixels `top <= y < bottom`, `left <= x < right`, every `step`-th of each axis from the first on."""

    top: int
    bottom: int
    left: int
    right: int
    step: int = 1  # px

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return len(range(self.top, self.bottom, self.step)), len(range(self.left, self.right, self.step))

    def cut(self, descriptors: torch.Tensor) -> torch.Tensor:
        """Return the rectangle's part `(rows, columns, D)` of an image's descriptors, not copied."""
        return descriptors[self.top : self.bottom : self.step, self.left : self.right : self.step]

    def tiles(self, rows: int, columns: int) -> Iterator[Rectangle]:
        """Cut the rectangle into tiles of so many rows and columns or fewer, row by row."""
        high, wide = rows * self.step, columns * self.step
        for top in range(self.top, self.bottom, high):
            for left in range(self.left, self.right, wide):
                bottom, right = min(top + high, self.bottom), min(left + wide, self.right)
                yield Rectangle(top, bottom, left, right, self.step)

    def around(self, window: int | None, height: int, width: int) -> Rectangle:
        """Return the part of an image of that size that the window around these pixels meets."""
        if window is None:
            return Rectangle(0, height, 0, width)
        rows, columns = self.shape
        last_y, last_x = self.top + (rows - 1) * self.step, self.left + (columns - 1) * self.step
        top, bottom = max(0, self.top - window), min(height, last_y + window + 1)
        left, right = max(0, self.left - window), min(width, last_x + window + 1)
        return Rectangle(min(top, height), bottom, min(left, width), right)

    @property
    def empty(self) -> bool:
        """Whether no pixel is in it."""
        return self.top >= self.bottom or self.left >= self.right


@dataclass(frozen=True)
class Packed:
    """Descriptors ready for the product.

    Attributes
    ----------
    matrix
        `(P, K)` in the type of the product: the D numbers, then `NORM_COLUMNS` that make the product of a
        row of each image -d^2 / 2, then a zero where K would be odd.
    norm
        `(P,)` float32, squared length of what is multiplied.
    error
        `(P,)` float32, distance between what is multiplied and the descriptor.
    """

    matrix: torch.Tensor
    norm: torch.Tensor
    error: torch.Tensor


def packed_width(numbers: int) -> int:
    """Return the columns of the matrix for descriptors of so many numbers."""
    return (numbers + NORM_COLUMNS + 1) // 2 * 2


def pack(descriptors: torch.Tensor, dtype: torch.dtype, first: bool) -> Packed:
    """Make descriptors ready.

    Parameters
    ----------
    descriptors
        `(..., D)`, any floating type and strides; flattened in the order of the axes.
    dtype
        Type of the product.
    first
        Whether these are the rows of the product or its columns.

    Returns
    -------
    `Packed`. A descriptor that is not finite, or whose square is not, has products of minus infinity.
    """
    count, numbers = descriptors.shape[:-1].numel(), descriptors.shape[-1]
    matrix = torch.zeros(count, packed_width(numbers), dtype=dtype, device=descriptors.device)
    norm, error = (torch.zeros(count, device=descriptors.device) for _ in range(2))
    slabs = max(1, PACKED_AT_ONCE // max(1, descriptors[:1].numel()))
    start = 0
    for slab in torch.split(descriptors, slabs):
        exact = slab.reshape(-1, numbers)
        part = slice(start, start + len(exact))
        rounded = matrix[part, :numbers].copy_(exact)
        norm[part] = torch.linalg.vector_norm(rounded, dim=1, dtype=torch.float32).square()
        if exact.dtype != dtype:
            error[part] = torch.linalg.vector_norm(exact.float() - rounded.float(), dim=1)
        start += len(exact)
    _append_norms(matrix[:, numbers:], norm, first)
    lost = ~(norm.isfinite() & error.isfinite())
    if bool(lost.any()):
        matrix[lost, :numbers] = 0
        matrix[lost, numbers if first else numbers + 2] = -torch.inf
        matrix[lost, numbers + 1 if first else numbers + 3] = 0
        norm[lost], error[lost] = 0, 0
    return Packed(matrix, norm, error)


def _append_norms(columns: torch.Tensor, norm: torch.Tensor, first: bool) -> None:
    """Write -|a|^2 / 2, in two parts since one of 16 bits is not enough, against ones on the other side."""
    own, other = (0, 2) if first else (2, 0)
    half = -0.5 * norm
    columns[:, own] = half
    columns[:, own + 1] = half - columns[:, own].float()
    columns[:, other : other + 2] = 1
