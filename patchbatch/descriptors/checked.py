"""What comes in through the door: anybody's descriptor, taken as one and checked at every image."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from patchbatch.descriptors.adapters import PatchDescriptor
from patchbatch.descriptors.network.trunk import PatchTrunk
from patchbatch.descriptors.protocol import Descriptor
from patchbatch.descriptors.remembered import current_memory
from patchbatch.errors import PatchBatchError
from patchbatch.tables import in_one_line

Image = NDArray[np.float32]


def described_pyramid(descriptor: Descriptor, image: Image, levels: int, precision: str) -> list[Tensor]:
    """Describe an image and its halvings, and check what somebody else's descriptor makes of it.

    Within `remembering` an image that was described before is not described again.

    Raises
    ------
    PatchBatchError
        When it fails, or returns other than `levels` finite floating tensors `(H_l, W_l, D)`; one line.
    """
    memory = current_memory()
    if memory is None:
        return _described(descriptor, image, levels, precision)
    return memory.pyramid(image, lambda one: _described(descriptor, one, levels, precision))


def _described(descriptor: Descriptor, image: Image, levels: int, precision: str) -> list[Tensor]:
    if isinstance(descriptor, PatchTrunk):
        return descriptor.describe_pyramid(image, levels, precision)
    try:
        pyramid = list(descriptor.describe_pyramid(image, levels, precision))
    except PatchBatchError:
        raise
    except Exception as error:  # whatever a user's code raises
        raise PatchBatchError(f"descriptor {descriptor.name} fails with {in_one_line(error)}") from error
    if len(pyramid) != levels:
        raise PatchBatchError(f"descriptor {descriptor.name} gives {len(pyramid)} levels; give {levels}")
    for number, level in enumerate(pyramid):
        height, width = (-(-side // 2**number) for side in image.shape)
        expected = (height, width, descriptor.dimension)
        if not isinstance(level, Tensor) or tuple(level.shape) != expected or not level.is_floating_point():
            got = f"{level.dtype} {tuple(level.shape)}" if isinstance(level, Tensor) else type(level).__name__
            raise PatchBatchError(
                f"descriptor {descriptor.name} gives {got} for level {number} of an image of "
                f"{tuple(image.shape)}; give a floating tensor {expected}"
            )
        if not torch.isfinite(level).all():
            raise PatchBatchError(
                f"descriptor {descriptor.name} gives numbers that are not finite at level {number}; mend that"
            )
    return pyramid


def as_descriptor(made: Any, name: str, device: torch.device | str = "cpu") -> Descriptor:
    """Return a `Descriptor` as it is, and a patch network as a `PatchDescriptor` on a device.

    Parameters
    ----------
    made
        What a user's factory returned.
    name
        For messages, and of a patch network.

    Raises
    ------
    PatchBatchError
        For anything else.
    """
    if isinstance(made, Descriptor) and not isinstance(made, type):
        return made
    size = getattr(made, "patch_size", None)
    whole = isinstance(size, int | np.integer) and not isinstance(size, bool)
    if callable(made) and not isinstance(made, type) and size is not None and whole and size > 0:
        return PatchDescriptor(name, made, int(size), device)
    given = f"a {type(made).__name__}" + ("" if size is None else f" with patch_size {size!r}")
    raise PatchBatchError(
        f"{name} is {given}, no descriptor; give a Descriptor (name, dimension, reach, device, "
        "describe_pyramid, flop), or a callable (N, 1, P, P) -> (N, D) whose patch_size is a whole number"
    )
