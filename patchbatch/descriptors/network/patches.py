"""Patches that a caller hands in, brought to what a network multiplies."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from patchbatch.data.given.arrays import as_array
from patchbatch.errors import PatchBatchError

# Patches further outside [0, 1] have another scale, such as to 255. A whole image standardised, of which a
# patch may be cut for a network of 2016, reaches some ten deviations.
_FURTHEST = 8.0


def given_patches(patches: Any, size: int, weight: Tensor, check: bool = True) -> Tensor:
    """Return patches as floats in the number type of a network.

    Parameters
    ----------
    patches
        `(N, 1, P, P)`: floats in [0, 1], or bool, uint8, uint16, which are divided by their largest value. An
        array or list is put on the network's device; a tensor has to be there.
    size
        P, px.
    weight
        Of the network.
    check
        Whether values are looked at: not in training, whose patches are standardised, and never while torch
        compiles, exports or traces, which cannot.

    Raises
    ------
    PatchBatchError
        For another shape, type, scale or device, and values that are not finite.
    """
    if not isinstance(patches, Tensor):
        patches = torch.as_tensor(as_array(patches, "the patches", None), device=weight.device)
    if patches.ndim != 4 or tuple(patches.shape[1:]) != (1, size, size):
        raise PatchBatchError(
            f"patches have shape {tuple(patches.shape)}; this network takes (N, 1, {size}, {size})"
        )
    if patches.device != weight.device:
        raise PatchBatchError(
            f"patches are on {patches.device} but the network is on {weight.device}; move one of them"
        )
    floats = _as_floats(patches, weight)
    if check and patches.is_floating_point() and len(patches) and not _is_recorded(patches):
        _check_scale(floats.detach())
    return floats


def _as_floats(patches: Tensor, weight: Tensor) -> Tensor:
    if patches.is_floating_point():
        # Autocast chooses the type by itself.
        mixed = torch.is_autocast_enabled(patches.device.type)
        return patches if mixed or patches.dtype == weight.dtype else patches.to(weight.dtype)
    largest = {torch.bool: 1, torch.uint8: np.iinfo(np.uint8).max, torch.uint16: np.iinfo(np.uint16).max}
    if patches.dtype not in largest:
        raise PatchBatchError(f"patches are {patches.dtype}; give floats in [0, 1], or uint8")
    return patches.to(weight.dtype) / largest[patches.dtype]


def _is_recorded(patches: Tensor) -> bool:
    """Whether torch only records what is done, so that there are no values to look at."""
    recording: bool = torch.compiler.is_compiling() or torch._C._get_tracing_state() is not None
    return recording or patches.device.type == "meta"


def _check_scale(patches: Tensor) -> None:
    low, high = (float(bound) for bound in torch.aminmax(patches))
    if not (np.isfinite(low) and np.isfinite(high)):
        raise PatchBatchError("patches hold NaN or infinity; replace them")
    if low < -_FURTHEST or high > _FURTHEST:
        raise PatchBatchError(
            f"patches lie in [0, 1] but these span [{low:g}, {high:g}]; "
            "divide by 255 (8-bit) or 65535 (16-bit)"
        )
