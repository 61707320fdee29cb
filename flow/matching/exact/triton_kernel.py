"""The fused kernel in Triton: multiply a tile and reduce it in registers, both ways. See `cuda`.

A program has some rows of the product and a strip of its columns, which it walks tile by tile. Keys are
64-bit: the bits of d^2 / 2, which order as the numbers do since they are not negative, above the slot, so
that the least key is the nearest pixel and of equal ones the lowest slot.
"""

# mypy: ignore-errors
# Triton has no type information, and its language is not quite Python.
import triton
import triton.language as tl

NO_SLOT = tl.constexpr(2**31 - 1)


@triton.jit
def _keys(half_distance, slot):
    bits = tl.maximum(half_distance, 0.0).to(tl.int32, bitcast=True)
    return (bits.to(tl.int64) << 32) | slot.to(tl.int64)


@triton.jit
def _half_distances(
    rows, columns, norms1, norms2, row, column, count1, count2, numbers,
    BLOCK1: tl.constexpr, BLOCK2: tl.constexpr, BLOCK_D: tl.constexpr,
):  # fmt: skip
    """Return d^2 / 2 of the pairs of a tile; infinite past the ends and for what is not a number."""
    product = tl.zeros((BLOCK1, BLOCK2), tl.float32)
    inside1, inside2 = row < count1, column < count2
    for start in range(0, numbers, BLOCK_D):
        d = start + tl.arange(0, BLOCK_D)
        left = tl.load(
            rows + row.to(tl.int64)[:, None] * numbers + d[None, :],
            mask=inside1[:, None] & (d < numbers)[None, :], other=0.0,
        )  # fmt: skip
        right = tl.load(
            columns + column.to(tl.int64)[:, None] * numbers + d[None, :],
            mask=inside2[:, None] & (d < numbers)[None, :], other=0.0,
        )  # fmt: skip
        product = tl.dot(left, tl.trans(right), product, input_precision="ieee")
    norm1 = tl.load(norms1 + row, mask=inside1, other=0.0)
    norm2 = tl.load(norms2 + column, mask=inside2, other=0.0)
    half = 0.5 * (norm1[:, None] + norm2[None, :]) - product
    sound = inside1[:, None] & inside2[None, :] & (half < float("inf"))
    return tl.where(sound, half, float("inf"))


@triton.jit
def nearest_both_ways(
    rows, columns, norms1, norms2, keys1, keys2, count1, count2, numbers,
    width1, width2, left, top, step, window,
    WINDOWED: tl.constexpr, STRIPS: tl.constexpr,
    BLOCK1: tl.constexpr, BLOCK2: tl.constexpr, BLOCK_D: tl.constexpr,
):  # fmt: skip
    """Find the least keys of the pairs of a strip.

    `keys1` is (STRIPS, count1), of strips of columns; `keys2` (STRIPS, count2), of strips of rows. `width1`,
    `left`, `top` and `step` say which pixels the rows are, `width2` which the columns are.
    """
    block, strip = tl.program_id(0), tl.program_id(1)
    row = block * BLOCK1 + tl.arange(0, BLOCK1)
    x1, y1 = left + row % width1 * step, top + row // width1 * step
    first, end = 0, count2
    if WINDOWED:
        # Whole rows of image 2 that the windows reach; the last rows of the block may not exist.
        first = tl.minimum(tl.maximum(tl.min(y1, 0) - window, 0) * width2, count2)
        end = tl.minimum((tl.max(y1, 0) + window + 1) * width2, count2)
    strip_length = tl.cdiv(tl.cdiv(end - first, BLOCK2), STRIPS) * BLOCK2
    begin = first + strip * strip_length
    row_strip = block * STRIPS // tl.num_programs(0)
    best = tl.full((BLOCK1,), 2**63 - 1, tl.int64)
    for start in range(begin, tl.minimum(begin + strip_length, end), BLOCK2):
        column = start + tl.arange(0, BLOCK2)
        x2, y2 = column % width2, column // width2
        meets = True
        if WINDOWED:
            across = (tl.min(x2, 0) <= tl.max(x1, 0) + window) & (tl.max(x2, 0) >= tl.min(x1, 0) - window)
            meets = across
        if meets:
            half = _half_distances(
                rows, columns, norms1, norms2, row, column, count1, count2, numbers, BLOCK1, BLOCK2, BLOCK_D
            )
            if WINDOWED:
                near = (tl.abs(x1[:, None] - x2[None, :]) <= window) & (
                    tl.abs(y1[:, None] - y2[None, :]) <= window
                )
                half = tl.where(near, half, float("inf"))
            lowest1, lowest2 = tl.min(half, 1), tl.min(half, 0)
            slot2 = tl.min(tl.where(half == lowest1[:, None], column[None, :], NO_SLOT), 1)
            slot1 = tl.min(tl.where(half == lowest2[None, :], row[:, None], NO_SLOT), 0)
            best = tl.minimum(best, _keys(lowest1, slot2))
            # Most tiles improve few columns: a look before the atomic saves nearly all of them.
            place = keys2 + row_strip.to(tl.int64) * count2 + column
            key = _keys(lowest2, slot1)
            held = tl.load(place, mask=column < count2, other=0)
            tl.atomic_min(place, key, mask=(column < count2) & (key < held))
    tl.store(keys1 + strip.to(tl.int64) * count1 + row, best, mask=row < count1)
