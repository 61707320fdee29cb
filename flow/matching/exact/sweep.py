"""The exact search on the CPU: which tiles are multiplied, in what order, and how much is held."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Lock
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from flow.matching.exact.screening import Best, Side, Span, screen_tile, take_columns
from flow.matching.exact.tiles import Rectangle, pack, packed_width
from patchbatch.descriptors.half_precision import shared_array

# Pixels of image 1 in a tile: a global search has large ones for good products, a windowed one smaller
# ones, since a tile is compared with all that the windows of its pixels reach together.
GLOBAL_TILE = (64, 64)
WIDE_WINDOW, WIDE_TILE, NARROW_TILE = 100, (32, 32), (32, 16)  # px, px, px
PRODUCTS = 1 << 21  # numbers of a worker's tile of products: 4 MB of bfloat16, which stay in the last cache
TILES_OF_THREAD = 4  # at least, along a row of tiles, so that all end at about the same time
SIDE_BYTES = 20  # of a pixel beside its matrix
FIXED_MB = 24.0  # tile, products and the library's own copies
BITS = {torch.bfloat16: torch.uint16, torch.float32: torch.uint32}
# Relative error of two 16-bit parts of the norm, and of a float32 sum per term in the worst order.
NORM_ERROR, TERM_ERROR = 2.0**-17, 2.0**-24


@dataclass(frozen=True)
class _Pixels:
    """Pixels ready for the search, column by column: what is multiplied, and where it comes from."""

    matrix: torch.Tensor
    side: Side

    def part(self, first: int, last: int) -> _Pixels:
        return _Pixels(self.matrix[first:last], self.side.part(first, last))


@dataclass(frozen=True)
class _Search:
    """What stays the same through a sweep. `lock` guards `best2`, which all workers write."""

    descriptors1: torch.Tensor
    descriptors2: torch.Tensor
    stored: tuple[NDArray[Any], NDArray[Any]]
    grid: Rectangle
    window: int | None
    dtype: torch.dtype
    work_mb: float
    best1: Best
    best2: Best
    numbers: int  # of a worker's tile of products
    lock: Lock


def search_on_cpu(
    descriptors1: torch.Tensor,
    descriptors2: torch.Tensor,
    grid: Rectangle,
    window: int | None,
    dtype: torch.dtype,
    work_mb: float,
) -> tuple[NDArray[np.float32], NDArray[np.int32], NDArray[np.float32], NDArray[np.int32]]:
    """Search both ways between the grid of image 1 and all of image 2.

    Parameters
    ----------
    descriptors1, descriptors2
        `(H1, W1, D)` and `(H2, W2, D)`, on the CPU.
    grid
        The pixels of image 1 that take part.
    window
        Pixels on both axes between a pixel and the farthest it may match; None for no limit.
    dtype
        Of the products: bfloat16 or float32.
    work_mb
        MB to work with.

    Returns
    -------
    tuple
        Squared distances float32 and slots int32 of the pixels of the grid, then of image 2. A slot is
        the flat number of the other pixel in image 2, or in the grid; -1 where there is none.
    """
    rows, columns = grid.shape
    best1, best2 = _nothing_yet(rows * columns), _nothing_yet(descriptors2.shape[:2].numel())
    stored = shared_array(descriptors1), shared_array(descriptors2)
    threads = torch.get_num_threads()
    tile_rows, tile_columns = _tile_shape(window, columns, threads)
    # Room for a whole column of a band, whatever its height.
    numbers = max(PRODUCTS, tile_rows * tile_columns * descriptors2.shape[0])
    workers = max(1, min(threads, int(work_mb / 2 * 1e6) // (numbers * dtype.itemsize)))
    work_mb -= (workers - 1) * numbers * dtype.itemsize / 1e6
    search = _Search(
        descriptors1, descriptors2, stored, grid, window, dtype, work_mb, best1, best2, numbers, Lock()
    )
    # Every worker multiplies and screens tiles of its own: threads that share a product wait for each other
    # at its end, spinning, on the cores that screening needs.
    try:
        with ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            for row_of_tiles in grid.tiles(tile_rows, columns):
                for band, pixels in _bands(search, row_of_tiles):
                    tiles = row_of_tiles.tiles(tile_rows, tile_columns)
                    for done in [pool.submit(_sweep_band, search, tile, band, pixels) for tile in tiles]:
                        done.result()
    finally:
        torch.set_num_threads(threads)  # what threads to come begin with
    return best1.distance, best1.slot, best2.distance, best2.slot


def _nothing_yet(count: int) -> Best:
    return Best(np.full(count, np.inf, np.float32), np.full(count, -1, np.int32))


def _tile_shape(window: int | None, columns: int, threads: int) -> tuple[int, int]:
    if window is None:
        rows, most = GLOBAL_TILE
        return rows, max(1, min(most, columns // (TILES_OF_THREAD * threads)))
    return WIDE_TILE if window >= WIDE_WINDOW else NARROW_TILE


def _bands(search: _Search, row_of_tiles: Rectangle) -> Iterator[tuple[Rectangle, _Pixels]]:
    """Make ready the rows of image 2 that a row of tiles meets, as many at a time as memory allows."""
    height, width, numbers = search.descriptors2.shape
    met = row_of_tiles.around(search.window, height, width)
    pixel_bytes = packed_width(numbers) * search.dtype.itemsize + SIDE_BYTES
    rows = max(1, int((search.work_mb - FIXED_MB) * 1e6 / pixel_bytes / width))
    for band in met.tiles(rows, width):
        yield band, _prepare(search.descriptors2, band, Rectangle(0, height, 0, width), search.dtype)


def _prepare(
    descriptors: torch.Tensor, area: Rectangle, whole: Rectangle, dtype: torch.dtype, first: bool = False
) -> _Pixels:
    """Pack the pixels of an area; their slots count through `whole`, row by row."""
    packed = pack(area.cut(descriptors).transpose(0, 1), dtype, first)
    rows, columns = area.shape
    x = np.repeat(np.arange(area.left, area.right, area.step, dtype=np.int32), rows)
    y = np.tile(np.arange(area.top, area.bottom, area.step, dtype=np.int32), columns)
    slot = (y - whole.top) // whole.step * whole.shape[1] + (x - whole.left) // whole.step
    return _Pixels(packed.matrix, Side(x, y, slot, packed.norm.numpy(), packed.error.numpy()))


def _sweep_band(search: _Search, tile: Rectangle, band: Rectangle, columns: _Pixels) -> None:
    """Multiply a tile of image 1 with the part of a band of image 2 that its windows meet."""
    height, width, _ = search.descriptors2.shape
    met = tile.around(search.window, height, width)
    if met.empty:
        return
    rows = _prepare(search.descriptors1, tile, search.grid, search.dtype, True)
    high = band.shape[0]
    left, right = (met.left - band.left) * high, (met.right - band.left) * high
    buffer = torch.empty(search.numbers, dtype=search.dtype)
    at_once = max(1, len(buffer) // (len(rows.matrix) * high)) * high
    for first in range(left, right, at_once):
        part = columns.part(first, min(first + at_once, right))
        product = buffer[: len(rows.matrix) * len(part.matrix)].view(len(rows.matrix), -1)
        torch.mm(rows.matrix, part.matrix.T, out=product)
        window = -1 if search.window is None else search.window
        span = Span(window, band.left + first // high, band.top, high)
        _screen(search, product, rows.side, part.side, span)


def _screen(search: _Search, product: torch.Tensor, rows: Side, columns: Side, span: Span) -> None:
    """Take what a tile of products says into the nearest so far of both images."""
    slack = np.float32(NORM_ERROR + TERM_ERROR * packed_width(search.descriptors1.shape[2]))
    with search.lock:
        held = search.best2.distance[columns.slot], search.best2.slot[columns.slot]
    screen_tile(
        product.view(BITS[search.dtype]).numpy(),
        rows,
        columns,
        search.best1,
        held,
        *search.stored,
        span,
        slack,
    )
    with search.lock:
        take_columns(search.best2, columns.slot, held)
