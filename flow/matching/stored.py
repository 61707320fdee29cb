"""Descriptors as compiled loops compare them: in place, whatever their type, in float32."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from patchbatch.descriptors.half_precision import number, shared_array

__all__ = ["number", "shared_array", "squared_distance"]


@njit(cache=True, nogil=True, fastmath={"reassoc", "contract"})
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
