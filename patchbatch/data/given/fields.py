"""Flow and maps that a caller hands in for images of a known size."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from patchbatch.data.given.arrays import as_array, is_tensor
from patchbatch.data.matches_io import BEYOND
from patchbatch.errors import PatchBatchError


def given_flow_array(flow: Any, shape: tuple[int, ...], name: str = "the flow") -> NDArray[np.float32]:
    """Return a flow as the stages take it, `(H, W, 2)` float32, px.

    Parameters
    ----------
    flow
        `(H, W, 2)`, or a tensor `(2, H, W)`, each perhaps as a batch of one.
    shape
        `(H, W)` of the images.
    name
        What it is called in a message.

    Raises
    ------
    PatchBatchError
        For another shape, and numbers that are not finite or beyond 1e9.
    """
    array = as_array(flow, name)
    if array.ndim == 4 and len(array) == 1:
        array = array[0]
    if is_tensor(flow) and array.shape == (2, *shape):
        array = np.ascontiguousarray(np.moveaxis(array, 0, 2))
    if array.shape != (*shape, 2):
        raise PatchBatchError(f"{name} has shape {array.shape}; give {(*shape, 2)} for these images")
    if not (np.abs(array) < BEYOND).all():  # false for NaN
        raise PatchBatchError(f"{name} holds numbers that are not finite or beyond 1e9; fill those pixels")
    return array


def given_map(values: Any, shape: tuple[int, ...], name: str) -> NDArray[np.float32]:
    """Return a map in [0, 1], such as a confidence or the strength of edges, as `(H, W)` float32.

    Parameters
    ----------
    values
        `(H, W)`; or `(1, H, W)` and `(1, 1, H, W)`, as tensors have it.
    shape
        `(H, W)` of the images.
    name
        What it is called in a message.

    Raises
    ------
    PatchBatchError
        For another shape, numbers that are not finite, negative, or so large that their scale is another.
    """
    array = as_array(values, name)
    if array.ndim in (3, 4) and array.shape[:-2] == (1,) * (array.ndim - 2):
        array = array.reshape(array.shape[-2:])
    if array.shape != tuple(shape):
        raise PatchBatchError(f"{name} has shape {array.shape}; give {tuple(shape)} for these images")
    if not (np.isfinite(array).all() and array.min(initial=0) >= 0):
        raise PatchBatchError(f"{name} holds values that are negative or not finite; give 0 to 1")
    if array.max(initial=0) > 1.5:
        raise PatchBatchError(f"{name} goes to {array.max():g}; give 0 to 1 (divide 8 bits by 255)")
    return array
