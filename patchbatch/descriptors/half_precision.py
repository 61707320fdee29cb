"""Numbers as compiled loops read and write them: in place, whatever their type, as float32.

numba knows neither bfloat16 nor float16, so loops see their bits.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numba import njit, types
from numba.extending import overload
from numpy.typing import NDArray
from torch import Tensor


def shared_array(values: Tensor) -> NDArray[Any]:
    """Return CPU numbers as an array that `number` reads and, where shared, `store` writes.

    Parameters
    ----------
    values
        Any shape. float32 is shared; bfloat16 is shared as its bits in uint16, float16 as its bits in
        int16. Other types, and axes in another order, are copied.
    """
    values = values.detach().contiguous()
    bits = {torch.bfloat16: torch.uint16, torch.float16: torch.int16}.get(values.dtype)
    array: NDArray[Any] = (values.float() if bits is None else values.view(bits)).numpy()
    return array


def number(stored: Any) -> Any:
    """Return one number of a `shared_array` as float32; only callable from numba code."""
    raise NotImplementedError("only callable from numba code")


@overload(number)
def _overload_number(stored: Any) -> Any:
    def from_bfloat16(stored: Any) -> Any:
        # bfloat16 is the upper half of a float32
        return np.uint32(np.uint32(stored) << np.uint32(16)).view(np.float32)

    def from_float16(stored: Any) -> Any:
        # The exponents of float16 and float32 are 112 apart; the product also makes subnormals right.
        magnitude = np.uint32(np.uint32(np.uint16(stored) & np.uint16(0x7FFF)) << np.uint32(13))
        value = magnitude.view(np.float32) * np.float32(2.0**112)
        if magnitude >= np.uint32(0x7C00 << 13):
            value = np.float32(np.nan)
        return -value if stored < 0 else value

    def as_it_is(stored: Any) -> Any:
        return stored

    return {types.uint16: from_bfloat16, types.int16: from_float16}.get(stored, as_it_is)


def store(place: Any, index: Any, value: Any) -> Any:
    """Do `place[index] = value`, float32 or rounded to bfloat16; only callable from numba code."""
    raise NotImplementedError("only callable from numba code")


@overload(store)
def _overload_store(place: Any, index: Any, value: Any) -> Any:
    def to_bfloat16(place: Any, index: Any, value: Any) -> None:
        bits = np.float32(value).view(np.uint32)
        to_even = np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))
        place[index] = np.uint16((bits + to_even) >> np.uint32(16))

    def as_it_is(place: Any, index: Any, value: Any) -> None:
        place[index] = value

    return to_bfloat16 if place.dtype == types.uint16 else as_it_is


@njit(fastmath={"reassoc", "contract"})
def squared_distance(descriptor1: Any, descriptor2: Any) -> Any:
    """Return the squared L2 distance of two rows of shared arrays, float32; for numba code.

    The compiler may reorder the sum to use vector registers; the order is the same for every call, so
    equal descriptors have equal distances and the number of threads does not matter.
    """
    total = np.float32(0)
    for i in range(descriptor1.shape[0]):
        difference = number(descriptor1[i]) - number(descriptor2[i])
        total += difference * difference
    return total
