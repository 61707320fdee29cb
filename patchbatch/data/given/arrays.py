"""Numbers that a caller hands in: lists, numpy arrays, torch tensors of any device, whatever numpy reads.

Nothing here imports torch: whoever hands in a tensor has imported it.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray

from patchbatch.errors import PatchBatchError
from patchbatch.tables import in_one_line


def is_tensor(values: Any) -> bool:
    """Whether something is a torch tensor."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(values, torch.Tensor)


def as_array(values: Any, name: str, dtype: type | None = np.float32) -> NDArray[Any]:
    """Return what a caller hands in as an array of real numbers, of a type or of its own.

    Tensors are taken off their device and out of their graph; bfloat16, which numpy does not have, becomes
    float32.

    Parameters
    ----------
    values
        A list, an array, a torch tensor, or whatever numpy makes an array of.
    name
        What it is called in a message.
    dtype
        Of the result; None keeps its own.

    Raises
    ------
    PatchBatchError
        For what numpy cannot make an array of, tensors without numbers (device "meta") and masked values;
        says what `name` was given as.

    Examples
    --------
    >>> as_array([[1, 2]], "the point")
    array([[1., 2.]], dtype=float32)
    """
    try:
        array = _of_tensor(values) if is_tensor(values) else np.asarray(values)
        if isinstance(values, np.ma.MaskedArray) and np.ma.is_masked(values):
            raise TypeError("some values are masked; fill them")
        if array.dtype.kind not in "biuf":
            raise TypeError(f"numbers of type {array.dtype}")
        return array if dtype is None else array.astype(dtype, copy=False)
    except (TypeError, ValueError, RuntimeError, NotImplementedError) as error:
        given = f"{name}: {type(values).__name__} given ({in_one_line(error)})"
        raise PatchBatchError(f"{given}; give an array of numbers") from error


def _of_tensor(values: Any) -> NDArray[Any]:
    """Return a tensor's numbers, whatever it is part of."""
    if values.device.type == "meta":
        raise TypeError("it is on the device meta and holds no numbers")
    plain = values.detach().cpu()
    if plain.layout != sys.modules["torch"].strided:
        plain = plain.to_dense()
    plain = plain.resolve_conj().resolve_neg()
    if plain.dtype.is_floating_point and plain.dtype.itemsize <= 2:  # numpy knows but one of these types
        plain = plain.float()
    array: NDArray[Any] = plain.numpy()
    return array
