"""Described images that a caller hands in: pyramids of dense descriptors, as tensors or arrays."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor

from patchbatch.data.given.arrays import as_array, is_tensor
from patchbatch.errors import PatchBatchError


def given_pyramid(descriptors: Any, name: str) -> list[Tensor]:
    """Return a described image as matchers take it: levels `(H, W, D)`, contiguous, the full image first.

    Parameters
    ----------
    descriptors
        One tensor or array `(H, W, D)`, or a sequence of them, each with half the rows and columns of the one
        before, rounded up. Tensors stay on their device, whole numbers become float32.
    name
        What it is called in a message.

    Raises
    ------
    PatchBatchError
        For an empty pyramid, other shapes, levels that do not follow each other, and numbers that are not
        finite.
    """
    single = is_tensor(descriptors) or isinstance(descriptors, np.ndarray)
    if not single and not isinstance(descriptors, Sequence):
        raise PatchBatchError(f"{name} are a {type(descriptors).__name__}; give tensors (H, W, D)")
    levels = [_level(one, name) for one in ([descriptors] if single else descriptors)]
    if not levels:
        raise PatchBatchError(f"{name}: a pyramid is empty; give at least the full image")
    for finer, coarser in pairwise(levels):
        expected = (-(-finer.shape[0] // 2), -(-finer.shape[1] // 2), finer.shape[2])
        if tuple(coarser.shape) != expected or coarser.device != finer.device:
            raise PatchBatchError(
                f"{name}: a level is {tuple(coarser.shape)} on {coarser.device} below one of "
                f"{tuple(finer.shape)} on {finer.device}; give {expected} there"
            )
    return levels


def _level(values: Any, name: str) -> Tensor:
    if is_tensor(values):
        if values.device.type == "meta":
            raise PatchBatchError(f"{name} are on the device meta and hold no numbers; give others")
        level: Tensor = values.detach()
    else:
        level = torch.from_numpy(np.ascontiguousarray(as_array(values, name, None)))
    if level.ndim != 3 or not level.numel():
        raise PatchBatchError(f"{name} have shape {tuple(level.shape)}; give (H, W, D), one image at a time")
    if level.is_complex():
        raise PatchBatchError(f"{name} are complex numbers; give real ones")
    if not level.is_floating_point() or level.dtype == torch.float64:
        level = level.float()
    if not torch.isfinite(level).all():
        raise PatchBatchError(f"{name} hold numbers that are not finite; mend what describes")
    return level.contiguous()
