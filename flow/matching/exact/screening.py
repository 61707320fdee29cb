"""Exact nearest neighbours on the CPU: a 16-bit product screens, float32 decides.

The product of a tile gives -d^2 / 2 of every pair in low precision. A first pass over it, while it is in
cache, finds the lowest of every row and column. A second one compares each value with a limit: what the
pair would have to show if it were no farther than that lowest one, or the nearest of earlier tiles, of
either of its two pixels, with every rounding error taken against it. The few pairs that pass are measured
again in float32. So no pair that float32 would choose is lost, and a sweep costs little more than its
matrix products.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit, types
from numba.extending import overload
from numpy.typing import NDArray

from patchbatch.descriptors.half_precision import squared_distance

CHUNK = 128  # values screened together: eight 512-bit registers of float32, four of bfloat16
# More than float32 rounds a sum of squares by, in the order that vector registers add it.
SUM_ERROR = np.float32(1e-5)


class Side(NamedTuple):
    """The pixels along one side of a tile, arrays of `(P,)`.

    Attributes
    ----------
    x, y
        int32, pixel coordinates.
    slot
        int32, where the pixel is in its image's `Best`; of equal distances the lowest slot wins.
    norm
        float32, squared length of the descriptor as multiplied.
    error
        float32, distance between the descriptor and what was multiplied in its place.
    """

    x: NDArray[np.int32]
    y: NDArray[np.int32]
    slot: NDArray[np.int32]
    norm: NDArray[np.float32]
    error: NDArray[np.float32]

    def part(self, first: int, last: int) -> Side:
        """Return the pixels from one place along the side up to another."""
        return Side(
            self.x[first:last],
            self.y[first:last],
            self.slot[first:last],
            self.norm[first:last],
            self.error[first:last],
        )


class Best(NamedTuple):
    """The nearest so far of every pixel of an image: squared distance float32, slot of the other int32."""

    distance: NDArray[np.float32]
    slot: NDArray[np.int32]


class Span(NamedTuple):
    """Which columns of a tile the windows of its rows hold.

    Attributes
    ----------
    window
        Pixels on both axes; negative for no limit.
    left, top, high
        The columns of a tile are the columns of a rectangle of pixels one after another: its first x and y,
        and its height.
    """

    window: int
    left: int
    top: int
    high: int


def _code(value: Any, like: Any) -> Any:
    """Stand for the numba function below."""
    raise NotImplementedError("only callable from numba code")


@overload(_code)
def _overload_code(value: Any, like: Any) -> Any:
    # The bits of negative floats, read as unsigned integers, rise with the magnitude; what rounding left
    # above zero reads as less than all of them. So codes order pairs by distance, in integer compares.
    # The code is one up because the product rounds to nearest and the shift rounds down.
    def of_bfloat16(value: Any, like: Any) -> Any:
        bits = np.float32(value).view(np.uint32)
        return np.uint16(min((np.uint32(0x80000000) | bits) >> np.uint32(16), np.uint32(0xFF7E)) + 1)

    def of_float32(value: Any, like: Any) -> Any:
        bits = np.float32(value).view(np.uint32)
        return np.uint32(min(np.uint32(0x80000000) | bits, np.uint32(0xFF7FFFFE)) + np.uint32(1))

    return of_bfloat16 if like == types.uint16 else of_float32


def _value(code: Any) -> Any:
    """Stand for the numba function below."""
    raise NotImplementedError("only callable from numba code")


@overload(_value)
def _overload_value(code: Any) -> Any:
    # The largest d^2 / 2 that has this code: half a last place more.
    def of_bfloat16(code: Any) -> Any:
        bits = np.uint32(np.uint32(code & np.uint16(0x7FFF)) << np.uint32(16))
        return bits.view(np.float32) * np.float32(1 + 2.0**-8) if code >= 0x8000 else np.float32(0)

    def of_float32(code: Any) -> Any:
        bits = np.uint32(code & np.uint32(0x7FFFFFFF))
        return bits.view(np.float32) if code >= 0x80000000 else np.float32(0)

    return of_bfloat16 if code == types.uint16 else of_float32


@njit(error_model="numpy")
def _lower_codes(codes: Any, distance: Any, side: Any, other: Any, slack: Any) -> None:
    """Turn the lowest codes of pixels into the highest ones of pairs that may be nearer than all so far.

    That is, no farther than `distance`, or than the pair with the lowest code. The triangle inequality
    bounds what rounding the descriptors does, `slack` what the product does.
    """
    other_norm, other_error = other.norm.max(), other.error.max()
    limits = np.empty(codes.shape[0], np.float32)
    for i in range(codes.shape[0]):
        limits[i] = _value(codes[i])
    for i in range(codes.shape[0]):  # apart from the integers around it: this loop uses vector registers
        doubt = slack * (side.norm[i] + other_norm)
        error = side.error[i] + other_error
        seen = np.sqrt(np.float32(2) * (limits[i] + doubt)) + error
        known = np.sqrt(distance[i])
        reach = (known if known < seen else seen) * (np.float32(1) + SUM_ERROR) + error
        limits[i] = np.float32(0.5) * reach * reach + doubt
    for i in range(codes.shape[0]):
        codes[i] = _code(limits[i], codes[i])


@njit()
def _columns_held(span: Any, x: Any, y: Any, width: Any) -> Any:
    """Return first, end and spacing of the runs of columns that a window holds, and a run's first and end."""
    if span.window < 0:
        return 0, 1, width, 0, width
    first = max(0, x - span.window - span.left)
    end = min(width // span.high, x + span.window + 1 - span.left)
    top, bottom = max(0, y - span.window - span.top), min(span.high, y + span.window + 1 - span.top)
    return first, end, span.high, top, max(top, bottom)


@njit()
def _take_lowest(row: Any, lowest: Any, columns: Any) -> Any:
    for j in range(row.shape[0]):
        lowest = min(lowest, row[j])
        columns[j] = min(columns[j], row[j])
    return lowest


@njit()
def _lowest_of_rows(tile: Any, side: Any, span: Any, codes1: Any, codes2: Any) -> None:
    for i in range(tile.shape[0]):
        first, end, high, top, bottom = _columns_held(span, side.x[i], side.y[i], tile.shape[1])
        for run in range(first, end):
            part = slice(run * high + top, run * high + bottom)
            codes1[i] = _take_lowest(tile[i, part], codes1[i], codes2[part])


@njit()
def _passes(row: Any, code: Any, codes: Any) -> Any:
    passed = False
    for j in range(row.shape[0]):
        passed |= row[j] <= max(code, codes[j])
    return passed


@njit()
def _improves(distance: Any, slot: Any, held: Any, held_slot: Any) -> Any:
    return distance < held or (distance == held and slot < held_slot)


@njit()
def _measure(
    tile: Any, i: Any, first: Any, last: Any, side1: Any, side2: Any, held1: Any, held2: Any,
    codes1: Any, codes2: Any, stored1: Any, stored2: Any,
) -> None:  # fmt: skip
    """Measure in float32 the pairs of a row and some columns that pass."""
    (distance1, slot1), (distance2, slot2) = held1, held2
    own = side1.slot[i]
    for j in range(first, last):
        if tile[i, j] > max(codes1[i], codes2[j]):
            continue
        other = side2.slot[j]
        if distance1[i] == 0 and distance2[j] == 0 and slot1[i] <= other and slot2[j] <= own:
            continue  # nothing is nearer than 0, and equal distances go to lower slots
        distance = squared_distance(stored1[side1.y[i], side1.x[i]], stored2[side2.y[j], side2.x[j]])
        if _improves(distance, other, distance1[i], slot1[i]):
            distance1[i], slot1[i] = distance, other
        if _improves(distance, own, distance2[j], slot2[j]):
            distance2[j], slot2[j] = distance, own


@njit()
def _screen_rows(
    tile: Any, side1: Any, side2: Any, held1: Any, held2: Any,
    codes1: Any, codes2: Any, stored1: Any, stored2: Any, span: Any,
) -> None:  # fmt: skip
    for i in range(tile.shape[0]):
        first, end, high, top, bottom = _columns_held(span, side1.x[i], side1.y[i], tile.shape[1])
        for run in range(first, end):
            for left in range(run * high + top, run * high + bottom, CHUNK):
                right = min(left + CHUNK, run * high + bottom)
                if _passes(tile[i, left:right], codes1[i], codes2[left:right]):
                    _measure(
                        tile, i, left, right, side1, side2, held1, held2, codes1, codes2, stored1, stored2
                    )


@njit()
def screen_tile(
    tile: Any, side1: Any, side2: Any, best1: Any, held2: Any,
    stored1: Any, stored2: Any, span: Any, slack: Any,
) -> None:  # fmt: skip
    """Take what a tile of products says into the nearest so far.

    Tiles with other rows may be screened by other threads meanwhile: they share `best1`, in other places, but
    have the nearest of the columns to themselves, for `take_columns`. The answer does not depend on how
    rows are shared among tiles.

    Parameters
    ----------
    tile
        `(P, Q)` bits of -d^2 / 2: uint16 of bfloat16, or uint32 of float32.
    side1, side2
        `Side` of its rows and of its columns.
    best1
        `Best` of image 1, changed.
    held2
        Squared distances and slots `(Q,)` of the columns so far, changed.
    stored1, stored2
        `shared_array` of the two images.
    span
        `Span` of the columns.
    slack
        float32, error of the product relative to the sum of the squared lengths of a pair.
    """
    worst = _code(np.float32(np.inf), tile[0, 0])
    codes1, codes2 = np.full(tile.shape[0], worst), np.full(tile.shape[1], worst)
    held1 = (best1.distance[side1.slot], best1.slot[side1.slot])
    _lowest_of_rows(tile, side1, span, codes1, codes2)
    _lower_codes(codes1, held1[0], side1, side2, slack)
    _lower_codes(codes2, held2[0], side2, side1, slack)
    _screen_rows(tile, side1, side2, held1, held2, codes1, codes2, stored1, stored2, span)
    best1.distance[side1.slot], best1.slot[side1.slot] = held1


@njit()
def take_columns(best: Any, slots: Any, held: Any) -> None:
    """Take what `screen_tile` found for the columns with these slots into the `Best` of their image."""
    for j in range(slots.shape[0]):
        slot = slots[j]
        if _improves(held[0][j], held[1][j], best.distance[slot], best.slot[slot]):
            best.distance[slot], best.slot[slot] = held[0][j], held[1][j]
